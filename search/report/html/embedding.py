"""What goes into the page so that it needs nothing else: scripts, styles, plotly, and data.

The page is opened offline and sent around, so it refers to no other file. Plotly comes from the
package `plotly`, compressed, which makes 5 MB into 2: the browser unpacks it (`static/boot.js`).
Data is JSON in a script block, in which no text can end the block.
"""

import base64
import gzip
import json
import math
from functools import cache
from importlib.resources import files
from typing import Any

from markupsafe import Markup

_STYLES = ("page.css", "parts.css")
_SCRIPTS = ("tables.js", "theme.js", "save.js", "figures.js", "details.js", "boot.js")
# `<` could end the block or open a comment; the two line ends are no white space to JSON alone.
_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def json_for_script(value: Any) -> Markup:
    """Return JSON that can stand in a script block whatever texts it holds; NaN becomes null."""
    text = json.dumps(_finite(value), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return Markup(text.translate(_ESCAPES))


@cache
def plotly() -> Markup:
    """Return the plotly script of the installed package, gzipped, in base 64."""
    script = files("plotly").joinpath("package_data/plotly.min.js").read_bytes()
    packed = gzip.compress(script, compresslevel=9, mtime=0)
    return Markup(base64.b64encode(packed).decode("ascii"))


@cache
def styles() -> Markup:
    return _static(_STYLES)


@cache
def scripts() -> Markup:
    return _static(_SCRIPTS)


def _static(names: tuple[str, ...]) -> Markup:
    folder = files("search.report.html").joinpath("static")
    texts = [folder.joinpath(name).read_text(encoding="utf-8") for name in names]
    return Markup("\n".join(texts))


def _finite(value: Any) -> Any:
    """Return `value` with lists for tuples and None for NaN and infinities."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value

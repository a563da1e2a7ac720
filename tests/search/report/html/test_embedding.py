"""What is embedded cannot break out of its block, and plotly comes out as it went in."""

import base64
import gzip
import json
from importlib.resources import files

import pytest

from search.report.html.embedding import json_for_script, plotly, scripts, styles

EVIL = "</script><script>alert(1)</script><!-- & \u2028\u2029 ]]>"


def test_json_holds_the_text_but_nothing_that_html_or_javascript_would_read() -> None:
    text = json_for_script({"name": EVIL, EVIL: [1]})

    assert not set(text) & {"<", ">", "&", "\u2028", "\u2029"}
    assert json.loads(text) == {"name": EVIL, EVIL: [1]}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_json_has_no_word_for_are_null(value: float) -> None:
    assert json_for_script({"a": [value, (1.5, value)]}) == '{"a":[null,[1.5,null]]}'


def test_plotly_is_the_package_s_own_script_compressed() -> None:
    script = files("plotly").joinpath("package_data/plotly.min.js").read_bytes()

    assert gzip.decompress(base64.b64decode(plotly())) == script
    assert len(plotly()) < 2_500_000


def test_our_scripts_and_styles_cannot_end_their_block_and_name_no_other_place() -> None:
    for text in (scripts(), styles()):
        assert "</script" not in text
        assert "</style" not in text
        assert "<!--" not in text
        assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
        assert "@import" not in text
        assert "innerHTML" not in text

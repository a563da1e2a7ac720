"""A headless Chromium for the tests of pages."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
VARIABLE = "BRANCHPOINT_CHROMIUM"


def find_chromium() -> str | None:
    """Return the Chromium that the variable names, playwright's own, or one on the path."""
    if os.environ.get(VARIABLE):
        return os.environ[VARIABLE]
    own = sorted(
        Path("~/.cache/ms-playwright").expanduser().glob("chromium-*/chrome-linux*/chrome")
    )
    found = [str(path) for path in own if path.is_file()]
    return found[-1] if found else shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium; tests that ask for it are skipped, saying so, where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = find_chromium()
    if path is None:
        pytest.skip(
            f"no Chromium: set {VARIABLE}, run `playwright install chromium`, or put `chromium` "
            "on the path"
        )
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=path, args=list(CHROMIUM))
        yield found
        found.close()

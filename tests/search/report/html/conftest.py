"""Studies for the page: what `affinity.json` holds, and a browser to look at the page with."""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

# Nothing of Chromium's own may reach for the network, so that every request is the page's.
CHROMIUM = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
VARIABLE = "BRANCHPOINT_CHROMIUM"


def sample_affinity(tasks: Sequence[str], trial: str = "t0003", seed: int = 0) -> dict[str, Any]:
    """Return what is measured of two groups of tasks: the even ones and the odd ones."""
    rng = np.random.default_rng(seed)
    n = len(tasks)
    together = np.equal.outer(np.arange(n) % 2, np.arange(n) % 2)
    layers = [np.where(together, 0.4 - 0.1 * at, -0.1) for at in range(3)]
    layers = [(m + m.T) / 2 for m in (of + rng.normal(0, 0.05, (n, n)) for of in layers)]
    cosine = np.mean(layers, axis=0)
    ahead = np.where(together, 0.03, -0.01) + rng.normal(0, 0.004, (n, n))
    attention = rng.dirichlet(np.ones(n), n)
    routes = {"look_ahead": ahead, "gradient_cosine": cosine, "attention": attention}
    found: dict[str, Any] = {name: {"matrix": of.tolist()} for name, of in routes.items()}
    found["gradient_cosine"] |= {
        "layers": ["layer1", "layer2", "layer3"],
        "by_layer": [layer.tolist() for layer in layers],
    }
    words = "this film is , against all that was said , a quiet joy from start to end".split()
    tokens = list(tasks)
    return {
        "tasks": list(tasks),
        "trial": trial,
        "steps": 20,
        "routes": found,
        "agreement": [{"routes": ["look_ahead", "gradient_cosine"], "spearman": 0.83}],
        "groups": {name: _groups(tasks, of) for name, of in routes.items()},
        "fit": {"words": "The groups fit the depth that the search found: tasks part after 2."},
        "examples": [
            {
                "task": tasks[0], "label": "pos", "predicted": "neg", "words": words,
                "tokens": tokens, "weights": rng.dirichlet(np.ones(len(words)), n).tolist(),
            }
        ],
    }  # fmt: skip


def find_chromium() -> str | None:
    """Return the Chromium that the variable names, playwright's own, or one on the path."""
    if os.environ.get(VARIABLE):
        return os.environ[VARIABLE]
    own = sorted(Path("~/.cache/ms-playwright").expanduser().glob("chromium-*/chrome-linux*/chrome"))
    found = [str(path) for path in own if path.is_file()]
    return found[-1] if found else shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture
def affinity_of() -> Any:
    """Makes the content of `affinity.json` for tasks."""
    return sample_affinity


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


def _groups(tasks: Sequence[str], affinity: Any) -> dict[str, Any]:
    both = (affinity + affinity.T) / 2
    distance = both.max() - both
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), "average")
    of = fcluster(tree, 2, "maxclust")
    groups = [[task for task, at in zip(tasks, of, strict=True) if at == g] for g in sorted(set(of))]
    return {"linkage": tree.tolist(), "groups": groups}

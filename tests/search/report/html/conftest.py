"""Studies for the page: what `affinity.json` holds, and a browser to look at the page with."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as graph_objects
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from search.report.findings import Findings
from search.report.html.figures import Figure
from search.report.html.material import Material
from search.space import Space, parse_space


# Nothing of Chromium's own may reach for the network, so that every request is the page's.
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
    words = [
        "this",
        "film",
        "is",
        ",",
        "against",
        "all",
        "that",
        "was",
        "said",
        ",",
        "a",
        "quiet",
        "joy",
        "from",
        "start",
        "to",
        "end",
    ]
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


@pytest.fixture
def affinity_of() -> Any:
    """Makes the content of `affinity.json` for tasks."""
    return sample_affinity


def _groups(tasks: Sequence[str], affinity: Any) -> dict[str, Any]:
    both = (affinity + affinity.T) / 2
    distance = both.max() - both
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), "average")
    of = fcluster(tree, 2, "maxclust")
    groups = [
        [task for task, at in zip(tasks, of, strict=True) if at == g] for g in sorted(set(of))
    ]
    return {"linkage": tree.tolist(), "groups": groups, "stands_out": True, "margin": 1.5}


SPACE = """
name: hand_made
search: {trials: 40}
sharing:
  structure: {choice: [single_task, stack_cls, layerwise_implicit]}
  divergence_depth:
    - {int: [0, 4], when: {structure: stack_cls}}
    - {int: [0, 3], when: {structure: layerwise_implicit}}
training:
  learning_rate: {float: [1e-4, 1e-2], log: true}
"""


@pytest.fixture
def space() -> Space:
    """The space that the hand-made studies could have come from."""
    return parse_space(SPACE)


@pytest.fixture
def material(whole: Any, space: Space) -> Material:
    """The finished hand-made study."""
    return Material(Findings(whole.record()), space)


@pytest.fixture
def many(make_study: Any) -> Any:
    """A search of 60 trials in which depth decides, learning rate a little, and nothing else."""
    return _search(make_study)


@pytest.fixture(scope="session")
def related(make_study: Any) -> Material:
    """That search, tested, with affinities: every figure that there is."""
    study = _search(make_study).train("single_task", (0.5, 0.5))
    study.test("structure:single_task", "t0061", (200, 200))
    study.test("average", "t0001", (310, 310)).test("structure:stack_cls", "t0001", (310, 310))
    findings = Findings(study.record())
    return Material(findings, parse_space(SPACE), affinity=sample_affinity(findings.tasks))


def _search(make_study: Any) -> Any:
    study, rng = make_study(), np.random.default_rng(0)
    for at in range(60):
        structure = ("stack_cls", "layerwise_implicit")[at % 2]
        depth, rate = at // 2 % 4, float(10 ** rng.uniform(-4, -2))
        score = 0.6 + 0.08 * (depth == 1) + 0.005 * rng.normal() - 0.01 * abs(np.log10(rate) + 3)
        values = {"training.learning_rate": rate}
        study.train(structure, (round(score, 4), round(score - 0.02, 4)), depth, **values)
    return study


@pytest.fixture
def valid() -> Any:
    """Has plotly itself check the traces and the layout of all views of a figure."""

    def check(figure: Figure) -> None:
        for view in figure.views:
            graph_objects.Figure(data=_coloured(list(view.data)), layout=_coloured(view.layout))

    return check


def _coloured(value: Any) -> Any:
    """Fill in what the page fills in: colours and scales of the theme."""
    if isinstance(value, str) and value.startswith("$"):
        return "Viridis" if value in ("$sequential", "$sequential-low", "$diverging") else "#123456"
    if isinstance(value, dict):
        return {key: _coloured(item) for key, item in value.items()}
    return [_coloured(item) for item in value] if isinstance(value, list | tuple) else value

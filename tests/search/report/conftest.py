"""A hand-made study: two tasks, three structures, all numbers chosen so that a reader can check."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from confirmations import begun, confirmed, shortlisted

from mtl_core.training.config import TrialConfig
from search.record import StudyRecord
from search.rows import pack

TASKS = ("books", "films")


def right(n_right: int, n_rows: int) -> np.ndarray:
    """Return rows of which the first `n_right` are right."""
    return np.arange(n_rows) < n_right


class StudyMaker:
    """Builds the events of a study one after another.

    Args:
        seen: How many of the first test rows of each task occur in train.
    """

    def __init__(self, tasks: Sequence[str] = TASKS, *, n_rows: int = 400, seen: int = 40) -> None:
        self.tasks, self.n_rows, self.seen, self.now = tuple(tasks), n_rows, seen, 1000.0
        self.events: list[dict[str, Any]] = []
        self.add(
            "study",
            format=1,
            name="hand_made",
            space_digest="d",
            data_fingerprint="0123456789abcdef0123",
            seed=3,
            tasks=list(tasks),
        )

    def add(self, event: str, **fields: Any) -> "StudyMaker":
        self.now += 1.0
        self.events.append({"event": event, "time": self.now, **fields})
        return self

    def propose(self, structure: str, depth: Any = None, **values: Any) -> "StudyMaker":
        number = sum(event["event"] == "proposed" for event in self.events) + 1
        sharing = {"structure": structure, "divergence_depth": depth}
        config = TrialConfig.from_dict({"sharing": sharing}).as_dict()
        searched = {"sharing.structure": structure, **values}
        if depth is not None:
            searched["sharing.divergence_depth"] = depth
        trial = f"t{number:04d}"
        return self.add(
            "proposed", trial=trial, number=number, values=searched, config=config, seed=number,
            source="tpe",
        ).add("started", trial=trial, attempt=1, worker="w")  # fmt: skip

    def train(
        self, structure: str, scores: Sequence[float], depth: Any = None, **values: Any
    ) -> "StudyMaker":
        """One trial of one epoch with these dev scores, finished."""
        self.propose(structure, depth, **values)
        trial = self.events[-1]["trial"]
        by_task = dict(zip(self.tasks, scores, strict=True))
        self.add(
            "reported", trial=trial, epoch=1, average=sum(scores) / len(scores), scores=by_task,
            loss=0.5, losses=dict.fromkeys(self.tasks, 0.5), tokens_per_second=1e4, seconds=2.0,
        )  # fmt: skip
        return self.add("finished", trial=trial, epochs=1, reason="epochs")

    def test(self, model: str, trial: str, n_right: Sequence[int]) -> "StudyMaker":
        """The model of that trial, with so many of the first test rows of each task right."""
        report = next(e for e in self.events if e["event"] == "reported" and e["trial"] == trial)
        return self.add(
            "tested", model=model, trial=trial, epoch=1, **self._rows(report["scores"], n_right)
        )

    def baseline(self, name: str, dev: Sequence[float], n_right: Sequence[int]) -> "StudyMaker":
        rows = self._rows(dict(zip(self.tasks, dev, strict=True)), n_right)
        return self.add("baseline", name=name, test=rows["scores"], **rows)

    def shortlist(self, **roles: Sequence[str]) -> "StudyMaker":
        """Which trials are confirmed, with what the search had them for."""
        return self.add(**shortlisted(roles))

    def confirm(
        self, trial: str, *runs: Sequence[int], dev: Sequence[float] = (0.8, 0.8)
    ) -> "StudyMaker":
        """Runs of that trial with so many of the first test rows of each task right."""
        seen = {task: right(self.seen, self.n_rows) for task in self.tasks}
        for number, n_right in enumerate(runs, start=1):
            of_dev = {t: right(round(200 * s), 200) for t, s in zip(self.tasks, dev, strict=True)}
            of_test = {t: right(n, self.n_rows) for t, n in zip(self.tasks, n_right, strict=True)}
            self.add(**begun(trial, number))
            self.add(**confirmed(trial, number, of_dev, of_test, seen, epoch=number))
        return self

    def record(self) -> StudyRecord:
        return StudyRecord(None, self.events)

    def _rows(self, dev: Mapping[str, float], n_right: Sequence[int]) -> dict[str, Any]:
        correct = {t: right(n, self.n_rows) for t, n in zip(self.tasks, n_right, strict=True)}
        return {
            "dev": dict(dev),
            "dev_rows": dict.fromkeys(self.tasks, 200),
            "correct": pack(correct),
            "seen": pack({task: right(self.seen, self.n_rows) for task in self.tasks}),
            "scores": {task: {"accuracy": float(rows.mean())} for task, rows in correct.items()},
        }


@pytest.fixture
def row() -> Callable[[str, str], list[str]]:
    """Returns the cells of the first table row that begins with a name."""

    def cells(text: str, name: str) -> list[str]:
        line = next(line for line in text.splitlines() if line.startswith(f"| {name} "))
        return [cell.strip() for cell in line.strip("|").split("|")]

    return cells


@pytest.fixture
def maker() -> StudyMaker:
    """An empty study of two tasks."""
    return StudyMaker()


@pytest.fixture(scope="session")
def make_study() -> type[StudyMaker]:
    """Makes an empty study of the tasks that are named."""
    return StudyMaker


@pytest.fixture
def whole(maker: StudyMaker) -> StudyMaker:
    """A finished study: layerwise_implicit wins, books pays for it, TF-IDF is below."""
    maker.train("single_task", (0.80, 0.80)).train("stack_cls", (0.82, 0.84), 3)
    maker.train("layerwise_implicit", (0.81, 0.90), 1, **{"training.learning_rate": 0.001})
    maker.propose("stack_cls", 2)
    maker.add("failed", trial="t0004", kind="diverged", reason="loss is NaN", traceback=None)
    maker.add("ended", reason="trials")
    maker.baseline("majority", (0.5, 0.5), (200, 200))
    maker.baseline("tfidf", (0.78, 0.79), (300, 310)).baseline(
        "tfidf_pooled", (0.8, 0.8), (316, 316)
    )
    maker.test("average", "t0003", (310, 360)).test("task:books", "t0002", (325, 330))
    maker.test("task:films", "t0003", (310, 360)).test("structure:single_task", "t0001", (320, 318))
    maker.test("structure:stack_cls", "t0002", (325, 330))
    return maker.test("structure:layerwise_implicit", "t0003", (310, 360))


@pytest.fixture
def confirmed_study(maker: StudyMaker) -> StudyMaker:
    """A confirmed study: layerwise_implicit wins on average, books pays for it; five runs each.

    The runs of a configuration differ by a row or two.
    """
    maker.train("single_task", (0.80, 0.80)).train("stack_cls", (0.82, 0.84), 3)
    maker.train("layerwise_implicit", (0.81, 0.90), 1)
    maker.add("searched", reason="trials")
    maker.shortlist(
        t0003=["average", "task:films", "structure:layerwise_implicit", "equal_weights"],
        t0001=["structure:single_task", "single_task"],
        t0002=["task:books", "structure:stack_cls"],
    )
    maker.confirm("t0003", *((300 + i, 360 - i) for i in range(5)), dev=(0.78, 0.91))
    maker.confirm("t0001", *((330 + i, 318 - i) for i in range(5)), dev=(0.81, 0.79))
    maker.confirm("t0002", *((325 + i, 330 - i) for i in range(5)), dev=(0.80, 0.84))
    maker.add("ended", reason="trials", confirmation="done")
    maker.baseline("majority", (0.5, 0.5), (200, 200))
    return maker.baseline("tfidf", (0.78, 0.79), (300, 310))


@pytest.fixture
def audit_json() -> dict[str, Any]:
    """What a report needs of a study's `audit.json`."""
    return {
        "headline": "80 of 800 test rows occur in train.",
        "tasks": [
            {
                "name": "books",
                "undecodable": {"books.train": 3},
                "dropped": [{"file": "films.train", "line": 12, "message": "the text is empty"}],
                "cut_from_train": ["dev: the last 200 rows of train"],
            }
        ],
    }


@pytest.fixture
def environment_json() -> dict[str, Any]:
    """What a report needs of a study's `environment.json`."""
    return {
        "command": ["python", "-m", "search.run", "--space", "spaces/my space.yaml"],
        "versions": {"python": "3.11.9", "torch": "2.13.0"},
        "git_commit": "abc123",
        "git_dirty": True,
        "machine": {"cpus": 2, "memory_gib": 15.6, "gpus": []},
    }


SPACE = """name: hand_made
sharing:
  structure: {choice: [single_task, stack_cls, layerwise_implicit]}
  divergence_depth:
    - {int: [0, 4], when: {structure: stack_cls}}
    - {int: [0, 3], when: {structure: layerwise_implicit}}
training:
  learning_rate: {float: [1e-4, 1e-2], log: true}
"""


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes a hand-made study into a folder of that name, as a search leaves it."""

    def make(study: StudyMaker, name: str = "study") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        lines = [json.dumps(event) + "\n" for event in study.events]
        (folder / "journal.jsonl").write_text("".join(lines), encoding="utf-8")
        (folder / "space.yaml").write_text(SPACE, encoding="utf-8")
        return folder

    return make

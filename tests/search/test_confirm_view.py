"""What is shown of a confirmation under way: words, the shortlist, a bar; and plain lines."""

import io
from typing import Any

import numpy as np
import pytest
from confirmations import begun, confirmed, failed, shortlisted
from rich.console import Console

from mtl_core.training.config import TrialConfig
from search.cluster import Cluster
from search.confirm import Confirming, InTraining
from search.confirm_view import confirm_view, headline
from search.lanes import Place
from search.progress import HEARTBEAT_SECONDS, LiveProgress, PlainProgress
from search.racing import Wanted
from search.record import StudyRecord
from search.space import Space, parse_space

ROWS = {"books": np.array([True, True, True, False])}
CONFIG = TrialConfig.from_dict({"sharing": {"structure": "stack_cls", "divergence_depth": 2}})
CLUSTER = Cluster(engines=2, dashboard=None, words="this machine, 2 CPUs")


@pytest.fixture
def space() -> Space:
    return parse_space("name: tiny\nsharing: {structure: {choice: [single_task, stack_cls]}}")


@pytest.fixture
def record() -> StudyRecord:
    trials: list[dict[str, Any]] = [
        {
            "event": "proposed", "trial": f"t000{number}", "number": number, "values": {},
            "config": CONFIG.as_dict(), "seed": 1, "source": "random",
        }
        for number in (1, 2)
    ]  # fmt: skip
    events = [
        {"event": "study", "format": 1, "name": "tiny", "seed": 0, "tasks": ["books"]},
        *trials,
        shortlisted({"t0001": ["average", "task:books"], "t0002": ["equal_weights"]}),
        begun("t0001", 1),
        confirmed("t0001", 1, ROWS, ROWS),
        begun("t0002", 1),
        failed("t0002", 1),
        begun("t0001", 2),
    ]
    return StudyRecord(None, [{"time": float(i), **event} for i, event in enumerate(events)])


@pytest.fixture
def shown() -> Confirming:
    run = Wanted("t0001c2", "t0001", 2, 5)
    training = InTraining(run, Place("engine1", "x"), 1, 0.0, 0.0, epoch=7)
    return Confirming(4, {run.id: training})


def drawn(record: StudyRecord, shown: Confirming, width: int = 100) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(
        confirm_view(record, shown, name="tiny", width=width, seconds_left=30.0)
    )
    return out.getvalue()


def test_the_display_has_the_shortlist_with_runs_dev_scores_and_roles(
    record: StudyRecord, shown: Confirming
) -> None:
    text = drawn(record, shown)

    assert text.startswith("tiny: confirming with fresh seeds, 1 run in training; best so far 75.0")
    first = next(line for line in text.splitlines() if line.startswith("t0001"))
    assert first.split() == [
        "t0001", "stack_cls", "2", "equal", "1", "75.0", "average,", "books", "epoch", "7",
    ]  # fmt: skip
    assert "2/4 runs, 1 failed, about 30 s left" in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("width", [70, 60, 40])
def test_a_narrow_terminal_is_kept_to(record: StudyRecord, shown: Confirming, width: int) -> None:
    lines = drawn(record, shown, width=width).splitlines()

    first = next(line for line in lines if line.startswith("t0001") and "(" not in line)
    assert max(map(len, lines)) <= width
    assert "75.0" in first
    assert first.rstrip().endswith("epoch 7")


def test_before_the_first_run_ends_there_is_no_best() -> None:
    assert headline(StudyRecord(), Confirming(3)).endswith("no run has ended yet")


def test_plain_lines_say_how_each_run_ended(
    record: StudyRecord, shown: Confirming, space: Space
) -> None:
    out, now = io.StringIO(), [0.0]
    progress = PlainProgress(Console(file=out), clock=lambda: now[0])
    progress.started(CLUSTER, space, record)

    progress.confirming(shown)
    progress.changed()
    progress.run_ended("t0001c1")
    progress.run_ended("t0002c1")
    now[0] = HEARTBEAT_SECONDS
    progress.tick()

    assert out.getvalue().splitlines()[1:] == [
        "confirming 2 configurations with fresh seeds: 2 runs at least",
        "[2/4 runs] t0001c1 done: 75.0 on dev at epoch 1; best so far 75.0 on dev, t0001 (1 run)",
        "[2/4 runs] t0002c1 failed: loss is NaN; best so far 75.0 on dev, t0001 (1 run)",
        "[2/4 runs] 1 in training; best so far 75.0 on dev, t0001 (1 run)",
    ]


def test_one_run_that_is_left_is_no_plural(record: StudyRecord, space: Space) -> None:
    out = io.StringIO()
    progress = PlainProgress(Console(file=out))
    progress.started(CLUSTER, space, record)

    progress.confirming(Confirming(3))

    assert out.getvalue().splitlines()[-1].endswith("with fresh seeds: 1 run at least")


def test_the_live_display_turns_to_the_confirmation(
    record: StudyRecord, shown: Confirming, space: Space
) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100, height=30)
    progress = LiveProgress(console)
    progress.started(CLUSTER, space, record)

    progress.confirming(shown)
    progress.close()

    assert "confirming with fresh seeds, 1 run in training" in out.getvalue()

"""Plain lines for logs; the live display leaves the terminal in order."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from mtl_core.training.config import TrialConfig
from search.cluster import Cluster
from search.config import SearchConfig
from search.progress import HEARTBEAT_SECONDS, LiveProgress, PlainProgress, live_progress
from search.record import StudyRecord
from search.space import Space

CLUSTER = Cluster(engines=2, dashboard="127.0.0.1:8265", words="this machine, 2 CPUs")
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


class FakeSpace:
    """As much of a space as a display asks for."""

    name = "layerwise"
    search = SearchConfig(trials=3, minutes=10.0)

    def size(self) -> int | None:
        return None


@pytest.fixture
def space() -> Space:
    return FakeSpace()  # type: ignore[return-value]


EVENTS: list[dict[str, Any]] = [
    {"event": "study", "time": 0, "format": 1, "tasks": ["books"], "name": "layerwise"},
    {
        "event": "proposed", "time": 0, "trial": "t0001", "number": 1, "values": {},
        "config": TrialConfig().as_dict(), "seed": 1, "source": "random",
    },
    {"event": "started", "time": 0, "trial": "t0001", "attempt": 1, "worker": "w"},
    {
        "event": "reported", "time": 1, "trial": "t0001", "epoch": 1, "average": 0.75,
        "scores": {"books": 0.75}, "loss": 0, "losses": {},
        "tokens_per_second": 1, "seconds": 1,
    },
    {
        "event": "failed", "time": 2, "trial": "t0001", "kind": "diverged",
        "reason": "loss is nan at epoch 2", "traceback": None,
    },
]  # fmt: skip


def make_record(*, reported: bool = True) -> StudyRecord:
    return StudyRecord(events=EVENTS[: 4 if reported else 3])


def test_a_file_gets_plain_lines_and_a_terminal_the_live_display() -> None:
    assert isinstance(live_progress(Console(file=io.StringIO())), PlainProgress)
    moving = Console(force_terminal=True, _environ={"TERM": "xterm"})
    assert isinstance(live_progress(moving), LiveProgress)
    dumb = Console(
        force_terminal=True, _environ={"TERM": "dumb"}
    )  # would show nothing till the end
    assert isinstance(live_progress(dumb), PlainProgress)


def test_plain_lines_say_the_first_result_and_how_each_trial_ended(
    space: Space, tmp_path: Path
) -> None:
    out = io.StringIO()
    shown = PlainProgress(Console(file=out, width=60))
    record = StudyRecord.open(tmp_path / "journal.jsonl")
    for event in EVENTS[:3]:
        record.append(**event)
    shown.started(CLUSTER, space, record)
    for event in EVENTS[3:]:
        record.append(**event)
    record.close()

    shown.changed()
    shown.changed()
    shown.trial_ended("t0001")

    assert out.getvalue() == (
        "searching on this machine, 2 CPUs, 2 engines\n"
        "Ray dashboard: http://127.0.0.1:8265\n"
        "[1/3] first result: 75.0 after epoch 1 of t0001 (stack_pooling, equal weighting)\n"
        "[1/3] t0001 failed: diverged (loss is nan at epoch 2): 75.0 at epoch 1, stack_pooling, "
        "equal weighting; best so far 75.0 with stack_pooling, equal weighting (t0001)\n"
    )


def test_a_study_that_goes_on_has_had_its_first_result(space: Space) -> None:
    out = io.StringIO()
    shown = PlainProgress(Console(file=out))
    shown.started(CLUSTER, space, make_record(reported=True))

    shown.changed()

    assert "first result" not in out.getvalue()


def test_plain_lines_give_a_sign_of_life_after_half_a_minute(space: Space) -> None:
    out, now = io.StringIO(), [0.0]
    shown = PlainProgress(Console(file=out), clock=lambda: now[0])
    shown.started(CLUSTER, space, make_record(reported=False))
    before = out.getvalue()

    shown.tick()
    assert out.getvalue() == before
    now[0] = HEARTBEAT_SECONDS
    shown.tick()
    shown.tick()

    assert out.getvalue()[len(before) :] == (
        "[0/3] 1 in training; no result yet; about 6 min left\n"
    )


def test_the_live_display_is_drawn_four_times_a_second_and_gives_the_cursor_back(
    space: Space,
) -> None:
    out, now = io.StringIO(), [0.0]
    console = Console(file=out, force_terminal=True, width=80, height=20)
    shown = LiveProgress(console, clock=lambda: now[0])
    shown.started(CLUSTER, space, make_record())
    drawn = len(out.getvalue())

    now[0] = 0.1
    shown.tick()
    assert len(out.getvalue()) == drawn
    now[0] = 0.3
    shown.tick()
    assert len(out.getvalue()) > drawn
    shown.close()
    shown.close()

    assert out.getvalue().count(HIDE_CURSOR) == out.getvalue().count(SHOW_CURSOR) == 1
    assert "t0001" in out.getvalue()


def test_the_bar_is_seen_on_a_terminal_of_few_lines(space: Space) -> None:
    out = io.StringIO()
    shown = LiveProgress(Console(file=out, force_terminal=True, width=80, height=6))

    shown.started(CLUSTER, space, make_record())
    shown.close()

    assert "trials" in out.getvalue().splitlines()[-2]


@pytest.mark.parametrize("ticks", [False, True])
def test_an_interruption_is_said_in_both_displays(ticks: bool, space: Space) -> None:
    for kind in (PlainProgress, LiveProgress):
        out = io.StringIO()
        shown = kind(Console(file=out, force_terminal=kind is LiveProgress, width=200))
        shown.started(CLUSTER, space, make_record())
        shown.stopping()
        if ticks:
            shown.tick()
        shown.close()
        assert "stopping; what is done is kept" in out.getvalue()

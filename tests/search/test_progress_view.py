"""How a running search looks: fits the width, says what leads, shows what is in training."""

from typing import Any

import pytest
from rich.console import Console

from mtl_core.training.config import TrialConfig
from search.progress_view import Moment, duration, headline, view
from search.record import StudyRecord

DOMAINS = [
    *("books", "electronics", "dvd", "kitchen", "apparel", "camera", "health", "music"),
    *("toys", "video", "baby", "magazines", "software", "sports", "imdb", "mr"),
]


def propose(number: int, **values: Any) -> dict[str, Any]:
    config = TrialConfig().as_dict()
    for key, value in values.items():
        section, name = key.split("__")
        config[section][name] = value
    dotted = {key.replace("__", "."): value for key, value in values.items()}
    return {
        "event": "proposed", "time": 0.0, "trial": f"t{number:04}", "number": number,
        "values": dotted, "config": config, "seed": 1, "source": "random",
    }  # fmt: skip


def report(number: int, epoch: int, scores: dict[str, float]) -> dict[str, Any]:
    return {
        "event": "reported", "time": 1.0, "trial": f"t{number:04}", "epoch": epoch,
        "average": sum(scores.values()) / len(scores), "scores": scores, "loss": 0.5,
        "losses": scores, "tokens_per_second": 1.0, "seconds": 1.0,
    }  # fmt: skip


def make_record(tasks: list[str]) -> StudyRecord:
    """Three trials: one done, one stopped early, one in its second attempt."""
    events: list[dict[str, Any]] = [
        {"event": "study", "time": 0.0, "format": 1, "tasks": tasks, "name": "layerwise"},
        propose(
            1,
            sharing__structure="layerwise_implicit",
            sharing__divergence_depth=2,
            training__learning_rate=0.003,
        ),
        propose(2, sharing__structure="single_task", weighting__method="uncertainty"),
        propose(3, sharing__structure="stack_cls"),
    ]
    events += [
        {
            "event": "started",
            "time": 0.0,
            "trial": f"t000{n}",
            "attempt": 1 + (n == 3),
            "worker": "w",
        }
        for n in (1, 2, 3)
    ]
    events += [
        report(1, 1, {task: 0.8 + k / 100 for k, task in enumerate(tasks)}),
        report(1, 2, dict.fromkeys(tasks, 0.7)),
        report(2, 1, dict.fromkeys(tasks, 0.6)),
        {"event": "finished", "time": 2.0, "trial": "t0001", "epochs": 2, "reason": "epochs"},
        {"event": "stopped", "time": 2.0, "trial": "t0002", "epoch": 1, "rung": 1},
    ]
    return StudyRecord(events=events)


def render(record: StudyRecord, width: int) -> str:
    console = Console(width=width, color_system=None, force_terminal=True)
    with console.capture() as capture:
        console.print(
            view(record, Moment(name="layerwise", total=48, seconds_left=75), width=width)
        )
    return capture.get()


@pytest.mark.parametrize("width", [80, 100, 160, 220])
@pytest.mark.parametrize("n_tasks", [3, 8, 16])
def test_the_display_never_wraps_a_trial_onto_a_second_line(width: int, n_tasks: int) -> None:
    lines = render(make_record(DOMAINS[:n_tasks]), width).rstrip("\n").split("\n")

    assert all(len(line) <= width for line in lines)
    for trial in ("t0001 ", "t0002 ", "t0003 "):
        assert sum(line.startswith(trial) for line in lines) == 1
    assert all(line.startswith("t000") for line in lines[-4:-1])
    assert "2/48 trials, 1 stopped early, about 75 s left" in lines[-1]


def test_task_columns_are_shown_where_they_fit() -> None:
    few = render(make_record(DOMAINS[:3]), 120)

    assert "books" in few
    assert few.split("\n")[2].split()[8:11] == ["80.0", "81.0", "82.0"]


def test_sixteen_tasks_are_shown_by_their_best_and_worst_on_a_narrow_terminal() -> None:
    text = render(make_record(DOMAINS), 120)

    assert "mr 95.0" in text
    assert "books 80.0" in text
    assert "electronics" not in text


def test_the_headline_names_the_leader_by_its_best_epoch() -> None:
    words = headline(make_record(DOMAINS[:3]), Moment(name="layerwise", total=48))

    assert words == (
        "layerwise: 1 trial in training; best so far 81.0 with layerwise_implicit, depth 2, "
        "equal weighting (t0001)"
    )


def test_a_search_without_results_is_drawn_too() -> None:
    assert "no result yet" in render(StudyRecord(), 80)


@pytest.mark.parametrize(
    ("seconds", "words"), [(40, "40 s"), (720, "12 min"), (12_000, "3 h 20 min"), (-1, "0 s")]
)
def test_times_are_said_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_what_leads_under_another_objective_than_the_mean_is_said_with_its_name() -> None:
    events: list[dict[str, Any]] = [
        {"event": "study", "time": 0.0, "format": 1, "tasks": ["a", "b"], "objective": "worst_task"}
    ]
    for number, scores in enumerate([{"a": 0.9, "b": 0.4}, {"a": 0.6, "b": 0.5}], start=1):
        trial = f"t{number:04}"
        started = {"event": "started", "time": 0.0, "trial": trial, "attempt": 1, "worker": "w"}
        events += [propose(number), started, report(number, 1, scores)]

    words = headline(StudyRecord(None, events), Moment(name="s", total=2))

    assert "best so far 50.0 (worst_task) with" in words
    assert "(t0002)" in words


@pytest.mark.parametrize("width", [40, 58, 65])
def test_a_narrow_display_leaves_columns_out_and_cuts_none(width: int) -> None:
    text = render(make_record(["a", "b"]), width)

    assert "…" not in text
    assert "L-I" in text
    assert ("equal" in text[text.index("structure") :]) == (width > 50)
    assert "attempt 2" in text


def test_heads_of_tasks_are_as_wide_as_they_look_and_no_markup() -> None:
    text = render(make_record(["日本語の感情分析", "[red]x"]), 100)

    assert "日本語 …" in text
    assert "[red]x" in text


def test_an_echoed_interruption_does_not_break_the_last_line() -> None:
    lines = render(make_record(["a"]), 80).rstrip("\n").splitlines()

    assert len(lines[-1]) + len("^C") < 80

"""What Optuna is told is true, and what it draws depends on that and on the seed alone."""

import logging
import math
import random
from pathlib import Path

import numpy as np
import pytest
from optuna.trial import TrialState

from search.journal import Journal
from search.record import StudyRecord
from search.sampling import TpeSampling
from search.space import Space, parse_space

SPACE = """
name: small
search: {trials: 30}
data: {source: builtin}
encoder: {n_layers: {int: [2, 4]}}
sharing:
  structure: {choice: [single_task, stack_pooling, layerwise_implicit]}
  divergence_depth:
    - {int: [0, n_layers], when: {structure: [stack_pooling]}}
    - {int: [0, n_layers - 1], when: {structure: [layerwise_implicit]}}
weighting: {method: {choice: [equal, dwa]}}
training: {learning_rate: {float: [1.0e-4, 1.0e-2], log: true}}
"""


@pytest.fixture(scope="module")
def space() -> Space:
    return parse_space(SPACE)


@pytest.fixture
def record(tmp_path: Path) -> StudyRecord:
    record = StudyRecord(Journal(tmp_path / "journal.jsonl"))
    record.append("study", format=1, tasks=[])
    return record


def run(space: Space, record: StudyRecord, *averages: float, end: str | None = "finished") -> str:
    """Propose random values, report the averages, and end the trial."""
    number = len(record.trials) + 1
    trial = f"t{number:04}"
    values = space.sample(np.random.default_rng(number))
    config = space.configure(values).as_dict()
    record.append(
        "proposed", trial=trial, number=number, values=values, config=config, seed=0, source="tpe"
    )
    record.append("started", trial=trial, attempt=1, worker="w")
    for epoch, average in enumerate(averages, start=1):
        record.append(
            "reported",
            trial=trial,
            epoch=epoch,
            average=average,
            scores={},
            loss=1.0,
            losses={},
            tokens_per_second=1.0,
            seconds=1.0,
        )
    if end == "finished":
        record.append("finished", trial=trial, epochs=len(averages), reason="epochs")
    elif end == "stopped":
        record.append("stopped", trial=trial, epoch=len(averages), rung=len(averages))
    elif end == "failed":
        record.append("failed", trial=trial, kind="diverged", reason="NaN", traceback=None)
    return trial


def test_every_end_of_a_trial_is_told_as_what_it_is(space: Space, record: StudyRecord) -> None:
    run(space, record, 0.5, 0.7, 0.6)
    run(space, record, 0.4, 0.3, end="stopped")
    run(space, record, 0.4, end="failed")
    run(space, record, end="failed")
    run(space, record, math.nan, math.nan)
    run(space, record, 0.5, math.nan, end="stopped")
    run(space, record, 0.5, end=None)
    tpe = TpeSampling(space)
    tpe.tell(record)

    told = tpe.trials()
    assert [trial.state for trial in told] == [
        TrialState.COMPLETE,
        TrialState.PRUNED,
        TrialState.FAIL,
        TrialState.FAIL,
        TrialState.FAIL,
        TrialState.PRUNED,
        TrialState.RUNNING,
    ]
    assert told[0].value == 0.7  # the best epoch, which is the one that is kept
    assert told[1].intermediate_values == {1: 0.4, 2: 0.3}
    assert [trial.number for trial in told] == [1, 2, 3, 4, 5, 6, 7]


def test_nothing_stays_running_once_it_has_ended(space: Space, record: StudyRecord) -> None:
    tpe = TpeSampling(space)
    ends = ["finished", "stopped", "failed"] * 3
    for end in ends:
        trial = run(space, record, 0.5, end=None)
        tpe.tell(record)
        assert [t.state for t in tpe.trials()].count(TrialState.RUNNING) == 1
        fields = {
            "finished": {"epochs": 1, "reason": "epochs"},
            "stopped": {"epoch": 1, "rung": 1},
            "failed": {"kind": "lost", "reason": "node", "traceback": None},
        }[end]
        record.append(end, trial=trial, **fields)
        tpe.tell(record)
        tpe.tell(record)

    assert all(trial.state.is_finished() for trial in tpe.trials())
    assert len(tpe.trials()) == len(ends)


def test_values_are_told_as_optuna_would_have_them(space: Space, record: StudyRecord) -> None:
    for _ in range(20):
        run(space, record, 0.5)
    tpe = TpeSampling(space)
    tpe.tell(record)

    told = [space.from_optuna(trial.params) for trial in tpe.trials()]
    assert told == [trial.values for trial in record.trials.values()]


def test_a_draw_is_a_function_of_what_was_told_and_the_seed(
    space: Space, record: StudyRecord
) -> None:
    rng = random.Random(0)
    steady = TpeSampling(space)
    for number in range(24):
        end = rng.choice(["finished", "stopped", "failed", None])
        run(space, record, *(rng.random() for _ in range(3)), end=end)
        steady.tell(record)
        steady.draw(rng.getrandbits(63))  # leaves nothing behind
        rebuilt = TpeSampling(space)
        rebuilt.tell(record)

        assert rebuilt.draw(number) == steady.draw(number)

    assert len({space.key(steady.draw(seed)) for seed in range(8)}) > 1
    assert len(steady.trials()) == 24


def test_draws_go_where_the_scores_are(space: Space, record: StudyRecord) -> None:
    for number in range(1, 31):
        trial = run(space, record, end=None)
        good = record.trials[trial].values["weighting.method"] == "dwa"
        record.append(
            "reported",
            trial=trial,
            epoch=1,
            average=0.9 if good else 0.1 + number / 1000,
            scores={},
            loss=1.0,
            losses={},
            tokens_per_second=1.0,
            seconds=1.0,
        )
        record.append("finished", trial=trial, epochs=1, reason="epochs")
    tpe = TpeSampling(space)
    tpe.tell(record)

    drawn = [tpe.draw(seed)["weighting.method"] for seed in range(40)]
    assert drawn.count("dwa") > 30


def test_drawing_warns_of_nothing_and_says_nothing(
    space: Space,
    record: StudyRecord,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for _ in range(12):
        run(space, record, 0.5)
    with caplog.at_level(logging.INFO):
        tpe = TpeSampling(space)
        tpe.tell(record)
        tpe.draw(0)

    assert capsys.readouterr() == ("", "")
    assert caplog.text == ""

"""ASHA by hand-worked rungs, its rebuilding at every event, and the calls as Tune makes them."""

import math
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from controllers import Controller
from ray._private.dict import flatten_dict
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from search.config import EarlyStoppingConfig
from search.journal import Journal
from search.record import StudyRecord
from search.scheduler import Asha, JournalScheduler

THREE = EarlyStoppingConfig(grace_period_epochs=2, reduction_factor=3)


@pytest.fixture
def record(tmp_path: Path) -> StudyRecord:
    record = StudyRecord(Journal(tmp_path / "journal.jsonl"))
    record.append("study", format=1, tasks=["books/uk", "dvd"])
    return record


def start(record: StudyRecord, number: int, source: str = "random") -> Any:
    """Propose (once) and start a trial; return it as Tune would hold it."""
    name = f"t{number:04}"
    if name not in record.trials:
        record.append(
            "proposed",
            trial=name,
            number=number,
            values={},
            config={"sharing": {"structure": "stack_cls"}},
            seed=0,
            source=source,
        )
    record.append("started", trial=name, attempt=record.trials[name].attempt + 1, worker="w")
    return SimpleNamespace(config={"trial": name}, status=Trial.RUNNING)


def result(epoch: int, average: float) -> dict[str, Any]:
    nested = {
        "epoch": epoch,
        "average": average,
        "scores": {"books/uk": average, "dvd": average},
        "losses": {"books/uk": 1.0, "dvd": 2.0},
        "loss": 1.5,
        "tokens_per_second": 100.0,
        "seconds": 0.5,
    }
    return flatten_dict(nested)


def test_rungs_are_at_the_grace_period_times_powers_of_the_factor() -> None:
    asha = Asha(THREE)

    assert [epoch for epoch in range(1, 60) if asha.is_rung(epoch)] == [2, 6, 18, 54]


def test_the_first_trials_pass_and_later_ones_must_be_in_the_best_third() -> None:
    asha = Asha(THREE)
    scores = [0.5, 0.4, 0.3, 0.6, 0.55, 0.55, 0.1]
    #         1st  2nd  3/3  1/4  2/5   2/6   7/7   rank of how many; places: 1 up to 5, 2 at 6

    goes_on = [asha.report(f"t{i}", 2, score) for i, score in enumerate(scores)]

    assert goes_on == [True, True, False, True, False, True, False]


def test_epochs_between_rungs_stop_nobody() -> None:
    asha = Asha(THREE)

    assert all(asha.report(f"t{i}", epoch, -i) for i in range(9) for epoch in (1, 3, 4, 5, 7))


def test_a_score_that_could_not_be_computed_is_the_worst() -> None:
    asha = Asha(THREE)

    assert not asha.report("a", 2, math.nan)
    assert asha.report("b", 2, 0.0)
    assert asha.report("c", 2, 0.1)
    assert asha.rungs[2]["a"] == -math.inf


def test_a_trial_that_is_run_again_is_decided_as_before() -> None:
    rng = random.Random(0)
    asha = Asha(THREE)
    scores = {f"t{i}": rng.random() for i in range(30)}
    first = {trial: asha.report(trial, 6, score) for trial, score in scores.items()}

    again = {trial: asha.report(trial, 6, scores[trial]) for trial in sorted(scores, reverse=True)}

    assert again == first
    assert len(asha.rungs[6]) == 30


def test_a_reported_result_is_written_with_its_task_names_whole(record: StudyRecord) -> None:
    scheduler = JournalScheduler(record, THREE)
    decision = scheduler.on_trial_result(None, start(record, 1), result(1, 0.75))

    report = record.trials["t0001"].reports[0]
    assert decision == TrialScheduler.CONTINUE
    assert report.scores == {"books/uk": 0.75, "dvd": 0.75}
    assert report.losses == {"books/uk": 1.0, "dvd": 2.0}
    assert (report.epoch, report.loss, report.seconds) == (1, 1.5, 0.5)


def test_a_trial_below_the_rung_is_stopped_and_the_record_says_where(record: StudyRecord) -> None:
    scheduler = JournalScheduler(record, THREE)
    decisions = [
        scheduler.on_trial_result(None, start(record, number), result(2, score))
        for number, score in [(1, 0.9), (2, 0.8), (3, 0.7)]
    ]

    assert decisions == ["CONTINUE", "CONTINUE", "STOP"]
    assert (record.trials["t0003"].state, record.trials["t0003"].rung) == ("stopped", 2)


def test_a_point_of_the_space_is_trained_to_its_end(record: StudyRecord) -> None:
    scheduler = JournalScheduler(record, THREE)
    for number, average in enumerate((0.9, 0.8, 0.7), start=1):
        scheduler.on_trial_result(None, start(record, number), result(2, average))
    point = start(record, 4, source="point")

    decision = scheduler.on_trial_result(None, point, result(2, 0.1))

    assert decision == TrialScheduler.CONTINUE
    assert record.trials["t0004"].state == "running"


def test_without_early_stopping_nobody_is_stopped(record: StudyRecord) -> None:
    scheduler = JournalScheduler(record, None)

    for number in range(1, 10):
        decision = scheduler.on_trial_result(None, start(record, number), result(2, -number))
        assert decision == TrialScheduler.CONTINUE


def test_the_last_result_is_written_once_at_the_end(record: StudyRecord) -> None:
    scheduler = JournalScheduler(record, THREE)
    trial = start(record, 1)
    scheduler.on_trial_result(None, trial, result(1, 0.5))
    scheduler.on_trial_complete(Controller(), trial, result(2, 0.6))
    scheduler.on_trial_complete(Controller(), trial, result(2, 0.6))

    assert [report.epoch for report in record.trials["t0001"].reports] == [1, 2]
    assert scheduler.asha is not None
    assert scheduler.asha.rungs == {2: {"t0001": 0.6}}


def test_the_last_result_of_a_second_attempt_is_written_too(record: StudyRecord) -> None:
    scheduler = JournalScheduler(record, THREE)
    scheduler.on_trial_result(None, start(record, 1), result(1, 0.5))
    scheduler.on_trial_complete(Controller(), start(record, 1), result(1, 0.6))

    assert [(r.attempt, r.average) for r in record.trials["t0001"].reports] == [(2, 0.6)]


@pytest.mark.parametrize("last", [{}, {"done": True}])
def test_a_trial_that_ends_before_its_first_epoch_reports_nothing(
    record: StudyRecord, last: dict[str, Any]
) -> None:
    JournalScheduler(record, THREE).on_trial_complete(Controller(), start(record, 1), last)

    assert record.trials["t0001"].reports == []


def test_the_end_of_a_stopped_trial_adds_nothing(record: StudyRecord) -> None:
    scheduler = JournalScheduler(record, THREE)
    for number, score in [(1, 0.9), (2, 0.8), (3, 0.7)]:
        trial = start(record, number)
        scheduler.on_trial_result(None, trial, result(2, score))
    scheduler.on_trial_complete(Controller(), trial, result(2, 0.7))

    assert record.trials["t0003"].state == "stopped"
    assert len(record.trials["t0003"].reports) == 1


def test_tune_keeps_none_of_the_trials_that_have_left_its_list(record: StudyRecord) -> None:
    going_on, ended = Trial("trial", stub=True), Trial("trial", stub=True)
    tune = Controller((going_on,), (ended,))

    JournalScheduler(record, THREE).on_trial_complete(tune, start(record, 1), result(1, 0.5))

    assert tune._live_trials == tune._trials_to_cache == {going_on}
    assert tune._stopped_trials == tune._failed_trials == set()


def test_rungs_rebuilt_at_any_event_decide_as_the_undisturbed_ones(tmp_path: Path) -> None:
    """Four trials at a time, in an order of arrival that is not the order of their numbers."""
    rng = random.Random(1)
    record = StudyRecord(Journal(tmp_path / "journal.jsonl"))
    record.append("study", format=1, tasks=[])
    steady = JournalScheduler(record, THREE)
    running = {number: (start(record, number), 0) for number in range(1, 5)}
    stops = 0
    for _ in range(150):
        number = rng.choice(list(running))
        trial, epoch = running.pop(number)
        rebuilt = Asha.from_record(THREE, StudyRecord.load(tmp_path / "journal.jsonl"))
        average = rng.choice([math.nan, *[rng.random() for _ in range(20)]])
        decision = steady.on_trial_result(None, trial, result(epoch + 1, average))
        goes_on = rebuilt.report(trial.config["trial"], epoch + 1, average)
        assert goes_on == (decision == TrialScheduler.CONTINUE)
        stops += not goes_on
        if goes_on:
            running[number] = trial, epoch + 1
        else:
            number = len(record.trials) + 1
            running[number] = start(record, number), 0

    assert stops > 10
    assert steady.asha is not None
    again = Asha.from_record(THREE, record).rungs
    assert {e: list(r.items()) for e, r in again.items()} == {
        epoch: list(rung.items()) for epoch, rung in steady.asha.rungs.items()
    }


def test_trials_are_started_in_their_order_and_again_after_a_lost_worker(
    record: StudyRecord,
) -> None:
    scheduler = JournalScheduler(record, THREE)
    first, second, third = (SimpleNamespace(status=Trial.PENDING) for _ in range(3))
    for trial in (first, second, third):
        scheduler.on_trial_add(None, trial)

    scheduler.on_trial_remove(None, first)
    assert scheduler.choose_trial_to_run(None) is second
    assert scheduler.choose_trial_to_run(None) is None  # Tune has seen to the third as well
    scheduler.on_trial_error(Controller(), third)
    scheduler.on_trial_add(None, third)
    assert scheduler.choose_trial_to_run(None) is third
    second.status = Trial.RUNNING
    scheduler.on_trial_add(None, second)
    assert scheduler.choose_trial_to_run(None) is None


def test_every_method_of_tunes_interface_is_there() -> None:
    abstract = {
        name
        for name, method in vars(TrialScheduler).items()
        if callable(method) and "NotImplementedError" in method.__code__.co_names
    }

    assert len(abstract) == 9
    assert abstract <= set(vars(JournalScheduler))


def test_the_state_is_told_in_words_and_nothing_is_saved(
    record: StudyRecord, tmp_path: Path
) -> None:
    scheduler = JournalScheduler(record, THREE)
    assert scheduler.debug_string() == "ASHA, trials seen at no rung yet"
    scheduler.on_trial_result(None, start(record, 1), result(2, 0.5))
    scheduler.save(str(tmp_path / "saved"))
    scheduler.restore(str(tmp_path / "saved"))

    assert scheduler.debug_string() == "ASHA, trials seen at epoch 2: 1"
    assert JournalScheduler(record, None).debug_string() == "no early stopping"
    assert not (tmp_path / "saved").exists()


def test_trials_are_stopped_by_the_study_s_objective(tmp_path: Path) -> None:
    record = StudyRecord(Journal(tmp_path / "journal.jsonl"))
    record.append("study", format=1, tasks=["books/uk", "dvd"], objective="worst_task")
    scheduler = JournalScheduler(record, EarlyStoppingConfig(grace_period_epochs=1))
    decisions = []
    for number, (books, dvd) in enumerate([(0.9, 0.1), (0.8, 0.2), (0.5, 0.4), (0.95, 0.3)], 1):
        trial = start(record, number)
        scores = {"scores/books/uk": books, "scores/dvd": dvd}
        found = {**result(1, (books + dvd) / 2), **scores}
        decisions.append(scheduler.on_trial_result(None, trial, found))

    assert decisions == ["CONTINUE", "CONTINUE", "CONTINUE", "STOP"]


def test_the_rows_of_an_epoch_go_into_the_journal(record: StudyRecord) -> None:
    trial = start(record, 1)

    JournalScheduler(record, None).on_trial_result(
        None, trial, {**result(1, 0.5), "rows": "b:1:1:gA=="}
    )

    assert record.trials["t0001"].reports[0].rows == "b:1:1:gA=="

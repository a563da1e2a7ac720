"""The record says what the journal says: after every event, and after every restart."""

import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl_core.errors import ConfigError
from search.journal import Event, Journal, read_events
from search.record import StudyRecord
from search.trial_record import Leader, TrialRecord


class Clock:
    """Seconds that pass by one at every look."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def make_record(path: Path) -> StudyRecord:
    journal = Journal(path, clock=Clock())
    record = StudyRecord(journal, journal.read())
    record.append("study", format=1, name="s", seed=0, tasks=["books", "dvd"])
    return record


def propose(record: StudyRecord, number: int, structure: str = "stack_cls") -> str:
    trial = f"t{number:04}"
    record.append(
        "proposed",
        trial=trial,
        number=number,
        values={"sharing.structure": structure},
        config={"sharing": {"structure": structure}},
        seed=number,
        source="tpe",
    )
    return trial


def report(record: StudyRecord, trial: str, epoch: int, books: float, dvd: float) -> None:
    record.append(
        "reported",
        trial=trial,
        epoch=epoch,
        average=(books + dvd) / 2,
        scores={"books": books, "dvd": dvd},
        loss=1.0,
        losses={"books": 1.0, "dvd": 1.0},
        tokens_per_second=10.0,
        seconds=0.5,
    )


def start(record: StudyRecord, trial: str, attempt: int = 1) -> None:
    record.append("started", trial=trial, attempt=attempt, worker="w")


def run(record: StudyRecord, number: int, *scores: float, structure: str = "stack_cls") -> str:
    trial = propose(record, number, structure)
    start(record, trial)
    for epoch, score in enumerate(scores, start=1):
        report(record, trial, epoch, score, score)
    return trial


def state_of(record: StudyRecord) -> dict[str, Any]:
    """All that a record knows, for comparison."""
    hidden = {"journal", "trials", "_unfinished", "_configs"}
    known = {key: value for key, value in vars(record).items() if key not in hidden}
    return known | {"trials": {key: repr(trial) for key, trial in record.trials.items()}}


def test_a_trial_goes_from_proposed_to_finished(path: Path) -> None:
    record = make_record(path)
    trial = record.trials[propose(record, 1)]
    states: list[str] = [trial.state]
    start(record, trial.id)
    states.append(trial.state)
    report(record, trial.id, 1, 0.6, 0.8)
    record.append("finished", trial=trial.id, epochs=1, reason="patience")
    states.append(trial.state)

    assert states == ["proposed", "running", "finished"]
    assert trial.reports[0].average == pytest.approx(0.7)
    assert (trial.reason, trial.attempt, trial.workers) == ("patience", 1, ("w",))
    assert trial.structure == "stack_cls"
    assert record.finished() == [trial] == record.ended()
    assert record.unfinished() == []


def test_a_record_replayed_from_its_journal_is_the_same_at_every_event(path: Path) -> None:
    record = make_record(path)
    steps = [
        lambda: run(record, 1, 0.5, 0.6),
        lambda: record.append("retried", trial="t0001", attempt=1, reason="lost"),
        lambda: start(record, "t0001", attempt=2),
        lambda: report(record, "t0001", 1, 0.7, math.nan),
        lambda: record.append("stopped", trial="t0001", epoch=1, rung=1),
        lambda: propose(record, 2),
        lambda: record.append("failed", trial="t0002", kind="lost", reason="r", traceback=None),
        lambda: record.append("ended", reason="interrupted"),
        lambda: record.append("continued"),
        lambda: record.append("tested", model="average", trial="t0001", epoch=1, scores={}),
        lambda: record.append("baseline", name="majority", dev={}, test={}),
    ]
    for step in steps:
        step()

        assert state_of(StudyRecord.load(path)) == state_of(record)


@given(
    trials=st.lists(
        st.tuples(st.lists(st.sampled_from([0.1, 0.2, 0.3]), max_size=3), st.integers(0, 99)),
        max_size=6,
    )
)
def test_leaders_are_those_of_a_look_at_all_trials_in_whatever_order_these_end(
    trials: list[tuple[list[float], int]],
) -> None:
    with TemporaryDirectory() as folder:
        record = make_record(Path(folder) / "journal.jsonl")
        for number, (scores, _) in enumerate(trials, start=1):
            run(record, number, *scores)
        ends = sorted(range(len(trials)), key=lambda at: trials[at][1])
        for at in ends[: len(ends) // 2 + 1]:
            record.append("stopped", trial=f"t{at + 1:04}", epoch=1, rung=1)

            for found, among in (
                (record.leaders(), list(record.trials.values())),
                (record.leaders_of_ended(), record.ended()),
            ):
                assert found == obvious_leaders(among)
        assert record.unfinished() == [t for t in record.trials.values() if not t.ended]
        record.close()


def obvious_leaders(trials: list[TrialRecord]) -> dict[str, Leader]:
    found: dict[str, Leader] = {}
    for trial in trials:
        for objective, best in trial.best.items():
            if objective not in found or best.score > found[objective].score:
                found[objective] = best
    return found


def test_parts_of_configurations_in_which_nothing_differs_are_held_once(path: Path) -> None:
    record = make_record(path)
    run(record, 1), run(record, 2)

    one, other = record.trials.values()
    assert one.config["sharing"] is other.config["sharing"]


def test_a_later_attempt_replaces_the_reports_of_an_earlier_one(path: Path) -> None:
    record = make_record(path)
    trial = record.trials[run(record, 1, 0.9, 0.5, 0.5)]

    start(record, trial.id, attempt=2)
    report(record, trial.id, 1, 0.6, 0.6)

    assert [(r.epoch, r.average, r.attempt) for r in trial.reports] == [(1, 0.6, 2)]
    assert record.leaders()["average"] == Leader("t0001", 1, 0.6)
    assert list(trial.arrivals) == [1, 2, 3]


def test_an_attempt_that_continues_from_a_checkpoint_keeps_what_came_before(path: Path) -> None:
    record = make_record(path)
    trial = record.trials[run(record, 1, 0.1, 0.2, 0.3)]

    start(record, trial.id, attempt=2)
    report(record, trial.id, 3, 0.4, 0.4)

    assert [report.average for report in trial.reports] == [0.1, 0.2, 0.4]


def test_an_epoch_reported_again_keeps_its_place_in_the_order_of_arrival(path: Path) -> None:
    record = make_record(path)
    first, second = run(record, 1, 0.5), run(record, 2, 0.6)

    start(record, first, attempt=2)
    report(record, first, 1, 0.7, 0.7)

    mine, other = record.trials[first].arrivals[1], record.trials[second].arrivals[1]
    assert mine.order < other.order
    assert mine.value == pytest.approx(0.7)


def test_leaders_are_kept_for_the_average_each_task_and_each_structure(path: Path) -> None:
    record = make_record(path)
    first = run(record, 1, structure="single_task")
    report(record, first, 1, 0.9, 0.1)
    report(record, first, 2, 0.5, 0.4)
    second = run(record, 2, structure="stack_cls")
    report(record, second, 1, 0.6, 0.6)

    assert record.leaders() == {
        "average": Leader("t0002", 1, 0.6),
        "task:books": Leader("t0001", 1, 0.9),
        "task:dvd": Leader("t0002", 1, 0.6),
        "structure:single_task": Leader("t0001", 1, 0.5),
        "structure:stack_cls": Leader("t0002", 1, 0.6),
    }


def test_of_equal_scores_the_earliest_trial_and_epoch_lead(path: Path) -> None:
    record = make_record(path)
    propose(record, 1)
    run(record, 2, 0.5, 0.7, 0.7)
    start(record, "t0001")
    report(record, "t0001", 1, 0.7, 0.7)

    assert record.leaders()["average"] == Leader("t0001", 1, 0.7)
    assert record.trials["t0002"].best["average"].epoch == 2


def test_a_score_that_could_not_be_computed_never_leads(path: Path) -> None:
    record = make_record(path)
    run(record, 1, math.nan)

    assert record.leaders() == {}
    assert math.isnan(record.trials["t0001"].reports[0].average)


def test_seconds_used_are_those_of_the_journal(path: Path) -> None:
    record = make_record(path)
    propose(record, 1)
    record.append("ended", reason="trials")

    assert record.seconds_used == StudyRecord.load(path).seconds_used == 2.0


def test_continuing_takes_back_that_the_search_has_ended(path: Path) -> None:
    record = make_record(path)
    record.append("ended", reason="trials")
    record.append("continued")

    assert record.ended_reason is None


@pytest.mark.parametrize("event", ["reported", "finished", "stopped", "failed", "started"])
def test_an_event_that_cannot_follow_is_neither_written_nor_applied(path: Path, event: str) -> None:
    record = make_record(path)
    trial = run(record, 1, 0.5)
    record.append("stopped", trial=trial, epoch=1, rung=1)
    before = path.read_bytes()

    with pytest.raises(AssertionError, match=f"t0001 is {event} although it is stopped"):
        record.append(event, trial=trial)

    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"event": "proposed", "trial": "t0009", "number": 9}, "proposed out of turn"),
        ({"event": "proposed"}, "the event 'proposed' is not whole"),
        ({"event": "proposed", "trial": "t0001", "number": 1}, "is not whole"),
        ({"event": "finished", "trial": "t0001"}, "was never proposed"),
        ({"event": "dreamt", "trial": "t0001"}, "unknown event 'dreamt'"),
        ({"event": "study", "format": 1}, "begins a second time"),
    ],
)
def test_a_journal_that_tells_nonsense_is_refused_with_its_line(
    path: Path, line: Event, message: str
) -> None:
    make_record(path).close()
    with Journal(path) as journal:
        journal.append(line)

    for read in (StudyRecord.open, StudyRecord.load):
        with pytest.raises(ConfigError, match=message) as caught:
            read(path)
        assert f"{path}: line 2 of the journal" in str(caught.value)
    Journal(path).close()  # a refused file is not left locked


def test_a_journal_of_another_format_is_refused(path: Path) -> None:
    with Journal(path) as journal:
        journal.append({"event": "study", "format": 7})

    with pytest.raises(ConfigError, match="format 7, this program reads 1"):
        StudyRecord.load(path)


def test_a_journal_that_cannot_be_written_leaves_the_record_as_it_was(path: Path) -> None:
    record = make_record(path)
    assert record.journal is not None
    record.journal.failure = ConfigError("no room")

    with pytest.raises(ConfigError, match="no room"):
        propose(record, 1)

    assert record.trials == {}
    assert str(record.failure) == "no room"
    assert len(read_events(path)) == 1


def test_a_record_that_was_read_cannot_be_written(path: Path) -> None:
    make_record(path).close()

    with pytest.raises(AssertionError, match="opened for reading"):
        StudyRecord.load(path).append("continued")


def objective_record(path: Path, objective: object) -> StudyRecord:
    record = StudyRecord(Journal(path))
    record.append("study", format=1, tasks=["books", "dvd"], objective=objective)
    return record


def scored(record: StudyRecord, number: int, *epochs: tuple[float, float]) -> str:
    trial = propose(record, number)
    start(record, trial)
    for epoch, (books, dvd) in enumerate(epochs, start=1):
        report(record, trial, epoch, books, dvd)
    return trial


@pytest.mark.parametrize(
    ("objective", "name", "leader", "epoch", "score"),
    [
        ("mean", "average", "t0001", 1, 0.65),
        ("worst_task", "worst_task", "t0002", 2, 0.55),
        ("task:dvd", "task:dvd", "t0001", 2, 0.6),
        ({"books": 3, "dvd": 1}, "weighted", "t0001", 1, 0.775),
    ],
)
def test_the_objective_of_the_study_has_its_leader_and_structures_go_by_it(
    path: Path, objective: object, name: str, leader: str, epoch: int, score: float
) -> None:
    record = objective_record(path, objective)
    scored(record, 1, (0.9, 0.4), (0.5, 0.6))
    scored(record, 2, (0.6, 0.5), (0.55, 0.55))

    assert record.objective.name == name
    found = record.leaders()
    assert found[name].score == pytest.approx(score)
    assert (found[name].trial, found[name].epoch) == (leader, epoch)
    assert found["structure:stack_cls"].score == pytest.approx(score)
    assert found["average"].score == pytest.approx(0.65)
    assert all(trial.leader == trial.best[name] for trial in record.trials.values())
    assert StudyRecord.load(path).leaders() == found


def test_a_rung_sees_the_value_of_the_objective(path: Path) -> None:
    record = objective_record(path, "worst_task")
    trial = scored(record, 1, (0.9, 0.4))

    assert record.trials[trial].arrivals[1].value == 0.4
    assert record.trials[trial].reports[0].average == pytest.approx(0.65)

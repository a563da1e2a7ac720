"""What Tune gets when it asks for a trial, before and after the driver was killed."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from controllers import Controller
from ray.tune.search import Searcher

from search.journal import Journal, read_events
from search.lanes import Lanes
from search.proposer import Proposer
from search.record import StudyRecord
from search.scheduler import JournalScheduler
from search.searcher import JournalSearcher
from search.space import Space, parse_space

SPACE = """
name: finite
search: {trials: 12, startup_trials: 3, early_stopping: {grace_period_epochs: 1}}
data: {source: builtin}
encoder: {n_layers: 2}
sharing:
  structure: {choice: [single_task, stack_pooling, stack_cls]}
  divergence_depth: {int: [0, n_layers], when: {structure: [stack_pooling, stack_cls]}}
weighting: {method: {choice: [equal, dwa]}}
"""


@pytest.fixture(scope="module")
def space() -> Space:
    return parse_space(SPACE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def make_record(path: Path) -> StudyRecord:
    record = StudyRecord(Journal(path))
    record.append("study", format=1, tasks=["books"])
    return record


def result(epoch: int, average: float, **more: Any) -> dict[str, Any]:
    flat = {"epoch": epoch, "average": average, "scores/books": average, "losses/books": 1.0}
    return {**flat, "loss": 1.0, "tokens_per_second": 1.0, "seconds": 0.1, **more}


class TuneInSmall:
    """The calls that Tune 2.60 makes for one worker, in their order."""

    def __init__(self, space: Space, record: StudyRecord) -> None:
        self.record = record
        self.searcher = JournalSearcher(Proposer(space, record), lanes=Lanes(["engine1"]))
        self.scheduler = JournalScheduler(record, space.search.early_stopping)
        self.n = 0

    def run(self) -> str | None:
        while (config := self.searcher.suggest(name := f"tune{self.n}")) != Searcher.FINISHED:
            self.n += 1
            assert isinstance(config, dict)
            self.train(name, config)
        return self.searcher.proposer.reason

    def train(self, name: str, config: dict[str, Any]) -> None:
        ours, attempt = config["trial"], config["attempt"]
        trial = SimpleNamespace(config=config, status="RUNNING")
        self.record.append("started", trial=ours, attempt=attempt, worker="w")
        for epoch in (1, 2, 3):
            last = result(epoch, (config["seed"] % 100 + epoch) / 200, done=epoch == 3)
            decision = "STOP"
            if not last["done"]:
                decision = self.scheduler.on_trial_result(None, trial, last)
            if decision == "STOP":
                break
            self.searcher.on_trial_result(name, last)
        self.scheduler.on_trial_complete(Controller(), trial, last)
        self.searcher.on_trial_complete(name, result=last)
        if self.record.trials[ours].state == "running":
            self.record.append("finished", trial=ours, epochs=epoch, reason="epochs")


def without_times(path: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in event.items() if k != "time"} for event in read_events(path)]


def test_a_config_for_tune_holds_all_that_a_worker_needs(space: Space, path: Path) -> None:
    record = make_record(path)
    config = JournalSearcher(Proposer(space, record)).suggest("a")

    assert isinstance(config, dict)
    assert set(config) == {
        "trial", "number", "config", "seed", "attempt", "maximised", "leaders", "hang_seconds",
        "hung",
    }  # fmt: skip
    assert (config["trial"], config["number"], config["attempt"]) == ("t0001", 1, 1)
    assert config["config"]["encoder"]["n_layers"] == 2
    assert config["leaders"] == {}
    assert [event["event"] for event in read_events(path)] == ["study", "proposed"]


def test_the_leaders_go_along_with_a_proposal(space: Space, path: Path) -> None:
    tune = TuneInSmall(space, make_record(path))
    config = tune.searcher.suggest("a")
    assert isinstance(config, dict)
    tune.train("a", config)

    following = tune.searcher.suggest("b")
    assert isinstance(following, dict)
    structure = config["config"]["sharing"]["structure"]
    best = (config["seed"] % 100 + 3) / 200
    goals = ["average", "task:books", f"structure:{structure}"]
    assert following["leaders"] == dict.fromkeys(goals, best)


def test_a_search_killed_at_any_event_ends_as_the_undisturbed_one(
    space: Space, path: Path, tmp_path: Path
) -> None:
    """No finished trial is lost or run again, and the rungs decide as if nothing had happened."""
    space = replace(space, search=replace(space.search, sampler="random"))
    assert TuneInSmall(space, make_record(path)).run() == "trials"
    steady, lines = StudyRecord.load(path), path.read_bytes().splitlines(keepends=True)
    states = [trial.state for trial in steady.trials.values()]
    assert "stopped" in states
    assert "finished" in states
    for cut in range(1, len(lines) + 1, 5):
        copy = tmp_path / "copy"
        copy.write_bytes(b"".join(lines[:cut]))
        known = StudyRecord.load(copy)

        record = StudyRecord.open(copy)
        TuneInSmall(space, record).run()
        record.close()

        assert list(record.trials) == list(steady.trials)
        for name, trial in record.trials.items():
            expected = steady.trials[name]
            again = name in known.trials and known.trials[name].state == "running"
            assert trial.attempt == expected.attempt + again, f"{name} after event {cut}"
            assert (trial.values, trial.seed, trial.state) == (
                expected.values,
                expected.seed,
                expected.state,
            )
            assert [r.average for r in trial.reports] == [r.average for r in expected.reports]


def test_unfinished_trials_are_handed_out_first_as_their_next_attempt(
    space: Space, path: Path
) -> None:
    record = make_record(path)
    searcher = JournalSearcher(Proposer(space, record))
    first, second = searcher.suggest("a"), searcher.suggest("b")
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    record.append("started", trial="t0001", attempt=1, worker="w")
    events = without_times(path)

    continued = JournalSearcher(Proposer(space, record))
    again = [continued.suggest("x"), continued.suggest("y")]

    assert again == [{**first, "attempt": 2}, second]
    assert without_times(path) == events  # neither is proposed a second time
    third = continued.suggest("z")
    assert isinstance(third, dict)
    assert third["trial"] == "t0003"


def test_no_more_trials_are_handed_out_than_there_are_lanes(space: Space, path: Path) -> None:
    lanes = Lanes(["engine1", "engine2"])
    searcher = JournalSearcher(Proposer(space, make_record(path)), lanes=lanes)

    assert [searcher.suggest(name) is None for name in "abc"] == [False, False, True]
    searcher.on_trial_complete("a", error=True)
    third = searcher.suggest("c")
    assert isinstance(third, dict)
    assert (third["engine"], third["lane"]) == ("engine1", "t0003.3")
    assert searcher.trials == {"b": "t0002", "c": "t0003"}


def test_a_space_without_anything_new_ends_the_search(path: Path) -> None:
    text = SPACE.replace("trials: 12", "trials: 99")
    record = make_record(path)

    assert TuneInSmall(parse_space(text), record).run() == "exhausted"
    assert len(record.trials) == (1 + 3 + 3) * 2


def test_nothing_is_saved_beside_the_journal(space: Space, path: Path) -> None:
    searcher = JournalSearcher(Proposer(space, make_record(path)))
    searcher.save_to_dir(str(path.parent))
    searcher.restore(str(path))

    assert list(path.parent.iterdir()) == [path]


def test_the_driver_is_told_when_the_last_trial_has_begun(path: Path) -> None:
    told: list[int] = []
    proposer = Proposer(parse_space(SPACE.replace("trials: 12", "trials: 1")), make_record(path))
    searcher = JournalSearcher(proposer, all_begun=lambda: told.append(1))

    assert isinstance(searcher.suggest("a"), dict)
    assert told == []
    assert searcher.suggest("b") == Searcher.FINISHED
    assert told == [1]

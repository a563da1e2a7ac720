"""What Tune says, written down: how trials begin and end, and nothing once a search is stopped."""

import types
from pathlib import Path
from typing import Any

import pytest
from ray.tune.experiment import Trial

from mtl_core.training.config import TrialConfig
from search.callback import JournalCallback
from search.progress import Progress
from search.record import FORMAT, StudyRecord
from search.stop import StopSwitch
from search.trial_record import Retry


class FakeTrial:
    """As much of Tune's trial as the callback uses."""

    def __init__(self, trial: str = "t0001", *, attempt: int = 1) -> None:
        self.config: dict[str, Any] = {"trial": trial, "attempt": attempt}
        self.temporary_state = types.SimpleNamespace(ray_actor=None)
        self.last_result: dict[str, Any] = {}
        self.status = Trial.RUNNING
        self.error_file: str | None = None

    def fail(self, folder: Path, *errors: str) -> None:
        """Have Tune write down errors, the last one last."""
        path = folder / "error.txt"
        written = [
            f"Failure # {n} (occurred at noon)\n{text}\n" for n, text in enumerate(errors, 1)
        ]
        path.write_text("".join(written), encoding="utf-8")
        self.error_file = str(path)


class Desk:
    """A record, a callback on it, and short ways to call it."""

    def __init__(self, folder: Path) -> None:
        self.record = StudyRecord.open(folder / "journal.jsonl")
        self.record.append("study", format=FORMAT, name="s", tasks=["books"])
        self.record.append(
            "proposed", trial="t0001", number=1, values={}, seed=1, source="random",
            config=TrialConfig().as_dict(),
        )  # fmt: skip
        self.stop = StopSwitch()
        self.callback = JournalCallback(self.record, folder, progress=Progress(), stop=self.stop)

    def tell(self, event: str, trial: FakeTrial, **more: Any) -> None:
        getattr(self.callback, event)(iteration=1, trials=[trial], trial=trial, **more)

    def report(self, epoch: int = 1) -> None:
        self.record.append(
            "reported", trial="t0001", epoch=epoch, average=0.5, scores={"books": 0.5}, loss=1.0,
            losses={"books": 1.0}, tokens_per_second=1.0, seconds=1.0,
        )  # fmt: skip

    @property
    def trial(self) -> Any:
        return self.record.trials["t0001"]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_trial_that_ends_by_itself_is_finished_with_its_reason(desk: Desk) -> None:
    trial = FakeTrial()
    desk.tell("on_trial_start", trial)
    desk.report(epoch=3)
    trial.last_result = {"ended": "patience"}

    desk.tell("on_trial_complete", trial)

    assert (desk.trial.state, desk.trial.reason) == ("finished", "patience")


def test_a_trial_the_scheduler_stopped_is_not_finished_a_second_time(desk: Desk) -> None:
    trial = FakeTrial()
    desk.tell("on_trial_start", trial)
    desk.report()
    desk.record.append("stopped", trial="t0001", epoch=1, rung=1)

    desk.tell("on_trial_complete", trial)

    assert desk.trial.state == "stopped"


def test_a_failure_in_a_result_is_written_once(desk: Desk) -> None:
    trial = FakeTrial()
    failure = {"kind": "diverged", "reason": "loss is nan", "traceback": "..."}
    desk.tell("on_trial_start", trial)
    desk.tell("on_trial_result", trial, result={"failure": failure, "done": True})

    desk.tell("on_trial_complete", trial)

    assert desk.trial.state == "failed"
    assert desk.trial.failure.kind == "diverged"


def test_a_lost_worker_is_retried_as_the_next_attempt_and_lost_in_the_end(
    desk: Desk, tmp_path: Path
) -> None:
    trial = FakeTrial()
    trial.fail(tmp_path, "out of memory", "It died. Worker exit detail: killed by signal 9.")
    desk.tell("on_trial_start", trial)
    desk.tell("on_trial_recover", trial)
    desk.tell("on_trial_start", trial)
    assert desk.trial.attempt == 2
    assert desk.trial.retries == (Retry("worker", "lost worker: killed by signal 9."),)

    desk.tell("on_trial_error", trial)

    assert (desk.trial.state, desk.trial.failure.kind) == ("failed", "lost")


def test_attempts_go_on_counting_where_an_earlier_driver_was_killed(desk: Desk) -> None:
    desk.tell("on_trial_start", FakeTrial(attempt=3))

    assert desk.trial.attempt == 3


def test_nothing_is_written_once_the_search_is_being_stopped(desk: Desk) -> None:
    trial = FakeTrial()
    desk.tell("on_trial_start", trial)
    desk.stop.interrupt()

    desk.tell("on_trial_recover", trial)
    desk.tell("on_trial_error", trial)

    assert desk.trial.state == "running"


def test_ended_trials_are_taken_from_tunes_list(desk: Desk) -> None:
    ended, running = (Trial("trial", config={"trial": "t0001"}, stub=True) for _ in range(2))
    ended.status = Trial.TERMINATED
    trials = [ended, running]
    desk.callback._ended.append(ended)

    desk.callback.on_step_begin(iteration=1, trials=trials)

    assert trials == [running]


def test_a_trial_that_tune_hears_twice_of_is_left_to_be_run_again_as_often_as_it_may(
    desk: Desk,
) -> None:
    trial = FakeTrial()
    for attempt in (1, 2, 3):
        desk.tell("on_trial_start", trial)
        desk.tell("on_trial_recover", trial)
        if attempt < 3:
            desk.tell("on_trial_error", trial)
            assert desk.trial.state == "proposed"

    desk.tell("on_trial_error", trial)

    assert desk.trial.state == "failed"
    assert len(desk.trial.retries) == 3
    assert desk.trial.failure.kind == "lost"


def test_the_last_ended_trial_is_kept_for_tunes_own_end(desk: Desk) -> None:
    first, last = (Trial("trial", config={"trial": "t0001"}, stub=True) for _ in range(2))
    trials = [first, last]
    for trial in trials:
        trial.status = Trial.TERMINATED
        desk.callback._ended.append(trial)

    desk.callback.on_step_begin(iteration=1, trials=trials)

    assert trials == [last]


def test_a_search_ends_where_more_trials_fail_than_may(desk: Desk) -> None:
    for number in range(2, 6):
        desk.record.append(
            "proposed", trial=f"t000{number}", number=number, values={}, seed=1, source="random",
            config=TrialConfig().as_dict(),
        )  # fmt: skip
    for number in range(1, 6):
        assert desk.stop.reason is None
        trial = FakeTrial(f"t000{number}")
        desk.tell("on_trial_start", trial)
        if number > 3:
            failure = {"kind": "error", "reason": "KeyError: 'x'", "traceback": None}
            desk.tell("on_trial_result", trial, result={"failure": failure})
        else:
            desk.record.append(
                "reported", trial=f"t000{number}", epoch=1, average=0.5, scores={"books": 0.5},
                loss=1.0, losses={"books": 1.0}, tokens_per_second=1.0, seconds=1.0,
            )  # fmt: skip
        desk.tell("on_trial_complete", trial)

    assert desk.stop.reason == "failures"  # two of five, more than the three tenths of the default

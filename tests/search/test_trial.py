"""One trial as Tune sees it: a client of an engine, which imports nothing of the training."""

import subprocess
import sys
from typing import Any

import pytest
import ray
from ray.exceptions import RayActorError

from search.failure import EngineLost, loss_of
from search.trial import SearchTrial


class FakeMethod:
    """A method of an actor; what it returns stands for the future as well."""

    def __init__(self, function: Any) -> None:
        self.remote = function
        self.names: list[str] = []

    def options(self, name: str) -> "FakeMethod":
        self.names.append(name)
        return self


class FakeEngine:
    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.open = FakeMethod(lambda lane, proposal: self.calls.append((lane, proposal["trial"])))
        self.epoch = FakeMethod(self._epoch)

    def _epoch(self, lane: str) -> dict[str, Any]:
        self.calls.append(("epoch", lane))
        epoch = len(self.calls) - 1
        return {"epoch": epoch, "average": 0.8 + epoch / 100, "done": False}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    engine = FakeEngine()
    monkeypatch.setattr(ray, "get_actor", lambda name: {"s engine1": engine}[name])
    monkeypatch.setattr(ray, "get", lambda answer, **_: answer)
    monkeypatch.setattr(ray, "wait", lambda answers, **_: (answers, []))
    return engine


def make_trial(trial: str = "t0001", engine: str = "engine1") -> SearchTrial:
    """A trial without the actor around it, whose constructor would make folders."""
    made = SearchTrial.__new__(SearchTrial)
    proposal = {"study": "s", "trial": trial, "engine": engine, "lane": f"{trial}.1"}
    made.setup(proposal | {"hang_seconds": 120.0})
    return made


def test_a_trial_opens_its_lane_once_and_then_asks_for_epochs(engine: FakeEngine) -> None:
    trial = make_trial()

    results = [trial.step(), trial.step()]

    assert [result["epoch"] for result in results] == [1, 2]
    assert engine.calls == [("t0001.1", "t0001"), ("epoch", "t0001.1"), ("epoch", "t0001.1")]


def test_epochs_carry_the_name_of_their_trial_and_its_score(engine: FakeEngine) -> None:
    trial = make_trial()
    trial.step(), trial.step()
    trial.reset_config(trial._proposal | {"trial": "t0002"})
    trial.step()

    assert engine.epoch.names == [
        "engine1: t0001, epoch 1", "engine1: t0001 at 81.0, epoch 2", "engine1: t0002, epoch 1",
    ]  # fmt: skip


def test_a_warm_client_opens_a_lane_for_the_next_trial(engine: FakeEngine) -> None:
    trial = make_trial()
    trial.step()

    proposal = trial._proposal | {"trial": "t0002", "lane": "t0002.2"}
    assert trial.reset_config(proposal)
    trial.step()

    assert engine.calls[2:] == [("t0002.2", "t0002"), ("epoch", "t0002.2")]


def test_a_lost_engine_is_an_error_that_tune_may_retry(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(answer: Any) -> Any:  # noqa: ARG001
        raise RayActorError(error_msg="The actor died.\nWorker exit detail: killed by signal 9.")

    monkeypatch.setattr(ray, "get", die)

    with pytest.raises(EngineLost, match=r"RayActorError: .*killed by signal 9\.$"):
        make_trial().step()
    assert engine.calls == [("t0001.1", "t0001")]


def test_an_engine_that_takes_no_step_for_too_long_hangs(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = iter([3, 4, 4])
    engine.pulse = FakeMethod(lambda: {"steps": next(steps), "at": "File x.py, line 3"})  # type: ignore[attr-defined]
    monkeypatch.setattr(ray, "wait", lambda answers, **_: ([], answers))

    with pytest.raises(EngineLost) as raised:
        make_trial().step()

    assert "takes no step for 2 minutes" in str(raised.value)
    assert str(raised.value).endswith("at File x.py, line 3")
    assert loss_of(raised.value).kind == "hang"


def test_a_trial_that_two_engines_hung_with_is_given_up(engine: FakeEngine) -> None:
    trial = make_trial()
    trial._proposal["hung"] = 2

    result = trial.step()

    assert (result["done"], result["failure"]["kind"]) == (True, "hang")
    assert engine.calls == []


def test_an_engine_that_is_not_there_is_lost_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(name: str) -> Any:
        raise ValueError(f"Failed to look up actor with name '{name}'")

    monkeypatch.setattr(ray, "get_actor", look_up)

    with pytest.raises(EngineLost, match="engine7"):
        make_trial(engine="engine7").step()


def test_what_goes_wrong_in_the_client_itself_is_a_result(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "epoch", None)

    result = make_trial().step()

    assert result["done"]
    assert result["failure"]["kind"] == "error"


def test_a_client_imports_nothing_of_the_training() -> None:
    program = (
        "import sys, search.trial\n"
        "heavy = ('torch', 'optuna', 'sklearn', 'tokenizers', 'safetensors')\n"
        "print([n for n in sys.modules if n in heavy or n.startswith('mtl_core')])"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert done.stdout == "[]\n", done.stderr

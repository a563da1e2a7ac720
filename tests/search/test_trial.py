"""One trial as Tune sees it: epochs as results, failures as results, weights of leaders."""

import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors import SafetensorError
from safetensors.torch import load_file

from mtl_core.data.encoded import EncodedCorpus, encode
from mtl_core.data.readers import read_corpus
from mtl_core.training.config import TrialConfig
from mtl_core.training.trainer import Diverged, Trainer
from search.space import Space, load_space
from search.trial import TRACEBACK_CHARACTERS, SearchTrial, describe_failure

SANITY = Path(__file__).resolve().parents[2] / "spaces" / "sanity.yaml"


@pytest.fixture(scope="module")
def space() -> Space:
    return load_space(SANITY)


@pytest.fixture(scope="module")
def encoded(space: Space, tmp_path_factory: pytest.TempPathFactory) -> EncodedCorpus:
    return encode(read_corpus(space.data), space.data, tmp_path_factory.mktemp("cache"))


def make_trial(config: dict[str, Any]) -> SearchTrial:
    """A trial without the actor around it, whose constructor would make folders."""
    trial = SearchTrial.__new__(SearchTrial)
    trial.setup(config)
    return trial


@pytest.fixture
def proposal(space: Space, encoded: EncodedCorpus, tmp_path: Path) -> dict[str, Any]:
    config = space.configure(dict(space.points[0]))
    return {
        "trial": "t0001", "number": 1, "seed": 5, "attempt": 1, "leaders": {},
        "config": config.as_dict(),
        "workplace": {
            "encoded": str(encoded.path), "folder": str(tmp_path), "tasks": encoded.names,
            "vectors": None, "threads": 1, "gpu": False,
        },
    }  # fmt: skip


def test_a_step_is_an_epoch_of_the_trainer(
    proposal: dict[str, Any], encoded: EncodedCorpus
) -> None:
    trial = make_trial(proposal)
    expected = list(Trainer(encoded, TrialConfig.from_dict(proposal["config"]), seed=5).epochs())

    first, second = trial.step(), trial.step()

    assert [first["average"], second["average"]] == [epoch.average for epoch in expected]
    assert (first["epoch"], first["done"], first["ended"]) == (1, False, None)
    assert (second["epoch"], second["done"], second["ended"]) == (2, True, "epochs")
    assert "average" in first["snapshots"]


def test_a_full_disk_costs_the_weights_and_not_the_trial(
    proposal: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise SafetensorError("No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    result = make_trial(proposal).step()

    assert result["epoch"] == 1
    assert "failure" not in result
    assert not list((tmp_path / "models").iterdir())


def test_the_weights_of_a_leading_epoch_are_those_of_the_model(
    proposal: dict[str, Any], tmp_path: Path
) -> None:
    trial = make_trial(proposal)
    trial.step()

    weights = load_file(tmp_path / "models" / "t0001-e1.safetensors")

    assert trial._trainer is not None
    parameters = dict(trial._trainer.model.named_parameters())
    assert weights.keys() == parameters.keys()
    assert all((weights[name] == parameters[name]).all() for name in weights)


def test_an_epoch_behind_the_leaders_leaves_no_weights(
    proposal: dict[str, Any], tmp_path: Path, encoded: EncodedCorpus
) -> None:
    goals = ["average", "structure:stack_pooling", *(f"task:{name}" for name in encoded.names)]
    trial = make_trial({**proposal, "leaders": dict.fromkeys(goals, 1.0)})

    assert trial.step()["snapshots"] == []
    assert not (tmp_path / "models").exists()


def test_a_warm_worker_begins_the_next_configuration_anew(proposal: dict[str, Any]) -> None:
    trial = make_trial(proposal)
    first = trial.step()

    assert trial.reset_config({**proposal, "trial": "t0002"})

    again = trial.step()
    assert (again["epoch"], again["average"]) == (1, first["average"])


def test_a_configuration_that_cannot_be_built_is_a_failure_and_the_worker_lives(
    proposal: dict[str, Any],
) -> None:
    broken = {**proposal, "config": {**proposal["config"], "encoder": {"n_layers": 0}}}
    trial = make_trial(broken)

    result = trial.step()

    assert result["done"]
    assert result["failure"]["kind"] == "error"
    assert "n_layers" in result["failure"]["reason"]
    trial.reset_config(proposal)
    assert trial.step()["epoch"] == 1


def test_a_missing_corpus_is_a_failure_of_the_trial(proposal: dict[str, Any]) -> None:
    proposal["workplace"]["encoded"] = "/nowhere/corpus.arrow"

    failure = make_trial(proposal).step()["failure"]

    assert failure["kind"] == "error"
    assert "/nowhere/corpus.arrow" in failure["reason"]


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (Diverged("the loss of books is nan"), "diverged", "the loss of books is nan"),
        (MemoryError(), "memory", "MemoryError"),
        (RuntimeError("CUDA out of memory.\nTried"), "memory", "CUDA out of memory. Tried"),
        (RuntimeError("[enforce fail] can't allocate memory"), "memory", None),
        (KeyError("books"), "error", "KeyError: 'books'"),
    ],
)
def test_failures_are_told_apart(error: Exception, kind: str, reason: str | None) -> None:
    found = describe_failure(error)

    assert found["kind"] == kind
    assert reason is None or found["reason"] == reason


def test_a_very_long_traceback_is_cut_to_its_end() -> None:
    def recurse() -> None:
        recurse()

    limit = sys.getrecursionlimit()
    with pytest.raises(RecursionError) as raised:
        recurse()
    found = describe_failure(ValueError("x" * 2 * TRACEBACK_CHARACTERS))

    assert sys.getrecursionlimit() == limit
    assert describe_failure(raised.value)["traceback"].rstrip().endswith("exceeded")
    assert len(found["traceback"]) == TRACEBACK_CHARACTERS

"""A run in an engine: its best epoch on dev is kept, and that alone is tested, at the end."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from mtl_core.data.encode import encode
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.readers import read_corpus
from mtl_core.training.config import TrialConfig
from mtl_core.training.engine import Engine
from mtl_core.training.evaluation import evaluate
from mtl_core.training.models import restore_model
from search import scored
from search.confirm_epoch import ConfirmedEpoch
from search.engine_loop import EngineLoop
from search.objectives import objective_of
from search.rows import unpack_bits
from search.space import Space, load_space

SANITY = Path(__file__).resolve().parents[2] / "spaces" / "sanity.yaml"
SECONDS = 120
TASKS = ("books", "films")


def touch(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.touch()


def files(folder: Path) -> set[str]:
    return {path.name for path in (folder / "models").glob("*")}


@pytest.fixture(scope="module")
def space() -> Space:
    return load_space(SANITY, ["training.epochs=4"])


@pytest.fixture(scope="module")
def encoded(space: Space, tmp_path_factory: pytest.TempPathFactory) -> EncodedCorpus:
    return encode(read_corpus(space.data), space.data, tmp_path_factory.mktemp("cache"))


@pytest.fixture
def loop(encoded: EncodedCorpus, tmp_path: Path) -> Iterator[EngineLoop]:
    made = EngineLoop(lambda: Engine(encoded), tmp_path, on_broken=lambda: None)
    yield made
    made.order(lambda: [made._close(name) for name in list(made._seats)]).result(SECONDS)


def run(loop: EngineLoop, space: Space, encoded: EncodedCorpus) -> list[dict[str, Any]]:
    config = space.configure(dict(space.points[0])).as_dict()
    objective = objective_of("mean", encoded.names)
    proposal = {"trial": "t0001c1", "seed": 5, "objective": objective, "config": config}
    loop.open("lane", proposal).result(SECONDS)
    results = [loop.epoch("lane").result(SECONDS)]
    while not results[-1]["done"]:
        results.append(loop.epoch("lane").result(SECONDS))
    return results


def test_the_best_epoch_by_the_objective_is_kept_the_earliest_of_equal_ones(tmp_path: Path) -> None:
    keeper = ConfirmedEpoch(tmp_path, "t0001c1", objective_of("mean", TASKS))

    for epoch, score in enumerate((0.5, 0.8, math.nan, 0.8, 0.7), start=1):
        keeper.offer(epoch, score, {"books": score, "films": score}, touch)

    assert files(tmp_path) == {"t0001c1-e2.safetensors"}


def test_of_epochs_with_equal_means_the_earliest_is_kept_whatever_summing_rounds(
    tmp_path: Path,
) -> None:
    tasks = ("books", "films", "music")
    early = {"books": 0.7, "films": 0.8, "music": 0.9}
    late = {"books": 0.5, "films": 0.95, "music": 0.95}
    of_scores = objective_of("mean", tasks).of_scores
    first, second = sorted((early, late), key=of_scores)
    assert of_scores(first) < of_scores(second)  # by their last digit
    keeper = ConfirmedEpoch(tmp_path, "t0001c1", objective_of("mean", tasks))

    for epoch, scores in enumerate((first, second), start=1):
        keeper.offer(epoch, 0.8, scores, touch)

    assert files(tmp_path) == {"t0001c1-e1.safetensors"}


def test_another_objective_chooses_another_epoch(tmp_path: Path) -> None:
    keeper = ConfirmedEpoch(tmp_path, "t0001c1", objective_of("worst_task", TASKS))

    keeper.offer(1, 0.6, {"books": 0.6, "films": 0.6}, touch)
    keeper.offer(2, 0.7, {"books": 0.9, "films": 0.5}, touch)

    assert files(tmp_path) == {"t0001c1-e1.safetensors"}


def test_the_run_is_tested_at_its_best_epoch_when_it_ends(
    loop: EngineLoop, space: Space, encoded: EncodedCorpus, tmp_path: Path
) -> None:
    results = run(loop, space, encoded)

    assert [("confirmed" in result) for result in results] == [False, False, False, True]
    found = results[-1]["confirmed"]
    best = max(results, key=lambda result: result["average"])
    assert found["epoch"] == best["epoch"]
    assert found["dev"] == found["reported"] == best["scores"]
    state = load_file(tmp_path / "models" / f"t0001c1-e{found['epoch']}.safetensors")
    config = TrialConfig.from_dict(space.configure(dict(space.points[0])).as_dict())
    wanted = evaluate(restore_model(encoded, config, state), encoded, "test")
    for task, rows in unpack_bits(found["correct"]).items():
        assert rows.tolist() == wanted[task].correct.tolist()
        assert found["scores"][task]["accuracy"] == wanted[task].score


def test_test_is_scored_once(
    loop: EngineLoop, space: Space, encoded: EncodedCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits: list[str] = []
    original: Callable[..., Any] = scored.evaluate

    def counted(model: Any, corpus: Any, split: str, device: Any) -> Any:
        splits.append(split)
        return original(model, corpus, split, device)

    monkeypatch.setattr(scored, "evaluate", counted)

    run(loop, space, encoded)

    assert splits == ["dev", "test"]


def test_what_goes_wrong_in_the_test_is_the_result_of_the_run(
    loop: EngineLoop, space: Space, encoded: EncodedCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise OSError("no such disk")

    monkeypatch.setattr(scored, "evaluate", broken)

    last = run(loop, space, encoded)[-1]

    assert last["done"]
    assert last["failure"]["reason"] == "OSError: no such disk"


def test_a_run_without_a_score_says_so(tmp_path: Path) -> None:
    keeper = ConfirmedEpoch(tmp_path, "t0001c1", objective_of("mean", TASKS))
    keeper.offer(1, math.nan, {"books": math.nan, "films": 0.5}, touch)

    with pytest.raises(ValueError, match="no epoch has a dev score of average"):
        keeper.tested(None, None)  # type: ignore[arg-type]

"""The training loop: what an epoch reports, when it ends, that it repeats and continues."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mtl_core.data.config import DataConfig
from mtl_core.data.encode import encode
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.task import Corpus, Split, Task
from mtl_core.errors import ConfigError
from mtl_core.model.structures import STRUCTURES
from mtl_core.training.best import AVERAGE
from mtl_core.training.config import TrialConfig
from mtl_core.training.evaluation import evaluate
from mtl_core.training.models import restore_model
from mtl_core.training.task_evaluation import average
from mtl_core.training.trainer import Diverged, EpochResult, Trainer
from mtl_core.weighting.methods import METHODS
from mtl_core.weighting.task_weighting import StepLosses, TaskWeighting

Make = Callable[..., TrialConfig]
REGIMES = ("alternating", "joint")


def numbers(result: EpochResult) -> EpochResult:
    """Return the result without the times, which no run repeats."""
    return replace(result, tokens_per_second=0.0, seconds=0.0)


def parameters(trainer: Trainer) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in trainer.model.named_parameters()}


def assert_same_bits(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert found.keys() == wanted.keys()
    assert [name for name in wanted if not torch.equal(found[name], wanted[name])] == []


def test_an_epoch_reports_every_task(encoded: EncodedCorpus, make_config: Make) -> None:
    results = list(Trainer(encoded, make_config(), seed=3).epochs())

    assert [result.epoch for result in results] == [1, 2, 3, 4]
    assert [result.ended for result in results] == [None, None, None, "epochs"]
    for result in results:
        assert tuple(result.losses) == tuple(result.scores) == encoded.names
        assert result.average == pytest.approx(sum(result.scores.values()) / 3)
        assert result.loss == pytest.approx(sum(result.losses.values()) / 3)
        assert result.tokens_per_second > 0
        assert result.seconds > 0


def test_a_multilabel_task_of_one_label_is_learnt(tmp_path: Path, make_config: Make) -> None:
    texts, labels = ("so bad", "so good") * 20, ("toxic", "|") * 20
    rows = Split(texts=texts, labels=labels, source="posts.tsv")
    splits = dict.fromkeys(("train", "dev", "test"), rows)
    task = Task(
        name="posts", kind="multilabel", metric="micro_f1", labels=("toxic",), splits=splits
    )
    corpus = encode(Corpus(tasks=(task,), layout="folders", source="here"), DataConfig(), tmp_path)

    results = list(Trainer(corpus, make_config(training={"epochs": 20}), seed=3).epochs())

    assert results[-1].scores == {"posts": 1.0}


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("structure", sorted(STRUCTURES))
def test_every_structure_learns_its_train_rows(
    structure: str, regime: str, encoded: EncodedCorpus, make_config: Make
) -> None:
    config = make_config(
        sharing={"structure": structure},
        batches={"regime": regime},
        encoder={"dropout_embedding": 0.0, "dropout_head": 0.0},
        training={"epochs": 10, "learning_rate": 2e-2, "word_learning_rate": 2e-2},
    )

    trainer = Trainer(encoded, config, seed=1)
    before = evaluate(trainer.model, encoded, "train")
    first, *_, last = trainer.epochs()

    assert last.loss < 0.85 * first.loss
    assert average(evaluate(trainer.model, encoded, "train")) > average(before) + 0.2


def test_same_seed_same_numbers_and_another_seed_others(
    encoded: EncodedCorpus, make_config: Make
) -> None:
    first, second, other = (Trainer(encoded, make_config(), seed=seed) for seed in (3, 3, 4))

    runs = [[numbers(result) for result in t.epochs()] for t in (first, second, other)]

    assert runs[0] == runs[1]
    assert_same_bits(parameters(first), parameters(second))
    assert runs[0] != runs[2]


def test_training_leaves_the_caller_s_random_numbers_alone(
    encoded: EncodedCorpus, make_config: Make
) -> None:
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)

    next(Trainer(encoded, make_config(), seed=3).epochs())

    assert torch.equal(torch.rand(3), wanted)


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_saved_training_continues_to_the_same_bits(
    method: str, regime: str, encoded: EncodedCorpus, make_config: Make, tmp_path: Path
) -> None:
    config = make_config(
        weighting={"method": method, "weights": {"books": 2.0}},
        batches={"regime": regime},
        sharing={"structure": "layerwise_explicit", "divergence_depth": 1},
        training={"lr_schedule": "cosine", "warmup": 0.1, "weight_decay": 0.01, "epochs": 5},
    )
    uninterrupted, stopped = (Trainer(encoded, config, seed=3) for _ in range(2))
    wanted = [numbers(result) for result in uninterrupted.epochs()]
    results = stopped.epochs()
    next(results), next(results)
    stopped.save(tmp_path / "two.safetensors")

    continued = Trainer(encoded, config, seed=3)
    continued.load(tmp_path / "two.safetensors")
    found = [numbers(result) for result in continued.epochs()]

    assert found == wanted[2:]
    mine, theirs = continued.state_dict(), uninterrupted.state_dict()
    assert mine.about == theirs.about
    assert_same_bits(mine.tensors, theirs.tensors)  # moments, counts and best epochs too


def test_a_training_that_had_ended_stays_ended(
    encoded: EncodedCorpus, make_config: Make, tmp_path: Path
) -> None:
    config = make_config(training={"epochs": 2})
    trainer, loaded = (Trainer(encoded, config, seed=3) for _ in range(2))
    list(trainer.epochs())
    trainer.save(tmp_path / "end.safetensors")

    loaded.load(tmp_path / "end.safetensors")

    assert loaded.ended == "epochs"
    assert list(loaded.epochs()) == []


def test_a_checkpoint_of_another_trial_is_refused_with_what_differs(
    encoded: EncodedCorpus, make_config: Make, tmp_path: Path
) -> None:
    Trainer(encoded, make_config(), seed=3).save(tmp_path / "start.safetensors")
    other = Trainer(encoded, make_config(training={"learning_rate": 0.25}), seed=4)

    with pytest.raises(ConfigError) as caught:
        other.load(tmp_path / "start.safetensors")

    assert len(caught.value.faults) == 2
    assert "config.training.learning_rate is 0.005 there and 0.25 here" in str(caught.value)
    assert "seed is 3 there and 4 here" in str(caught.value)


def test_patience_ends_a_training_that_gets_no_better(
    encoded: EncodedCorpus, make_config: Make
) -> None:
    config = make_config(
        training={"epochs": 30, "patience_epochs": 3, "learning_rate": 1e-9},
        encoder={"freeze_words": True},
    )

    trainer = Trainer(encoded, config, seed=3)
    results = list(trainer.epochs())

    # At such a rate nothing changes: the first epoch is the best, and three more are waited for.
    assert [result.ended for result in results] == [None, None, None, "patience"]
    assert trainer.best[AVERAGE].epoch == 1


def test_the_best_epoch_is_kept_for_the_mean_and_for_each_task(
    encoded: EncodedCorpus, make_config: Make
) -> None:
    config = make_config(training={"epochs": 8})
    trainer = Trainer(encoded, config, seed=3)
    results = list(trainer.epochs())

    assert set(trainer.best) == {AVERAGE, *encoded.names}
    for key, best in trainer.best.items():
        scores = [r.average if key == AVERAGE else r.scores[key] for r in results]
        assert best.score == max(scores)
        assert best.epoch == 1 + scores.index(max(scores))
    for name in encoded.names:
        best = trainer.best[name]
        model = restore_model(encoded, config, best.state)
        assert evaluate(model, encoded, "dev")[name].score == best.score


def test_epochs_that_are_best_for_several_share_one_copy(
    encoded: EncodedCorpus, make_config: Make
) -> None:
    trainer = Trainer(encoded, make_config(), seed=3)
    next(trainer.epochs())

    states = {id(best.state) for best in trainer.best.values()}

    assert len(states) == 1
    assert list(trainer.best.states()) == [1]


@pytest.mark.parametrize("regime", REGIMES)
def test_single_task_trained_together_equals_each_task_trained_alone(
    regime: str, even: EncodedCorpus, make_config: Make
) -> None:
    config = make_config(
        sharing={"structure": "single_task"},
        batches={"regime": regime},
        encoder=dict.fromkeys(
            ("dropout", "dropout_embedding", "dropout_attention", "dropout_head"), 0.0
        ),
        training={"clip_norm": None, "epochs": 3},
    )

    *_, together = Trainer(even, config, seed=3).epochs()

    for name in even.names:
        *_, alone = Trainer(even.select([name]), config, seed=3).epochs()
        assert alone.losses[name] == pytest.approx(together.losses[name], abs=1e-5)
        assert alone.scores[name] == together.scores[name]


def test_a_loss_that_is_no_number_ends_the_training_with_the_reason(
    encoded: EncodedCorpus, make_config: Make
) -> None:
    trainer = Trainer(encoded, make_config(batches={"regime": "joint"}), seed=3)
    with torch.no_grad():
        trainer.model.get_parameter("head_bias")[1] = math.nan  # of dvd

    with pytest.raises(Diverged) as caught:
        next(trainer.epochs())

    assert caught.value.reason == "epoch 1, step 1: the loss is no finite number (dvd nan)"


def test_frozen_words_stay_and_others_move(encoded: EncodedCorpus, make_config: Make) -> None:
    for freeze in (True, False):
        trainer = Trainer(encoded, make_config(encoder={"freeze_words": freeze}), seed=3)
        before = parameters(trainer)

        next(trainer.epochs())

        after = parameters(trainer)
        assert torch.equal(after["words"], before["words"]) is freeze
        assert not torch.equal(after["head_weight"], before["head_weight"])


def test_word_vectors_have_their_own_learning_rate(
    encoded: EncodedCorpus, make_config: Make
) -> None:
    moved = []
    for rate in (None, 1e-6):
        config = make_config(training={"word_learning_rate": rate})
        trainer = Trainer(encoded, config, seed=3)
        before = parameters(trainer)["words"]
        next(trainer.epochs())
        moved.append((parameters(trainer)["words"] - before).abs().max().item())

    assert moved[0] > 100 * moved[1] > 0  # a tenth of 5e-3 against 1e-6


def test_what_uncertainty_learns_moves_with_the_training(
    encoded: EncodedCorpus, make_config: Make
) -> None:
    trainer = Trainer(encoded, make_config(weighting={"method": "uncertainty"}), seed=3)

    next(trainer.epochs())

    learned = dict(trainer.weighting.named_parameters())["log_variances"]
    assert bool((learned != 0).all())


class ClosedFormMgda(TaskWeighting):
    """MGDA of two tasks: the shortest vector between their gradients (Desideri, 2012)."""

    needs_all_tasks = True

    def __init__(self) -> None:
        super().__init__()
        self.shortest: list[tuple[float, Tensor]] = []

    def combine(self, losses: StepLosses) -> Tensor:
        first, second = losses.gradients()
        share = torch.dot(second - first, second) / (first - second).pow(2).sum()
        share = share.clamp(0.0, 1.0).item()
        self.shortest.append((share, torch.stack([first, second])))
        weights = [0.0, 0.0]
        weights[losses.tasks[0]], weights[losses.tasks[1]] = share, 1 - share
        return losses.weighted(weights)


def test_a_method_of_gradients_plugs_into_the_loop(
    encoded: EncodedCorpus, make_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    mgda = ClosedFormMgda()
    monkeypatch.setitem(METHODS, "mgda", lambda _: mgda)
    two = encoded.select(["books", "dvd"])
    config = make_config(
        weighting={"method": "mgda"}, batches={"regime": "joint"}, training={"epochs": 2}
    )

    trainer = Trainer(two, config, seed=3)
    list(trainer.epochs())

    shared = sum(
        p.numel()
        for name, p in trainer.model.named_parameters()
        if name not in ("words", "head_weight", "head_bias")
    )
    both = [(share, pair) for share, pair in mgda.shortest if bool(pair.any(dim=1).all())]
    assert len(both) > 5
    for share, pair in both:
        assert pair.shape == (2, shared)  # stack_pooling shares all but the heads
        mixed = share * pair[0] + (1 - share) * pair[1]
        # The shortest vector between two ends is no longer than either, nor than the middle.
        assert mixed.norm() <= pair.norm(dim=1).min() + 1e-6
        assert mixed.norm() <= pair.mean(dim=0).norm() + 1e-6


def test_a_method_that_needs_all_tasks_is_refused_where_a_step_has_one(
    encoded: EncodedCorpus, make_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(METHODS, "mgda", lambda _: ClosedFormMgda())

    with pytest.raises(ConfigError, match=r"'mgda' needs all tasks .* must be 'joint'"):
        Trainer(encoded, make_config(weighting={"method": "mgda"}), seed=3)

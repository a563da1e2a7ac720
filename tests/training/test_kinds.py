"""Tasks of every kind train together, under every structure, and are scored by their metrics."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mixed_corpus import mixed_corpus

from mtl_core.data.config import DataConfig
from mtl_core.data.encode import encode
from mtl_core.data.encoded import EncodedCorpus, TaskInfo
from mtl_core.data.minibatch import Row, collate
from mtl_core.data.wide import wide_features
from mtl_core.errors import ConfigError
from mtl_core.model import by_threads
from mtl_core.model.forward import Part, compute_logits
from mtl_core.model.structures import STRUCTURES
from mtl_core.training import updates
from mtl_core.training.config import TrialConfig
from mtl_core.training.engine import Engine
from mtl_core.training.evaluation import evaluate
from mtl_core.training.export import export, load
from mtl_core.training.losses import task_losses
from mtl_core.training.models import build_model
from mtl_core.training.predictor import _prediction
from mtl_core.training.trainer import Trainer
from mtl_core.training.updates import take_together

MakeConfig = Callable[..., TrialConfig]


@pytest.fixture
def mixed(tmp_path: Path) -> EncodedCorpus:
    return encode(mixed_corpus(), DataConfig(), tmp_path)


@pytest.mark.parametrize("regime", ["alternating", "joint"])
@pytest.mark.parametrize("structure", sorted(STRUCTURES))
def test_every_kind_trains_under_every_structure(
    structure: str, regime: str, mixed: EncodedCorpus, make_config: MakeConfig
) -> None:
    config = make_config(
        sharing={"structure": structure},
        batches={"regime": regime, "batch_size": 20},
        training={"epochs": 2},
    )

    results = list(Trainer(mixed, config, seed=1).epochs())

    assert results[-1].loss < results[0].loss
    assert set(results[-1].scores) == {"topic", "same", "marks", "value", "tags"}


@pytest.mark.parametrize("regime", ["alternating", "joint"])
def test_every_kind_trains_with_means_over_padding(
    regime: str, mixed: EncodedCorpus, make_config: MakeConfig
) -> None:
    config = make_config(
        encoder={"mean_over_padding": True},
        sharing={"structure": "stack_pooling"},
        batches={"regime": regime, "batch_size": 20},
        training={"epochs": 2},
    )

    results = list(Trainer(mixed, config, seed=1).epochs())

    assert results[-1].loss < results[0].loss


def test_a_pair_is_averaged_with_its_padding_where_that_is_asked_for(
    mixed: EncodedCorpus, make_config: MakeConfig
) -> None:
    words, published = (
        build_model(mixed, make_config(encoder={"mean_over_padding": over}), seed=3).eval()
        for over in (False, True)
    )
    pairs = Row(1, np.arange(7))
    alone, beside_longer_texts = (
        collate(mixed, "train", step) for step in ((pairs,), (pairs, Row(3, np.arange(7))))
    )

    torch.testing.assert_close(published(alone), words(alone))
    differs = ~torch.isclose(published(beside_longer_texts), words(beside_longer_texts))
    assert differs[:7, :2].any(dim=1).all()


def test_every_kind_is_learnt(mixed: EncodedCorpus, make_config: MakeConfig) -> None:
    config = make_config(
        sharing={"structure": "stack_pooling", "divergence_depth": 1},
        batches={"regime": "joint", "batch_size": 10},
        training={"epochs": 60, "learning_rate": 5e-3},
    )
    trainer = Trainer(mixed, config, seed=1)

    last = list(trainer.epochs())[-1]

    # By chance: a third, a half, about two thirds, nothing, nothing.
    least = {"topic": 0.9, "same": 0.8, "marks": 0.8, "value": 0.6, "tags": 0.6}
    assert {name: last.scores[name] for name in least if last.scores[name] < least[name]} == {}


def test_rows_without_a_label_change_no_loss(tmp_path: Path, make_config: MakeConfig) -> None:
    mixed = encode(mixed_corpus(missing=0.4), DataConfig(), tmp_path)
    model = build_model(mixed, make_config(sharing={"structure": "stack_cls"}), seed=3).eval()
    for task in range(mixed.n_tasks):
        split = mixed.split(task, "train")
        starts = split.target_offsets[:-1]
        given = (
            split.targets[starts] >= 0
            if task != 3
            else split.targets[starts] == split.targets[starts]
        )
        if task == 4:  # a tagged text has tags, or none at all
            given = split.targets[starts] >= 0
        with_gaps, without = (
            collate(mixed, "train", (Row(task, rows),))
            for rows in (np.arange(len(split)), given.nonzero()[0])
        )
        assert 0 < given.sum() < len(split)

        losses = [task_losses(model(batch), batch, mixed.tasks) for batch in (with_gaps, without)]

        torch.testing.assert_close(losses[0], losses[1])


def test_a_step_in_which_nothing_has_a_label_has_no_loss(
    tmp_path: Path, make_config: MakeConfig
) -> None:
    mixed = encode(mixed_corpus(missing=1.0), DataConfig(), tmp_path)
    model = build_model(mixed, make_config(), seed=3)
    batch = collate(mixed, "train", tuple(Row(task, np.arange(5)) for task in range(5)))

    losses = task_losses(model(batch), batch, mixed.tasks)
    losses.sum().backward()

    assert losses.tolist() == [0.0] * 5
    assert all(not p.grad.any() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("structure", ["stack_pooling", "layerwise_explicit"])
def test_the_outputs_are_those_of_each_text_alone(
    structure: str, mixed: EncodedCorpus, make_config: MakeConfig
) -> None:
    model = build_model(mixed, make_config(sharing={"structure": structure}), seed=3).eval()
    rows = np.arange(7)
    batch = collate(mixed, "train", tuple(Row(task, rows) for task in (4, 1, 3, 4)))
    alone = [
        collate(mixed, "train", (Row(task, rows[at : at + 1]),))
        for task in (4, 1, 3, 4)
        for at in range(7)
    ]

    together = compute_logits([Part(model=model, batch=batch)])[0]

    wanted = torch.cat([compute_logits([Part(model=model, batch=text)])[0] for text in alone])
    torch.testing.assert_close(together, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("structure", ["stack_pooling", "single_task", "layerwise_explicit"])
def test_the_losses_are_the_same_where_threads_share_the_texts(
    structure: str, mixed: EncodedCorpus, make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_threads, "_LEAST_SIZE", 1)
    config = make_config(sharing={"structure": structure}, encoder={"wide": True})
    model = build_model(mixed, config, seed=3).double().eval()
    step = tuple(Row(task, np.arange(7)) for task in (4, 1, 3, 0, 2))
    batch = collate(mixed, "train", step, wide_features(mixed, config.encoder.wide_ngrams))

    wanted, found = (
        task_losses(
            compute_logits([Part(model=model, batch=batch)], n_threads=count)[0], batch, mixed.tasks
        )
        for count in (1, 3)
    )

    torch.testing.assert_close(found, wanted)


def test_ngrams_add_to_each_text_and_to_no_tag(
    mixed: EncodedCorpus, make_config: MakeConfig
) -> None:
    config = make_config(encoder={"wide": True})
    model = build_model(mixed, config, seed=3).eval()
    step = tuple(Row(task, np.arange(3)) for task in (4, 1, 3, 4, 2))
    batch = collate(mixed, "train", step, wide_features(mixed, 2))
    before = model(batch).detach()
    with torch.no_grad():
        model.wide[:-1] = torch.randn(model.wide[:-1].shape)

    found = model(batch).detach() - before

    texts = (batch.lengths[:3].sum() + torch.tensor([0, 9])).tolist()  # where they begin and end
    is_text = torch.zeros(len(found), dtype=torch.bool)
    is_text[texts[0] : texts[0] + 6] = is_text[-3:] = True
    assert found[is_text][:, 0].ne(0).all()
    assert found[~is_text].nan_to_num().eq(0).all()  # of classes that a task lacks: -inf


@pytest.mark.parametrize("sharing", ["shared", "both"])
def test_all_kinds_train_with_ngrams_and_their_last_row_stays_zero(
    sharing: str, mixed: EncodedCorpus, make_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_config(
        encoder={"wide": True, "wide_sharing": sharing},
        batches={"regime": "joint", "batch_size": 10},
        training={"epochs": 3, "wide_learning_rate": 0.1},
    )
    trainer = Trainer(mixed, config, seed=1)

    results = list(trainer.epochs())

    assert results[-1].loss < results[0].loss
    assert trainer.model.wide[:-1].any()
    assert not trainer.model.wide[-1].any()
    export(tmp_path / "model", trainer.best["average"].state, config, mixed)
    assert load(tmp_path / "model").predict("topic", ["w1 w2"])[0].label in mixed.tasks[0].labels


def test_a_head_of_pairs_reads_both_means_their_distance_and_their_product(
    mixed: EncodedCorpus, make_config: MakeConfig
) -> None:
    config = make_config(sharing={"structure": "stack_pooling"}, encoder={"n_layers": 1})
    model = build_model(mixed, config, seed=3).eval()
    batch = collate(mixed, "train", (Row(1, np.arange(4)),))
    with torch.no_grad():
        for name, value in (("norms.1.norm_weight", 0.0), ("norms.1.norm_bias", 0.7)):
            model.get_parameter(name).fill_(value)  # so that every word's vector is known

    found = model(batch)

    read = torch.tensor([0.7, 0.7, 0.0, 0.49]).repeat_interleave(config.encoder.d_model)
    weight, bias = model.get_parameter("pair_head_weight"), model.get_parameter("pair_head_bias")
    wanted = (read @ weight[1] + bias[1]).expand(4, -1)
    torch.testing.assert_close(found[:, :2], wanted[:, :2])


def test_a_lane_of_all_kinds_is_the_same_among_others(
    mixed: EncodedCorpus, make_config: MakeConfig
) -> None:
    configs = [
        make_config(
            sharing={"structure": structure},
            encoder={"precision": "float32"},
            batches={"regime": "joint", "batch_size": 20},
            training={"epochs": 2},
        )
        for structure in ("stack_pooling", "layerwise_implicit", "single_task")
    ]
    alone = [list(Trainer(mixed, config, seed=5).epochs()) for config in configs]
    engine = Engine(mixed)
    lanes = [engine.open(config, 5) for config in configs]
    found: dict[object, list[float]] = {lane: [] for lane in lanes}

    while any(lane.is_going for lane in lanes):
        engine.step()
        for lane, result in engine.results():
            found[lane].append(result.loss)  # type: ignore[union-attr]

    for lane, results in zip(lanes, alone, strict=True):
        assert found[lane] == pytest.approx([result.loss for result in results], rel=1e-4)


def test_lanes_of_all_kinds_take_a_step_as_one_as_each_does_alone(
    mixed: EncodedCorpus, make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(batches={"batch_size": 20})
    lanes, twins = ([Engine(mixed).open(config, seed) for seed in (1, 2)] for _ in range(2))
    monkeypatch.setattr(updates, "as_on_gpu", lambda _: True)

    while lanes[0].evaluation is None:  # some steps have pairs, and some have nothing else
        found, wanted = ([lane.next_update() for lane in of] for of in (lanes, twins))
        take_together(found)
        for update in wanted:
            take_together([update])
        for mine, theirs in zip(found, wanted, strict=True):
            assert mine.values[0] == pytest.approx(theirs.values[0], rel=1e-4)
        for lane, update in zip((*lanes, *twins), (*found, *wanted), strict=True):
            lane.note_update(update, seconds=0.0)

    for lane, twin in zip(lanes, twins, strict=True):
        for name, counts in twin.updater.optimizer.steps.items():
            assert torch.equal(lane.updater.optimizer.steps[name], counts)


def test_an_exported_model_answers_in_the_labels_of_each_kind(
    mixed: EncodedCorpus, make_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_config(sharing={"structure": "stack_pooling"})
    model = build_model(mixed, config, seed=3).eval()
    corpus = mixed_corpus()
    export(tmp_path / "model", dict(model.named_parameters()), config, mixed)

    predictor = load(tmp_path / "model")

    wanted = evaluate(model, mixed, "test")
    for place, task in enumerate(corpus.tasks):
        test = task.splits["test"]
        said = predictor.predict(task.name, test.texts, test.seconds)
        answers = wanted[task.name]
        if task.kind == "tagging":
            tags = [tag for one in said for tag in one.label.split()]
            assert tags == [task.labels[at] for at in answers.predicted]
        elif task.kind == "regression":
            info = mixed.tasks[place]
            values = [float(one.label) for one in said]
            assert values == pytest.approx(
                answers.predicted * info.spread + info.mean, abs=1e-4 * info.spread
            )
        elif task.kind == "multilabel":
            held = [[label in one.label.split("|") for label in task.labels] for one in said]
            assert held == answers.predicted.tolist()
        else:
            assert [task.labels.index(one.label) for one in said] == answers.predicted.tolist()


def test_lines_of_a_task_of_pairs_are_two_texts(
    mixed: EncodedCorpus, make_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_config(sharing={"structure": "stack_cls"})
    model = build_model(mixed, config, seed=3).eval()
    export(tmp_path / "model", dict(model.named_parameters()), config, mixed)
    predictor = load(tmp_path / "model")

    (found,) = predictor.predict_lines("same", ["w0\tw1"])

    assert found == predictor.predict("same", ["w0"], ["w1"])[0]
    assert found.of_answer == (found.probabilities[found.label],)
    with pytest.raises(ConfigError, match="line 2: 1 cells, task 'same' is of pairs"):
        predictor.predict_lines("same", ["w0\tw1", "w0"])
    with pytest.raises(ConfigError, match="'topic': is of single texts"):
        predictor.predict("topic", ["w0"], ["w1"])
    with pytest.raises(ConfigError, match="'same': is of pairs, found 0 second texts for 1"):
        predictor.predict("same", ["w0"])


def test_values_are_told_apart_however_far_they_are_from_zero() -> None:
    tasks = [
        TaskInfo("year", "regression", "pearson", (), mean=5e8, spread=of) for of in (0.1, 300)
    ]
    outputs = [torch.tensor([[value]]) for value in (0.5, 0.5001)]

    said = [[_prediction(value, info, (), 0).label for value in outputs] for info in tasks]

    assert said == [["500000000.05", "500000000.05001"], ["500000150", "500000150.03"]]


def test_tags_have_a_probability_for_each_word(
    mixed: EncodedCorpus, make_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_config(sharing={"structure": "stack_pooling"})
    model = build_model(mixed, config, seed=3).eval()
    export(tmp_path / "model", dict(model.named_parameters()), config, mixed)
    too_long = "w0 " * (mixed.max_words + 2)

    two, many, none = load(tmp_path / "model").predict("tags", ["w0  w1", too_long, " "])

    assert (two.label.count(" "), len(two.of_answer)) == (1, 2)
    assert all(1 / len(mixed.tasks[-1].labels) <= share <= 1 for share in two.of_answer)
    assert [share != share for share in many.of_answer] == [False] * mixed.max_words + [True] * 2
    assert (none.label, none.of_answer) == ("", ())

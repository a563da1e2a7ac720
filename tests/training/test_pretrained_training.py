"""A pretrained encoder in training: what moves, that it continues to the bit, what is exported."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pretrained_folders import encode_with, load_with_transformers, make_folder
from torch import Tensor

import mtl_core
from mtl_core.data.config import BatchConfig
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.model.config import SharingConfig
from mtl_core.model.pretrained import resolve
from mtl_core.model.structures import STRUCTURES
from mtl_core.training.config import TrainingConfig, TrialConfig
from mtl_core.training.engine import Engine
from mtl_core.training.evaluation import evaluate
from mtl_core.training.export import export
from mtl_core.training.models import build_model, copy_parameters, restore_model
from mtl_core.training.trainer import Trainer

TEXTS = ["w3 w4 w19", "", "w0", "w1 w2 w3 w4 w5 w6 w7 w8 w9 w10 w11 unheard-of"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    return make_folder(tmp_path_factory.mktemp("bert"), "bert")


@pytest.fixture(scope="module")
def corpus(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> EncodedCorpus:
    return encode_with(folder, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def make_config(folder: Path) -> Callable[..., TrialConfig]:
    def make(sharing: dict[str, Any], **encoder: Any) -> TrialConfig:
        return TrialConfig(
            encoder=resolve(pretrained=str(folder), **encoder),
            sharing=SharingConfig(**sharing),
            batches=BatchConfig(batch_size=6),
            training=TrainingConfig(epochs=3, learning_rate=1e-3),
        )

    return make


def parameters(trainer: Trainer) -> dict[str, Tensor]:
    return copy_parameters(trainer.model)


def test_an_epoch_moves_every_table_and_no_word_that_train_lacks(
    corpus: EncodedCorpus, make_config: Callable[..., TrialConfig], folder: Path
) -> None:
    trainer = Trainer(corpus, make_config({"divergence_depth": 1}), seed=1)
    before = parameters(trainer)

    next(trainer.epochs())

    after = parameters(trainer)
    assert [name for name in before if torch.equal(before[name], after[name])] == []
    table = load_with_transformers(folder).get_input_embeddings().weight
    mine = after["words"][trainer.model.word_rows[0]]
    trained = torch.from_numpy(corpus.vocabulary_of_tasks().any(0))
    trained[:3] = False  # padding, unknown and first word, of which none but the last is used
    trained[2] = True
    assert ((mine != table).any(1) == trained).all()


def test_frozen_words_stay(corpus: EncodedCorpus, make_config: Callable[..., TrialConfig]) -> None:
    trainer = Trainer(corpus, make_config({}, freeze_words=True), seed=1)
    before = parameters(trainer)

    next(trainer.epochs())

    after = parameters(trainer)
    assert [n for n in before if torch.equal(before[n], after[n])] == ["words"]


def test_a_training_continues_to_the_same_bits(
    corpus: EncodedCorpus, make_config: Callable[..., TrialConfig], tmp_path: Path
) -> None:
    config = make_config({"structure": "layerwise_explicit", "divergence_depth": 1})
    whole, first = (Trainer(corpus, config, seed=1) for _ in range(2))
    list(whole.epochs())
    next(first.epochs())
    first.save(tmp_path / "checkpoint")

    second = Trainer(corpus, config, seed=1)
    second.load(tmp_path / "checkpoint")
    list(second.epochs())

    found, wanted = parameters(second), parameters(whole)
    assert [name for name in wanted if not torch.equal(found[name], wanted[name])] == []


def test_a_lane_is_the_same_alone_and_among_others(
    corpus: EncodedCorpus, make_config: Callable[..., TrialConfig]
) -> None:
    config = make_config({"structure": "stack_cls", "divergence_depth": 2}, precision="float32")
    other = make_config({"structure": "single_task"}, precision="float32", n_layers=2)
    alone = Trainer(corpus, config, seed=1)
    next(alone.epochs())

    engine = Engine(corpus)
    lanes = [engine.open(config, 1), engine.open(other, 2)]
    while lanes[0].epoch == 0:
        engine.step()

    for name, table in parameters(alone).items():
        torch.testing.assert_close(lanes[0].model.get_parameter(name), table, msg=name)


@pytest.mark.parametrize("structure", sorted(STRUCTURES))
def test_an_export_needs_no_pretrained_folder(structure: str, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "roberta", "roberta")
    corpus = encode_with(folder, tmp_path)
    config = TrialConfig(
        encoder=resolve(pretrained=str(folder), precision="float32"),
        sharing=SharingConfig(structure=structure),
    )
    state = copy_parameters(build_model(corpus, config, seed=3))
    wanted = evaluate(restore_model(corpus, config, state), corpus, "test")
    export(tmp_path / "model", state, config, corpus)
    shutil.rmtree(folder)

    predictor = mtl_core.load(tmp_path / "model")

    texts = encoded_texts(corpus)
    for task in corpus.tasks:
        predictions = predictor.predict(task.name, texts)
        found = [task.labels.index(prediction.label) for prediction in predictions]
        assert found == wanted[task.name].predicted.tolist()
        assert len(predictor.predict(task.name, TEXTS)) == len(TEXTS)


def encoded_texts(corpus: EncodedCorpus) -> list[str]:
    """Return the texts of test again, the same in both tasks, without the special words."""
    from tokenizers import Tokenizer

    tokenizer, rows = Tokenizer.from_str(corpus.tokenizer_json), corpus.split(0, "test")
    return [
        tokenizer.decode(rows.words[start:stop].tolist())
        for start, stop in zip(rows.offsets[:-1], rows.offsets[1:], strict=True)
    ]

"""Warm-up on hidden words: it learns, starts the banks of any plan, is kept and reproducible."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mtl_core.data.config import DataConfig, MlmConfig
from mtl_core.data.encode import encode
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.own_texts import texts_path
from mtl_core.data.task import Corpus, Split, Task
from mtl_core.errors import ConfigError
from mtl_core.model.config import EncoderConfig
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.training.config import TrialConfig
from mtl_core.training.export import export, load
from mtl_core.training.mlm import WarmUp
from mtl_core.training.models import build_model, restore_model
from mtl_core.training.trainer import Trainer

MakeConfig = Callable[..., TrialConfig]
SETTINGS = MlmConfig(steps=300, batch_size=16, learning_rate=1e-2)
NAMES = ("books", "dvd")
SHARINGS = (
    {"structure": "single_task"},
    {"structure": "stack_pooling", "divergence_depth": 1},
    {"structure": "stack_cls", "divergence_depth": 0},
    {"structure": "layerwise_implicit", "divergence_depth": 1},
    {"structure": "layerwise_explicit"},
)


def make_text(task: str, rng: np.random.Generator) -> str:
    """Words go in pairs, `a1` with `b1`: one foretells the other. Some are the task's own."""
    return " ".join(f"a{n} b{n} {task}{n % 2}" for n in rng.integers(0, 6, rng.integers(1, 4)))


def make_corpus(held_out_seed: int = 1) -> Corpus:
    tasks = []
    for number, name in enumerate(NAMES):
        rng, held_out = np.random.default_rng(number), np.random.default_rng(held_out_seed)
        sources = {"train": (rng, 60), "dev": (held_out, 8), "test": (held_out, 8)}
        splits = {
            split: Split(
                texts=tuple(make_text(name, source) for _ in range(rows)),
                labels=("bad", "good") * (rows // 2),
                source="made",
            )
            for split, (source, rows) in sources.items()
        }
        tasks.append(Task(name=name, labels=("bad", "good"), splits=splits))
    return Corpus(tasks=tuple(tasks), layout="builtin", source="builtin")


def make_warm_up(
    cache: Path, settings: MlmConfig = SETTINGS, *, held_out_seed: int = 1
) -> tuple[EncodedCorpus, WarmUp]:
    corpus = make_corpus(held_out_seed)
    encoded = encode(corpus, DataConfig(max_words=12), cache)
    return encoded, WarmUp(encoded, texts_path(corpus, encoded), settings)


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> tuple[EncodedCorpus, WarmUp]:
    return make_warm_up(tmp_path_factory.mktemp("cache"))


def warmed(make_config: MakeConfig, sharing: dict[str, object], **encoder: object) -> TrialConfig:
    return make_config(sharing=sharing, encoder={"mlm_warm_up": True, **encoder})


def build(
    warm: tuple[EncodedCorpus, WarmUp], config: TrialConfig, seed: int = 3
) -> MultiTaskEncoder:
    return build_model(warm[0], config, seed=seed, warm_up=warm[1])


@pytest.mark.parametrize("manner", [{}, {"norm": "post", "d_word": 12, "n_types": 2}])
def test_the_loss_falls_below_what_the_frequencies_of_words_allow(
    manner: dict[str, object], warm: tuple[EncodedCorpus, WarmUp], make_config: MakeConfig
) -> None:
    losses = warm[1].losses(warmed(make_config, {}, **manner).encoder)

    assert len(losses) == SETTINGS.steps
    assert losses[:5].mean() == pytest.approx(np.log(16), abs=0.3)  # 16 different words
    entropy = np.log(3) + 2 / 3 * np.log(6) + 1 / 3 * np.log(4)  # of a word without the others
    assert losses[-20:].mean() < 0.85 * entropy


@pytest.mark.parametrize("sharing", SHARINGS, ids=lambda sharing: sharing["structure"])
def test_all_banks_of_a_plan_start_from_the_warm_up(
    sharing: dict[str, object], warm: tuple[EncodedCorpus, WarmUp], make_config: MakeConfig
) -> None:
    config = warmed(make_config, sharing)
    start = warm[1].weights(config.encoder)

    model = build(warm, config)

    named = dict(model.named_parameters())
    moved = {name for name in named if name not in ("words", "tokens") and "head" not in name}
    assert moved == start.tables.keys() - {"tokens"}
    for name in moved:
        for bank in named[name]:
            torch.testing.assert_close(bank, start.tables[name][: len(bank)], atol=0, rtol=0)
    has = warm[0].vocabulary_of_tasks()
    for task, bank in enumerate(model.plan.groups[0]):
        ids = np.flatnonzero(has[task])
        torch.testing.assert_close(model.words[model.word_rows[bank][ids]], start.words[ids])
    if "tokens" in named:
        assert (named["tokens"] - start.tables["tokens"]).abs().max() < 6 * 0.02


def test_heads_start_as_without_a_warm_up(
    warm: tuple[EncodedCorpus, WarmUp], make_config: MakeConfig
) -> None:
    sharing = {"structure": "stack_cls"}
    cold = build_model(warm[0], make_config(sharing=sharing), seed=3)

    model = build(warm, warmed(make_config, sharing))

    assert torch.equal(model.head_weight, cold.head_weight)
    assert not torch.equal(model.projection_weight, cold.projection_weight)


def test_a_warm_up_depends_on_sizes_and_settings_and_on_nothing_else_of_a_trial(
    warm: tuple[EncodedCorpus, WarmUp], make_config: MakeConfig
) -> None:
    encoded, warm_up = warm
    encoder = make_config().encoder
    same = replace(encoder, dropout=0.3, dropout_head=0.0, freeze_words=True)
    sizes = [replace(encoder, **{key: 4}) for key in ("n_layers", "n_heads", "d_ff", "d_word")]
    seed = WarmUp(encoded, warm_up.texts, replace(SETTINGS, seed=1))
    vectors = np.ones((encoded.vocabulary_size, 10), np.float32), np.ones(1, np.bool_)

    name = warm_up.name(encoder)
    others = [warm_up.name(of) for of in sizes] + [seed.name(encoder)]
    others.append(WarmUp(encoded, warm_up.texts, SETTINGS, vectors=vectors).name(encoder))

    assert warm_up.name(same) == name
    assert len({name, *others}) == 1 + len(others)


def test_it_is_made_once_and_the_same_in_another_cache(
    tmp_path: Path, make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, short = make_config().encoder, replace(SETTINGS, steps=8)
    first = make_warm_up(tmp_path / "one", short)[1].weights(encoder)
    other = make_warm_up(tmp_path / "two", short)[1].weights(encoder)
    monkeypatch.setattr(WarmUp, "_train", lambda *_: pytest.fail("trained again"))

    again = make_warm_up(tmp_path / "one", short)[1].weights(encoder)

    for found in (other, again):
        assert torch.equal(found.words, first.words)
        assert all(torch.equal(found.tables[name], t) for name, t in first.tables.items())


def test_dev_and_test_texts_are_never_learnt_from(tmp_path: Path, make_config: MakeConfig) -> None:
    encoder, short = make_config().encoder, replace(SETTINGS, steps=8)
    (one, first), (two, second) = (
        make_warm_up(tmp_path / name, short, held_out_seed=seed)
        for name, seed in (("one", 1), ("two", 2))
    )

    assert one.fingerprint != two.fingerprint
    assert first.name(encoder) == second.name(encoder)
    assert torch.equal(first.weights(encoder).words, second.weights(encoder).words)


def test_given_vectors_are_where_it_starts(
    warm: tuple[EncodedCorpus, WarmUp], make_config: MakeConfig
) -> None:
    encoded, cold = warm
    encoder, size = make_config().encoder, encoded.vocabulary_size
    matrix = np.random.default_rng(0).normal(5.0, 0.1, (size, encoder.d_word)).astype(np.float32)
    short = replace(SETTINGS, steps=2, learning_rate=1e-4)
    found = np.arange(size) > 2

    start = WarmUp(encoded, cold.texts, short, vectors=(matrix, found)).weights(encoder)

    np.testing.assert_allclose(start.words[3:], matrix[3:], atol=0.01)
    assert start.words[:3].abs().max() < 0.3


def test_a_trained_model_needs_the_warm_up_no_more(
    warm: tuple[EncodedCorpus, WarmUp], make_config: MakeConfig, tmp_path: Path
) -> None:
    config = warmed(make_config, {"structure": "layerwise_implicit"})
    trainer = Trainer(warm[0], config, seed=1, warm_up=warm[1])
    next(trainer.epochs())
    state = {name: table.detach().clone() for name, table in trainer.model.named_parameters()}

    export(tmp_path / "best", state, config, warm[0])
    exported = load(tmp_path / "best").model
    restored = restore_model(warm[0], config, state)

    for model in (exported, restored):
        assert all(torch.equal(table, state[name]) for name, table in model.named_parameters())


def test_without_texts_the_message_says_so(encoded: EncodedCorpus, make_config: MakeConfig) -> None:
    with pytest.raises(ConfigError, match=r"encoder\.mlm_warm_up: found true, but there are no"):
        build_model(encoded, warmed(make_config, {}), seed=0)


def test_a_warm_up_that_diverges_says_what_would_be_right(
    tmp_path: Path, make_config: MakeConfig
) -> None:
    _, warm_up = make_warm_up(tmp_path, replace(SETTINGS, learning_rate=1e30, steps=20))

    with pytest.raises(ConfigError, match=r"data\.mlm\.learning_rate: found 1e\+30, .* a smaller"):
        warm_up.weights(make_config().encoder)


def test_a_pretrained_encoder_is_not_warmed_up() -> None:
    with pytest.raises(ValueError, match="mlm_warm_up is for an encoder of our own"):
        EncoderConfig(pretrained="any", mlm_warm_up=True)

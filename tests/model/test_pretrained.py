"""What a `config.json` of the BERT family comes to, and what is wrong with another."""

import json
from pathlib import Path
from typing import Any

import pytest

from mtl_core.errors import ConfigError
from mtl_core.model.config import EncoderConfig
from mtl_core.model.pretrained import describe, resolve

BERT: dict[str, Any] = {
    "model_type": "bert",
    "num_hidden_layers": 6,
    "hidden_size": 384,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "vocab_size": 30522,
}
DISTILBERT: dict[str, Any] = {
    "model_type": "distilbert",
    "n_layers": 6,
    "dim": 768,
    "n_heads": 12,
    "hidden_dim": 3072,
    "activation": "gelu",
    "max_position_embeddings": 512,
    "vocab_size": 30522,
}
ROBERTA = BERT | {
    "model_type": "roberta",
    "layer_norm_eps": 1e-5,
    "max_position_embeddings": 514,
    "type_vocab_size": 1,
    "pad_token_id": 1,
}


def write(folder: Path, values: dict[str, Any]) -> str:
    (folder / "config.json").write_text(json.dumps(values))
    return str(folder)


def test_a_bert_has_its_sizes_and_manners(tmp_path: Path) -> None:
    folder = write(tmp_path, BERT)

    config = resolve(pretrained=folder, dropout=0.3)

    assert config == EncoderConfig(
        pretrained=folder,
        n_layers=6,
        d_model=384,
        d_word=384,
        n_heads=12,
        d_ff=1536,
        norm="post",
        activation="gelu",
        norm_eps=1e-12,
        n_types=2,
        dropout=0.3,
    )


def test_a_distilbert_has_no_types_and_names_of_its_own(tmp_path: Path) -> None:
    found = describe(write(tmp_path, DISTILBERT))

    assert (found.sizes["d_model"], found.sizes["d_ff"], found.sizes["n_types"]) == (768, 3072, 0)
    assert found.sizes["norm_eps"] == 1e-12


def test_the_positions_of_a_roberta_begin_after_its_padding(tmp_path: Path) -> None:
    found = describe(write(tmp_path, ROBERTA))

    assert (found.first_position, found.n_positions) == (2, 512)
    assert (found.sizes["n_types"], found.sizes["norm_eps"]) == (1, 1e-5)


def test_fewer_layers_can_be_asked_for(tmp_path: Path) -> None:
    assert resolve(pretrained=write(tmp_path, BERT), n_layers=2).n_layers == 2


def test_all_that_contradicts_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(pretrained=write(tmp_path, BERT), n_layers=7, d_model=300, norm="pre")

    assert caught.value.faults == (
        f"encoder.d_model: found 300, {tmp_path} has 384; 384 or nothing would be right",
        f"encoder.n_layers: found 7, {tmp_path} has 6; 1 to 6 or nothing would be right",
        f"encoder.norm: found 'pre', {tmp_path} has 'post'; 'post' or nothing would be right",
    )


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"model_type": "gpt2"}, "model_type is 'gpt2', one of bert, roberta, .* would be right"),
        ({"hidden_act": "silu"}, "hidden_act is 'silu', gelu or relu would be right"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key'"),
        ({"is_decoder": True}, "is_decoder is True, false would be right"),
        ({"add_cross_attention": True}, "add_cross_attention is True, false would be right"),
    ],
)
def test_what_is_built_in_another_way_is_refused(
    changes: dict[str, Any], fault: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=f"config.json: {fault}"):
        describe(write(tmp_path, BERT | changes))


@pytest.mark.parametrize(
    ("family", "changes", "fault"),
    [
        (BERT, {"model_type": []}, r"model_type is \[\], one of bert, .* would be right"),
        (BERT, {"hidden_size": "12"}, "hidden_size is '12', a whole number from 1 to 16777216"),
        (BERT, {"hidden_size": True}, "hidden_size is True, a whole number"),
        (BERT, {"num_attention_heads": 0}, "num_attention_heads is 0, a whole number"),
        (BERT, {"num_attention_heads": 5}, "num_attention_heads is 5, a divisor of hidden_size, 3"),
        (BERT, {"num_hidden_layers": 2.5}, "num_hidden_layers is 2.5, a whole number from 1 to 10"),
        (BERT, {"intermediate_size": None}, "intermediate_size is None, a whole number"),
        (BERT, {"vocab_size": None}, "vocab_size is None, a whole number"),
        (BERT, {"type_vocab_size": -1}, "type_vocab_size is -1, a whole number from 0"),
        (BERT, {"layer_norm_eps": "1e-12"}, "layer_norm_eps is '1e-12', a number above 0 would"),
        (BERT, {"layer_norm_eps": 0}, "layer_norm_eps is 0, a number above 0 would"),
        (BERT, {"max_position_embeddings": 10**12}, "max_position_embeddings is 10+, a whole"),
        (
            ROBERTA,
            {"max_position_embeddings": 2},
            "max_position_embeddings is 2, more than 2 would",
        ),
        (ROBERTA, {"pad_token_id": None}, "pad_token_id is None, a whole number"),
        (ROBERTA, {"pad_token_id": 30522}, "pad_token_id is 30522, less than vocab_size, 30522"),
        (DISTILBERT, {"dim": 12.0}, "dim is 12.0, a whole number"),
    ],
    ids=str,
)
def test_values_of_another_type_or_range_are_refused(
    family: dict[str, Any], changes: dict[str, Any], fault: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=f"config.json: {fault}"):
        describe(write(tmp_path, family | changes))


def test_a_config_that_lacks_a_size_is_refused(tmp_path: Path) -> None:
    values = {key: value for key, value in BERT.items() if key not in ("hidden_size", "vocab_size")}

    with pytest.raises(ConfigError, match=r"has no hidden_size\n.*has no vocab_size"):
        describe(write(tmp_path, values))


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_damaged_config_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text)

    with pytest.raises(ConfigError, match=r"config.json: (not JSON|must be a JSON object)"):
        describe(str(tmp_path))


def test_a_folder_without_config_says_what_writes_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config.json: no such file; a folder as `save_pretr"):
        describe(str(tmp_path))

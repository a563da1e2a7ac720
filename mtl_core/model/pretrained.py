"""Pretrained encoders of the BERT family: what `config.json` says becomes an `EncoderConfig`.

BERT (Devlin et al., 2019) and MiniLM, which is built like it (Wang et al., 2020), RoBERTa (Liu et
al., 2019) and DistilBERT (Sanh et al., 2019): post-norm, GELU, positions learnt, no projection
after the embedding. A configuration holds these sizes itself, so that it is complete without the
folder; `resolve` fills them in. The weights are read in `pretrained_weights.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from mtl_core.data.pretrained_tokenizer import TOKENIZER, marks_second_texts
from mtl_core.errors import ConfigError
from mtl_core.foreign import MOST_JSON_BYTES, parse_json, read_bounded
from mtl_core.model.config import EncoderConfig
from mtl_core.model_folder import folder_of

WHERE = "encoder.pretrained"
CONFIG = "config.json"
# What each `model_type` is built like.
FAMILIES = {
    "bert": "bert",
    "roberta": "roberta",
    "xlm-roberta": "roberta",
    "camembert": "roberta",
    "distilbert": "distilbert",
}
_NAMES = {  # of sizes, in files of BERT and RoBERTa
    "n_layers": "num_hidden_layers",
    "d_model": "hidden_size",
    "n_heads": "num_attention_heads",
    "d_ff": "intermediate_size",
    "activation": "hidden_act",
}
_DISTILBERT_NAMES = {
    "n_layers": "n_layers",
    "d_model": "dim",
    "n_heads": "n_heads",
    "d_ff": "hidden_dim",
    "activation": "activation",
}
_DECODERS = ("is_decoder", "add_cross_attention")  # switches of what is no encoder
_ACTIVATIONS = ("gelu", "relu")
SIZES = (*_NAMES, "d_word", "norm", "norm_eps", "n_types")  # fields that a folder decides


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """What is known of a pretrained encoder before its weights are read.

    Args:
        family: "bert", "roberta" or "distilbert".
        sizes: Fields of `EncoderConfig`; `n_layers` is the most there can be.
        n_words: Rows of its word table.
        first_position: Row of its position table that the first word of a text has.
        n_positions: Words that a text can have.
        n_types: Rows of its table of types; a model has one of them where its tokenizer gives
            second texts no type of their own.
    """

    folder: Path
    family: str
    sizes: Mapping[str, Any]
    n_words: int
    first_position: int
    n_positions: int
    n_types: int


def resolve(*, pretrained: str, **given: Any) -> EncoderConfig:
    """Return the configuration of a pretrained encoder, its sizes filled in.

    Args:
        pretrained: Folder or hub name.
        given: Fields of `EncoderConfig`; only what is given here can contradict the folder.

    Raises:
        ConfigError: There is no such encoder, or what is given contradicts it.
    """
    found = describe(pretrained)
    if faults := contradictions(found, given):
        raise ConfigError([f"encoder.{key}: {message}" for key, message in faults.items()])
    return EncoderConfig(pretrained=pretrained, **{**found.sizes, **given})


def contradictions(found: Pretrained, given: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with the sizes given, by name."""
    faults = {}
    for key in found.sizes.keys() & given.keys():
        value, there = given[key], found.sizes[key]
        right = 1 <= value <= there if key == "n_layers" else value == there
        if not right:
            wanted = f"1 to {there} or nothing" if key == "n_layers" else f"{there!r} or nothing"
            faults[key] = f"found {value!r}, {found.folder} has {there!r}; {wanted} would be right"
    return dict(sorted(faults.items()))


def describe(name: str) -> Pretrained:
    """Return what the `config.json` of a folder or hub name says."""
    folder = folder_of(name, WHERE)
    path = folder / CONFIG
    values = _read(path)
    family = FAMILIES.get(values.get("model_type", ""))
    if family is None:
        raise ConfigError(
            f"{path}: model_type is {values.get('model_type')!r}, one of {', '.join(FAMILIES)} "
            "would be right"
        )
    names = _DISTILBERT_NAMES if family == "distilbert" else _NAMES
    needed = (*names.values(), "vocab_size", "max_position_embeddings")
    if missing := [key for key in needed if key not in values]:
        raise ConfigError([f"{path}: has no {key}" for key in missing])
    if faults := list(_faults(values, names["activation"])):
        raise ConfigError([f"{path}: {fault}" for fault in faults])
    first = values.get("pad_token_id", 1) + 1 if family == "roberta" else 0
    types = {"bert": 2, "roberta": 1, "distilbert": 0}[family]
    n_types = types and values.get("type_vocab_size", types)
    return Pretrained(
        folder=folder,
        family=family,
        sizes=_sizes(values, names) | {"n_types": _types_in_use(folder / TOKENIZER, n_types)},
        n_words=values["vocab_size"],
        first_position=first,
        n_positions=values["max_position_embeddings"] - first,
        n_types=n_types,
    )


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ConfigError(
            f"{path}: no such file; a folder as `save_pretrained` of transformers writes it has one"
        )
    try:
        values = parse_json(read_bounded(path, MOST_JSON_BYTES))
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON ({error})") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must be a JSON object")
    return values


def _faults(values: Mapping[str, Any], activation: str) -> list[str]:
    faults = []
    if values[activation] not in _ACTIVATIONS:
        right = " or ".join(_ACTIVATIONS)
        faults.append(f"{activation} is {values[activation]!r}, {right} would be right")
    positions = values.get("position_embedding_type", "absolute")
    if positions != "absolute":
        faults.append(f"position_embedding_type is {positions!r}, 'absolute' would be right")
    faults += [
        f"{key} is {values[key]!r}, false would be right, which an encoder has"
        for key in _DECODERS
        if values.get(key)
    ]
    return faults


def _sizes(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    sizes = {ours: values[theirs] for ours, theirs in names.items()}
    return sizes | {
        "d_word": sizes["d_model"],
        "norm": "post",
        "norm_eps": values.get("layer_norm_eps", 1e-12),  # DistilBERT's is in no file
    }


def _types_in_use(tokenizer: Path, n_types: int) -> int:
    if n_types < 2 or not tokenizer.is_file():  # whoever encodes texts says that it is missing
        return n_types
    return n_types if _marks_second_texts(tokenizer, tokenizer.stat().st_mtime_ns) else 1


@lru_cache(maxsize=8)
def _marks_second_texts(tokenizer: Path, changed: int) -> bool:
    del changed  # a file that was written anew is read anew
    return marks_second_texts(tokenizer)

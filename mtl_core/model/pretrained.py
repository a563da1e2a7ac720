"""Pretrained encoders of the BERT family: what `config.json` says becomes an `EncoderConfig`.

BERT (Devlin et al., 2019) and MiniLM, which is built like it (Wang et al., 2020), RoBERTa (Liu et
al., 2019) and DistilBERT (Sanh et al., 2019): post-norm, GELU, positions learnt, no projection
after the embedding. A configuration holds these sizes itself, so that it is complete without the
folder; `resolve` fills them in. `pretrained_values.py` reads the file, `pretrained_weights.py` the
weights.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from mtl_core.data.pretrained_tokenizer import marks_second_texts
from mtl_core.errors import ConfigError
from mtl_core.model.config import EncoderConfig
from mtl_core.model.pretrained_values import (
    N_POSITIONS,
    N_TYPES,
    N_WORDS,
    NORM_EPS,
    PADDING,
    names_of,
    read_values,
)
from mtl_core.model_folder import CONFIG, TOKENIZER, folder_of

WHERE = "encoder.pretrained"
# Fields that a folder decides.
SIZES = (*names_of("bert"), "d_word", "norm", "norm_eps", "n_types")


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
    family, values = read_values(folder / CONFIG)
    first = values[PADDING] + 1 if family == "roberta" else 0
    n_types = 0 if family == "distilbert" else values[N_TYPES]
    return Pretrained(
        folder=folder,
        family=family,
        sizes=_sizes(values, family) | {"n_types": _types_in_use(folder / TOKENIZER, n_types)},
        n_words=values[N_WORDS],
        first_position=first,
        n_positions=values[N_POSITIONS] - first,
        n_types=n_types,
    )


def _sizes(values: Mapping[str, Any], family: str) -> dict[str, Any]:
    sizes = {ours: values[theirs] for ours, theirs in names_of(family).items()}
    return sizes | {
        "d_word": sizes["d_model"],
        "norm": "post",
        "norm_eps": values[NORM_EPS],
    }


def _types_in_use(tokenizer: Path, n_types: int) -> int:
    if n_types < 2 or not tokenizer.is_file():  # whoever encodes texts says that it is missing
        return n_types
    return n_types if _marks_second_texts(tokenizer, tokenizer.stat().st_mtime_ns) else 1


@lru_cache(maxsize=8)
def _marks_second_texts(tokenizer: Path, changed: int) -> bool:
    del changed  # a file that was written anew is read anew
    return marks_second_texts(tokenizer)

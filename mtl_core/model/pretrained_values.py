"""The values of a pretrained encoder's `config.json`, each looked at before it is used.

The file is somebody else's: a value can be missing, of another type, or of an encoder that is built
in another way than those of `pretrained.py`. All faults of a file are said at once.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mtl_core.errors import ConfigError
from mtl_core.foreign import read_json

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
N_WORDS, N_POSITIONS = "vocab_size", "max_position_embeddings"
N_TYPES, NORM_EPS, PADDING = "type_vocab_size", "layer_norm_eps", "pad_token_id"
_DEFAULTS = {
    "bert": {N_TYPES: 2, NORM_EPS: 1e-12},
    "roberta": {N_TYPES: 1, NORM_EPS: 1e-12, PADDING: 1},
    "distilbert": {NORM_EPS: 1e-12},
}
_DECODERS = ("is_decoder", "add_cross_attention")  # switches of what is no encoder
_ACTIVATIONS = ("gelu", "relu")
_MOST, _MOST_LAYERS = 1 << 24, 1000  # far above any encoder's


def read_values(path: Path) -> tuple[str, dict[str, Any]]:
    """Return the family and the values of a `config.json`, those that it may lack filled in.

    Raises:
        ConfigError: Names all values that are missing or wrong.
    """
    values = _read(path)
    model_type = values.get("model_type")
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        raise ConfigError(
            f"{path}: model_type is {model_type!r}, one of {', '.join(FAMILIES)} would be right"
        )
    family = FAMILIES[model_type]
    values = _DEFAULTS[family] | values
    needed = (*names_of(family).values(), N_WORDS, N_POSITIONS)
    if missing := [key for key in needed if key not in values]:
        raise ConfigError([f"{path}: has no {key}" for key in missing])
    faults = list(_manner_faults(values, names_of(family)["activation"]))
    faults += list(_number_faults(values, family)) or list(_joint_faults(values, family))
    if faults:
        raise ConfigError([f"{path}: {fault}" for fault in faults])
    return family, values


def names_of(family: str) -> Mapping[str, str]:
    """Return what the files of a family call our sizes."""
    return _DISTILBERT_NAMES if family == "distilbert" else _NAMES


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ConfigError(
            f"{path}: no such file; a folder as `save_pretrained` of transformers writes it has one"
        )
    values = read_json(path)
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must be a JSON object")
    return values


def _manner_faults(values: Mapping[str, Any], activation: str) -> Iterator[str]:
    if values[activation] not in _ACTIVATIONS:
        yield f"{activation} is {values[activation]!r}, {' or '.join(_ACTIVATIONS)} would be right"
    positions = values.get("position_embedding_type", "absolute")
    if positions != "absolute":
        yield f"position_embedding_type is {positions!r}, 'absolute' would be right"
    for key in _DECODERS:
        if values.get(key):
            yield f"{key} is {values[key]!r}, false would be right, which an encoder has"


def _number_faults(values: Mapping[str, Any], family: str) -> Iterator[str]:
    names = names_of(family)
    sizes = [names[size] for size in ("n_layers", "d_model", "n_heads", "d_ff")]
    bounds = dict.fromkeys((*sizes, N_WORDS, N_POSITIONS), (1, _MOST))
    bounds[names["n_layers"]] = 1, _MOST_LAYERS
    if N_TYPES in _DEFAULTS[family]:
        bounds[N_TYPES] = 0, _MOST
    if PADDING in _DEFAULTS[family]:
        bounds[PADDING] = 0, _MOST
    for key, (least, most) in bounds.items():
        if type(values[key]) is not int or not least <= values[key] <= most:
            right = f"a whole number from {least} to {most} would be right"
            yield f"{key} is {values[key]!r}, {right}"
    eps = values[NORM_EPS]
    if type(eps) not in (int, float) or not 0 < eps < math.inf:
        yield f"{NORM_EPS} is {eps!r}, a number above 0 would be right"


def _joint_faults(values: Mapping[str, Any], family: str) -> Iterator[str]:
    """Yield what is wrong with numbers that are right by themselves."""
    heads, width = names_of(family)["n_heads"], names_of(family)["d_model"]
    if values[width] % values[heads]:
        right = f"a divisor of {width}, {values[width]}, would be right"
        yield f"{heads} is {values[heads]}, {right}"
    if PADDING not in _DEFAULTS[family]:
        return
    padding = values[PADDING]
    if padding >= values[N_WORDS]:
        yield f"{PADDING} is {padding}, less than {N_WORDS}, {values[N_WORDS]}, would be right"
    elif values[N_POSITIONS] <= padding + 1:
        right = f"more than {padding + 1} would be right: words come after {PADDING}"
        yield f"{N_POSITIONS} is {values[N_POSITIONS]}, {right}"

"""The weights of a pretrained encoder, under the names of our tables and without banks.

Read from `model.safetensors`, whole or in shards, as transformers writes it for an encoder or for a
model with a head (names begin with "bert." then). What goes on from here is of no family: one bank
of each table, which `MultiTaskEncoder` puts into the banks of any plan.
Shapes: V words, D width, F inner width.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mtl_core.errors import ConfigError
from mtl_core.foreign import name_fault, read_json
from mtl_core.model.config import EncoderConfig
from mtl_core.model.pretrained import Pretrained
from mtl_core.model_folder import INDEX, WEIGHTS, pointer_hint

T = TypeVar("T")
_Read = Callable[[str, tuple[int, ...]], Tensor]  # by name and shape

_BERT_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "out": "attention.output.dense",
    "norm1": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "norm2": "output.LayerNorm",
}
_DISTILBERT_LAYER = {
    "q": "attention.q_lin",
    "k": "attention.k_lin",
    "v": "attention.v_lin",
    "out": "attention.out_lin",
    "norm1": "sa_layer_norm",
    "up": "ffn.lin1",
    "down": "ffn.lin2",
    "norm2": "output_layer_norm",
}
_TYPES = ("F16", "BF16", "F32", "F64")  # others are quantised: their numbers are not the weights
# Files that were converted from TensorFlow call the two parts of a norm so.
_OLD_NAMES = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}


@dataclass(frozen=True, kw_only=True)
class StartingWeights:
    """What every bank starts from.

    Args:
        words: Word vectors, (V, D).
        tables: One bank of each other table, by the table's name.
    """

    words: Tensor
    tables: Mapping[str, Tensor]


def read_weights(found: Pretrained, config: EncoderConfig, cls_id: int) -> StartingWeights:
    """Return the weights of the lowest `config.n_layers` layers, float32.

    Args:
        config: Of the sizes of `found`.
        cls_id: Word that a text begins with.

    Raises:
        ConfigError: There are no weights, or one is missing or of another shape.
    """
    reader = _Reader(found.folder, found.family)
    _tables(reader.look, found, config)
    reader.raise_any()
    tables = _tables(reader.read, found, config)
    reader.raise_any()
    words = tables.pop("words")
    return StartingWeights(
        words=words, tables=tables | {"tokens": _cls(words, tables, cls_id, config)}
    )


def _tables(read: _Read, found: Pretrained, config: EncoderConfig) -> dict[str, Tensor]:
    tables = dict(_embedding_tables(read, found, config))
    names = _DISTILBERT_LAYER if found.family == "distilbert" else _BERT_LAYER
    layers = "transformer.layer" if found.family == "distilbert" else "encoder.layer"
    for layer in range(config.n_layers):
        prefix = f"{layers}.{layer}."
        for kind, table in _layer_tables(read, prefix, names, config):
            tables[f"layers.{layer + 1}.{kind}"] = table
    return tables


def _cls(words: Tensor, tables: Mapping[str, Tensor], cls_id: int, config: EncoderConfig) -> Tensor:
    """Return the [CLS] at the first position as it enters the layers, (D,).

    Tokens start there: the layers know a vector that is put before the words and gathers from them
    as this one, while one near zero is like nothing they have seen.
    """
    start = words[cls_id] + tables["positions"][0]
    if "types" in tables:
        start = start + tables["types"][0]
    weight, bias = tables["embedding.norm_weight"], tables["embedding.norm_bias"]
    return F.layer_norm(start, start.shape, weight, bias, config.norm_eps)


def _embedding_tables(
    read: _Read, found: Pretrained, config: EncoderConfig
) -> Iterator[tuple[str, Tensor]]:
    width, first = config.d_model, found.first_position
    yield "words", read("embeddings.word_embeddings.weight", (found.n_words, width))
    shape = (first + found.n_positions, width)
    yield "positions", read("embeddings.position_embeddings.weight", shape)[first:]
    if config.n_types:
        types = read("embeddings.token_type_embeddings.weight", (found.n_types, width))
        yield "types", types[: config.n_types]
    yield "embedding.norm_weight", read("embeddings.LayerNorm.weight", (width,))
    yield "embedding.norm_bias", read("embeddings.LayerNorm.bias", (width,))


def _layer_tables(
    read: _Read, prefix: str, names: Mapping[str, str], config: EncoderConfig
) -> Iterator[tuple[str, Tensor]]:
    width, inner = config.d_model, config.d_ff

    def linear(part: str, n_in: int, n_out: int) -> tuple[Tensor, Tensor]:
        name = prefix + names[part]
        weight = read(f"{name}.weight", (n_out, n_in))
        return weight.t(), read(f"{name}.bias", (n_out,))

    pairs = [linear(part, width, width) for part in "qkv"]
    yield "qkv_weight", torch.cat([weight for weight, _ in pairs], 1)  # (D, 3 D)
    yield "qkv_bias", torch.cat([bias for _, bias in pairs])
    for part, sizes in (("out", (width, width)), ("up", (width, inner)), ("down", (inner, width))):
        weight, bias = linear(part, *sizes)
        yield f"{part}_weight", weight
        yield f"{part}_bias", bias
    for part in ("norm1", "norm2"):
        for kind in ("weight", "bias"):
            yield f"{part}_{kind}", read(f"{prefix}{names[part]}.{kind}", (width,))


class _Reader:
    """Reads tensors by name from one file or several, and notes what is wrong with them.

    All are looked at first, since a file of another kind can be far larger than any memory.
    """

    def __init__(self, folder: Path, family: str) -> None:
        self._folder, self._faults = folder, list[str]()
        names = dict(_names(folder))  # file of each tensor
        prefix = f"{family}."
        self._there = {name.removeprefix(prefix): (name, path) for name, path in names.items()}

    def look(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """Return a tensor of as many dimensions without numbers; a fault where it does not fit."""
        stored, path = self._place(name)
        if stored is None:
            self._faults.append(f"{path}: has no weight {name}, of shape {list(shape)}")
        else:
            there, kind = _opened(path, lambda file: _shape_and_type(file.get_slice(stored)))
            if there != shape:
                wanted = f"{list(shape)} would be right, as {self._folder / 'config.json'} says"
                self._faults.append(f"{path}: {name} has the shape {list(there)}, {wanted}")
            elif kind not in _TYPES:
                wanted = f"one of {', '.join(_TYPES)} would be right"
                self._faults.append(f"{path}: {name} is of type {kind}, {wanted}")
        return torch.empty([0] * len(shape))  # on "meta", `cat` imports PyTorch's compiler: seconds

    def read(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """Return a tensor that has been looked at; numbers that are not finite are a fault."""
        stored, path = self._place(name)
        tensor = _opened(path, lambda file: file.get_tensor(stored)).float()
        assert tensor.shape == shape
        if not tensor.isfinite().all():
            wanted = "finite ones would be right; the file may be broken"
            self._faults.append(f"{path}: {name} has numbers that are not finite, {wanted}")
        return tensor

    def _place(self, name: str) -> tuple[str | None, Path]:
        """Return the name under which a tensor is stored, and its file; None: it is not there."""
        old = next((name.replace(n, o) for n, o in _OLD_NAMES.items() if name.endswith(n)), name)
        return self._there.get(name) or self._there.get(old) or (None, self._folder)

    def raise_any(self) -> None:
        if self._faults:
            more = [f"and {len(self._faults) - 5} more such faults"] if self._faults[5:] else []
            raise ConfigError([*self._faults[:5], *more])


def _names(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the name of each tensor and the file that holds it; a whole file goes before shards."""
    path = folder / WEIGHTS
    if path.is_file():
        yield from ((name, path) for name in _opened(path, lambda file: list(file.keys())))
    elif (folder / INDEX).is_file():
        yield from ((name, folder / file) for name, file in _shards(folder / INDEX).items())
    else:
        raise ConfigError(
            f"{path}: no such file; AutoModel.from_pretrained(DIR).save_pretrained(DIR) of "
            "transformers writes it, from weights in another format too"
        )


def _shards(path: Path) -> dict[str, str]:
    """Return the file of each tensor, as an index of shards says."""
    index = read_json(path)
    shards = index.get("weight_map") if isinstance(index, dict) else None
    right = "the file of each tensor, all of them beside the index, would be right"
    if not isinstance(shards, dict):
        raise ConfigError(f"{path}: has no weight_map; {right}")
    if wrong := [file for file in shards.values() if not _is_beside(file)]:
        raise ConfigError(f"{path}: weight_map names {wrong[0]!r}; {right}")
    return shards


def _is_beside(file: object) -> bool:
    return isinstance(file, str) and name_fault(file) is None


def _shape_and_type(tensor: Any) -> tuple[tuple[int, ...], str]:
    return tuple(tensor.get_shape()), tensor.get_dtype()


def _opened(path: Path, use: Callable[[Any], T]) -> T:
    try:
        with safe_open(path, framework="pt") as file:
            return use(file)
    except (OSError, SafetensorError) as error:
        said = f"cannot be read as weights ({error}){pointer_hint(path)}"
        raise ConfigError(f"{path}: {said}") from None

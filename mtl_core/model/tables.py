"""The tables of weights that a plan asks for, and how they start.

Every parameter is a table whose leading dimension counts banks (or words). A `Table` says its name,
shape and group, a group being the tables whose banks are used together. A bank's first numbers
follow from the seed and the names of the tasks that use it, so they do not depend on other banks or
on the order of the tasks. Shapes: G banks, D width, E width of word vectors, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mtl_core.model.config import EncoderConfig
from mtl_core.model.layer import layer_shapes
from mtl_core.model.plan import SharingPlan, layer_group, norm_group
from mtl_core.model.reads import Reads, Tokens, head_width
from mtl_core.seeding import stream

_SPREAD = 0.05
_APART = 0.02  # spread of tokens around a given vector


@dataclass(frozen=True)
class Table:
    """One parameter.

    Args:
        name: Its dotted name in the module.
        group: Group of its banks: "embedding", "layer1", ..., "norm4", "tokens", "token_gates",
            "heads" or "pair_heads".
        layer: Layer it belongs to; 0 for what belongs to none.
        shape: Shape of one bank.
        task_names: Names of the tasks that use each bank, (G, tasks).
        used: Leading part of the last dimension that each bank uses, (G,); empty: all of it.
    """

    name: str
    group: str
    layer: int
    shape: tuple[int, ...]
    task_names: tuple[tuple[str, ...], ...]
    used: tuple[int, ...] = ()


def list_tables(
    plan: SharingPlan,
    config: EncoderConfig,
    *,
    n_classes: Sequence[int],
    max_words: int,
    task_names: Sequence[str],
    reads: Sequence[Reads] = (),
) -> list[Table]:
    """Return all tables of a plan but the word vectors'.

    Args:
        reads: What each task's head reads; empty: the sentence vector. Where some read pairs, each
            task has a bank in both groups of heads, and uses one.
    """
    width, tables = config.d_model, _embedding_tables(plan, config, max_words, task_names)
    for layer in range(1, 1 + plan.n_layers):
        names = names_of_banks(plan.groups[layer], task_names)
        for kind, shape in layer_shapes(config).items():
            tables.append(Table(f"layers.{layer}.{kind}", layer_group(layer), layer, shape, names))
    for layer in plan.reading_layers if config.norm == "pre" else ():
        names, group = names_of_banks(plan.norm_banks(layer), task_names), norm_group(layer)
        for kind in ("norm_weight", "norm_bias"):
            tables.append(Table(f"norms.{layer}.{kind}", group, layer, (width,), names))
    alone, counts = tuple((name,) for name in task_names), tuple(n_classes)
    if plan.n_tokens:
        names = names_of_banks(plan.groups[0], task_names) if plan.tokens is Tokens.CLS else alone
        tables.append(Table("tokens", "tokens", 0, (width,), names))
    if plan.n_gates:
        tables.append(Table("token_gate_bias", "token_gates", 0, (plan.n_gates,), alone))
    tables += _head_tables("head", width, alone, counts)
    if Reads.PAIR in reads:
        tables += _head_tables("pair_head", head_width(width, Reads.PAIR), alone, counts)
    return tables


def _head_tables(
    kind: str, width: int, names: tuple[tuple[str, ...], ...], counts: tuple[int, ...]
) -> list[Table]:
    shapes = {"weight": (width, max(counts)), "bias": (max(counts),)}
    return [
        Table(f"{kind}_{name}", f"{kind}s", 0, shape, names, counts)
        for name, shape in shapes.items()
    ]


def names_of_banks(row: Sequence[int], task_names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Return the names of the tasks of each bank in a row of the plan."""
    pairs = list(zip(task_names, row, strict=True))
    return tuple(tuple(n for n, b in pairs if b == bank) for bank in range(1 + max(row)))


def initial_table(table: Table, given: Tensor | None = None, *, seed: int) -> Tensor:
    """Return a table as it starts, as published: norms 1, biases 0, all else N(0, 0.05).

    Args:
        given: What every bank starts from instead, one bank of such a table; of positions, the
            first are taken. So whatever was learnt in an encoder without banks (pretrained, or
            warmed up) is put into those of any plan. Tokens start around it, N(given, 0.02): equal
            ones would get equal gradients wherever all of them are seen.
    """
    kind, n_banks = table.name.rpartition(".")[2], len(table.task_names)
    if given is not None and kind != "tokens":
        given = given[: table.shape[0]]
        assert given.shape == table.shape, (table.name, given.shape, table.shape)
        return given.expand(n_banks, *table.shape).contiguous()
    if kind.endswith("bias"):
        return torch.zeros(n_banks, *table.shape)
    if kind.startswith("norm"):
        return torch.ones(n_banks, *table.shape)
    values = np.zeros((n_banks, *table.shape), dtype=np.float32)
    used = table.used or (table.shape[-1],) * n_banks
    for bank, names, count in zip(values, table.task_names, used, strict=True):
        rng = stream(seed, "init", kind, table.layer, *sorted(names))
        bank[..., :count] = rng.standard_normal((*table.shape[:-1], count), dtype=np.float32)
    values *= np.float32(_SPREAD if given is None else _APART)
    start = torch.from_numpy(values)
    return start if given is None else start + given


def embedding_shapes(config: EncoderConfig) -> dict[str, tuple[int, ...]]:
    """Return the shape of each table of the embedding but words and positions, by name."""
    width, shapes = config.d_word, dict[str, tuple[int, ...]]()
    if config.n_types:
        shapes["types"] = (config.n_types, width)
    if config.norm == "post":
        return shapes | {"embedding.norm_weight": (width,), "embedding.norm_bias": (width,)}
    projection = (width, config.d_model)
    return shapes | {"projection_weight": projection, "projection_bias": (config.d_model,)}


def _embedding_tables(
    plan: SharingPlan, config: EncoderConfig, max_words: int, task_names: Sequence[str]
) -> list[Table]:
    length = max_words + (plan.tokens is Tokens.CLS_WORD and not config.brings_cls)
    shapes = {"positions": (length, config.d_word), **embedding_shapes(config)}
    names = names_of_banks(plan.groups[0], task_names)
    return [Table(kind, layer_group(0), 0, shape, names) for kind, shape in shapes.items()]

"""How tasks share one encoder, as a table: the sharing plan.

`groups[layer][task]` names the bank of weights that a task uses at a layer; row 0 is the embedding
(word vectors, positions, input projection). Beside the table stand the tokens before the words, the
depth at which they enter, and where each task reads its sentence vector. Named plans are in
`structures.py`, pictures in `drawing.py`, and `encoder.py` runs any plan.
Shapes: L layers, K tasks.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from mtl_core.errors import ConfigError, check_names
from mtl_core.model.config import EncoderConfig
from mtl_core.model.plan_faults import plan_faults
from mtl_core.model.reads import OtherTokens, Readout, Reads, TokenAttention, Tokens, head_width

NOT_REACHED = -1  # bank of a task at the layers above the one it reads


@dataclass(frozen=True)
class SharingPlan:
    """Which task uses which bank at which layer; equal plans are equal, however they were numbered.

    Banks are renumbered 0, 1, ... in the order of the tasks, and are `NOT_REACHED` above the layer
    a task reads, so plans that compute the same compare and hash alike.

    Args:
        groups: Bank of each task at each layer, shape (1 + L, K).
        token_depth: Layers that a task's words pass before its tokens enter; empty: 0 for all.
        readout_layer: Layer after which a task's sentence vector is read; empty: L for all.
        token_attention, other_tokens: How far the tokens of other tasks reach, where they enter
            (`token_access.py`).
    """

    groups: tuple[tuple[int, ...], ...]
    tokens: Tokens = Tokens.NONE
    readout: Readout = Readout.MEAN
    token_depth: tuple[int, ...] = ()
    readout_layer: tuple[int, ...] = ()
    token_attention: TokenAttention = TokenAttention.ALL
    other_tokens: OtherTokens = OtherTokens.FREE

    def __post_init__(self) -> None:
        groups = tuple(tuple(row) for row in self.groups)
        n_tasks = len(groups[0]) if groups else 0
        depth = tuple(self.token_depth) or (0,) * n_tasks
        layer = tuple(self.readout_layer) or (len(groups) - 1,) * n_tasks
        for name, value in (("groups", groups), ("token_depth", depth), ("readout_layer", layer)):
            object.__setattr__(self, name, value)
        self.validate()
        object.__setattr__(self, "groups", _canonical(groups, layer))
        if n_tasks == 1:  # no others
            object.__setattr__(self, "other_tokens", OtherTokens.FREE)
            if self.token_attention is TokenAttention.OWN:
                object.__setattr__(self, "token_attention", TokenAttention.ALL)

    @property
    def n_layers(self) -> int:
        return len(self.groups) - 1

    @property
    def n_tasks(self) -> int:
        return len(self.groups[0])

    @property
    def n_tokens(self) -> int:
        """Free token vectors of the whole plan."""
        if self.tokens is Tokens.CLS:
            return self.n_banks(0)
        return self.n_tasks if self.tokens in (Tokens.OWN, Tokens.ALL) else 0

    @property
    def n_gates(self) -> int:
        """Learned gates of a task, one for the token of each other."""
        return self.n_tasks - 1 if self.other_tokens is OtherTokens.GATED else 0

    @property
    def reading_layers(self) -> tuple[int, ...]:
        """Layers after which some task reads, in order; each has a final norm."""
        return tuple(sorted(set(self.readout_layer)))

    def validate(self) -> None:
        """Raise a `ConfigError` that names all faults; every plan was checked when it was made."""
        faults = plan_faults(self)
        if faults:
            raise ConfigError(faults)

    def n_banks(self, layer: int) -> int:
        return 1 + max(self.groups[layer])

    def norm_banks(self, layer: int) -> tuple[int, ...]:
        """Bank of the final norm after `layer` for each task; tasks of a bank there share it."""
        reads = [at == layer for at in self.readout_layer]
        row = self.groups[layer]
        return _renumber([bank if read else None for bank, read in zip(row, reads, strict=True)])

    def tokens_of(self, task: int) -> tuple[int, ...]:
        """Free tokens before the words of a task, in their order."""
        if self.tokens is Tokens.CLS:
            return (self.groups[0][task],)
        if self.tokens is Tokens.OWN:
            return (task,)
        return tuple(range(self.n_tasks)) if self.tokens is Tokens.ALL else ()

    def used_banks(self, tasks: Iterable[int]) -> dict[str, tuple[int, ...]]:
        """Return the banks that sequences of `tasks` use, by group: "embedding", "layer1", ...,
        "norm4" (the final norm after layer 4), "tokens", "token_gates" if there are any, "heads".

        Tokens that are detached are read and not used.
        """
        rows = {layer_group(layer): row for layer, row in enumerate(self.groups)}
        rows |= {norm_group(layer): self.norm_banks(layer) for layer in self.reading_layers}
        chosen = sorted(set(tasks))
        used = {
            group: tuple(sorted({row[k] for k in chosen} - {NOT_REACHED}))
            for group, row in rows.items()
        }
        detached = self.other_tokens is OtherTokens.DETACHED
        tokens = chosen if detached else {token for k in chosen for token in self.tokens_of(k)}
        used["tokens"] = tuple(sorted(tokens))
        if self.n_gates:
            used["token_gates"] = tuple(chosen)
        used["heads"] = tuple(chosen)
        return used

    def permute(self, order: Sequence[int]) -> "SharingPlan":
        """Return the plan whose task i is this plan's task `order[i]`."""
        if sorted(order) != list(range(self.n_tasks)):
            raise ConfigError(f"order: found {list(order)}, must name each of {self.n_tasks} tasks")
        return SharingPlan(
            tuple(tuple(row[k] for k in order) for row in self.groups),
            tokens=self.tokens,
            readout=self.readout,
            token_depth=tuple(self.token_depth[k] for k in order),
            readout_layer=tuple(self.readout_layer[k] for k in order),
            token_attention=self.token_attention,
            other_tokens=self.other_tokens,
        )

    def n_parameters(
        self, config: EncoderConfig, n_classes: Sequence[int], reads: Sequence[Reads] = ()
    ) -> int:
        """Return the trainable parameters, without word vectors and positions."""
        d_model, d_ff = config.d_model, config.d_ff
        attention = 4 * (d_model * d_model + d_model)
        feed_forward = d_model * d_ff + d_ff + d_ff * d_model + d_model
        layer = attention + feed_forward + 2 * 2 * d_model
        total = sum(self.n_banks(at) * layer for at in range(1, 1 + self.n_layers))
        if config.norm == "post":
            total += self.n_banks(0) * (config.n_types + 2) * d_model
        else:
            projection = (config.d_word + 1) * d_model + config.n_types * config.d_word
            total += self.n_banks(0) * projection
            total += sum((1 + max(self.norm_banks(at))) * 2 * d_model for at in self.reading_layers)
        total += self.n_tasks * self.n_gates
        widths = [head_width(d_model, of_task) for of_task in reads or [Reads.TEXT] * self.n_tasks]
        heads = sum((w + 1) * count for w, count in zip(widths, n_classes, strict=True))
        return total + self.n_tokens * d_model + heads

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; how far tokens reach is left out where it is as published."""
        values: dict[str, Any] = {
            "groups": [list(row) for row in self.groups],
            "tokens": self.tokens.value,
            "readout": self.readout.value,
            "token_depth": list(self.token_depth),
            "readout_layer": list(self.readout_layer),
        }
        if self.token_attention is not TokenAttention.ALL:
            values["token_attention"] = self.token_attention.value
        if self.other_tokens is not OtherTokens.FREE:
            values["other_tokens"] = self.other_tokens.value
        return values

    def to_json(self) -> str:
        return json.dumps(self.as_dict(), separators=(",", ":"), sort_keys=True)

    @staticmethod
    def from_json(text: str) -> "SharingPlan":
        """Return the plan that `to_json` wrote; raises `ConfigError` for anything else."""
        return _read_json(text)

    def digest(self) -> str:
        """Return 16 hex digits, the same for equal plans on every machine."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]


def layer_group(layer: int) -> str:
    """Return the group name of a row of the table."""
    return f"layer{layer}" if layer else "embedding"


def norm_group(layer: int) -> str:
    """Return the group name of the final norm after `layer`."""
    return f"norm{layer}"


def _canonical(
    groups: tuple[tuple[int, ...], ...], readout_layer: tuple[int, ...]
) -> tuple[tuple[int, ...], ...]:
    """Number the banks of each row in the order of the tasks that reach it."""
    return tuple(
        _renumber([b if layer <= at else None for b, at in zip(row, readout_layer, strict=True)])
        for layer, row in enumerate(groups)
    )


def _renumber(row: Sequence[int | None]) -> tuple[int, ...]:
    numbers = {bank: i for i, bank in enumerate(dict.fromkeys(b for b in row if b is not None))}
    return tuple(NOT_REACHED if bank is None else numbers[bank] for bank in row)


_ENUMS: dict[str, type[Enum]] = {
    "tokens": Tokens,
    "readout": Readout,
    "token_attention": TokenAttention,
    "other_tokens": OtherTokens,
}
_OPTIONAL: dict[str, Any] = {
    "token_attention": TokenAttention.ALL.value,
    "other_tokens": OtherTokens.FREE.value,
}


def _read_json(text: str) -> SharingPlan:
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"sharing plan: not JSON ({error})") from None
    fields = ("groups", "tokens", "readout", "token_depth", "readout_layer")
    if not isinstance(values, dict) or set(values) - set(_OPTIONAL) != set(fields):
        raise ConfigError(f"sharing plan: must be an object of {', '.join(fields)}")
    values = _OPTIONAL | values
    for name, kind in _ENUMS.items():
        check_names([str(values[name])], [e.value for e in kind], where=f"sharing plan, {name}")
    try:
        groups = tuple(tuple(row) for row in values["groups"])
        depth, layer = tuple(values["token_depth"]), tuple(values["readout_layer"])
    except TypeError:
        raise ConfigError("sharing plan: groups must be a list of lists, depths lists") from None
    return SharingPlan(
        groups,
        Tokens(values["tokens"]),
        Readout(values["readout"]),
        depth,
        layer,
        TokenAttention(values["token_attention"]),
        OtherTokens(values["other_tokens"]),
    )

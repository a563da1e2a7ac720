"""Random sharing plans: of any kind, and those of the published structures at any depth."""

from typing import Any

from hypothesis import strategies as st

from mtl_core.model.plan import SharingPlan
from mtl_core.model.reads import OtherTokens, Readout, TokenAttention, Tokens
from mtl_core.model.structures import STRUCTURES, deepest

NAMED = tuple(sorted(STRUCTURES))  # now: a test may put others there for a while
FREE = (Tokens.CLS, Tokens.OWN, Tokens.ALL)


@st.composite
def plans(draw: st.DrawFn, n_tasks: int, n_layers: int) -> SharingPlan:
    """Return a plan with random banks, tokens, depths and layers to read at."""
    tokens = draw(st.sampled_from(list(Tokens)))
    lowest = 0 if tokens is Tokens.NONE else 1
    reads = draw(st.lists(st.integers(lowest, n_layers), min_size=n_tasks, max_size=n_tasks))
    reads[draw(st.integers(0, n_tasks - 1))] = n_layers
    depths = [draw(st.integers(0, layer - 1)) if tokens in FREE else 0 for layer in reads]
    row = st.lists(st.integers(0, n_tasks - 1), min_size=n_tasks, max_size=n_tasks)
    groups = draw(st.lists(row.map(tuple), min_size=1 + n_layers, max_size=1 + n_layers))
    fitting = {Tokens.NONE: Readout.MEAN, Tokens.CLS_WORD: Readout.FIRST}
    readout = fitting.get(tokens) or draw(st.sampled_from([Readout.MEAN, Readout.TOKEN]))
    access = draw(accesses()) if tokens is Tokens.ALL else ("all", "free")
    return SharingPlan(
        tuple(groups),
        tokens,
        readout,
        tuple(depths),
        tuple(reads),
        TokenAttention(access[0]),
        OtherTokens(access[1]),
    )


def accesses() -> st.SearchStrategy[tuple[str, str]]:
    """Return how far the tokens of other tasks reach."""
    attention = st.sampled_from(["all", "own", "none"])
    return st.tuples(attention, st.sampled_from(["free", "detached", "gated"]))


@st.composite
def named(draw: st.DrawFn, n_tasks: int, n_layers: int) -> dict[str, Any]:
    """Return a published structure: as published, at one depth, or with a depth for each task."""
    name = draw(st.sampled_from(NAMED))
    high = deepest(name, n_layers)
    if high is None:
        return {"structure": name}
    depth = st.integers(0, high)
    each = st.lists(depth, min_size=n_tasks, max_size=n_tasks)
    values = {"structure": name, "divergence_depth": draw(st.none() | depth | each)}
    if name == "layerwise_explicit":
        values["token_attention"], values["other_tokens"] = draw(accesses())
    return values

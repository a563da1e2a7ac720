"""Random trials for the property tests: any plan, any weighting, any regime, without dropout."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import strategies as st

from mtl_core.model.plan import Readout, SharingPlan, Tokens
from mtl_core.model.structures import STRUCTURES, deepest
from mtl_core.training.config import TrialConfig
from mtl_core.weighting.methods import METHODS

NAMED = tuple(sorted(STRUCTURES))  # before `named_plans` puts others there
FREE = (Tokens.CLS, Tokens.OWN, Tokens.ALL)
# Two families: a pass of the engine holds lanes of one.
SIZES = (
    {"d_model": 8, "d_word": 6, "n_heads": 2, "d_ff": 10},
    {"d_model": 6, "d_word": 5, "n_heads": 3, "d_ff": 8},
)
NO_DROPOUT = dict.fromkeys(
    ("dropout", "dropout_embedding", "dropout_attention", "dropout_head"), 0.0
)


@dataclass(frozen=True)
class Trial:
    """A configuration and a seed; `plan`: what its structure stands for, if it has no name."""

    config: TrialConfig
    seed: int
    plan: SharingPlan | None


@contextmanager
def named_plans(of_trials: Sequence[Trial]) -> Iterator[None]:
    """Make the plans of the trials known by the names that their configurations use."""
    with pytest.MonkeyPatch.context() as patch:
        for trial in of_trials:
            if trial.plan:
                name = trial.config.sharing.structure
                patch.setitem(STRUCTURES, name, lambda *_, plan=trial.plan: plan)
        yield


@st.composite
def trials(draw: st.DrawFn, names: tuple[str, ...]) -> Trial:
    """Return a trial of the tasks `names`."""
    n_layers = draw(st.integers(1, 3))
    drawn = draw(st.booleans())
    plan = draw(plans(len(names), n_layers)) if drawn else None
    sharing = {"structure": f"plan_{plan.digest()}"} if plan else draw(named(len(names), n_layers))
    values = {
        "encoder": {"n_layers": n_layers, **draw(st.sampled_from(SIZES)), **draw(switches())},
        "sharing": sharing,
        "weighting": draw(weightings(names)),
        "batches": draw(batches()),
        "training": draw(trainings()),
    }
    return Trial(TrialConfig.from_dict(values), draw(st.integers(0, 99)), plan)


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
    return SharingPlan(tuple(groups), tokens, readout, tuple(depths), tuple(reads))


@st.composite
def named(draw: st.DrawFn, n_tasks: int, n_layers: int) -> dict[str, Any]:
    """Return a published structure: as published, at one depth, or with a depth for each task."""
    name = draw(st.sampled_from(NAMED))
    high = deepest(name, n_layers)
    if high is None:
        return {"structure": name}
    depth = st.integers(0, high)
    each = st.lists(depth, min_size=n_tasks, max_size=n_tasks)
    return {"structure": name, "divergence_depth": draw(st.none() | depth | each)}


def switches() -> st.SearchStrategy[dict[str, Any]]:
    rarely = st.integers(0, 4).map(lambda at: at == 4)
    return st.fixed_dictionaries({"freeze_words": rarely, "mean_over_padding": rarely}).map(
        lambda of: of | NO_DROPOUT
    )


def weightings(names: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    weight = st.sampled_from([0.1, 0.5, 1.0, 3.0])
    return st.fixed_dictionaries(
        {
            "method": st.sampled_from(sorted(METHODS)),
            "weights": st.dictionaries(st.sampled_from(names), weight),
            "size_temperature": st.sampled_from([0.5, 1.0, 2.0]),
            "dwa_temperature": st.sampled_from([0.1, 2.0]),
        }
    )


def batches() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "regime": st.sampled_from(["alternating", "joint"]),
            "sampling": st.sampled_from(["proportional", "uniform", "temperature"]),
            "sampling_temperature": st.sampled_from([1.0, 2.0, 5.0]),
            "batch_size": st.integers(2, 6),
            "token_budget": st.none() | st.integers(8, 30),
            "bucketing": st.booleans(),
        }
    )


def trainings() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "optimizer": st.sampled_from(["adam", "adamw"]),
            "learning_rate": st.sampled_from([1e-3, 5e-3, 2e-2]),
            "word_learning_rate": st.sampled_from([None, 0.0, 1e-3, 2e-2]),
            "weight_decay": st.sampled_from([0.0, 0.01, 0.3]),
            "lr_schedule": st.sampled_from(["constant", "linear", "cosine"]),
            "warmup": st.sampled_from([0.0, 0.3]),
            "clip_norm": st.sampled_from([None, 0.1, 1.0]),
            "epochs": st.integers(1, 3),
            "patience_epochs": st.sampled_from([None, None, 1]),
        }
    )

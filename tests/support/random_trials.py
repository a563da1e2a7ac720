"""Random trials for the property tests: any plan, any weighting, any regime, without dropout."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import strategies as st
from random_plans import named, plans

from mtl_core.model.plan import SharingPlan
from mtl_core.model.structures import STRUCTURES
from mtl_core.training.config import TrialConfig
from mtl_core.weighting.methods import METHODS

COMMON = {"d_model": 8, "d_word": 6, "n_heads": 2, "d_ff": 10}
OTHER = {"d_model": 6, "d_word": 5, "n_heads": 3, "d_ff": 8}  # a pass has lanes of like sizes
NO_DROPOUT = dict.fromkeys(
    ("dropout", "dropout_embedding", "dropout_attention", "dropout_head", "dropout_wide"), 0.0
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
    n_layers = draw(st.sampled_from([3, 2, 1]))
    sizes = draw(st.sampled_from([COMMON] * 4 + [OTHER]))
    drawn = draw(st.booleans())
    plan = draw(plans(len(names), n_layers)) if drawn else None
    sharing = {"structure": f"plan_{plan.digest()}"} if plan else draw(named(len(names), n_layers))
    values = {
        "encoder": {"n_layers": n_layers, **sizes, **draw(switches())},
        "sharing": sharing,
        "weighting": draw(weightings(names)),
        "batches": draw(batches()),
        "training": draw(trainings()),
    }
    return Trial(TrialConfig.from_dict(values), draw(st.integers(0, 99)), plan)


def switches() -> st.SearchStrategy[dict[str, Any]]:
    rarely = st.integers(0, 4).map(lambda at: at == 4)
    # In few buckets n-grams of one text may cancel: Adam makes steps of the rounding that is left.
    wide = st.fixed_dictionaries(
        {
            "wide": st.booleans(),
            "wide_ngrams": st.sampled_from([2, 1, 3]),
            "wide_sharing": st.sampled_from(["both", "shared", "per_task"]),
        }
    )
    return st.tuples(
        st.fixed_dictionaries({"freeze_words": rarely, "mean_over_padding": rarely}), wide
    ).map(lambda of: of[0] | of[1] | NO_DROPOUT)


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
            "wide_learning_rate": st.sampled_from([None, 1e-3, 3e-2]),
            "weight_decay": st.sampled_from([0.0, 0.01, 0.3]),
            "wide_weight_decay": st.sampled_from([None, None, 0.0, 0.1]),
            "lr_schedule": st.sampled_from(["constant", "linear", "cosine"]),
            "warmup": st.sampled_from([0.0, 0.3]),
            "clip_norm": st.sampled_from([None, 0.1, 1.0]),
            "epochs": st.sampled_from([2, 3, 1]),
            "patience_epochs": st.sampled_from([None, None, 1]),
        }
    )

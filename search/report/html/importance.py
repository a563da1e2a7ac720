"""What mattered: how much each searched key decides whether a trial is among the best.

PED-ANOVA (Watanabe et al., 2023), in the conditional form that Optuna has it: how far the values of
the best trials differ from those of all. Trials that were stopped early count with the score they
had, since they were not among the best; of their exact place nothing is made.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mtl_core.errors import ConfigError
from search.report.html.figures import ACCENT, Figure, View, plain
from search.report.html.trials import Column
from search.report.tested import AVERAGE
from search.space import Space
from search.trial_record import TrialRecord

if TYPE_CHECKING:
    from optuna import Study

MIN_TRIALS, MIN_BEST, BEST_SHARE = 8, 5, 0.1


def importances(space: Space, trials: Sequence[TrialRecord]) -> dict[str, float]:
    """Return the share of each searched key, the largest first; empty where trials are too few.

    Alternatives of a key (one depth for some structures, another for others) are added up.
    """
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    study = _as_optuna(space, trials)
    n_trials = len(study.get_trials(deepcopy=False))
    if n_trials < MIN_TRIALS:
        return {}
    evaluator = PedAnovaImportanceEvaluator(target_quantile=share_of_best(n_trials))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        try:
            found = get_param_importances(study, evaluator=evaluator)
        except ValueError:  # no key that all trials have, or only one value of each
            return {}
    shares: dict[str, float] = {}
    for name, share in found.items():
        key = name.partition("/")[0]
        shares[key] = shares.get(key, 0.0) + float(share)
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def by_importance(columns: Sequence[Column], shares: Mapping[str, float]) -> list[Column]:
    """Return the searched keys, those that decide most first; others in their former order."""
    return sorted(columns, key=lambda column: -shares.get(column.key, 0.0))


def share_of_best(n_trials: int) -> float:
    """Return the share of trials that count as the best: a tenth, but never fewer than five."""
    return min(max(BEST_SHARE, MIN_BEST / n_trials), 0.5)


def importance_figure(shares: dict[str, float], n_trials: int) -> Figure | None:
    """Return the bars; None where there is nothing to say."""
    if not shares:
        return None
    names = list(reversed(shares))
    bars = {
        "type": "bar", "orientation": "h", "y": [plain(name) for name in names],
        "x": [round(100 * shares[name], 1) for name in names], "marker": {"color": ACCENT},
        "text": [f"{100 * shares[name]:.0f}" for name in names], "textposition": "outside",
        "cliponaxis": False, "hovertemplate": "%{y}: %{x:.1f} %<extra></extra>",
    }  # fmt: skip
    layout = {
        "xaxis": {"title": {"text": "share of importance, percent"}, "rangemode": "tozero"},
        "yaxis": {"type": "category", "automargin": True},
        "showlegend": False,
    }
    n_best = round(share_of_best(n_trials) * n_trials)
    return Figure(
        name="importance",
        title="Which settings decide",
        words=f"How much each searched setting decides whether a trial is among the best {n_best} "
        f"of {n_trials} (PED-ANOVA). Shares add up to 100; they tell of this search, and with few "
        "trials they are rough.",
        views=[View("", [bars], layout)],
        height=110 + 34 * len(names),
        columns={"x": "share_percent", "y": "setting"},
    )


def _as_optuna(space: Space, trials: Sequence[TrialRecord]) -> "Study":
    """Return an Optuna study, in memory, of the trials that have a score."""
    import optuna

    study = _empty_study()
    for trial in trials:
        try:
            distributions = space.distributions_for(trial.values)
            params = space.to_optuna(trial.values)
        except ConfigError:  # values of a space that has been narrowed since
            continue
        study.add_trial(
            optuna.trial.create_trial(
                value=trial.best[AVERAGE].score, params=params, distributions=distributions
            )
        )
    return study


def _empty_study() -> "Study":
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it would announce the study
    try:
        return optuna.create_study(direction="maximize")
    finally:
        optuna.logging.set_verbosity(verbosity)

"""How the affinities fit what the search found: which tasks share, at which depth they part.

Three questions, each with its number, and "not tellable" where the number does not carry an answer:

groups  Do the routes that see a grouping see the same one (adjusted Rand index), and does the
        plan that was best on dev group tasks at all? Plans by depth alone mostly do not.
depth   Are plans better in which tasks differ below the top (task tokens, or layers of their own),
        than plans in which only the heads do? Tasks that pull against each other want the first.
gain    Do the tasks gain by sharing on which the others' steps act well? Spearman over tasks of the
        mean look-ahead that a task receives and its best dev score with sharing less without.

Dev scores here are the best of several trials, so a difference counts only beyond two standard
errors, which are those of the dev rows that both were scored on; what luck adds to the best of more
trials is not in that. N tasks.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, permutations
from math import sqrt
from typing import Any

import numpy as np
from scipy.stats import rankdata, spearmanr
from sklearn.metrics import adjusted_rand_score

from mtl_core.model.structures import deepest, published_depth
from search.affinity.file import LOOK_AHEAD
from search.dev_rows import unpack_dev
from search.record import StudyRecord
from search.report.tested import AVERAGE, SINGLE_TASK
from search.trial_record import Report, TrialRecord

NAMES = {
    "look_ahead": "look-ahead",
    "gradient_cosine": "gradient cosine",
    "attention": "token attention",
}
_LEVEL = 0.05
# Tasks up to which all orders of them are gone through: of so few, Student's t is far too sure, and
# takes four in the same order, as one pair in twelve is by chance, for a proof.
_ALL_ORDERS = 8


def fit(contents: Mapping[str, Any], record: StudyRecord) -> dict[str, Any]:
    """Return the numbers and, under "words", what follows from them.

    Args:
        contents: Routes and groups of `affinity.json`.
    """
    groups = {route: of["groups"] for route, of in contents["groups"].items()}
    depth = _depth(record)
    gain = _gain(contents["routes"][LOOK_AHEAD]["matrix"], record)
    same = _same_groups(groups)
    words = [_words_on_groups(groups, same, record), _words_on_depth(groups, depth)]
    words.append(_words_on_gain(gain))
    return {"words": " ".join(words), "groups_agree": same, "depth": depth, "gain": gain}


def part_below_the_top(trial: TrialRecord) -> bool | None:
    """Whether tasks differ anywhere below the heads; None where they share nothing."""
    structure, encoder = trial.structure, trial.config["encoder"]
    if structure == SINGLE_TASK:
        return None
    if structure.startswith("layerwise_"):
        return True
    depth = trial.config["sharing"]["divergence_depth"]
    if depth is None:
        depth = published_depth(structure, encoder["n_layers"])
    top = deepest(structure, encoder["n_layers"])
    return any(at != top for at in (depth if isinstance(depth, Sequence) else [depth]))


def _same_groups(groups: Mapping[str, Sequence[Sequence[str]]]) -> list[dict[str, Any]]:
    """Return the adjusted Rand index of each two routes that see groups."""
    seen = {route: _labels(of) for route, of in groups.items() if len(of) > 1}
    return [
        {"routes": [a, b], "rand": round(float(adjusted_rand_score(seen[a], seen[b])), 3)}
        for a, b in combinations(seen, 2)
    ]


def _labels(groups: Sequence[Sequence[str]]) -> list[int]:
    """Return the group of each task, tasks in the order of their names."""
    at = {task: number for number, members in enumerate(groups) for task in members}
    return [at[task] for task in sorted(at)]


def _depth(record: StudyRecord) -> dict[str, Any]:
    """Return the best dev averages of plans whose tasks differ below the top, and of the others."""
    best: dict[bool, Report] = {}
    for trial in record.trials.values():
        differ, leader = part_below_the_top(trial), trial.best.get(AVERAGE)
        if differ is None or leader is None:
            continue
        if differ not in best or leader.score > best[differ].average:
            best[differ] = next(of for of in trial.reports if of.epoch == leader.epoch)
    scores = {differ: report.average for differ, report in best.items()}
    found: dict[str, Any] = {"below_the_top": scores.get(True), "at_the_top": scores.get(False)}
    if len(best) == 2:
        difference = scores[True] - scores[False]
        error = _standard_error(best[True], best[False])
        found["difference"] = round(difference, 6)
        found["standard_error"] = None if error is None else round(error, 6)
        found["tellable"] = error is not None and bool(abs(difference) > 2 * error)
    return found


def _standard_error(one: Report, other: Report) -> float | None:
    """Return that of the difference of two averages on the same dev rows, taken as independent.

    None where these were not kept.
    """
    if one.rows is None or other.rows is None:
        return None
    pairs = zip(unpack_dev(one.rows), unpack_dev(other.rows), strict=True)
    differences = [mine - theirs for mine, theirs in pairs]
    if min(map(len, differences)) < 2:
        return None
    variances = [float(of_task.var(ddof=1)) / len(of_task) for of_task in differences]
    return sqrt(sum(variances)) / len(variances)


def _gain(matrix: Sequence[Sequence[float]], record: StudyRecord) -> dict[str, Any] | None:
    """Return how gains by sharing go with what tasks receive from others' steps."""
    best = {shared: _best_by_task(record, shared=shared) for shared in (True, False)}
    tasks = [task for task in record.tasks if task in best[True] and task in best[False]]
    if len(tasks) < 4:
        return None
    ahead = np.array(matrix, dtype=np.float64)
    np.fill_diagonal(ahead, np.nan)
    received = dict(zip(record.tasks, np.nanmean(ahead, axis=0), strict=True))
    gains = [best[True][task] - best[False][task] for task in tasks]
    of_tasks = [received[task] for task in tasks]
    if not (np.ptp(gains) and np.ptp(of_tasks)):
        return None
    found = spearmanr(of_tasks, gains)
    exact = len(tasks) <= _ALL_ORDERS
    p = _share_of_orders(of_tasks, gains) if exact else float(found.pvalue)
    return {"spearman": round(float(found.statistic), 4), "p": round(p, 4), "tasks": len(tasks)}


def _share_of_orders(first: Sequence[float], second: Sequence[float]) -> float:
    """Return which share of all orders, (N!, N), correlates by ranks as strongly as this one."""
    mine, theirs = (rankdata(values) - (len(values) + 1) / 2 for values in (first, second))
    products = np.abs(np.array(list(permutations(theirs))) @ mine)
    return float(np.mean(products >= abs(theirs @ mine) - 1e-9))


def _best_by_task(record: StudyRecord, *, shared: bool) -> dict[str, float]:
    best: dict[str, float] = {}
    for trial in record.trials.values():
        if (trial.structure != SINGLE_TASK) is shared:
            for task in record.tasks:
                leader = trial.best.get(f"task:{task}")
                if leader is not None:
                    best[task] = max(best.get(task, -np.inf), leader.score)
    return best


def _words_on_groups(
    groups: Mapping[str, Sequence[Sequence[str]]],
    same: Sequence[Mapping[str, Any]],
    record: StudyRecord,
) -> str:
    seen = [route for route, of in groups.items() if len(of) > 1]
    if not seen:
        return (
            "No route shows groups of tasks beyond the noise of its measurements, so whether tasks "
            "should be grouped is not tellable from them."
        )
    text = f"{_list(NAMES[route] for route in seen).capitalize()} "
    text += "sees" if len(seen) == 1 else "see"
    text += f" groups ({', '.join(str(len(groups[route])) for route in seen)})"
    if same:
        named = [
            f"{NAMES[a]} and {NAMES[b]} {of['rand']:.2f}" for of in same for a, b in [of["routes"]]
        ]
        text += (
            f"; alike are (adjusted Rand index, 1: the same, 0: as by chance) {', '.join(named)}"
        )
    return f"{text}; {_plan_groups(record)}."


def _plan_groups(record: StudyRecord) -> str:
    leader = record.leaders().get(AVERAGE)
    assert leader is not None
    trial = record.trials[leader.trial]
    depth = trial.config["sharing"]["divergence_depth"]
    if isinstance(depth, Sequence) and len(set(depth)) > 1:
        at: dict[int, list[str]] = {}
        for task, of_task in zip(record.tasks, depth, strict=True):
            at.setdefault(of_task, []).append(task)
        named = "; ".join(f"{of}: {', '.join(tasks)}" for of, tasks in sorted(at.items()))
        return f"the plan that was best on dev in the search parts tasks by depth ({named})"
    return (
        f"the plan that was best on dev in the search ({trial.structure}) treats all tasks alike, "
        "so whether these groups would pay is not tellable from it"
    )


def _words_on_depth(groups: Mapping[str, Sequence[Sequence[str]]], depth: Mapping[str, Any]) -> str:
    if "difference" not in depth:
        return (
            "Whether tasks should differ below the top is not tellable: the search has not tried "
            "both."
        )
    points, error = 100 * depth["difference"], depth["standard_error"]
    known = "whose rows were not kept" if error is None else f"standard error {100 * error:.1f}"
    found = f"({points:+.1f} points on dev, {known})"
    if not depth["tellable"]:
        return f"Whether tasks should differ below the top is not tellable {found}."
    where = "below the top" if points > 0 else "in their heads alone"
    text = f"The search found plans better in which tasks differ {where} {found}"
    if not any(len(of) > 1 for of in groups.values()):
        return f"{text}."
    fits = "fits" if points > 0 else "does not fit"
    return f"{text}, which {fits} tasks that fall into groups."


def _words_on_gain(gain: Mapping[str, Any] | None) -> str:
    if gain is None:
        return "Whether tasks gain most where others' steps help them is not tellable here."
    found = f"(Spearman {gain['spearman']:+.2f} over {gain['tasks']} tasks, p = {gain['p']:.2f})"
    if gain["p"] > _LEVEL:
        return f"Whether tasks gain most where others' steps help them is not tellable {found}."
    more = "more" if gain["spearman"] > 0 else "less"
    return f"Tasks that others' steps help more gain {more} by sharing {found}."


def _list(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last

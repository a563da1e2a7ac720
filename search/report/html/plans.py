"""The plans of the winners as pictures: layers by tasks, a colour and a number for each bank.

The winners are those of the answer (`choice.py`): of the confirmation, or before there is one, the
leaders of the search.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from mtl_core.errors import ConfigError
from mtl_core.model.drawing import plan_svg
from mtl_core.model.plan import SharingPlan
from mtl_core.model.structures import build_plan
from mtl_core.training.config import TrialConfig
from search.record import StudyRecord
from search.report.confirmation import Confirmation
from search.report.findings import Findings
from search.report.tested import AVERAGE, STRUCTURE, TASK
from search.report.wording import depth_in_words
from search.trial_record import TrialRecord


@dataclass(frozen=True)
class Picture:
    """A plan, and what it is the best for.

    Args:
        name: For ids and file names: letters, digits and hyphens.
        title: The structure and where its tasks part.
        uses: "the average", and names of tasks.
    """

    name: str
    title: str
    trials: tuple[str, ...]
    uses: tuple[str, ...]
    structures: tuple[str, ...]
    plan: SharingPlan
    svg: Markup


def plan_of(trial: TrialRecord, n_tasks: int) -> SharingPlan | None:
    """Return the plan of a trial; None where its structure is not one of this version."""
    try:
        config = TrialConfig.from_dict(trial.config)
        layers, cls = config.encoder.n_layers, config.encoder.brings_cls
        return build_plan(config.sharing, n_tasks, layers, text_cls=cls)
    except (ConfigError, ValueError):  # pydantic's errors are ValueErrors
        return None


def pictures(findings: Findings) -> list[Picture]:
    """Return the plans of the winners, equal ones once, that of the average first."""
    record = findings.record
    found: dict[str, tuple[SharingPlan, TrialRecord, list[str], list[str]]] = {}
    for objective, trial in _in_order(record, findings.confirmation):
        plan = plan_of(trial, len(record.tasks))
        if plan is None:
            continue
        known = found.setdefault(plan.digest(), (plan, trial, [], []))
        known[2].append(objective)
        known[3].append(trial.id)
    return [_picture(record.tasks, *of) for of in found.values()]


def _in_order(record: StudyRecord, confirmed: Confirmation | None) -> list[tuple[str, TrialRecord]]:
    """Return who wins the confirmation under each objective, or else leads the search."""
    winners = {name: record.trials[one.trial] for name, one in record.leaders().items()}
    names = [AVERAGE, *(TASK + task for task in record.tasks)]
    names += [name for name in winners if name.startswith(STRUCTURE)]
    for name in names:
        winner = confirmed.winner(name) if confirmed else None
        if winner is not None:
            winners[name] = winner.trial
    return [(name, winners[name]) for name in names if name in winners]


def _picture(
    tasks: Sequence[str],
    plan: SharingPlan,
    trial: TrialRecord,
    objectives: Sequence[str],
    trials: Sequence[str],
) -> Picture:
    uses = ["the average"] if AVERAGE in objectives else []
    of_tasks = [name.removeprefix(TASK) for name in objectives if name.startswith(TASK)]
    uses += ["every task"] if 1 < len(tasks) == len(of_tasks) else of_tasks
    return Picture(
        name=f"plan-{plan.digest()}",
        title=f"{trial.structure}, {depth_in_words(trial)}",
        trials=tuple(dict.fromkeys(trials)),
        uses=tuple(uses),
        structures=tuple(
            name.removeprefix(STRUCTURE) for name in objectives if name.startswith(STRUCTURE)
        ),
        plan=plan,
        svg=Markup(plan_svg(plan, tasks)),
    )

"""What a trial's model costs to keep and to run, from its configuration and the study's audit.

Nothing is built or trained, and torch is not needed. The n-grams of a wide part are not counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mtl_core.data.targets import n_outputs
from mtl_core.model.flops import text_flops
from mtl_core.model.plan import SharingPlan
from mtl_core.model.reads import reads_of
from mtl_core.model.structures import build_plan
from mtl_core.training.config import TrialConfig
from search.record import StudyRecord


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one model.

    Args:
        parameters: Numbers that it consists of, a vector for each word of the train splits in each
            bank of the embedding included; positions are not.
        flops_per_text: Floating-point operations to answer one dev text of one task, as a mean over
            the tasks and at their mean length.
    """

    parameters: int
    flops_per_text: float


def costs_of(record: StudyRecord, audit: Mapping[str, Any]) -> dict[str, Cost]:
    """Return the cost of each trial; nothing where the study's audit has been lost.

    Args:
        audit: What `audit.json` in the study's folder says.
    """
    if not audit:
        return {}
    by_name = {task["name"]: task for task in audit["tasks"]}
    tasks = [by_name[name] for name in record.tasks]
    return {
        trial.id: cost_of(TrialConfig.from_dict(trial.config), tasks, audit)
        for trial in record.trials.values()
    }


def cost_of(
    config: TrialConfig, tasks: Sequence[Mapping[str, Any]], audit: Mapping[str, Any]
) -> Cost:
    """Return the cost of a configuration; `tasks` are those of the audit, in their order."""
    encoder, plan = config.encoder, _plan(config, len(tasks))
    outputs = [n_outputs(task["kind"], task["labels"]) for task in tasks]
    reads = [reads_of(t["kind"], plan.readout, of_pairs=t["of_pairs"]) for t in tasks]
    words = _word_vectors(plan, [task["vocabulary"] for task in tasks], audit["vocabulary"])
    lengths = [min(t["splits"]["dev"]["lengths"]["mean"], audit["max_words"]) for t in tasks]
    flops = [
        text_flops(plan, encoder, at, np.array([length]))[0] + 2 * encoder.d_model * outputs[at]
        for at, length in enumerate(lengths)
    ]
    return Cost(
        parameters=plan.n_parameters(encoder, outputs, reads) + words * encoder.d_word,
        flops_per_text=float(np.mean(flops)),
    )


def _word_vectors(plan: SharingPlan, of_tasks: Sequence[int], of_all: int) -> int:
    """Return the word vectors of all banks; of a bank of some tasks at most so many."""
    banks: dict[int, int] = {}
    for bank, words in zip(plan.groups[0], of_tasks, strict=True):
        banks[bank] = min(banks.get(bank, 0) + words, of_all)
    return of_all if len(banks) == 1 else sum(banks.values())


def _plan(config: TrialConfig, n_tasks: int) -> SharingPlan:
    encoder = config.encoder
    return build_plan(config.sharing, n_tasks, encoder.n_layers, text_cls=encoder.brings_cls)

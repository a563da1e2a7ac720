"""Which model affinities are measured on, and for how long it is trained.

A gradient can be held against another's only where both tasks have the same weights. So of the
trials whose tasks share the embedding and all layers (`stack_*` at full depth, `layerwise_*` at
any) the one that is best on the mean of the dev scores is trained once more, from its own seed. A
study without such a trial lends the settings of its best one to `stack_pooling` at full depth.
"""

from dataclasses import dataclass, replace

from mtl_core.affinity.shared import shares_all_layers
from mtl_core.model.config import SharingConfig
from mtl_core.training.config import TrialConfig
from mtl_core.training.models import plan_of
from search.record import StudyRecord
from search.report.tested import AVERAGE
from search.trial_record import Leader, TrialRecord

_SHARE = 20  # of the epochs of a study, one in so many goes into this training


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What is trained.

    Args:
        config: The trial's, with the epochs of this training.
        borrowed: The trial shares less; its settings are lent to a structure that shares all.
    """

    trial: TrialRecord
    config: TrialConfig
    borrowed: bool


def choose(record: StudyRecord, epochs: int | None = None) -> Choice | None:
    """Return what to train; None where no trial has been scored.

    Args:
        epochs: As many as are asked for; None: a share of the study's.
    """
    scored = [trial for trial in record.trials.values() if AVERAGE in trial.best]
    if not scored:
        return None
    n_tasks = len(record.tasks)
    sharing = [t for t in scored if shares_all_layers(plan_of(_config(t), n_tasks))]
    trial = max(sharing or scored, key=lambda trial: trial.best[AVERAGE].score)
    config = _config(trial)
    if not sharing:
        config = replace(config, sharing=SharingConfig(structure="stack_pooling"))
    own = config.training.epochs
    count = epochs or max(1, min(own, _epochs_of(record) // _SHARE))
    training = replace(config.training, epochs=count, patience_epochs=None)
    return Choice(trial=trial, config=replace(config, training=training), borrowed=not sharing)


def leader_of(record: StudyRecord, structure: str) -> Leader | None:
    """Return the best epoch of a structure, whose weights the study has kept."""
    return record.leaders().get(f"structure:{structure}")


def _config(trial: TrialRecord) -> TrialConfig:
    return TrialConfig.from_dict(trial.config)


def _epochs_of(record: StudyRecord) -> int:
    return sum(len(trial.reports) for trial in record.trials.values())

"""Trials that were really trained, in a journal that a test writes."""

from pathlib import Path

from mtl_core.data.encoded import EncodedCorpus
from mtl_core.training.config import TrialConfig
from mtl_core.training.mlm import WarmUp
from mtl_core.training.trainer import Trainer
from search.record import StudyRecord
from search.snapshots import save_weights, snapshot_path
from search.space import Space


def train_trial(
    record: StudyRecord,
    space: Space,
    encoded: EncodedCorpus,
    folder: Path,
    structure: str,
    *,
    keep: bool = True,
    warm_up: WarmUp | None = None,
) -> None:
    """Train one trial as the search would: reports in the journal, weights beside it."""
    number = len(record.trials) + 1
    values = {"sharing.structure": structure}
    trial, config = f"t{number:04d}", space.configure(values).as_dict()
    record.append(
        "proposed", trial=trial, number=number, values=values, config=config, seed=number,
        source="random",
    )  # fmt: skip
    record.append("started", trial=trial, attempt=1, worker="w")
    trainer = Trainer(encoded, TrialConfig.from_dict(config), seed=number, warm_up=warm_up)
    for result in trainer.epochs():
        record.append(
            "reported", trial=trial, epoch=result.epoch, average=result.average,
            scores=result.scores, loss=result.loss, losses=result.losses,
            tokens_per_second=result.tokens_per_second, seconds=result.seconds,
        )  # fmt: skip
        path = snapshot_path(folder, trial, result.epoch)
        path.parent.mkdir(exist_ok=True)
        if keep:
            save_weights(trainer.model, path)
    record.append("finished", trial=trial, epochs=2, reason="epochs")

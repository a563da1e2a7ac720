"""Where a trial stands, on disk while it trains: what a lost engine leaves to the next one.

`<study>/lanes/<trial>.safetensors` holds the lane (`mtl_core/training/checkpoint.py`), its last
result and which weights were kept for what. It is written after an epoch, and within long epochs,
as often as a fifth of the time allows, and deleted when the trial has ended. The last result is
told again by who restores the lane, since it may never have reached the driver.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtl_core.errors import ConfigError
from mtl_core.foreign import path_of
from search.bucket import fetch, files_in, hand_on, remove
from search.bucket_files import LANES
from search.record import StudyRecord

if TYPE_CHECKING:  # torch comes with it
    from mtl_core.training.checkpoint import Checkpoint

LONG_SECONDS = 60.0  # an epoch that takes longer is saved in its middle too
_SHARE = 0.2  # of the time, that goes into writing at most


class LaneFile:
    """The file of one trial, or of one run that confirms.

    Args:
        study: The study's folder.
        name: Of the trial or run.
        clock: In seconds, from any beginning.
    """

    def __init__(
        self, study: Path, name: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._study = study
        self.path = path_of(study / LANES, name, ".safetensors")
        self._clock = clock
        self._written_at, self._took = clock(), 0.0

    @property
    def is_due(self) -> bool:
        """Whether an epoch that has just ended is to be saved."""
        return self._clock() - self._written_at >= self._took / _SHARE

    @property
    def is_overdue(self) -> bool:
        """Whether to save although the epoch is not over."""
        return self.is_due and self._clock() - self._written_at >= LONG_SECONDS

    def write(
        self, checkpoint: "Checkpoint", *, last: dict[str, Any] | None, kept: dict[str, Any]
    ) -> None:
        """Write the file, whole or not at all; where the disk takes none the former one stays.

        Args:
            last: The lane's last result, as it was told to the driver.
            kept: What the keeper of its weights must know to go on.
        """
        from safetensors import SafetensorError

        from mtl_core.training.checkpoint import Checkpoint, write_checkpoint

        began = self._clock()
        about = checkpoint.about | {"last": last, "kept": kept}
        with suppress(OSError, SafetensorError):  # a trial does not fail for a full disk
            write_checkpoint(self.path, Checkpoint(about, checkpoint.tensors))
            hand_on(self._study, self.path)
        self._written_at = self._clock()
        self._took = self._written_at - began

    def put_off(self) -> None:
        """Have it due again no sooner than if it had been written now."""
        self._written_at = self._clock()

    def read(self, config: dict[str, Any], seed: int) -> "Checkpoint | None":
        """Return what was written of this trial; None where there is nothing.

        Raises:
            ConfigError: The file is damaged, or of another trial.
        """
        from mtl_core.training.checkpoint import check_same_trial, read_checkpoint

        fetch(self._study, self.path)
        if not self.path.is_file():
            return None
        found = read_checkpoint(self.path)
        wanted = {"config": config, "seed": seed}
        check_same_trial(found.about, wanted, str(self.path))
        missing = {"last", "kept", "position"} - found.about.keys()
        if missing:
            raise ConfigError(f"{self.path}: has no {', '.join(sorted(missing))}")
        return found


def prune_lanes(study: Path, record: StudyRecord) -> list[Path]:
    """Delete the files of ended trials and confirmation runs; return what is gone."""
    runs = record.confirmation.runs
    gone = []
    for path in files_in(study, LANES):
        known = record.trials.get(path.stem) or runs.get(path.stem)
        if known is not None and known.ended:
            remove(study, path)
            gone.append(path)
    return gone

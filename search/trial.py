"""One trial as Ray Tune sees it: a worker that trains one configuration after another.

The worker stays warm: torch is imported, the encoded corpus mapped and the word vectors read once,
and `reset_config` only puts the next configuration in place. One `step` is one epoch.

What goes wrong inside a trial is its result, not an error of Tune's: `{"failure": {kind, reason,
traceback}}`. So Tune retries what was lost with its process, and that alone. What the results mean
is written down by `callback.py`; which weights are kept is decided in `snapshots.py`.
"""

import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray.tune import Trainable

from search.snapshots import SnapshotKeeper

if TYPE_CHECKING:  # torch comes with them, which only the workers import
    from mtl_core.data.encoded import EncodedCorpus
    from mtl_core.training.trainer import EpochResult, Trainer

TRACEBACK_CHARACTERS = 8000
_MEMORY_PHRASES = ("out of memory", "can't allocate memory", "not enough memory")


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """What all trials of a study have in common, as a worker needs it.

    Args:
        encoded: The encoded corpus, on a disk that every worker sees.
        folder: The study's folder, on a disk that every worker sees.
        tasks: Names of the tasks of the study, in its order.
        vectors: Text file with word vectors to start from, if any.
        threads: Threads of torch in one worker.
        gpu: Train on the GPU that Ray gives the worker.
    """

    encoded: str
    folder: str
    tasks: tuple[str, ...]
    vectors: str | None = None
    threads: int = 1
    gpu: bool = False


class SearchTrial(Trainable):
    """Trains the configuration of its Tune config, one epoch a step (see `searcher.py`)."""

    def setup(self, config: dict[str, Any]) -> None:
        self._tools: _Tools | None = None
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Forget the last configuration; the new one is built in the first step."""
        self._proposal = new_config
        self._trainer: Trainer | None = None
        self._epochs: Iterator[EpochResult] = iter(())
        self._free_gpu_memory()
        return True

    def step(self) -> dict[str, Any]:
        try:
            return self._train_epoch()
        except Exception as error:  # a crashed trial is a result; the worker lives on
            return {"failure": describe_failure(error), "done": True}

    def cleanup(self) -> None:
        self._trainer, self._epochs, self._tools = None, iter(()), None

    def _train_epoch(self) -> dict[str, Any]:
        if self._trainer is None:
            self._start()
        assert self._trainer is not None
        epoch = next(self._epochs)
        snapshots = self._keeper.offer(epoch.epoch, epoch.average, epoch.scores, self._save)
        return {
            "epoch": epoch.epoch,
            "average": epoch.average,
            "scores": epoch.scores,
            "loss": epoch.loss,
            "losses": epoch.losses,
            "tokens_per_second": epoch.tokens_per_second,
            "seconds": epoch.seconds,
            "ended": epoch.ended,
            "snapshots": list(snapshots),
            "done": epoch.ended is not None,
        }

    def _start(self) -> None:
        from mtl_core.training.config import TrialConfig
        from mtl_core.training.trainer import Trainer

        if self._tools is None:
            self._tools = _Tools(self._proposal["workplace"])
        tools, proposal = self._tools, self._proposal
        config = TrialConfig.from_dict(proposal["config"])
        self._trainer = Trainer(
            tools.corpus, config, seed=proposal["seed"], device=tools.device, vectors=tools.vectors
        )
        self._epochs = self._trainer.epochs()
        self._keeper = SnapshotKeeper(
            Path(tools.workplace.folder),
            proposal["trial"],
            structure=config.sharing.structure,
            leaders=proposal["leaders"],
        )

    def _save(self, path: Path) -> None:
        """Write the weights; on a full disk none, since the end of the study can make them again.

        The score stands: a trial does not fail for what a disk cannot take.
        """
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        from mtl_core.files import replacing
        from mtl_core.training.models import copy_parameters

        assert self._trainer is not None
        with suppress(OSError, SafetensorError), replacing(path) as beside:
            save_file(copy_parameters(self._trainer.model), beside)

    def _free_gpu_memory(self) -> None:
        if self._tools is not None and self._tools.device != "cpu":
            import torch

            torch.cuda.empty_cache()


class _Tools:
    """What a worker opens once: threads, device, corpus, word vectors."""

    def __init__(self, workplace: dict[str, Any]) -> None:
        import torch

        from mtl_core.data.encoded import open_encoded

        self.workplace = Workplace(**workplace)
        torch.set_num_threads(self.workplace.threads)
        self.device = "cuda" if self.workplace.gpu and torch.cuda.is_available() else "cpu"
        self.corpus: EncodedCorpus = open_encoded(Path(self.workplace.encoded)).select(
            self.workplace.tasks
        )
        self.vectors: Any = None
        if self.workplace.vectors is not None:
            from mtl_core.data.vectors import vectors_for

            self.vectors = vectors_for(self.corpus, Path(self.workplace.vectors))


def describe_failure(error: BaseException) -> dict[str, str]:
    """Return kind (error, diverged or memory), reason in one line, and the traceback."""
    reason = " ".join(str(error).split()) or type(error).__name__
    lines = "".join(traceback.format_exception(error))
    kind = "error"
    if type(error).__name__ == "Diverged":
        kind = "diverged"
    elif isinstance(error, MemoryError) or any(p in reason.lower() for p in _MEMORY_PHRASES):
        kind = "memory"
    else:
        reason = f"{type(error).__name__}: {reason}"
    return {"kind": kind, "reason": reason, "traceback": lines[-TRACEBACK_CHARACTERS:]}

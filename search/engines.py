"""Engines: the processes that train, each with the lanes of several trials side by side.

An `EngineActor` stays warm from the beginning of a search to its end: torch is imported, the
encoded corpus mapped and the word vectors read once. A thread of its own trains (`engine_loop.py`);
meanwhile the clients (`trial.py`) wait for epochs in the actor's event loop. Which trial goes to
which engine is decided by the driver (`engine_pool.py`).
"""

import asyncio
import gc
import os
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtl_core.errors import ConfigError
from search.bucket import copy_of
from search.engine_loop import EngineLoop
from search.seat import Result

if TYPE_CHECKING:  # torch comes with it, and is imported in the engine's thread
    from mtl_core.training.engine import Engine


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """What all engines of a study have in common.

    Args:
        encoded: The encoded corpus.
        folder: The study's folder, on a disk that every engine sees.
        bucket: Address of the store that it is in instead, each machine having a copy.
        tasks: Names of the tasks of the study, in its order.
        vectors: Text file with word vectors to start from, if any.
        texts: File of the texts that encoders are warmed up on, if any ask for it.
        mlm: How they are: `MlmConfig` as plain values.
        threads: Threads of torch in one engine.
        gpu: Train on the GPU that Ray gives the engine.
        memory_share: The part of its device's memory that an engine may take.
        contents: Sizes of the files that are read and references to what is in them, by path, for
            machines that do not see them; empty where there is one machine alone.
    """

    encoded: str
    folder: str
    tasks: tuple[str, ...]
    vectors: str | None = None
    texts: str | None = None
    mlm: dict[str, Any] = field(default_factory=dict)
    threads: int = 1
    gpu: bool = False
    memory_share: float = 0.8
    contents: dict[str, Any] = field(default_factory=dict)
    bucket: str | None = None


class EngineActor:
    """What Ray runs; its methods are called by the clients and the driver of one search."""

    def __init__(self, workplace: dict[str, Any]) -> None:
        place = Workplace(**workplace)
        folder = Path(place.folder)
        if place.bucket is not None:
            folder = copy_of(place.bucket) / folder.name
        self._loop = EngineLoop(lambda: build_engine(place), folder, on_broken=_exit)

    async def state(self) -> dict[str, int]:
        """Return `pid` and the number of `lanes`, as soon as the engine is ready to train."""
        lanes = await asyncio.wrap_future(self._loop.count_lanes())
        return {"pid": os.getpid(), "lanes": lanes}

    async def calibrate(self, configs: list[dict[str, Any]], seed: int, most: int) -> Result:
        """Measure how many lanes pay, from 1 to `most`; return `lanes` and the `table`."""
        return await asyncio.wrap_future(self._loop.calibrate(configs, seed, most))

    async def open(self, lane: str, proposal: dict[str, Any]) -> None:
        """Begin a trial; what `proposal` must hold says `EngineLoop.open`."""
        await asyncio.wrap_future(self._loop.open(lane, proposal))

    async def epoch(self, lane: str) -> Result:
        """Return the next result of the lane as soon as there is one."""
        return await asyncio.wrap_future(self._loop.epoch(lane))

    async def until_lost(self) -> None:
        """Never answer: who waits for it learns when the engine is gone."""
        await asyncio.Event().wait()

    async def pulse(self) -> dict[str, Any]:
        """Return how many `steps` there were, and where the thread is (`at`), without waiting."""
        return self._loop.pulse()

    async def close(self, lane: str, *, keep: bool = False) -> None:
        """Free the lane, wherever its trial is; `keep` saves it for who goes on with the trial."""
        await asyncio.wrap_future(self._loop.close(lane, keep=keep))


def build_engine(place: Workplace) -> "Engine":
    """Import torch, map the corpus, read the word vectors."""
    gc.disable()  # nothing that is imported is garbage, and looking takes a sixth of the time
    import torch

    from mtl_core.data.encoded import open_encoded
    from mtl_core.training.engine import Engine
    from search.shared_disks import at_hand

    gc.freeze()  # nor does any later collection look through it
    gc.enable()
    is_seen = place.bucket is not None or Path(place.folder).is_dir()
    if place.contents and not is_seen:  # by a machine that joined later
        raise ConfigError(f"{socket.gethostname()} does not see {place.folder}: share that disk")
    torch.set_num_threads(place.threads)
    corpus = open_encoded(at_hand(place.encoded, place.contents)).select(place.tasks)
    vectors = None
    if place.vectors is not None:
        from mtl_core.data.vectors import vectors_for

        vectors = vectors_for(corpus, at_hand(place.vectors, place.contents))
    device = "cuda" if place.gpu and torch.cuda.is_available() else "cpu"
    warm_up = None
    if place.texts is not None:
        from mtl_core.data.config import MlmConfig
        from mtl_core.training.mlm import WarmUp

        mlm = MlmConfig(**place.mlm)
        texts = at_hand(place.texts, place.contents)
        warm_up = WarmUp(corpus, texts, mlm, vectors=vectors, device=device)
    engine = Engine(
        corpus, device=device, vectors=vectors, warm_up=warm_up, memory_share=place.memory_share
    )
    if place.gpu and device == "cpu":
        engine.notes.append("PyTorch finds no GPU that it can use here: it trains on the CPU")
    return engine


def _exit() -> None:
    """End the process, for Ray to start it anew, when the answers are on their way."""
    threading.Timer(1.0, os._exit, (1,)).start()

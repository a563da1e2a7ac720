"""Ray's own packing: one trial in each process, several processes on one device.

What a search without lanes does: each process has torch, the corpus and a model of its own, and
they share the device by turns. All of them begin together and are busy all the time.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from corpora import Sample
from lane_work import Timing, Trial, measure

from search.cluster import joined
from search.config import SearchConfig


def measure_processes(
    corpus: Sample, trials: Sequence[Trial], counts: Sequence[int], *, epochs: int, device: str
) -> dict[int, list[Timing]]:
    """Return by the number of processes what each took for its part of the trials."""
    beside = {"PYTHONPATH": str(Path(__file__).parent)}  # where the processes find these modules
    with mock.patch.dict(os.environ, beside), joined(None, SearchConfig()):
        return {count: _measure(corpus, trials, count, epochs, device) for count in counts}


def _measure(
    corpus: Sample, trials: Sequence[Trial], count: int, epochs: int, device: str
) -> list[Timing]:
    """Start the processes, and have all of them at work at the same time."""
    import ray

    cores = torch.get_num_threads()
    gpus = 1 / count if device != "cpu" else 0
    worker = ray.remote(num_cpus=min(1.0, cores / count), num_gpus=gpus)(_Process)
    workers = [worker.remote(max(1, cores // count)) for _ in range(count)]
    ray.get([process.ready.remote() for process in workers])
    timings = ray.get(
        [
            process.measure.remote(corpus, trials[number::count], epochs, device)
            for number, process in enumerate(workers)
        ]
    )
    for process in workers:
        ray.kill(process)
    return timings


class _Process:
    """What Ray runs."""

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(threads)

    def ready(self) -> None:
        """Return when torch and all else is imported."""

    def measure(self, corpus: Any, trials: Sequence[Trial], epochs: int, device: str) -> Timing:
        return measure(corpus, trials, lanes=1, epochs=epochs, device=device)

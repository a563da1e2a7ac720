"""Trials packed by Ray: several processes on one device, each with one trial, or with some lanes.

With one trial each it is what a search without lanes does: each process has torch, the corpus and a
model of its own, and they share the device by turns. All of them are busy all the time.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from corpora import Sample
from lane_work import Timing, Trial, measure

from search.cluster import joined, local_cpus
from search.config import SearchConfig


def measure_processes(
    corpus: Sample,
    trials: Sequence[Trial],
    layouts: Sequence[tuple[int, int]],
    *,
    epochs: int,
    device: str,
) -> list[list[Timing]]:
    """Return for each layout what each process took for its part of the trials.

    Args:
        layouts: Number of processes, and lanes of each.
    """
    beside = {"PYTHONPATH": str(Path(__file__).parent)}  # where the processes find these modules
    with mock.patch.dict(os.environ, beside), joined(None, SearchConfig()):
        return [_measure(corpus, trials, layout, epochs, device) for layout in layouts]


def _measure(
    corpus: Sample, trials: Sequence[Trial], layout: tuple[int, int], epochs: int, device: str
) -> list[Timing]:
    """Start the processes, and have all of them at work at the same time."""
    import ray

    count, lanes = layout
    gpus = 1 / count if device != "cpu" else 0
    worker = ray.remote(num_cpus=min(1.0, local_cpus() / count), num_gpus=gpus)(_Process)
    threads = max(1, torch.get_num_threads() // count)  # of those that one engine would have
    workers = [worker.remote(threads) for _ in range(count)]
    ray.get([process.ready.remote() for process in workers])
    timings = ray.get(
        [
            process.measure.remote(corpus, trials[number::count], lanes, epochs, device)
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

    def measure(
        self, corpus: Any, trials: Sequence[Trial], lanes: int, epochs: int, device: str
    ) -> Timing:
        return measure(corpus, trials, lanes=lanes, epochs=epochs, device=device)

"""Trials packed by Ray: several processes on one device, each with one trial, or with some lanes.

With one trial each it is what a search without lanes does: each process has torch, the corpus and a
model of its own, and they share the device by turns. All of them are busy all the time.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

import torch
from corpora import Sample
from lane_work import Timing, Trial, measure

from search.cluster import joined
from search.config import SearchConfig
from search.local_ray import local_cpus


def measure_processes(
    corpus: Sample,
    trials: Sequence[Trial],
    layouts: Sequence[tuple[int, int, int]],
    *,
    epochs: int,
    device: str,
) -> list[list[Timing]]:
    """Return for each layout what each process took for its part of the trials.

    The processes are started once: one that has had no work yet holds no part of a GPU.

    Args:
        layouts: Number of processes, lanes of each, and trials of all; fewer processes come first.
    """
    import ray

    most = max(count for count, _, _ in layouts)
    # Where the processes find these modules, besides what they find already.
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    beside = {"PYTHONPATH": os.pathsep.join(paths)}
    with mock.patch.dict(os.environ, beside), joined(None, SearchConfig()):
        gpus = 1 / most if device != "cpu" else 0
        worker = ray.remote(num_cpus=min(1.0, local_cpus() / most), num_gpus=gpus)(_Process)
        workers = [worker.remote() for _ in range(most)]
        ray.get([process.ready.remote() for process in workers])
        found = []
        for count, lanes, n_trials in layouts:
            threads = max(1, torch.get_num_threads() // count)  # of those that one engine has
            mine = trials[:n_trials]
            parts = [(mine[number::count], lanes, threads) for number in range(count)]
            started = [
                process.measure.remote(corpus, *part, epochs=epochs, device=device)
                for process, part in zip(workers, parts, strict=False)
            ]
            found.append(ray.get(started))
        return found


class _Process:
    """What Ray runs."""

    def ready(self) -> None:
        """Return when torch and all else is imported."""

    def measure(
        self,
        corpus: Sample,
        trials: Sequence[Trial],
        lanes: int,
        threads: int,
        *,
        epochs: int,
        device: str,
    ) -> Timing:
        torch.set_num_threads(threads)
        return measure(corpus, trials, lanes=lanes, epochs=epochs, device=device)

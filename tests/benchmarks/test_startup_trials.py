"""How many random trials TPE should have before it learns: measured on a made-up response.

    python tests/benchmarks/test_startup_trials.py --seeds 40 --workers 1 2 8 --startup 10 20

The space is that of `spaces/layerwise.yaml` in kind: structure x depth (conditional) x weighting x
learning rate. The response has an optimum that moves with the seed, learning curves with the noise
of eight dev sets, trials of unequal length, and ASHA as in a search; trials are proposed, reported
and stopped by the program's own parts, so only the training is made up. Printed is the regret: how
many points of true dev accuracy the leader of the search lies below the best configuration.
"""

import argparse
import heapq
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mtl_core.seeding import stream
from search.journal import Event, Journal
from search.proposer import Proposer
from search.record import StudyRecord
from search.scheduler import Asha
from search.space import Space, parse_space

SPACE = """
name: layerwise
data: {source: builtin}
encoder: {n_layers: 4}
sharing:
  structure:
    choice: [single_task, stack_pooling, stack_cls, layerwise_implicit, layerwise_explicit]
  divergence_depth:
    - {int: [0, n_layers], when: {structure: [stack_pooling, stack_cls]}}
    - {int: [0, n_layers - 1], when: {structure: [layerwise_implicit, layerwise_explicit]}}
weighting:
  method: {choice: [equal, size, uncertainty, dwa, random]}
  size_temperature: {float: [1.0, 8.0], log: true, when: {method: [size]}}
training:
  epochs: 12
  learning_rate: {float: [1.0e-4, 1.0e-2], log: true}
"""
BY_STRUCTURE = {
    "single_task": 0.80,
    "stack_pooling": 0.83,
    "stack_cls": 0.835,
    "layerwise_implicit": 0.85,
    "layerwise_explicit": 0.845,
}
BY_WEIGHTING = {"equal": 0.0, "size": 0.004, "uncertainty": 0.01, "dwa": 0.006, "random": -0.004}
BEST = 0.85 + 0.01
NOISE = 0.008  # of a mean over eight tasks of 200 rows with correlated errors, about


class Memory(Journal):
    """A journal that keeps nothing: thousands of searches need no disk."""

    def __init__(self) -> None:
        self.failure = None
        self._now = 0.0

    def append(self, event: Any) -> Event:
        self._now += 1
        return {"time": self._now, **event}


class Response:
    """True dev accuracy of a configuration; the optimum moves with the seed."""

    def __init__(self, seed: int) -> None:
        rng = stream(seed, "response")
        self._depth = int(rng.integers(0, 4))
        self._log_rate = float(rng.uniform(-3.5, -2.6))

    def of(self, values: dict[str, Any]) -> float:
        accuracy = BY_STRUCTURE[values["sharing.structure"]]
        accuracy += BY_WEIGHTING[values["weighting.method"]]
        if "sharing.divergence_depth" in values:
            accuracy -= 0.012 * abs(values["sharing.divergence_depth"] - self._depth)
        off = np.log10(values["training.learning_rate"]) - self._log_rate
        return float(accuracy - 0.1 * off**2)


def simulate(space: Space, workers: int, seed: int) -> float:
    """Search once, asynchronously; return the regret of the leader, in points of accuracy."""
    record = StudyRecord(Memory())
    record.append("study", format=1, tasks=[])
    proposer = Proposer(space, record, seed, workers=workers)
    assert space.search.early_stopping is not None
    asha, response = Asha(space.search.early_stopping), Response(seed)
    running: list[tuple[float, str, int]] = []  # when an epoch ends, of which trial, which epoch

    def start(now: float) -> None:
        proposal = proposer.propose()
        if proposal is not None:
            record.append("proposed", **proposal.as_event())
            record.append("started", trial=proposal.trial, attempt=1, worker="w")
            heapq.heappush(running, (now + duration(proposal.trial), proposal.trial, 1))

    def duration(trial: str) -> float:
        return float(stream(seed, "duration", trial).lognormal(0, 0.25))

    for _ in range(workers):
        start(0.0)
    while running:
        now, trial, epoch = heapq.heappop(running)
        true = response.of(record.trials[trial].values)
        noise = stream(seed, "noise", trial, epoch).normal(0, NOISE)
        average = true - 0.25 * np.exp(-epoch / 3) + noise
        _report(record, trial, epoch, average)
        if epoch == 12:
            record.append("finished", trial=trial, epochs=epoch, reason="epochs")
            start(now)
        elif asha.report(trial, epoch, average):
            heapq.heappush(running, (now + duration(trial), trial, epoch + 1))
        else:
            record.append("stopped", trial=trial, epoch=epoch, rung=epoch)
            start(now)
    leader = record.trials[record.leaders()["average"].trial]
    return 100 * (BEST - response.of(leader.values))


def _report(record: StudyRecord, trial: str, epoch: int, average: float) -> None:
    speed = {"loss": 1.0, "losses": {}, "tokens_per_second": 1.0, "seconds": 1.0}
    record.append("reported", trial=trial, epoch=epoch, average=average, scores={}, **speed)


def regrets(space: Space, workers: int, n_seeds: int, **search: Any) -> np.ndarray:
    """Return the regret of each seed's search."""
    asked = replace(space, search=replace(space.search, **search))
    return np.array([simulate(asked, workers, seed) for seed in range(n_seeds)])


@pytest.mark.slow
def test_tpe_with_the_default_startup_beats_random_search() -> None:
    space = parse_space(SPACE)
    tpe = regrets(space, 1, 8, trials=30)
    at_random = regrets(space, 1, 8, trials=30, sampler="random")
    print(f"regret of TPE {tpe.mean():.2f}, of random search {at_random.mean():.2f} points")

    assert tpe.mean() < at_random.mean()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--trials", type=int, default=48)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 8])
    parser.add_argument("--startup", type=int, nargs="+", default=[5, 10, 15, 20, 30])
    given = parser.parse_args()
    space = parse_space(SPACE)
    print("trials  workers  startup  regret of the leader: mean (error)  median  worst tenth")
    for workers in given.workers:
        for startup in [given.trials, *given.startup]:  # the first is all random
            found = regrets(
                space, workers, given.seeds, trials=given.trials, startup_trials=startup
            )
            error = found.std() / np.sqrt(len(found))
            print(
                f"{given.trials:6}  {workers:7}  {startup:7}  {found.mean():26.2f} ({error:.2f})"
                f"  {np.median(found):8.2f}  {np.quantile(found, 0.9):11.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()

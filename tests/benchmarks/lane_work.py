"""Trials to measure lanes with, and what they take in an engine, a few lanes at a time.

Measured are whole epochs of a sample (`corpora.py`), updates and evaluation apart. A trial of the
whole corpus is longer by the words of both, so trials per hour are an extrapolation.
"""

import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from corpora import Sample, count_words
from machine import synchronize
from shares import measure_shares
from work import epoch_flops

from mtl_core.data.batches import plan_epoch
from mtl_core.model.config import EncoderConfig
from mtl_core.model.structures import STRUCTURES, deepest
from mtl_core.seeding import stream
from mtl_core.training.config import TrialConfig
from mtl_core.training.engine import Engine
from mtl_core.training.lane import Lane
from mtl_core.training.results import EpochResult

WARM_UP, PROFILED = 3, 8  # steps of the engine
SEEDS = 1000  # a trial's seed is this and its number
WEIGHTINGS = ("equal", "size", "uncertainty", "dwa", "random")

Trial = tuple[TrialConfig, int]  # with its seed
T = TypeVar("T")


def same_trials(count: int, encoder: EncoderConfig, structure: str, batch_size: int) -> list[Trial]:
    """Return trials that differ in their seeds alone."""
    sharing = {"structure": structure}
    config = TrialConfig.from_dict(
        {"sharing": sharing, "batches": {"batch_size": batch_size}} | _encoder(encoder)
    )
    return [(config, SEEDS + number) for number in range(count)]


def mixed_trials(
    count: int, encoder: EncoderConfig, batch_size: int, *, ways: int = 16
) -> list[Trial]:
    """Return random trials of all structures and depths, learning rates, dropouts, weightings.

    Args:
        ways: Structures with depths that the trials take in turn, so that any so many neighbours
            cost the same.
    """
    rng = stream(0, "mix")
    all_ways = [(s, depth) for s in STRUCTURES for depth in _depths(s, encoder.n_layers)]
    first = [_pick(rng, [way for way in all_ways if way[0] == s]) for s in STRUCTURES]
    rest = [way for way in all_ways if way not in first]
    chosen = [*first, *(rest[place] for place in rng.permutation(len(rest)))][:ways]
    trials = []
    for number in range(count):
        structure, depth = chosen[number % len(chosen)]
        values = {
            "sharing": {"structure": structure, "divergence_depth": depth},
            "weighting": {"method": _pick(rng, WEIGHTINGS)},
            "batches": {"batch_size": batch_size},
            "training": {"learning_rate": float(10 ** rng.uniform(-4, -3))},
        }
        dropouts = {"dropout_embedding": float(rng.uniform(0.1, 0.5))}
        config = TrialConfig.from_dict(values | _encoder(encoder, **dropouts))
        trials.append((config, SEEDS + number))
    return trials


@dataclass(kw_only=True)
class Timing:
    """What trials took that went through one engine, some at a time.

    Args:
        update_seconds, evaluation_seconds: Of all measured epochs of the sample.
        epochs: Measured epochs of each trial.
        updates: Measured updates, of all lanes together.
        flops: Operations of the matrix products in the measured epochs, without padding.
        losses: Of each trial in each epoch, by its seed; the first epoch is not measured.
        trial_seconds: Time that all trials would take on the whole corpus.
    """

    epochs: int
    update_seconds: float = 0.0
    evaluation_seconds: float = 0.0
    updates: int = 0
    flops: float = 0.0
    losses: dict[int, list[float]] = field(default_factory=dict)
    trial_seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    @property
    def trials_per_hour(self) -> float:
        return 3600 * len(self.losses) / self.trial_seconds

    @property
    def flops_per_second(self) -> float:
        return self.flops / (self.update_seconds + self.evaluation_seconds)


def measure(
    corpus: Sample, trials: Sequence[Trial], *, lanes: int, epochs: int = 1, device: str = "cpu"
) -> Timing:
    """Train all trials, `lanes` at a time in one engine: one epoch, then `epochs` measured ones."""
    gc.collect()
    gc.freeze()  # as an engine of a search does
    timing, engine = Timing(epochs=epochs), Engine(corpus, device=device)
    for start in range(0, len(trials), lanes):
        group = trials[start : start + lanes]
        opened = [engine.open(config, seed, keep_best=False) for config, seed in group]
        timing.losses |= {seed: [] for _, seed in group}
        for epoch in range(1 + epochs):
            cold = Timing(epochs=1, losses=timing.losses)  # the first epoch is not counted
            _run_epoch(engine, opened, device, timing if epoch else cold)
        for lane in opened:
            engine.close(lane)
        timing.flops += epochs * sum(_flops(corpus, *trial) for trial in group)
    timing.trial_seconds = _extrapolate(corpus, timing, trials[0][0].training.epochs)
    timing.notes = list(engine.notes)
    return timing


def profile_lanes(corpus: Sample, trials: Sequence[Trial], device: str) -> dict[str, float]:
    """Return the shares of time (`shares.py`) of updates of all trials at once."""
    engine = Engine(corpus, device=device)
    for config, seed in trials:
        engine.open(config, seed, keep_best=False)
    for _ in range(WARM_UP):
        engine.step()
    return measure_shares(lambda: [engine.step() for _ in range(PROFILED)], device)


def _run_epoch(engine: Engine, lanes: Sequence[Lane], device: str, timing: Timing) -> None:
    """Train one epoch of all lanes, and add what it took."""
    waiting, updating = set(lanes), True
    before = sum(lane.updater.steps_done for lane in lanes)
    synchronize(device)
    began = time.perf_counter()
    while waiting:
        if updating and all(lane.evaluation is not None for lane in waiting):
            synchronize(device)
            timing.update_seconds += time.perf_counter() - began
            began, updating = time.perf_counter(), False
        engine.step()
        for lane, result in engine.results():
            assert isinstance(result, EpochResult), result
            timing.losses[lane.seed].append(result.loss)
            waiting.remove(lane)
            lane.held = True
    synchronize(device)
    timing.evaluation_seconds += time.perf_counter() - began
    timing.updates += sum(lane.updater.steps_done for lane in lanes) - before
    for lane in lanes:
        lane.held = False


def _extrapolate(corpus: Sample, timing: Timing, epochs: int) -> float:
    """Return the time of whole trials: longer by their epochs and by the words of an epoch."""
    whole = corpus.whole
    longer = {split: count_words(whole, split) / corpus.words(split) for split in ("train", "dev")}
    update, evaluation = timing.update_seconds, timing.evaluation_seconds
    return epochs / timing.epochs * (longer["train"] * update + longer["dev"] * evaluation)


def _flops(corpus: Sample, config: TrialConfig, seed: int) -> float:
    lengths = corpus.lengths("train")
    steps = plan_epoch(lengths, corpus.names, config.batches, seed=seed, epoch=2)
    return epoch_flops(corpus, config, steps)


def _depths(structure: str, n_layers: int) -> list[int | None]:
    high = deepest(structure, n_layers)
    return [None] if high is None else list(range(high + 1))


def _pick(rng: np.random.Generator, choices: Sequence[T]) -> T:
    return choices[int(rng.integers(len(choices)))]


def _encoder(encoder: EncoderConfig, **changes: float) -> dict[str, dict[str, object]]:
    config = TrialConfig(encoder=encoder).as_dict()
    return {"encoder": {**config["encoder"], **changes}}

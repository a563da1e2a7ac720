"""How many lanes pay: throughput against lanes, by doubling them until little is gained.

From n lanes to 2 n, the gain is how long both halves take apart over how long they take together,
for the same words; so it does not matter that configurations cost differently, and that steps are
of different lengths.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mtl_core.training.config import TrialConfig
from mtl_core.training.engine import Engine
from mtl_core.training.lane import Lane
from mtl_core.training.results import NoRoom

REQUIRED_GAIN = 1.1
_SECONDS = 3.0  # of steps in all, unless single ones take longer
_SLICE = _SECONDS / 24  # for one measurement, at least one step


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How many lanes pay, and how that was found.

    Args:
        table: For each number of lanes that was tried, the examples trained on in a second.
    """

    lanes: int
    table: tuple[tuple[int, float], ...]


def calibrate(
    engine: Engine,
    configs: Sequence[TrialConfig],
    seed: int,
    most: int,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> Calibration:
    """Try 1, 2, 4, ... lanes in an engine that has none, and close them again.

    Args:
        configs: Of the lanes, in turn.
        most: Lanes to try at most.
    """
    assert not engine.lanes
    try:
        return _Calibrator(engine, configs, seed, clock).run(most)
    finally:
        for lane in engine.lanes:
            engine.close(lane)


@dataclass
class _Speed:
    """What some steps of some lanes came to; words of each lane, (lanes,)."""

    words: np.ndarray
    steps: int = 0
    examples: int = 0
    seconds: float = 0.0


class _Calibrator:
    def __init__(
        self,
        engine: Engine,
        configs: Sequence[TrialConfig],
        seed: int,
        clock: Callable[[], float],
    ) -> None:
        self.engine, self.seed, self.clock = engine, seed, clock
        self.configs = [_endless(config) for config in configs]
        self.lanes: list[Lane] = []
        self.spent = 0.0  # seconds

    def run(self, most: int) -> Calibration:
        table: list[tuple[int, float]] = []
        paying, apart = 1, np.zeros(0)  # seconds for a word of each lane, in its half
        while len(self.lanes) < most and self._open(min(most, max(1, 2 * len(self.lanes)))):
            before = len(apart)
            new = self._measure(self.lanes[before:])
            together = self._measure(self.lanes) if before else new
            if self._cut_down():
                break
            table.append((len(self.lanes), together.examples / together.seconds))
            apart = np.concatenate([apart, _seconds_for_words(new)])
            if before and together.words @ apart < REQUIRED_GAIN * together.seconds:
                break
            paying, apart = len(self.lanes), _seconds_for_words(together)
            # The next number: two steps of as many new lanes, and two of twice as many.
            if self.spent + max(6 * together.seconds / together.steps, 2 * _SLICE) > _SECONDS:
                break
        return Calibration(lanes=paying, table=tuple(table))

    def _open(self, count: int) -> bool:
        """Open lanes until there are so many; return whether there was room."""
        while len(self.lanes) < count:
            number = len(self.lanes)
            config = self.configs[number % len(self.configs)]
            try:
                lane = self.engine.open(config, self.seed + number, keep_best=False)
            except NoRoom:
                return False
            self.lanes.append(lane)
        return True

    def _cut_down(self) -> bool:
        """Whether memory ran out after all."""
        return any(lane.parked or lane.failure for lane in self.lanes)

    def _measure(self, lanes: Sequence[Lane]) -> _Speed:
        """Time some steps of these lanes alone, after one that warms up."""
        for lane in self.lanes:
            lane.held = True
        self._step(lanes, _Speed(np.zeros(len(lanes))))
        speed = _Speed(np.zeros(len(lanes)))
        while speed.seconds < _SLICE and not self._cut_down():
            self._step(lanes, speed)
        return speed

    def _step(self, lanes: Sequence[Lane], speed: _Speed) -> None:
        """Take one update of each of the lanes, and add to `speed` what it came to."""
        self._finish_evaluations(lanes)
        steps = [lane.next_update().step for lane in lanes]
        for lane in lanes:
            lane.held = False
        began = self.clock()
        self.engine.step()
        self.engine.wait()
        seconds = self.clock() - began
        for lane in lanes:
            lane.held = True
        lengths = self.engine.around.lengths
        speed.words += [sum(lengths[r.task][r.examples].sum() for r in step) for step in steps]
        speed.examples += sum(len(row.examples) for step in steps for row in step)
        speed.steps += 1
        speed.seconds += seconds
        self.spent += seconds

    def _finish_evaluations(self, lanes: Sequence[Lane]) -> None:
        for lane in lanes:
            lane.held = False
            while lane.evaluation is not None and lane.wanted and not lane.parked:
                self.engine.step()
            lane.held = True


def _endless(config: TrialConfig) -> TrialConfig:
    """Return the configuration with rates at which nothing ends and nothing diverges."""
    training = replace(
        config.training,
        epochs=1_000_000,
        patience_epochs=None,
        learning_rate=1e-9,
        word_learning_rate=1e-9,
    )
    return replace(config, training=training)


def _seconds_for_words(speed: _Speed) -> np.ndarray:
    return np.full(len(speed.words), speed.seconds / speed.words.sum())

"""How many lanes pay: throughput against lanes, by doubling them until little is gained.

From n lanes to 2 n, the gain is how long both halves take apart over how long they take together,
for the same steps; so it does not matter that configurations cost differently, and that some steps
are longer than others.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from mtl_core.errors import ConfigError
from mtl_core.training.config import TrialConfig
from mtl_core.training.device_memory import is_memory_error
from mtl_core.training.engine import Engine
from mtl_core.training.lane import Lane
from mtl_core.training.results import NoRoom

REQUIRED_GAIN = 1.1
_SECONDS = 3.0  # of steps in all, unless single ones take longer
_SLICE = _SECONDS / 24  # for one measurement, if it takes more than one step
_STEPS = 12  # of a measurement at most


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
        configs: Of the lanes, in turn; those of which there can be no lane are left out.
        most: Lanes to try at most.
    """
    assert not engine.lanes
    try:
        return _Calibrator(engine, configs, seed, clock).run(most)
    finally:
        for lane in engine.lanes:
            engine.close(lane)


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
        paying, count = 1, _STEPS
        half: list[float] = []  # seconds of each step of the lanes that were there before
        while len(self.lanes) < most and self._open(min(most, max(1, 2 * len(self.lanes)))):
            before = paying if half else 0
            other = self._measure(self.lanes[before:], count)
            whole = self._measure(self.lanes, len(other)) if half else other
            if not whole or not other:
                break
            count = len(whole)
            table.append((len(self.lanes), self._examples(count) / sum(whole)))
            apart = sum(half[:count]) + sum(other[:count])
            if half and apart < REQUIRED_GAIN * sum(whole):
                break
            paying, half = len(self.lanes), whole
            # The next number: a step to warm up and one to time, of as many new lanes and of all.
            if self.spent + max(6 * max(whole), 2 * _SLICE) > _SECONDS:
                break
        return Calibration(lanes=paying, table=tuple(table))

    def _open(self, count: int) -> bool:
        """Open lanes until there are so many; return whether there was room.

        Configurations of which no lane can be opened are left out.
        """
        while len(self.lanes) < count and self.configs:
            number = len(self.lanes)
            config = self.configs[number % len(self.configs)]
            try:
                lane = self._open_one(config, self.seed + number)
            except NoRoom:
                return False
            if lane is None:
                self.configs.remove(config)
            else:
                self.lanes.append(lane)
        return len(self.lanes) == count

    def _open_one(self, config: TrialConfig, seed: int) -> Lane | None:
        """Return a lane; None where such a one does not fit even alone, or cannot be built.

        Raises:
            NoRoom: It does not fit beside the others.
        """
        try:
            if self.engine.need(config) > self.engine.budget:
                return None
            return self.engine.open(config, seed, keep_best=False)
        except ConfigError:
            return None
        except Exception as error:
            if is_memory_error(error):
                return None
            raise

    def _measure(self, lanes: Sequence[Lane], count: int) -> list[float]:
        """Return the seconds of each of the first steps of these lanes alone, `count` at most.

        Where memory runs out, which says that there is no room after all, the list is empty.
        """
        for lane in self.lanes:
            lane.held = lane not in lanes
        count = min(count, *(len(lane.steps) for lane in lanes))
        self._take_first(lanes, 1)  # it warms up
        return self._take_first(lanes, count)

    def _take_first(self, lanes: Sequence[Lane], count: int) -> list[float]:
        for lane in lanes:
            lane.rewind()
        seconds: list[float] = []
        while len(seconds) < count and sum(seconds) < _SLICE:
            began = self.clock()
            self.engine.step()
            self.engine.wait()
            seconds.append(self.clock() - began)
            self.spent += seconds[-1]
            if any(lane.parked or lane.failure for lane in lanes):
                return []
        return seconds

    def _examples(self, count: int) -> int:
        """Return the texts in so many first steps of all lanes."""
        steps = [step for lane in self.lanes for step in lane.steps[:count]]
        return sum(len(row.examples) for step in steps for row in step)


def _endless(config: TrialConfig) -> TrialConfig:
    """Return the configuration with rates at which nothing ends and nothing diverges.

    An update is one step, of which each is measured.
    """
    training = replace(
        config.training,
        epochs=1_000_000,
        patience_epochs=None,
        accumulate=1,
        learning_rate=1e-9,
        word_learning_rate=1e-9,
    )
    return replace(config, training=training)

"""Lanes are doubled as long as that pays, by a clock that the test winds."""

from collections.abc import Callable

import pytest

from mtl_core.data.encoded import EncodedCorpus
from mtl_core.training import updates
from mtl_core.training.calibration import calibrate
from mtl_core.training.config import TrialConfig
from mtl_core.training.engine import Engine
from mtl_core.training.lane import Lane

Make = Callable[..., TrialConfig]


class Clock:
    """Stands where a step of the engine moves it: by a part for itself, each lane and each word."""

    def __init__(
        self, engine: Engine, *, step: float = 0.0, lane: float = 0.0, word: float = 0.0
    ) -> None:
        self.now, self.steps = 0.0, 0
        self._engine, self._take = engine, engine.step
        self._parts = (step, lane, word)
        engine.step = self.step  # type: ignore[method-assign]

    def __call__(self) -> float:
        return self.now

    def step(self) -> None:
        lanes = [lane for lane in self._engine.lanes if lane.wanted]
        words = sum(count_words(self._engine, lane) for lane in lanes)
        self._take()
        step, lane, word = self._parts
        self.now += step + lane * len(lanes) + word * words
        self.steps += 1


def count_words(engine: Engine, lane: Lane) -> int:
    lengths, steps = engine.around.lengths, lane.next_update().steps
    return sum(int(lengths[row.task][row.examples].sum()) for step in steps for row in step)


def test_lanes_are_doubled_while_a_step_costs_the_same(
    encoded: EncodedCorpus, make_config: Make
) -> None:
    engine = Engine(encoded)
    clock = Clock(engine, step=0.02)

    found = calibrate(engine, [make_config()], 3, 8, clock=clock)

    assert found.lanes == 8
    assert [lanes for lanes, _ in found.table] == [1, 2, 4, 8]
    rates = [rate for _, rate in found.table]
    assert rates[-1] > 6 * rates[0]
    assert engine.lanes == ()
    assert engine.results() == []


def test_the_rate_is_that_of_the_examples_whatever_an_update_takes(
    encoded: EncodedCorpus, make_config: Make
) -> None:
    tables = []
    for accumulate in (1, 3):
        engine = Engine(encoded)
        config = make_config(training={"accumulate": accumulate})
        tables.append(calibrate(engine, [config], 3, 1, clock=Clock(engine, word=1e-3)).table)

    assert tables[0] == tables[1]


def test_lanes_that_take_turns_do_not_pay(encoded: EncodedCorpus, make_config: Make) -> None:
    engine = Engine(encoded)
    # Such a difference between the configurations would be a gain, if they were not told apart.
    configs = [make_config(batches={"regime": "joint"}), make_config()]

    found = calibrate(engine, configs, 3, 8, clock=Clock(engine, word=1e-3))

    assert found.lanes == 1
    assert [lanes for lanes, _ in found.table] == [1, 2]


def test_doubling_stops_where_the_gain_falls_below_a_tenth(
    encoded: EncodedCorpus, make_config: Make
) -> None:
    engine = Engine(encoded)
    clock = Clock(engine, step=0.01, lane=0.008)

    found = calibrate(engine, [make_config()], 3, 64, clock=clock)

    # A step of n lanes takes 0.01 + 0.008 n: gains of 1.38, 1.24, 1.13, 1.07.
    assert found.lanes == 8
    assert [lanes for lanes, _ in found.table] == [1, 2, 4, 8, 16]


def test_no_more_lanes_are_tried_than_asked_or_fit(
    encoded: EncodedCorpus, make_config: Make
) -> None:
    engine, config = Engine(encoded), make_config()
    clock = Clock(engine, step=0.02)
    assert calibrate(engine, [config], 3, 6, clock=clock).lanes == 6

    engine.budget = 5 * engine.need(config)
    found = calibrate(engine, [config], 3, 64, clock=clock)

    assert found.lanes == 4
    assert engine.lanes == ()


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize(
    "unfit", [{"encoder": {"d_model": 4_000_000}}, {"training": {"frozen_layers": 3}}]
)
def test_a_configuration_that_no_lane_can_have_leaves_the_others_to_be_measured(
    unfit: dict[str, dict[str, int]], place: int, encoded: EncodedCorpus, make_config: Make
) -> None:
    engine = Engine(encoded)
    configs = [make_config(), make_config(batches={"regime": "joint"})]
    configs.insert(place, make_config(**unfit))

    found = calibrate(engine, configs, 3, 4, clock=Clock(engine, step=0.02))

    assert found.lanes == 4
    assert engine.lanes == ()


def test_where_no_lane_can_be_opened_one_is_left_to_say_why(
    encoded: EncodedCorpus, make_config: Make
) -> None:
    unfit = make_config(training={"frozen_layers": 3})

    assert calibrate(Engine(encoded), [unfit], 3, 4).lanes == 1


def test_it_takes_little_time_unless_a_step_does(encoded: EncodedCorpus, make_config: Make) -> None:
    engine = Engine(encoded)
    short = Clock(engine, step=0.03)
    calibrate(engine, [make_config()], 3, 8, clock=short)
    assert short.now < 3.5

    slow_engine = Engine(encoded)
    slow = Clock(slow_engine, step=30.0)
    found = calibrate(slow_engine, [make_config()], 3, 64, clock=slow)
    assert slow.steps <= 3
    assert found.lanes == 1


def test_memory_that_runs_out_ends_it(
    encoded: EncodedCorpus, make_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(encoded)
    clock = Clock(engine, step=0.02)
    compute = updates.compute_logits

    def at_most_two(parts: list[object]) -> object:
        if len(parts) > 2:
            raise MemoryError
        return compute(parts)  # type: ignore[arg-type]

    monkeypatch.setattr(updates, "compute_logits", at_most_two)

    found = calibrate(engine, [make_config()], 3, 64, clock=clock)

    assert found.lanes == 2
    assert engine.lanes == ()
    assert engine.room(make_config()) == 2


def test_a_real_clock_does(encoded: EncodedCorpus, make_config: Make) -> None:
    found = calibrate(Engine(encoded), [make_config()], 3, 2)

    assert found.lanes in (1, 2)
    assert all(rate > 0 for _, rate in found.table)

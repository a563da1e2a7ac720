"""The ways to train the same trials that are compared: processes, and lanes of engines.

On a GPU there is one engine. On a CPU it is one for all cores or, as in a search, one for each.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from corpora import Sample
from lane_work import Timing, Trial, measure
from packing import measure_processes
from rich.table import Table

from mtl_core.training.results import NoRoom


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What is trained.

    Args:
        trials: As many as the most lanes at least.
        lanes: Numbers of lanes to measure; the first is 1.
        processes: Numbers of processes to measure.
        engines: Numbers of engines that share the most lanes, measured too.
        few: Trials that processes train, and engines of no more lanes, which take longer.
        epochs: Measured epochs of the sample.
    """

    corpus: Sample
    trials: list[Trial]
    lanes: Sequence[int]
    processes: Sequence[int]
    engines: Sequence[int]
    epochs: int
    device: str
    few: int


@dataclass(frozen=True)
class Arm:
    """One way to train the trials.

    Args:
        timings: Of its processes, which ran at the same time; none where there was no room.
    """

    name: str
    at_a_time: int
    timings: list[Timing]

    @property
    def trials_per_hour(self) -> float:
        return sum(timing.trials_per_hour for timing in self.timings)

    @property
    def updates_per_second(self) -> float:
        return sum(timing.updates / timing.update_seconds for timing in self.timings)

    @property
    def flops_per_second(self) -> float:
        return sum(timing.flops_per_second for timing in self.timings)

    @property
    def losses(self) -> dict[int, list[float]]:
        """Losses of each epoch of each trial, by the trial's seed."""
        return {seed: of for timing in self.timings for seed, of in sorted(timing.losses.items())}


def measure_arms(work: Workload) -> list[Arm]:
    """Return all arms: processes first, then lanes, the first of which is one trial at a time."""
    layouts = [("processes", count, 1) for count in work.processes]
    layouts += [(f"{n} engines", n, max(work.lanes) // n) for n in work.engines if n > 1]
    layouts.sort(key=lambda layout: layout[1])
    timings = measure_processes(
        work.corpus,
        work.trials,
        [
            (count, lanes, work.few if name == "processes" else len(work.trials))
            for name, count, lanes in layouts
        ],
        epochs=work.epochs,
        device=work.device,
    )
    arms = [
        Arm(name, count * lanes, of_layout)
        for (name, count, lanes), of_layout in zip(layouts, timings, strict=True)
    ]
    for lanes in work.lanes:
        try:
            trials = work.trials[: max(work.few, lanes)]
            timing = measure(
                work.corpus, trials, lanes=lanes, epochs=work.epochs, device=work.device
            )
        except NoRoom:
            arms.append(Arm("lanes", lanes, []))
        else:
            arms.append(Arm("lanes", lanes, [timing]))
    return arms


def best(arms: Sequence[Arm], name: str) -> Arm:
    return max((arm for arm in arms if arm.name == name), key=lambda arm: arm.trials_per_hour)


def one_at_a_time(arms: Sequence[Arm]) -> Arm:
    return next(arm for arm in arms if arm.name == "lanes" and arm.at_a_time == 1)


def table_of(title: str, arms: Sequence[Arm]) -> Table:
    one, packed = one_at_a_time(arms), best(arms, "processes")
    table = Table(title=title)
    columns = ("at a time", "trials/hour", "of one", "of best packing")
    for column in ("arm", *columns, "updates/s", "evaluation", "TFLOP/s"):
        table.add_column(column, justify="left" if column == "arm" else "right")
    for arm in arms:
        if not arm.timings:
            table.add_row(arm.name, str(arm.at_a_time), "no room")
            continue
        evaluating = sum(timing.evaluation_seconds for timing in arm.timings)
        seconds = evaluating + sum(timing.update_seconds for timing in arm.timings)
        table.add_row(
            arm.name,
            str(arm.at_a_time),
            f"{arm.trials_per_hour:,.2f}",
            f"{arm.trials_per_hour / one.trials_per_hour:.2f}",
            f"{arm.trials_per_hour / packed.trials_per_hour:.2f}",
            f"{arm.updates_per_second:,.1f}",
            f"{evaluating / seconds:.0%}",
            f"{arm.flops_per_second / 1e12:.3f}",
        )
    return table

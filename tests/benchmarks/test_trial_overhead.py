"""What a trial costs beside its training: seconds, memory of the driver, files.

    python tests/benchmarks/test_trial_overhead.py [--trials 1000] [--sampler random | tpe]
        [--at-a-time 2] [--profile]

runs trials of one epoch that train nothing through the whole search (proposals, journal, early
stopping, display switched off) and prints the figures, the report among them. Trials that end
before all clients are up, which keeps two cores busy for a while, are not counted. `--profile` says
where the driver's time goes. Wanted: 40 trials a second with random proposals and 30 with TPE, 64
at a time, and at most 5 KB of the driver a trial.
"""

import argparse
import cProfile
import gc
import pstats
import tempfile
import time
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from search.progress import Progress
from search.record import FORMAT, StudyRecord
from search.space import load_space
from search.views import write_views
from search.workplace import EngineFiles

TASKS = [f"task{k}" for k in range(8)]
WARM_UP = 50  # trials, at least, until imports and allocators have settled
SPACE = """
name: overhead
search: {trials: 1000, sampler: random, workers: 2, early_stopping: null, confirm: {seeds: 0}}
sharing: {structure: {choice: [stack_pooling, stack_cls, layerwise_implicit]}}
training: {learning_rate: {float: [1.0e-5, 1.0e-2], log: true}}
"""


@dataclass(frozen=True)
class Overhead:
    """What was measured.

    Args:
        megabytes: Growth of the driver's resident memory.
        files: All that are left behind.
        event_bytes: Of the journal, a mean over its events.
        report_seconds: For the report, the tables and the page.
    """

    trials: int
    seconds_per_trial: float
    megabytes: float
    files: int
    event_bytes: float
    report_seconds: float

    def __str__(self) -> str:
        return (
            f"{self.trials} trials that train nothing: {1 / self.seconds_per_trial:.1f} a second, "
            f"{1000 * self.seconds_per_trial:.1f} ms and "
            f"{1000 * self.megabytes / self.trials:.1f} KB of the driver each, "
            f"{self.megabytes:.1f} MB in all; {self.files} files left; "
            f"{self.event_bytes:.0f} bytes an event; the report takes {self.report_seconds:.1f} s"
        )


class _Meter(Progress):
    """Measures from the end of the warm-up to the end of the last trial.

    Args:
        clients: Processes that must be there before.
    """

    def __init__(self, clients: int) -> None:
        self.ended, self.warm_up, self.clients = 0, 0, clients
        self.marks = [(0.0, 0.0)] * 2

    def trial_ended(self, trial: str) -> None:  # noqa: ARG002
        self.ended += 1
        settled = not self.warm_up and self.ended >= WARM_UP
        if settled and _count_processes("ray::Nothing") >= self.clients:
            self.warm_up = self.ended
            self.marks[0] = (time.perf_counter(), _resident_megabytes())

    def close(self) -> None:
        self.marks[1] = (time.perf_counter(), _resident_megabytes())


def measure(folder: Path, trials: int, *, sampler: str = "random", at_a_time: int = 2) -> Overhead:
    """Run `trials` trials and return what one of those after the warm-up costs."""
    from ray.tune import Trainable

    from search.tuner import run_trials

    class Nothing(Trainable):
        def reset_config(self, new_config: dict[str, Any]) -> bool:  # noqa: ARG002
            return True

        def step(self) -> dict[str, Any]:
            scores = dict.fromkeys(TASKS, 0.5)
            return {
                "epoch": 1, "average": 0.5, "scores": scores, "loss": 0.7, "losses": scores,
                "tokens_per_second": 1.0, "seconds": 0.0, "ended": "epochs", "snapshots": [],
                "done": True,
            }  # fmt: skip

    (folder / "space.yaml").write_text(SPACE, encoding="utf-8")
    asked = {
        "trials": trials, "sampler": sampler, "workers": at_a_time,
        "lanes": -(-at_a_time // 2),
    }  # fmt: skip
    space = load_space(folder / "space.yaml", [f"search.{k}={v}" for k, v in asked.items()])
    record = StudyRecord.open(folder / "journal.jsonl")
    record.append("study", format=FORMAT, name=space.name, seed=0, tasks=TASKS)
    meter = _Meter(at_a_time)
    run_trials(
        space, EngineFiles(folder / "none"), record, folder, progress=meter, trainable=Nothing
    )
    record.close()
    assert len(record.finished()) == trials
    assert meter.warm_up, f"{trials} trials had ended before all {at_a_time} clients were up"
    counted = trials - meter.warm_up
    (began, before), (ended, after) = meter.marks
    files = sum(path.is_file() for path in folder.rglob("*")) - 1  # the space was there before
    journal = (folder / "journal.jsonl").read_bytes()
    started = time.perf_counter()
    write_views(record, space, folder)
    return Overhead(
        counted,
        (ended - began) / counted,
        after - before,
        files,
        event_bytes=len(journal) / journal.count(b"\n"),
        report_seconds=time.perf_counter() - started,
    )


@pytest.mark.slow
@pytest.mark.cluster
def test_a_thousand_trials_that_train_nothing_cost_little(tmp_path: Path) -> None:
    found = measure(tmp_path, 1000)

    print(found)
    assert found.seconds_per_trial < 0.1
    assert found.megabytes < 20
    assert found.files <= 2 * found.trials


def _count_processes(title: str) -> int:
    count = 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has just ended
            count += path.read_bytes().startswith(title.encode())
    return count


def _resident_megabytes() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--sampler", choices=["random", "tpe"], default="random")
    parser.add_argument("--at-a-time", type=int, default=2)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    profile = cProfile.Profile()
    with tempfile.TemporaryDirectory() as folder, profile if options.profile else nullcontext():
        asked = {"sampler": options.sampler, "at_a_time": options.at_a_time}
        print(measure(Path(folder), options.trials, **asked))
    if options.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    main()

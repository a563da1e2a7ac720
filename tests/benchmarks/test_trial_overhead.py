"""What a trial costs beside its training: seconds, memory of the driver, files.

    python tests/benchmarks/test_trial_overhead.py [--trials 1000]

runs trials of one epoch that train nothing through the whole search (proposals, journal, early
stopping, display switched off) and prints the figures. The first trials, which start the workers,
are not counted.
"""

import argparse
import gc
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from search.progress import Progress
from search.record import FORMAT, StudyRecord
from search.space import load_space

TASKS = [f"task{k}" for k in range(8)]
WARM_UP = 50  # trials until workers, imports and allocators have settled
SPACE = """
name: overhead
search: {trials: 1000, sampler: random, workers: 2, early_stopping: null, confirm: {seeds: 0}}
sharing: {structure: {choice: [stack_pooling, stack_cls, layerwise_implicit]}}
training: {learning_rate: {float: [1.0e-5, 1.0e-2], log: true}}
"""


@dataclass(frozen=True)
class Overhead:
    """Args: megabytes: Growth of the driver's resident memory; files: All that are left behind."""

    trials: int
    seconds_per_trial: float
    megabytes: float
    files: int

    def __str__(self) -> str:
        return (
            f"{self.trials} trials that train nothing: {1000 * self.seconds_per_trial:.1f} ms and "
            f"{1000 * self.megabytes / self.trials:.1f} KB of the driver each, "
            f"{self.megabytes:.1f} MB in all; {self.files} files left"
        )


class _Meter(Progress):
    """Measures from the end of the warm-up to the end of the last trial."""

    def __init__(self) -> None:
        self.ended, self.marks = 0, [(0.0, 0.0)] * 2

    def trial_ended(self, trial: str) -> None:  # noqa: ARG002
        self.ended += 1
        if self.ended == WARM_UP:
            self.marks[0] = (time.perf_counter(), _resident_megabytes())

    def close(self) -> None:
        self.marks[1] = (time.perf_counter(), _resident_megabytes())


def measure(folder: Path, trials: int) -> Overhead:
    """Run `trials` trials after the warm-up and return what one of them costs."""
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
    space = load_space(folder / "space.yaml", [f"search.trials={trials + WARM_UP}"])
    record = StudyRecord.open(folder / "journal.jsonl")
    record.append("study", format=FORMAT, name=space.name, seed=0, tasks=TASKS)
    meter = _Meter()
    run_trials(space, folder / "none", record, folder, progress=meter, trainable=Nothing)
    record.close()
    assert len(record.finished()) == trials + WARM_UP
    (began, before), (ended, after) = meter.marks
    files = sum(path.is_file() for path in folder.rglob("*")) - 1  # the space was there before
    return Overhead(trials, (ended - began) / trials, after - before, files)


@pytest.mark.slow
@pytest.mark.cluster
def test_a_thousand_trials_that_train_nothing_cost_little(tmp_path: Path) -> None:
    found = measure(tmp_path, 1000)

    print(found)
    assert found.seconds_per_trial < 0.1
    assert found.megabytes < 20
    assert found.files <= 2 * found.trials


def _resident_megabytes() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    with tempfile.TemporaryDirectory() as folder:
        print(measure(Path(folder), parser.parse_args().trials))


if __name__ == "__main__":
    main()

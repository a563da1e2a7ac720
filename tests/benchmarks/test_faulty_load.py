"""Many trials at a time, of which many go wrong: does each end as it must, and is all written down?

    python tests/benchmarks/test_faulty_load.py [--trials 1000] [--at-a-time 64] [--seed 0]

runs trials of three epochs that train nothing through the whole search, early stopping included. In
each epoch of each attempt a trial may raise, have no score, be slow, or lose its client to `kill
-9`, which a stream of random numbers says that is its own. What must come of it follows from these
numbers alone, but for what early stopping makes of good trials, and is held against the journal.
"""

import argparse
import os
import random
import signal
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from machine import describe, make_console
from rich.table import Table

from search.record import FORMAT, StudyRecord
from search.space import load_space
from search.trial_record import TrialRecord
from search.workplace import EngineFiles

EPOCHS, RETRIES = 3, 3
SHARES = {"raises": 0.02, "killed": 0.02, "no score": 0.02, "slow": 0.02}  # of all epochs
SPACE = f"""
name: faulty
search: {{sampler: random, failures: {{share: 0.99}}, retries: {RETRIES}, confirm: {{seeds: 0}}}}
sharing: {{structure: {{choice: [stack_pooling, stack_cls, layerwise_implicit]}}}}
training: {{learning_rate: {{float: [1.0e-5, 1.0e-2], log: true}}, epochs: {EPOCHS}}}
"""


@dataclass
class Outcome:
    """What was found: how trials ended, and which did not end as they must, with the reason."""

    seconds: float
    states: Counter[str] = field(default_factory=Counter)
    restarts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def happens(trial: str, attempt: int, epoch: int, seed: int) -> str:
    """Return what befalls an epoch of an attempt of a trial; "nothing" for most."""
    drawn = random.Random(f"{seed} {trial} {attempt} {epoch}").random()
    for fault, share in SHARES.items():
        if drawn < share:
            return fault
        drawn -= share
    return "nothing"


def run(folder: Path, *, trials: int, at_a_time: int, seed: int) -> Outcome:
    """Run so many trials and return how they ended."""
    from ray.tune import Trainable

    from search.tuner import run_trials

    class Faulty(Trainable):
        def setup(self, config: dict[str, Any]) -> None:
            self.reset_config(config)

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.trial, self.attempt = new_config["trial"], new_config["attempt"]
            self.attempt += len(list(folder.glob(f"killed/{self.trial}-*")))
            self.epoch = 0
            return True

        def step(self) -> dict[str, Any]:
            self.epoch += 1
            fault = happens(self.trial, self.attempt, self.epoch, seed)
            if fault == "raises":
                failure = {"kind": "error", "reason": "ValueError: drawn", "traceback": None}
                return {"failure": failure, "done": True}
            if fault == "killed":
                (folder / "killed" / f"{self.trial}-{self.attempt}").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            if fault == "slow":
                time.sleep(0.5)
            score = None if fault == "no score" else random.Random(self.trial).random()
            return {
                "epoch": self.epoch, "average": score, "scores": {"a": score}, "loss": 0.7,
                "losses": {"a": 0.7}, "tokens_per_second": 1.0, "seconds": 0.0, "ended": "epochs",
                "snapshots": [], "done": self.epoch == EPOCHS,
            }  # fmt: skip

    (folder / "killed").mkdir()
    (folder / "space.yaml").write_text(SPACE, encoding="utf-8")
    asked = {"trials": trials, "workers": at_a_time, "lanes": -(-at_a_time // 2)}
    space = load_space(folder / "space.yaml", [f"search.{k}={v}" for k, v in asked.items()])
    record = StudyRecord.open(folder / "journal.jsonl")
    record.append("study", format=FORMAT, name=space.name, seed=0, tasks=["a"])
    began = time.monotonic()
    run_trials(space, EngineFiles(folder / "none"), record, folder, trainable=Faulty)
    record.close()
    outcome = Outcome(time.monotonic() - began)
    read = StudyRecord.load(folder / "journal.jsonl")
    if len(read.trials) != trials:
        outcome.wrong.append(f"{len(read.trials)} trials in the journal")
    for trial in read.trials.values():
        outcome.states[trial.state] += 1
        outcome.restarts.update(retry.kind for retry in trial.retries)
        killed = len(list(folder.glob(f"killed/{trial.id}-*")))
        outcome.wrong += [f"{trial.id} {why}" for why in what_is_wrong(trial, killed, seed)]
    return outcome


def what_is_wrong(trial: TrialRecord, killed: int, seed: int) -> list[str]:
    """Say in what a trial did not end as it must, given how often its client was killed."""
    faults = [happens(trial.id, killed + 1, epoch, seed) for epoch in range(1, EPOCHS + 1)]
    fails = next((epoch for epoch, fault in enumerate(faults, 1) if fault == "raises"), None)
    reported = [report.epoch for report in trial.reports if report.attempt == trial.attempt]
    wrong = []
    if not trial.ended:
        wrong.append(f"is {trial.state}")
    if len(trial.retries) != min(killed, RETRIES):
        wrong.append(f"was begun again {len(trial.retries)} times and killed {killed} times")
    if killed > RETRIES:
        return wrong + [f"is {trial.state} though lost"] * (trial.state != "failed")
    if reported != list(range(1, len(reported) + 1)):
        wrong.append(f"reported epochs {reported}")
    if trial.state == "finished" and (fails or len(reported) != EPOCHS):
        wrong.append(f"has finished after {len(reported)} epochs, and raises in {fails}")
    if trial.state == "failed" and len(reported) + 1 != fails:
        wrong.append(f"has failed after {len(reported)} epochs, and raises in {fails}")
    if trial.state == "stopped" and trial.rung != len(reported):
        wrong.append(f"was stopped at {trial.rung} after {len(reported)} epochs")
    return wrong


@pytest.mark.slow
@pytest.mark.cluster
def test_every_trial_ends_as_it_must_whatever_befalls_it_and_others(tmp_path: Path) -> None:
    outcome = run(tmp_path, trials=200, at_a_time=16, seed=0)

    assert outcome.wrong == []
    assert outcome.restarts["worker"] > 0
    assert outcome.states["failed"] > 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--at-a-time", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    console = make_console()
    console.print(describe())
    with tempfile.TemporaryDirectory() as folder:
        outcome = run(Path(folder), trials=asked.trials, at_a_time=asked.at_a_time, seed=asked.seed)
    table = Table("finished", "stopped", "failed", "clients lost", "not as they must", "seconds")
    table.add_row(
        *(str(outcome.states[state]) for state in ("finished", "stopped", "failed")),
        str(outcome.restarts.total()), str(len(outcome.wrong)), f"{outcome.seconds:.0f}",
    )  # fmt: skip
    console.print(table)
    for line in outcome.wrong[:20]:
        console.print(line)


if __name__ == "__main__":
    main()

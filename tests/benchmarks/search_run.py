"""A whole search as a command: how long it took, and how much of that its engines trained.

The command runs in a process of its own; what happened in it is read from its journal.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_CONFIRMATION = ("  confirm:", "  minutes:")


@dataclass(frozen=True, kw_only=True)
class SearchRun:
    """What a search took.

    Args:
        seconds: Of the whole command, from its start to the report.
        searching: From the study's first event until the trials had ended.
        training: Seconds in which an engine (before lanes: a worker) trained or scored dev rows, a
            mean over the engines.
        testing: Seconds from the end of the trials until the leaders' test rows were scored.
        trials, epochs: That were begun, and trained.
        printed: The last lines of the command.
    """

    seconds: float
    searching: float
    training: float
    testing: float
    trials: int
    epochs: int
    printed: str

    @property
    def outside(self) -> float:
        """Share of the whole time that is neither training nor scoring."""
        return 1 - (self.training + self.testing) / self.seconds

    def __str__(self) -> str:
        return (
            f"{self.seconds:.1f} s in all for {self.trials} trials of {self.epochs} epochs in all; "
            f"{self.searching:.1f} s until the trials had ended; an engine trained "
            f"{self.training:.1f} s and test rows took {self.testing:.1f} s, so {self.outside:.0%} "
            "of the time is outside training and evaluation"
        )


def run_search(
    space: str, settings: Mapping[str, str], data: Path | None = None, source: Path = ROOT
) -> SearchRun:
    """Run the search of `spaces/SPACE.yaml`, the settings changed, without a confirmation and
    without measuring how tasks relate.

    Raises `RuntimeError` where it fails.

    Args:
        source: Folder of the program; the space is that of this one.
    """
    command = [sys.executable, "-m", "search.run"]
    command += [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    command += ["--data", str(data)] if data else []
    if source == ROOT:  # what former programs do not have
        command += ["--set", "confirm.seeds=0", "--set", "search.affinity.epochs=0"]
    environment = {**os.environ, "PYTHONPATH": str(source)}
    with tempfile.TemporaryDirectory() as folder:
        path = _without_confirmation(space, Path(folder))
        began = time.perf_counter()
        done = subprocess.run(
            [*command, "--space", str(path), "--out", folder],
            cwd=source,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - began
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
        events = _events(Path(folder) / space / "journal.jsonl")
    times = {event["event"]: event["time"] for event in events}  # of the last of each
    return SearchRun(
        seconds=seconds,
        searching=times["ended"] - events[0]["time"],
        training=training_seconds(events),
        testing=times["tested"] - times["ended"],
        trials=len({event["trial"] for event in events if event["event"] == "started"}),
        epochs=sum(event["event"] == "reported" for event in events),
        printed="\n".join(done.stdout.splitlines()[-20:]),
    )


def _without_confirmation(space: str, folder: Path) -> Path:
    """Write a copy of a space that former programs know each key of, and without a time limit."""
    text = (ROOT / "spaces" / f"{space}.yaml").read_text(encoding="utf-8")
    kept = [line for line in text.splitlines() if not line.startswith(_CONFIRMATION)]
    path = folder / f"{space}.yaml"
    path.write_text("\n".join(kept) + "\n", encoding="utf-8")
    return path


def training_seconds(events: Sequence[Mapping[str, Any]]) -> float:
    """Return how long an engine trained, on average; its lanes do so at the same time."""
    engine_of: dict[str, str] = {}
    spans: dict[str, list[tuple[float, float]]] = {}
    for event in events:
        if event["event"] == "started":
            engine_of[event["trial"]] = event["worker"]
        elif event["event"] == "reported":
            span = (event["time"] - event["seconds"], event["time"])
            spans.setdefault(engine_of[event["trial"]], []).append(span)
    return sum(map(_covered, spans.values())) / len(spans)


def _covered(spans: list[tuple[float, float]]) -> float:
    """Return the length of all spans together, what they share counted once."""
    total, done = 0.0, 0.0
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, done))
        done = max(done, end)
    return total


def _events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

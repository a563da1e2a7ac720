"""How often a whole study finds what is planted, and how often it sees what is not there.

    python tests/benchmarks/test_planted.py --out FOLDER [--seeds 10] [--corpus planted noise apart]

Each seed is one run of `spaces/layerwise.yaml`, as a command and without its limit of time, so that
how busy the machine is plays no part, on a corpus of its own:

- planted: the built-in corpus, whose tasks share by a known truth. Does the answer name the planted
  structure, and the depth? Does the interval of what sharing gains leave zero out?
- noise: the same texts with labels at random, so that no two models differ in truth, on any task.
  Whatever is called better or worse is a false alarm.
- apart: tasks that have no word in common, so that nothing is to be gained by sharing. What is
  called better is a false alarm; sharing may truly be worse there.

Better and worse are those of the report: the best that shares less the best single-task training,
task by task, after Holm's correction at 5 %. Required: at most 10 % of the tasks of `noise` called
either, and of `apart` called better. Studies lie in FOLDER; one that has ended is not run again, so
the script can be stopped and goes on where it was.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from machine import describe, make_console
from rich.table import Table
from search_run import ROOT

from mtl_core.data.config import CorpusConfig
from mtl_core.data.synthetic import PlantedTruth, generate, planted_truth
from mtl_core.files import write_text
from search.journal import JOURNAL
from search.record import StudyRecord
from search.report.confirmation import compared
from search.report.findings import Findings
from search.report.tested import SINGLE_TASK
from search.report.wording import interval, percent

SPACE = ROOT / "spaces" / "layerwise.yaml"
CORPORA = ("planted", "noise", "apart")
N_TASKS = 8
MOST_FALSE = 0.10


@dataclass(frozen=True)
class Outcome:
    """What one study said.

    Args:
        structure, depth: Of the best on average.
        gain: What sharing gains on average over single-task training, in words; `sign` its verdict.
        better, worse: Tasks that are called so.
        minutes: Of search and confirmation.
    """

    structure: str
    depth: int | None
    gain: str
    sign: int
    better: int
    worse: int
    tasks: int
    minutes: float

    def names(self, truth: PlantedTruth, *, depth_too: bool) -> bool:
        """Whether the answer is the planted one."""
        depth = self.depth or 0
        right = self.structure == truth.structure
        return right and (not depth_too or depth == truth.divergence_depth)


def run_study(corpus: str, seed: int, out: Path) -> Outcome:
    """Return what a study of that seed says; it is run unless it has ended."""
    folder = out / f"{corpus}{seed}"
    if not _has_ended(folder):
        command = [sys.executable, "-m", "search.run", "--space", str(SPACE), "--out", str(out)]
        command += ["--seed", str(seed), "--set", f"name={folder.name}"]
        command += ["--set", "minutes=null", *_settings(corpus, seed, out)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run(command, cwd=ROOT, env=environment, check=True)
    return outcome_of(StudyRecord.load(folder / JOURNAL))


def outcome_of(record: StudyRecord) -> Outcome:
    """Return what the journal of a confirmed study says."""
    findings = Findings(record)
    best, single = findings.average, findings.single_task
    assert best is not None
    assert best.trial is not None
    assert single is not None
    shared = findings.sharing if best.structure == SINGLE_TASK else best
    assert shared is not None
    found = compared(shared, single, findings.tasks)
    assert found.test is not None
    signs = [one.sign for one in found.by_task.values()]
    return Outcome(
        structure=best.trial.structure,
        depth=best.trial.config["sharing"]["divergence_depth"],
        gain=interval(found.test),
        sign=found.test.sign,
        better=signs.count(1),
        worse=signs.count(-1),
        tasks=len(signs),
        minutes=record.seconds_used / 60,
    )


def write_apart(folder: Path, seed: int, n_tasks: int = N_TASKS) -> None:
    """Write tasks as folders, each a built-in corpus by itself whose words no other task has."""
    for number in range(n_tasks):
        config = CorpusConfig(seed=1000 * seed + number, n_tasks=1, n_groups=1)
        (task,) = generate(config).tasks
        (folder / f"task{number + 1}").mkdir(parents=True, exist_ok=True)
        for split, rows in task.splits.items():
            own = (" ".join(f"{word}{number}" for word in text.split()) for text in rows.texts)
            lines = (f"{text}\t{label}" for text, label in zip(own, rows.labels, strict=True))
            text = "\n".join(("text\tlabel", *lines, ""))
            write_text(folder / f"task{number + 1}" / f"{split}.tsv", text)


def table_of(found: dict[str, list[Outcome]]) -> Table:
    """Return one line for each corpus."""
    table = Table(title=f"spaces/{SPACE.name}, over seeds")
    for column in (
        "corpus", "studies", "structure named", "and depth", "sharing helps", "hurts",
        "tasks better", "tasks worse", "of", "minutes",
    ):  # fmt: skip
        table.add_column(column, justify="left" if column == "corpus" else "right")
    truth = planted_truth(CorpusConfig())
    for corpus, outcomes in found.items():
        planted = corpus == "planted"
        named = [
            str(sum(one.names(truth, depth_too=too) for one in outcomes)) if planted else "–"
            for too in (False, True)
        ]
        signs = [one.sign for one in outcomes]
        better, worse, tasks = (sum(getattr(one, k) for one in outcomes) for k in _COUNTED)
        cells = [*named, str(signs.count(1)), str(signs.count(-1))]
        cells += [f"{better} ({percent(better / tasks)}%)", f"{worse} ({percent(worse / tasks)}%)"]
        minutes = sum(one.minutes for one in outcomes) / len(outcomes)
        table.add_row(corpus, str(len(outcomes)), *cells, str(tasks), f"{minutes:.1f}")
    return table


def false_alarms(corpus: str, outcomes: Sequence[Outcome]) -> float:
    """Return the share of tasks called what they are not."""
    wrong = sum(one.better + (one.worse if corpus == "noise" else 0) for one in outcomes)
    return wrong / sum(one.tasks for one in outcomes)


_COUNTED = ("better", "worse", "tasks")


def _has_ended(folder: Path) -> bool:
    if not (folder / JOURNAL).is_file():
        return False
    record = StudyRecord.load(folder / JOURNAL)
    return record.ended_reason not in (None, "interrupted") and bool(record.confirmed)


def _settings(corpus: str, seed: int, out: Path) -> list[str]:
    if corpus == "apart":
        data = out / "corpora" / f"apart{seed}"
        write_apart(data, seed)
        return ["--data", str(data)]
    settings = ["--set", f"data.builtin.seed={seed}"]
    return settings + (["--set", "data.builtin.label_noise=0.5"] if corpus == "noise" else [])


def test_tasks_apart_have_no_word_in_common(tmp_path: Path) -> None:
    write_apart(tmp_path, seed=3, n_tasks=2)

    words = [set((tmp_path / f"task{k}" / "train.tsv").read_text().split()) for k in (1, 2)]

    assert words[0] & words[1] == {"text", "label", "neg", "pos"}


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.parametrize("corpus", CORPORA)
def test_what_is_planted_is_found_and_what_is_not_is_not_seen(corpus: str, tmp_path: Path) -> None:
    outcome = run_study(corpus, 0, tmp_path)

    if corpus == "planted":
        assert outcome.names(planted_truth(CorpusConfig()), depth_too=False)
        assert outcome.sign == 1
    else:
        assert false_alarms(corpus, [outcome]) <= MOST_FALSE


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--corpus", nargs="+", choices=CORPORA, default=list(CORPORA))
    chosen = parser.parse_args()
    console = make_console()
    found: dict[str, list[Outcome]] = {}
    for seed in range(chosen.first, chosen.first + chosen.seeds):
        for corpus in chosen.corpus:
            outcome = run_study(corpus, seed, chosen.out)
            found.setdefault(corpus, []).append(outcome)
            console.print(f"{corpus}, seed {seed}: {outcome}", highlight=False)
    console.print(describe())
    console.print(table_of(found))
    for corpus in found.keys() - {"planted"}:
        console.print(
            f"{corpus}: {false_alarms(corpus, found[corpus]):.1%} of tasks falsely called"
        )


if __name__ == "__main__":
    main()

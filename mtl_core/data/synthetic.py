"""The built-in corpus: short made-up texts whose tasks share by a truth that is known.

A text has `N_PARTS` parts of `PART` words. Cue words lean to "pos" or "neg", the others mean
nothing. What a task's label is follows from three things:

- its group: half of the cues lean the same way everywhere, the others lean differently from group
  to group, so that one model that does not know the task is misled;
- the part it reads: the tasks of a group judge different parts by the same cues, and what the other
  parts say only distracts, so that a task has to be known *before* the words are averaged;
- its size: small tasks have too few rows to learn the cues alone.

So sharing nothing starves the small tasks, sharing all up to the heads must find room for what
every task looks at, and sharing the words while each task looks with its own eyes (its own token
from the first layer on) is best. `planted_truth` says which tasks and cues those are.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from mtl_core.data.config import CorpusConfig
from mtl_core.data.made_up_words import make_words
from mtl_core.data.task import Corpus, Split, Task
from mtl_core.files import write_text
from mtl_core.seeding import stream

LABELS = ("neg", "pos")
PLANTED_TRUTH = "planted_truth.json"
N_PARTS = 3
PART = 5  # words of a part; the last one may be shorter
_LAST_PART = (3, 5)  # fewest and most words of the last part
_CUES = (1, 2)  # fewest and most cues of a part
_N_CUES = 40
_N_FILLERS = 200
_DRAWN = 4096  # random numbers at a time
_GROUPS = ("alba", "bora", "cori", "dalu", "enka", "fimo", "gora", "hilu")


@dataclass(frozen=True, kw_only=True)
class PlantedTruth:
    """What a search on the built-in corpus should find.

    Args:
        groups: Names of the tasks that share the meaning of all cues, group by group.
        reads: The part that each task judges, from 0.
        train_rows: Train rows of each task.
        shared_cues: Cues that lean the same way in every group, with the way: 1 "pos", -1 "neg".
        contradicting_cues: Cues that lean differently, with the way in each group.
        structure, divergence_depth: The published structure that fits the truth.
        advice: The same in words.
    """

    groups: tuple[tuple[str, ...], ...]
    reads: dict[str, int]
    train_rows: dict[str, int]
    shared_cues: dict[str, int]
    contradicting_cues: dict[str, tuple[int, ...]]
    structure: str = "layerwise_implicit"
    divergence_depth: int = 0
    advice: str = (
        "Share embeddings and layers, and let the task be known from the first layer on: the cues "
        "are many and mostly common, but tasks read different parts of a text and groups disagree "
        "about half of the cues."
    )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def generate(config: CorpusConfig) -> Corpus:
    """Return the corpus of that seed, the same on every machine; no text occurs twice in it."""
    lexicon, seen = _lexicon(config), set[str]()
    tasks = []
    for plan in _plans(config):
        sizes = {"train": plan.train_rows, "dev": config.dev_rows, "test": config.test_rows}
        splits = {
            split: _make_split(plan, lexicon, split, n_rows, config, seen)
            for split, n_rows in sizes.items()
        }
        tasks.append(Task(name=plan.name, labels=LABELS, splits=splits))
    return Corpus(tasks=tuple(tasks), layout="builtin", source="builtin")


def planted_truth(config: CorpusConfig) -> PlantedTruth:
    """Return what is planted in the corpus of `generate(config)`."""
    lexicon, plans = _lexicon(config), list(_plans(config))
    leanings = dict(zip(lexicon.cues, zip(*lexicon.leanings, strict=True), strict=True))
    return PlantedTruth(
        groups=tuple(
            tuple(plan.name for plan in plans if plan.group == group)
            for group in range(min(config.n_groups, config.n_tasks))
        ),
        reads={plan.name: plan.reads for plan in plans},
        train_rows={plan.name: plan.train_rows for plan in plans},
        shared_cues={cue: way[0] for cue, way in leanings.items() if len(set(way)) == 1},
        contradicting_cues={cue: tuple(way) for cue, way in leanings.items() if len(set(way)) > 1},
    )


def write_folders(corpus: Corpus, truth: PlantedTruth, folder: Path) -> None:
    """Write TASK/{train,dev,test}.tsv as a user would have them, and `planted_truth.json`."""
    for task in corpus.tasks:
        (folder / task.name).mkdir(parents=True, exist_ok=True)
        for split, rows in task.splits.items():
            lines = (f"{x}\t{y}" for x, y in zip(rows.texts, rows.labels, strict=True))
            write_text(folder / task.name / f"{split}.tsv", "\n".join(("text\tlabel", *lines, "")))
    write_text(folder / PLANTED_TRUTH, json.dumps(truth.as_dict(), indent=2) + "\n")


@dataclass(frozen=True)
class _Lexicon:
    """Cues with the way they lean in each group, (groups, cues) of 1 and -1, and fillers."""

    cues: list[str]
    leanings: list[list[int]]
    fillers: list[str]


@dataclass(frozen=True)
class _Plan:
    name: str
    group: int
    reads: int
    train_rows: int


def _plans(config: CorpusConfig) -> Iterator[_Plan]:
    """Tasks go to the groups in turn; in a group, large and small tasks alternate."""
    for task in range(config.n_tasks):
        group, place = task % config.n_groups, task // config.n_groups
        small = place % 2 == 1
        rows = max(round(config.rows * config.small_share), 2) if small else config.rows
        name = _GROUPS[group] if group < len(_GROUPS) else f"group{group + 1}"
        yield _Plan(f"{name}_{place + 1}", group, place % N_PARTS, rows)


def _lexicon(config: CorpusConfig) -> _Lexicon:
    rng = stream(config.seed, "corpus", "lexicon")
    words = make_words(_N_CUES + _N_FILLERS, rng)
    base = np.where(np.arange(_N_CUES) % 2 == 0, 1, -1)
    leanings = np.tile(base, (config.n_groups, 1))  # (groups, cues)
    for cue in range(_N_CUES // 2, _N_CUES):
        while config.n_groups > 1 and len(set(leanings[:, cue])) == 1:
            leanings[:, cue] = np.where(rng.random(config.n_groups) < 0.5, 1, -1)
    return _Lexicon(words[:_N_CUES], leanings.tolist(), words[_N_CUES:])


def _make_split(
    plan: _Plan, lexicon: _Lexicon, split: str, n_rows: int, config: CorpusConfig, seen: set[str]
) -> Split:
    """Labels alternate before the noise, so every split is balanced."""
    draws = _draws(stream(config.seed, "corpus", plan.name, split))
    texts, labels = [], []
    for row in range(n_rows):
        label = row % 2
        text = _make_text(plan, lexicon, label, draws)
        while text in seen:
            text = _make_text(plan, lexicon, label, draws)
        seen.add(text)
        texts.append(text)
        labels.append(LABELS[label ^ int(next(draws) < config.label_noise)])
    return Split(texts=tuple(texts), labels=tuple(labels), source=f"builtin/{plan.name}/{split}")


def _make_text(plan: _Plan, lexicon: _Lexicon, label: int, draws: Iterator[float]) -> str:
    """Return a text whose part that the task reads leans to the label, the others either way."""
    words: list[str] = []
    for part in range(N_PARTS):
        n_words = PART if part < N_PARTS - 1 else _between(_LAST_PART, draws)
        side = 1 if next(draws) < 0.5 else -1
        side = 2 * label - 1 if part == plan.reads else side
        words += _make_part(n_words, side, plan.group, lexicon, draws)
    return " ".join(words)


def _make_part(
    n_words: int, side: int, group: int, lexicon: _Lexicon, draws: Iterator[float]
) -> list[str]:
    """Fillers, frequent ones first as in any text, with cues in some places that lean to `side`."""
    # Squaring makes the first fillers the frequent ones, and is exact on every machine.
    fillers = lexicon.fillers
    words = [fillers[int(x * x * len(fillers))] for x in islice(draws, n_words)]
    order = list(islice(draws, n_words))
    places = sorted(range(n_words), key=order.__getitem__)
    lean, cues = lexicon.leanings[group], list[int]()
    while side * sum(lean[cue] for cue in cues) <= 0:
        cues = [int(x * len(lean)) for x in islice(draws, _between(_CUES, draws))]
    for place, cue in zip(places, cues, strict=False):
        words[place] = lexicon.cues[cue]
    return words


def _between(bounds: tuple[int, int], draws: Iterator[float]) -> int:
    low, high = bounds
    return low + int(next(draws) * (high - low + 1))


def _draws(rng: np.random.Generator) -> Iterator[float]:
    """Yield random numbers from 0 to 1 one by one, many at a time as far as NumPy is concerned."""
    while True:
        yield from rng.random(_DRAWN).tolist()

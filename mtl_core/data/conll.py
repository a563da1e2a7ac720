"""CoNLL's column files: a word a line with its tags, and an empty line after each sentence.

Columns are split by blanks (by tabs where a line has some) and counted from 0; a no-break space
belongs to a word. Lines that begin with `-DOCSTART-` part documents as empty lines do. Two
folders are known as they are: CoNLL-2003's (`eng.train`, `eng.testa`, `eng.testb`, or train.txt,
valid.txt, test.txt), whose columns are word, pos, chunk and ner, and CoNLL-2000's (train.txt,
test.txt), without ner and dev.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from mtl_core.data.iob import to_iob2
from mtl_core.data.labels import make_task
from mtl_core.data.lines import read_lines
from mtl_core.data.rows import Malformed, Row, RowFile, collect, gathered, read_each
from mtl_core.data.splits import cut_last
from mtl_core.data.task import Task
from mtl_core.errors import ConfigError

DOCUMENT = "-DOCSTART-"
FILES = {
    "train": ("eng.train", "train.txt"),
    "dev": ("eng.testa", "valid.txt", "dev.txt"),
    "test": ("eng.testb", "test.txt"),
}
TASKS = {3: ("pos", "chunk"), 4: ("pos", "chunk", "ner")}  # by the number of columns
METRICS = {"pos": "accuracy", "chunk": "entity_f1", "ner": "entity_f1"}
N_DEV_SENTENCES = 1000  # the last of train, where there is no dev file
_BLANKS = re.compile(r"[^\S\u00a0\u202f\u2007]+")  # all but those that break no line

Line = tuple[int, list[str]]


def read_conll(path: Path, word: int, label: int) -> RowFile:
    """Return the sentences of a file as rows: words, and the tags of the column `label`."""
    lines, notes = read_lines(path)
    if not lines:
        raise ConfigError(f"{path}: the file is empty; a word and its tags a line are wanted")
    n_columns = _first_width(lines)
    if max(word, label) >= n_columns:
        missing = f"{path}: no column {max(word, label)}"
        raise ConfigError(f"{missing}; it has {n_columns} columns, the first of them is 0")
    found = (_row(sentence, word, label, n_columns) for sentence in _sentences(lines))
    return collect(found, str(path), notes=notes)


def conll_names(folder: Path) -> tuple[str, ...]:
    """Return the tasks of one of CoNLL's own folders; none if `folder` is another."""
    files = _find(folder)
    if "train" not in files or "test" not in files:
        return ()
    try:
        with files["train"].open("rb") as file:
            first = [file.readline(4096).decode("utf-8", "replace") for _ in range(20)]
    except OSError:
        return ()
    words = [line for line in first if line.strip() and not line.startswith(DOCUMENT)]
    widths = {len(_split(line)) for line in words}
    named = files["train"].name == FILES["train"][0]
    return TASKS.get(widths.pop(), ()) if len(widths) == 1 else TASKS[4] if named else ()


def missing_of_2003(folder: Path) -> list[str]:
    """Return what CoNLL-2003 cannot be read without, where one of its files is there."""
    own = [names[0] for names in FILES.values()]
    if not any((folder / name).is_file() for name in own):
        return []
    files = _find(folder)
    return [FILES[split][0] for split in ("train", "test") if split not in files]


def read_conll_folder(folder: Path, names: Sequence[str]) -> tuple[Task, ...]:
    """Return these tasks of one of CoNLL's own folders, all on the same sentences."""
    return read_each(names, lambda name: _read_task(folder, name))


def _read_task(folder: Path, name: str) -> Task:
    faults: list[str] = []
    parts: dict[str, RowFile] = {}
    for split, path in _find(folder).items():
        with gathered(faults):
            parts[split] = read_conll(path, 0, 1 + TASKS[4].index(name))
    parts = to_iob2(parts)
    if "dev" not in parts and "train" in parts and not faults:
        parts |= cut_last(parts["train"], min(N_DEV_SENTENCES, len(parts["train"].rows) // 5))
    ordered = {split: parts[split] for split in FILES if split in parts}
    return make_task(name, ordered, kind="tagging", metric=METRICS[name], faults=faults)


def _find(folder: Path) -> dict[str, Path]:
    found = {
        split: [folder / name for name in names if (folder / name).is_file()]
        for split, names in FILES.items()
    }
    return {split: paths[0] for split, paths in found.items() if paths}


def _sentences(lines: list[str]) -> Iterator[list[Line]]:
    sentence: list[Line] = []
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.startswith(DOCUMENT):
            sentence.append((number, _split(line)))
        elif sentence:
            yield sentence
            sentence = []
    if sentence:
        yield sentence


def _split(line: str) -> list[str]:
    if "\t" in line:
        return [cell.strip() for cell in line.split("\t")]
    return line.split() if line.isascii() else [cell for cell in _BLANKS.split(line) if cell]


def _first_width(lines: list[str]) -> int:
    first = next(_sentences(lines), None)
    return len(first[0][1]) if first else 0


def _row(sentence: list[Line], word: int, label: int, n_columns: int) -> Row | Malformed:
    for number, cells in sentence:
        if len(cells) != n_columns:
            return Malformed(number, f"{len(cells)} columns, where the first line has {n_columns}")
        if not cells[word] or not cells[label]:
            return Malformed(number, "the word or its tag is empty")
    words = [_as_one(cells[word]) for _, cells in sentence]
    tags = [_as_one(cells[label]) for _, cells in sentence]
    return Row(sentence[0][0], " ".join(tags), " ".join(words))


def _as_one(cell: str) -> str:
    return cell if cell.isalnum() else "_".join(cell.split()) or "_"

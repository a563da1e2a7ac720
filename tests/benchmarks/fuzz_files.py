"""Valid files of each reader, how they are made wrong, and what reads them.

A reader writes its valid files into a folder once; a case says which of them is another, and for
how long: the file is as it was before the next case. What an input costs is mostly the reading.
"""

import json
import random
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

sys.path.append(str(Path(__file__).resolve().parents[1] / "support"))

from fuzzing import mutated, mutated_header, mutated_json

from mtl_core.data.config import DataConfig
from mtl_core.data.readers import read_corpus
from mtl_core.tensor_file import digest_of, read_tensors, write_tensors
from search.journal import _sealed
from search.record import StudyRecord
from search.space import load_space, parse_space

SPACES = [
    path.read_bytes()
    for path in sorted((Path(__file__).resolve().parents[2] / "spaces").glob("*.yaml"))
]
SMALL_SPACE = (
    b"name: x\nencoder:\n  d_model: {choice: [8, 16]}\n  n_heads: 2\n"
    b"  dropout: {float: [0.0, 0.5]}\n"
    b"sharing:\n  structure: {choice: [stack_cls, layerwise_implicit]}\n  divergence_depth:\n"
    b"    - {int: [0, n_layers], when: {structure: stack_cls}}\n    - 0\n"
    b"training: {learning_rate: {float: [1e-4, 1e-2], log: true}}\npoints:\n"
    b"  - {structure: stack_cls, d_model: 8, dropout: 0.1, divergence_depth: 1}\n"
)
TASK_FILE = b"""
- name: mood
  files: {train: a.tsv}
  dev: last 4
  columns: {text: text, label: mood}
  metric: macro_f1
- {name: score, kind: regression, files: {train: b.csv}, columns: {text: 0, second: 1, label: 2}}
- {name: tags, kind: tagging, files: {train: c.conll}, columns: {label: 1}}
"""
_GLUE = b"".join(b"%d\tone %d\ttwo\t%sentailment\n" % (n, n, b"not_" * (n % 2)) for n in range(40))
_CONLL = b"".join(b"EU%d NNP B-NP B-ORG\nrejects VBZ B-VP O\n\n" % n for n in range(24))
_LABELS = b"".join(b"%d\ttext number %d\n" % (n % 2, n) for n in range(24))
LAYOUTS: Mapping[str, Mapping[str, bytes]] = {
    "file": {
        "tasks.yaml": TASK_FILE,
        "a.tsv": b"text\tmood\n" + b"".join(b"a good %d\t%d\n" % (n, n % 2) for n in range(24)),
        "b.csv": b"".join(b'"one, %d",two,%d.5\n' % (n, n) for n in range(24)),
        "c.conll": b"".join(b"EU%d B-ORG\nrejects O\n\n" % n for n in range(24)),
    },
    "glue": {
        f"RTE/{split}.tsv": b"\xef\xbb\xbfindex\tsentence1\tsentence2\tlabel\n" + _GLUE
        for split in ("train", "dev")
    },
    "conll": {
        f"eng.{end}": b"-DOCSTART- -X- O O\n\n" + _CONLL for end in ("train", "testa", "testb")
    },
    "folders": {
        "own/train.jsonl": b"".join(
            b'{"text": "number %d", "label": %d}\n' % (n, n % 2) for n in range(40)
        )
    },
    "fdu": {"books.task.train": _LABELS * 10, "books.task.test": _LABELS},
}


@dataclass(frozen=True)
class Case:
    """One input: what is in one of a reader's files, the others being right."""

    file: str
    data: bytes


@dataclass(frozen=True)
class Reader:
    """What makes inputs, and what reads them.

    Args:
        valid: Cases that are right.
    """

    make: Callable[[random.Random], Case]
    read: Callable[[Case], Any]
    valid: list[Case] = field(default_factory=list)


def space_reader(folder: Path) -> Reader:
    valid = [Case("space.yaml", data) for data in (SMALL_SPACE, *SPACES)]

    def make(rng: random.Random) -> Case:
        whole = SMALL_SPACE if rng.random() < 0.5 else rng.choice(SPACES)
        return Case("space.yaml", mutated(rng, whole))

    def read(case: Case) -> None:
        path = folder / case.file
        path.write_bytes(case.data)
        load_space(path)

    return Reader(make, read, valid)


def tasks_reader(folder: Path) -> Reader:
    files = {
        f"{layout}/{name}": data for layout, of in LAYOUTS.items() for name, data in of.items()
    }
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    names = [*files, *["file/tasks.yaml"] * 5]

    def make(rng: random.Random) -> Case:
        name = rng.choice(names)
        return Case(name, mutated(rng, files[name]))

    def read(case: Case) -> None:
        path = folder / case.file
        path.write_bytes(case.data)
        try:
            read_corpus(DataConfig(source=str(folder / case.file.partition("/")[0])))
        finally:
            path.write_bytes(files[case.file])

    return Reader(make, read, [Case(*item) for item in files.items()])


def journal_reader(folder: Path) -> Reader:
    """Most lines that are wrong have the right checksum, as a bug of ours would write them."""
    path = folder / "journal.jsonl"

    def read(case: Case) -> None:
        path.write_bytes(case.data)
        StudyRecord.load(path)  # by `read_events`

    return Reader(_wrong_journal, read, [Case(path.name, b"".join(JOURNAL))])


def _wrong_journal(rng: random.Random) -> Case:
    lines = list(JOURNAL)
    at = rng.randrange(len(lines))
    if rng.random() < 0.3:
        lines[at] = mutated(rng, lines[at])
    else:
        lines[at] = _sealed(mutated_json(rng, lines[at].rpartition(b',"crc32"')[0] + b"}"))
    if rng.random() < 0.1:
        lines.insert(rng.randrange(len(lines)), lines.pop(at))
    return Case("journal.jsonl", b"".join(lines))


def model_reader(folder: Path) -> Reader:
    """A wrong configuration, tokenizer or tensor has the right checksum, most of the time."""
    from mtl_core.training.export import CONFIG, TOKENIZER, WEIGHTS, load

    texts, tensors, whole = {}, {}, {}
    for kind, encoder in {"plain": "", "wide": ", wide: true, wide_buckets: 32"}.items():
        make_model(folder / kind, encoder)
        texts[kind] = {n: (folder / kind / n).read_bytes() for n in (CONFIG, TOKENIZER)}
        tensors[kind] = read_tensors(folder / kind / WEIGHTS)[0]
        whole[kind] = (folder / kind / WEIGHTS).read_bytes()

    def make(rng: random.Random) -> Case:
        kind = rng.choice(list(texts))
        wrong = rng.choice((CONFIG, CONFIG, TOKENIZER, WEIGHTS))
        if wrong == WEIGHTS:
            text = _digests(texts[kind])
            data = _wrong_weights(rng, whole[kind], tensors[kind], text, folder / "resealed")
        elif rng.random() < 0.7:
            data = mutated_json(rng, texts[kind][wrong]).encode()
        else:
            data = mutated(rng, texts[kind][wrong])
        return Case(f"{kind}/{wrong}", data)

    def read(case: Case) -> None:
        kind, _, wrong = case.file.partition("/")
        place = folder / kind
        (place / wrong).write_bytes(case.data)
        if wrong != WEIGHTS:
            write_tensors(
                place / WEIGHTS, tensors[kind], _digests({**texts[kind], wrong: case.data})
            )
        try:
            load(place)
        finally:
            for name, data in {**texts[kind], WEIGHTS: whole[kind]}.items():
                if name in (wrong, WEIGHTS):
                    (place / name).write_bytes(data)

    valid = [
        Case(f"{kind}/{name}", data) for kind, of in texts.items() for name, data in of.items()
    ]
    return Reader(make, read, valid)


def _digests(texts: Mapping[str, bytes]) -> str:
    return json.dumps({n: digest_of(text.decode("utf-8", "replace")) for n, text in texts.items()})


def _wrong_weights(
    rng: random.Random, data: bytes, tensors: Mapping[str, torch.Tensor], text: str, path: Path
) -> bytes:
    what = rng.random()
    if what < 0.3:
        return mutated(rng, data)
    if what < 0.6:
        return mutated_header(rng, data)
    changed = dict(tensors)
    name = rng.choice(sorted(changed))
    tensor = changed.pop(name)
    change = rng.choice((None, *_CHANGES))
    if change is not None:
        changed[name] = change(tensor)
    write_tensors(path, changed, text if rng.random() < 0.9 else mutated_json(rng, text.encode()))
    return path.read_bytes()


_CHANGES: tuple[Callable[[torch.Tensor], torch.Tensor], ...] = (
    lambda t: t.double(), lambda t: t.to(torch.int64), lambda t: t.to(torch.bool),
    lambda t: t.bfloat16(), lambda t: t.reshape(-1), lambda t: t[:0], lambda t: t[:1],
    lambda t: t.unsqueeze(0), lambda t: torch.cat([t, t]), lambda t: torch.full_like(t, 255),
    lambda t: -t.to(torch.int64) - 1, lambda t: t.sum(), lambda t: t.flip(0),
)  # fmt: skip


def make_model(folder: Path, encoder: str) -> None:
    """Write a tiny model to make wrong."""
    from mtl_core.data.encode import encode
    from mtl_core.training.config import TrialConfig
    from mtl_core.training.export import export
    from mtl_core.training.models import build_model, copy_parameters

    space = parse_space(
        "name: x\ndata: {builtin: {n_tasks: 2, n_groups: 2, rows: 20, dev_rows: 4, test_rows: 4}}\n"
        f"encoder: {{n_layers: 1, d_model: 8, d_word: 8, n_heads: 2, d_ff: 8{encoder}}}\n"
    )
    encoded = encode(read_corpus(space.data), space.data, folder.with_name("cache"))
    config = space.configure({})
    assert isinstance(config, TrialConfig)
    model = build_model(encoded, config, seed=0)
    export(folder, copy_parameters(model), config, encoded)


def _events() -> list[bytes]:
    """Return the lines of a journal with trials and runs that end in every way."""
    trial, run = {"trial": "t0001"}, {"run": "t0001c1"}
    report = {
        "epoch": 1, "average": 0.5, "scores": {"a": 0.5}, "loss": 1.0, "losses": {"a": 1.0},
        "tokens_per_second": 9.0, "seconds": 1.0,
    }  # fmt: skip
    proposed = {
        "values": {"sharing.structure": "stack_cls"}, "seed": 1, "source": "tpe",
        "config": {"sharing": {"structure": "stack_cls"}},
    }  # fmt: skip
    begun = {**trial, "number": 1, "seed": 2, "worker": "w"}
    events: list[dict[str, Any]] = [
        {"event": "study", "format": 2, "name": "s", "seed": 0, "tasks": ["a"]},
        {"event": "noted", "text": "engine1 is up"},
        {"event": "calibrated", "lanes": 2, "table": []},
        {"event": "proposed", "number": 1, **trial, **proposed},
        {"event": "started", "attempt": 1, "worker": "w", **trial},
        {"event": "reported", **trial, **report},
        {"event": "retried", "attempt": 2, "kind": "node", "reason": "lost", **trial},
        {"event": "started", "attempt": 2, "worker": "w", **trial},
        {"event": "reported", **trial, **report},
        {"event": "finished", "epochs": 1, "reason": "epochs", **trial},
        {"event": "proposed", "number": 2, "trial": "t0002", **proposed},
        {"event": "failed", "trial": "t0002", "kind": "lost", "reason": "r", "traceback": None},
        {"event": "proposed", "number": 3, "trial": "t0003", **proposed},
        {"event": "started", "attempt": 1, "worker": "w", "trial": "t0003"},
        {"event": "stopped", "trial": "t0003", "rung": 1},
        {"event": "searched", "reason": "trials"},
        {"event": "shortlisted", "trials": 3, "subjects": [{**trial, "roles": ["average"]}]},
        {"event": "confirming", **run, **begun, "attempt": 1},
        {"event": "confirming", **run, **begun, "attempt": 2,
         "lost": {"kind": "node", "reason": "r"}},
        {"event": "confirmed", **run, "epoch": 1, "epochs": 1, "seconds": 1.0, "dev": {"a": 0.5}},
        {"event": "confirming", "run": "t0001c2", **begun, "attempt": 1},
        {"event": "unconfirmed", "run": "t0001c2", "kind": "lost", "reason": "r",
         "traceback": None},
        {"event": "continued"},
        {"event": "tested", "model": "average", "scores": {"a": 0.5}},
        {"event": "baseline", "name": "majority", "dev": {}, "test": {}},
        {"event": "ended", "reason": "trials", "confirmation": "done"},
    ]  # fmt: skip
    return [_sealed(json.dumps({"time": 1.0 + n, **e})) for n, e in enumerate(events)]


JOURNAL = _events()
READERS: Mapping[str, Callable[[Path], Reader]] = {
    "space": space_reader, "tasks": tasks_reader, "journal": journal_reader, "model": model_reader,
}  # fmt: skip

"""Whether anything but a clear message comes of files that are a little wrong.

    python tests/benchmarks/test_fuzz.py [--inputs 1000000] [--reader space tasks journal model]
        [--seed 0] [--processes 1]

feeds mutated files (`tests/support/fuzzing.py`) to the readers of spaces, task files, journals and
models. A file is read, or refused by a `ConfigError`; whatever else happens, or takes more than a
few seconds, is a finding, kept in a folder and named by reader, seed and number, which repeat it.
"""

import argparse
import json
import multiprocessing
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "support"))

from fuzzing import mutated, mutated_json

from mtl_core.data.config import DataConfig
from mtl_core.data.readers import read_corpus
from mtl_core.errors import ConfigError
from mtl_core.tensor_file import digest_of, read_tensors, write_tensors
from search.journal import _sealed
from search.record import StudyRecord
from search.space import parse_space

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 20  # for one input, after which it hangs
SHARES = {"space": 0.2, "tasks": 0.25, "journal": 0.4, "model": 0.15}
SPACES = [path.read_bytes() for path in sorted((ROOT / "spaces").glob("*.yaml"))]

TASKS = b"""
- name: mood
  files: {train: a.tsv}
  dev: last 4
  columns: {text: text, label: mood}
  metric: macro_f1
- {name: score, kind: regression, files: {train: b.csv}, columns: {text: 0, second: 1, label: 2}}
- {name: tags, kind: tagging, files: {train: c.conll}, columns: {label: 1}}
"""
TABLES = {
    "a.tsv": b"text\tmood\n" + b"".join(b"a good text %d\t%d\n" % (n, n % 2) for n in range(24)),
    "b.csv": b"".join(b'"one, %d",two,%d.5\n' % (n, n) for n in range(24)),
    "c.conll": b"".join(b"EU%d B-ORG\nrejects O\n\n" % n for n in range(24)),
}
Reader = Callable[[random.Random, Path], Path | bytes]


def read_space(rng: random.Random, folder: Path) -> bytes:  # noqa: ARG001
    data = mutated(rng, rng.choice(SPACES))
    text = data.decode("utf-8", "replace")
    _must_be_clear(lambda: parse_space(text, source="space.yaml"), data)
    return data


def read_tasks(rng: random.Random, folder: Path) -> bytes:
    wrong = rng.choice(("tasks.yaml", "tasks.yaml", *TABLES))
    for name, content in {"tasks.yaml": TASKS, **TABLES}.items():
        (folder / name).write_bytes(content)
    data = mutated(rng, (folder / wrong).read_bytes())
    (folder / wrong).write_bytes(data)
    _must_be_clear(lambda: read_corpus(DataConfig(source=str(folder / "tasks.yaml"))), data)
    return data


def read_journal(rng: random.Random, folder: Path) -> bytes:
    """Most lines that are wrong have the right checksum, as a bug of ours would write them."""
    lines = list(JOURNAL)
    at = rng.randrange(len(lines))
    if rng.random() < 0.3:
        lines[at] = mutated(rng, lines[at])
    else:
        lines[at] = _sealed(mutated_json(rng, lines[at].rpartition(b',"crc32"')[0] + b"}"))
    if rng.random() < 0.1:
        lines.insert(rng.randrange(len(lines)), lines.pop(at))
    data = b"".join(lines)
    path = folder / "journal.jsonl"
    path.write_bytes(data)
    _must_be_clear(lambda: StudyRecord.load(path), data)
    return data


def read_model(rng: random.Random, folder: Path, whole: Path) -> bytes:
    """A configuration or tokenizer that is wrong has the right checksum, most of the time."""
    from mtl_core.training.export import CONFIG, TOKENIZER, WEIGHTS, load

    texts = {name: (whole / name).read_bytes() for name in (CONFIG, TOKENIZER)}
    wrong = rng.choice((CONFIG, CONFIG, TOKENIZER, WEIGHTS))
    if wrong == CONFIG and rng.random() < 0.7:
        data = mutated_json(rng, texts[CONFIG]).encode()
    else:
        data = mutated(rng, texts.get(wrong) or (whole / WEIGHTS).read_bytes())
    texts = {name: data if name == wrong else text for name, text in texts.items()}
    for name, text in texts.items():
        (folder / name).write_bytes(text)
    if wrong == WEIGHTS:
        (folder / WEIGHTS).write_bytes(data)
    else:
        digests = {name: digest_of(text.decode("utf-8", "replace")) for name, text in texts.items()}
        write_tensors(folder / WEIGHTS, read_tensors(whole / WEIGHTS)[0], json.dumps(digests))
    _must_be_clear(lambda: load(folder), data)
    return data


class Finding(Exception):  # noqa: N818 - it is what is looked for
    """Something other than a clear message; its cause says what."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.data = data


class Refused(Exception):  # noqa: N818 - what is hoped for
    """The file was refused, clearly."""


def _must_be_clear(read: Callable[[], Any], data: bytes) -> None:
    try:
        read()
    except ConfigError as error:
        if not all(fault.strip() for fault in error.faults):
            raise Finding(data) from error
        raise Refused from None
    except Exception as error:
        raise Finding(data) from error


def _events() -> list[bytes]:
    """Return the lines of a journal with trials that end in every way."""
    trial = {"trial": "t0001"}
    report = {
        "epoch": 1, "average": 0.5, "scores": {"a": 0.5}, "loss": 1.0, "losses": {"a": 1.0},
        "tokens_per_second": 9.0, "seconds": 1.0,
    }  # fmt: skip
    proposed = {
        "values": {"sharing.structure": "stack_cls"}, "seed": 1, "source": "tpe",
        "config": {"sharing": {"structure": "stack_cls"}},
    }  # fmt: skip
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
        {"event": "searched", "reason": "trials"},
        {"event": "continued"},
        {"event": "baseline", "name": "majority", "dev": {}, "test": {}},
        {"event": "ended", "reason": "trials"},
    ]
    return [_sealed(json.dumps({"time": 1.0 + n, **e})) for n, e in enumerate(events)]


JOURNAL = _events()


def make_model(folder: Path) -> Path:
    """Write a tiny model to make wrong; return its folder."""
    from mtl_core.data.encoded import encode
    from mtl_core.training.config import TrialConfig
    from mtl_core.training.export import export
    from mtl_core.training.models import build_model, copy_parameters

    space = parse_space(
        "name: x\ndata: {builtin: {n_tasks: 2, n_groups: 2, rows: 20, dev_rows: 4, test_rows: 4}}\n"
        "encoder: {n_layers: 1, d_model: 8, d_word: 8, n_heads: 2, d_ff: 8}\n"
    )
    encoded = encode(read_corpus(space.data), space.data, folder / "cache")
    config = space.configure({})
    assert isinstance(config, TrialConfig)
    model = build_model(encoded, config, seed=0)
    export(folder / "model", copy_parameters(model), config, encoded)
    return folder / "model"


@dataclass
class Tally:
    """What came of the inputs of one reader; findings by their numbers."""

    read: int = 0
    refused: int = 0
    seconds: float = 0.0
    findings: dict[int, str] = field(default_factory=dict)


def fuzz(reader: str, numbers: range, seed: int, kept: Path) -> Tally:
    """Feed the inputs of those numbers to a reader."""
    tally, began = Tally(), time.perf_counter()
    signal.signal(signal.SIGALRM, _hangs)
    with tempfile.TemporaryDirectory(dir=_fast_folder()) as name:
        folder = Path(name)
        readers = {"space": read_space, "tasks": read_tasks, "journal": read_journal}
        if reader == "model":
            readers["model"] = partial(read_model, whole=make_model(folder / "whole"))
        for number in numbers:
            signal.alarm(SECONDS)
            try:
                readers[reader](random.Random(f"{reader} {seed} {number}"), folder)
                tally.read += 1
            except Refused:
                tally.refused += 1
            except Finding as finding:
                text = "".join(traceback.format_exception(finding.__cause__))
                tally.findings[number] = text
                (kept / f"{reader}-{seed}-{number}").write_bytes(finding.data)
                (kept / f"{reader}-{seed}-{number}.txt").write_text(text)
        signal.alarm(0)
    tally.seconds = time.perf_counter() - began
    return tally


def _hangs(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise TimeoutError(f"no answer after {SECONDS} s")


def _fast_folder() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


@pytest.mark.parametrize("reader", SHARES)
def test_nothing_but_a_clear_message_comes_of_files_that_are_a_little_wrong(
    reader: str, tmp_path: Path
) -> None:
    found = fuzz(reader, range(200), seed=0, kept=tmp_path)

    assert not found.findings, "\n".join(found.findings.values())[:4000]
    assert found.refused > 20
    assert found.read + found.refused == 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--reader", nargs="+", choices=list(SHARES), default=list(SHARES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    kept = Path(tempfile.mkdtemp(prefix="findings-"))
    total = sum(SHARES[reader] for reader in options.reader)
    for reader in options.reader:
        count = round(options.inputs * SHARES[reader] / total)
        steps = [range(at, count, options.processes) for at in range(options.processes)]
        with multiprocessing.Pool(options.processes) as pool:
            calls = [pool.apply_async(fuzz, (reader, part, options.seed, kept)) for part in steps]
            tallies = [call.get() for call in calls]
        findings = [text for tally in tallies for text in tally.findings.values()]
        rate = count / max(tally.seconds for tally in tallies)
        print(
            f"{reader}: {count:,} inputs, {sum(t.read for t in tallies):,} read, "
            f"{sum(t.refused for t in tallies):,} refused, {len(findings)} findings; "
            f"{rate:.0f} a second",
            flush=True,
        )
        for last, times in Counter(text.strip().splitlines()[-1] for text in findings).items():
            print(f"  {times}: {last[:200]}", flush=True)
    print(f"findings are in {kept}")


if __name__ == "__main__":
    main()

"""The labels of a task's splits, checked by its kind while lines are known, and the task of them.

The classes of a task are those of its train rows, and a class of dev or test that train has not is
a fault: it is a slip, or a split that cannot be learnt. Tags, and the labels of multilabel tasks,
are many and some are rare (CoNLL-2000's test has a tag that its train, less 1,000 sentences, has
not; its makers count it), so those of all splits are the task's, and a note says which of them
train has not: no model can have learnt these, so they count as missed.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from mtl_core.data.iob import is_span
from mtl_core.data.rows import DROPPED, N_SHOWN, Malformed, RowFile, first_few_of_each
from mtl_core.data.tag_faults import no_span_faults, tag_faults
from mtl_core.data.task import (
    LABEL_SEPARATOR,
    METRICS,
    NO_LABEL,
    ReadingNote,
    Split,
    Task,
    labels_in,
)
from mtl_core.errors import ConfigError, suggest
from mtl_core.foreign import name_fault

RESERVED_NAMES = ("average", "worst_task")  # a study's `best/` has folders of these names
MIN_ROWS_TO_JUDGE_LABELS = 20
MAX_NUMBER = 1e15  # of regression; sums of many squares are finite in float32 too
UNSEEN, UNLABELLED = "unseen", "unlabelled"
_SHOWN = 10  # labels of a task, in a message
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")

Parts = Mapping[str, RowFile]


def make_task(
    name: str,
    parts: Parts,
    *,
    kind: str = "classification",
    metric: str | None = None,
    faults: Iterable[str] = (),
) -> Task:
    """Return the task of these splits.

    Raises one `ConfigError` for all of: a split that is empty or has no label, labels that do not
    fit the kind or, of classification, are not in train, pairs in one split and single texts in
    another, a metric of another kind, a name that a study uses itself.

    Args:
        metric: One of the kind's; when None its first, or accuracy where tags are no spans.
        faults: Those found while the splits were read, to be reported together with these; `parts`
            then has only the splits that could be read.
    """
    faults = [*faults, *_general_faults(name, parts), *_kind_faults(kind, parts, metric)]
    labels = _labels(kind, parts)
    default = (
        "accuracy" if kind == "tagging" and not all(map(is_span, labels)) else METRICS[kind][0]
    )
    faults += _metric_faults(name, kind, parts, labels=labels, metric=metric or default)
    if faults:
        raise ConfigError(faults)
    notes = dict.fromkeys(note for part in parts.values() for note in part.notes)
    more = [*_unlabelled(parts), *_unseen(kind, parts)]
    return Task(
        name=name,
        kind=kind,
        metric=metric or default,
        labels=labels,
        splits={split: _as_split(part) for split, part in parts.items()},
        notes=(*notes, *more),
    )


def sort_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """Return the labels in the order of their classes: as numbers if all are, else as text."""
    unique = set(labels)
    if all(_NUMBER.fullmatch(label) for label in unique):
        return tuple(sorted(unique, key=lambda label: (float(label), label)))
    return tuple(sorted(unique))


def _labels(kind: str, parts: Parts) -> tuple[str, ...]:
    counted = parts.values() if kind in ("multilabel", "tagging") else _train(parts)
    rows = [row for part in counted for row in part.rows]
    return sort_labels(label for row in rows for label in labels_in(row.label, kind))


def _train(parts: Parts) -> list[RowFile]:
    return [part for split, part in parts.items() if split == "train"]


def _as_split(part: RowFile) -> Split:
    texts = tuple(row.text for row in part.rows)
    labels = tuple(row.label for row in part.rows)
    seconds = tuple(row.second for row in part.rows if row.second is not None)
    return Split(texts=texts, labels=labels, source=part.source, seconds=seconds)


def _general_faults(name: str, parts: Parts) -> Iterator[str]:
    for split, part in parts.items():
        if not part.rows:
            yield f"{part.source}: no rows in {split}{_left_out(part)}"
        elif not any(row.label for row in part.rows):
            yield f"{part.source}: no row of {split} has a label for {name!r}"
        if len({row.second is None for row in part.rows}) > 1:
            yield f"{part.source}: some rows of {split} are pairs and some are not"
    if len({part.rows[0].second is None for part in parts.values() if part.rows}) > 1:
        pairs = [s for s, part in parts.items() if part.rows and part.rows[0].second is not None]
        yield f"task {name!r}: only {' and '.join(pairs)} of its splits hold pairs of texts"
    if name in RESERVED_NAMES:
        yield f"task {name!r}: a study uses this name itself; rename the task"
    fault = name_fault(name)
    if fault is not None:
        yield f"task {name[:60]!r}: its name is {fault}, and its models could not be written"


def _left_out(part: RowFile) -> str:
    dropped = [note for note in part.notes if note.kind == DROPPED]
    if not dropped:
        return ""
    first = f"line {dropped[0].line}: {dropped[0].message}"
    return f"; all {len(dropped):,} that it had were left out ({first})"


def _metric_faults(
    name: str, kind: str, parts: Parts, *, labels: Sequence[str], metric: str
) -> Iterator[str]:
    known = METRICS[kind]
    if metric not in known:
        near = suggest(metric, known)
        yield f"task {name!r}: unknown metric {metric!r}{near}; of {kind}: {', '.join(known)}"
    elif metric == "entity_f1":
        yield from no_span_faults(parts)
    elif metric == "f1" and len(labels) > 2:
        found = f"metric f1 is of one label against another, and there are {len(labels)}"
        yield f"task {name!r}: {found} ({_some(labels)}); macro_f1 would be right"


def _class_faults(parts: Parts) -> list[str]:
    train = [row for row in parts["train"].rows if row.label] if "train" in parts else []
    labels = sort_labels(row.label for row in train)
    if not labels:
        return []
    source = parts["train"].source
    if len(labels) == 1:
        return [f"{source}: all rows have the label {labels[0]!r}; a task needs two classes"]
    if len(labels) * 2 > len(train) >= MIN_ROWS_TO_JUDGE_LABELS:
        count = f"{len(labels):,} different labels in {len(train):,} rows"
        return [f"{source}: {count} of train; are text and label in each other's place?"]
    hint = f"labels of train: {_some(labels)}"
    missing = []
    for split, part in parts.items():
        found = _missing("classification", part, labels).items()
        for at, (label, (n, line)) in enumerate(sorted(found, key=lambda one: one[1][1])):
            near = suggest(label, labels) if at < N_SHOWN else ""  # which takes its time
            what = f"label {label!r:.60} is in {split} ({n:,} rows) but not in train{near} ({hint})"
            cut = _of_a_cut(split) if part.source == source else ""
            missing.append((part.source, Malformed(line, f"{what}{cut}")))
    return first_few_of_each(missing)


def _some(labels: Sequence[str]) -> str:
    shown = ", ".join(f"{label:.40}" for label in labels[:_SHOWN])
    return shown if len(labels) <= _SHOWN else f"{shown}, ... {len(labels):,} in all"


def _of_a_cut(split: str) -> str:
    wanted = f"a file of its own for {split}, or another cut (data.split_seed), would be right"
    return f"; {split} was cut from this file: {wanted}"


def _missing(kind: str, part: RowFile, known: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Return the labels that are not `known`, with how often and on which line first."""
    known = {*known, NO_LABEL}
    counts: Counter[str] = Counter()
    first: dict[str, int] = {}
    for row in part.rows:
        for label in labels_in(row.label, kind):
            if label not in known:
                counts[label] += 1
                first.setdefault(label, row.line)
    return {label: (count, first[label]) for label, count in counts.items()}


def _number_faults(parts: Parts) -> list[str]:
    wanted = f"a finite number (up to {MAX_NUMBER:g}) would be right"
    faults = first_few_of_each(
        (part.source, Malformed(row.line, f"the label is {row.label!r:.40}, {wanted}"))
        for part in parts.values()
        for row in part.rows
        if row.label and not _is_number(row.label)
    )
    train = parts["train"].rows if "train" in parts else ()
    labels = [row.label for row in train if row.label]
    if not faults and len({float(label) for label in labels}) == 1:
        found = f"{parts['train'].source}: all rows have the label {labels[0]}"
        faults.append(f"{found}; numbers that differ are wanted")
    return faults


def _is_number(label: str) -> bool:
    if not label.isascii() or "_" in label:  # which Python itself would take
        return False
    try:
        return abs(float(label)) <= MAX_NUMBER
    except ValueError:
        return False


def _multilabel_faults(parts: Parts) -> list[str]:
    rows = [row for part in _train(parts) for row in part.rows if row.label]
    if not rows or _labels("multilabel", {"train": parts["train"]}):
        return []
    found = f"{parts['train'].source}: none of the {len(rows):,} rows of train has a label"
    separator = f"{LABEL_SEPARATOR!r}, or what separator: of a task file names"
    return [f"{found}; one in some of them would be right (between several stands {separator})"]


def _kind_faults(kind: str, parts: Parts, metric: str | None) -> list[str]:
    return tag_faults(parts, metric) if kind == "tagging" else _CHECKS[kind](parts)


_CHECKS = {
    "classification": _class_faults,
    "multilabel": _multilabel_faults,
    "regression": _number_faults,
}


def _unlabelled(parts: Parts) -> Iterator[ReadingNote]:
    for split, part in parts.items():
        count = sum(row.label == NO_LABEL for row in part.rows)
        if count:
            message = f"{split}: {count:,} of {len(part.rows):,} rows have no label for this task"
            yield ReadingNote(kind=UNLABELLED, source=part.source, line=None, message=message)


def _unseen(kind: str, parts: Parts) -> Iterator[ReadingNote]:
    """Yield a note for each label of dev or test that train has not, where that is no fault."""
    if kind not in ("multilabel", "tagging"):
        return
    known = {label for row in parts["train"].rows for label in labels_in(row.label, kind)}
    for split, part in parts.items():
        for label, (count, line) in _missing(kind, part, known).items():
            often = "once" if count == 1 else f"{count:,} times"
            message = f"{label!r} is in {split} ({often}) but not in train, so it will be missed"
            yield ReadingNote(kind=UNSEEN, source=part.source, line=line, message=message)

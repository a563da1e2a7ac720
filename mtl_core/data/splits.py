"""Cut dev and test from train where a user has no such file: stated, seeded and stratified.

Rows of the same text (`duplicates.py`) go into one part together, so a cut never makes the leak
that the audit looks for. The cut depends on the seed and the task's name, not on other tasks. Of
tasks that have their texts in common, a text must be in the same part for all: there the cut
depends on the texts and the seed alone.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping

from mtl_core.data.duplicates import normalise_pair
from mtl_core.data.rows import N_SHOWN, Row, RowFile
from mtl_core.data.task import NO_LABEL, ReadingNote
from mtl_core.errors import ConfigError
from mtl_core.seeding import stream

CUT = "split"
STRATA = {"classification": "label", "regression": "number"}  # by kind; others are cut at random
MAX_STRATA, MIN_STRATUM = 10, 10  # of numbers: tenths, of as many texts for each part at least
Group = list[int]  # row numbers of one text


def cut_splits(
    train: RowFile,
    shares: Mapping[str, float],
    *,
    task: str,
    seed: int,
    by: str | None = "label",
) -> dict[str, RowFile]:
    """Return train without the rows cut from it, and the part cut for each split in `shares`.

    Each stratum gives every part about its share of the rows, at least one, and keeps at least one.
    Rows without a label stay in train.

    Args:
        shares: Split to be made and the share of `train`'s rows it gets.
        by: What strata are of: "label", "number" (tenths of the rows, by their numbers), "text"
            (one stratum, which tasks of the same texts cut alike) or None (one stratum).
    """
    strata = _strata(train.rows, by, 1 + len(shares))
    _check(train, shares, strata, by)
    parts: dict[int, str] = {}
    for stratum, groups in strata.items():
        if by == "text":
            ordered = sorted(groups, key=lambda group: _digest(seed, train.rows[group[0]]))
        else:
            order = stream(seed, "split", task, stratum).permutation(len(groups))
            ordered = [groups[place] for place in order]
        parts |= _share_out(ordered, shares)
    made = {}
    for split in ("train", *shares):
        rows = tuple(row for n, row in enumerate(train.rows) if parts.get(n, "train") == split)
        notes = train.notes if split == "train" else (_note(split, rows, train, by, seed),)
        made[split] = RowFile(source=train.source, rows=rows, notes=notes)
    return made


def cut_last(train: RowFile, n_rows: int, *, split: str = "dev") -> dict[str, RowFile]:
    """Return train without its last `n_rows` rows, and these as `split`."""
    if len(train.rows) <= n_rows:
        found = f"{train.source}: {len(train.rows):,} rows"
        raise ConfigError(f"{found}; more than {n_rows:,} are needed, the last of them for {split}")
    message = f"{split}: the last {n_rows:,} of {len(train.rows):,} rows of train"
    note = ReadingNote(kind=CUT, source=train.source, line=None, message=message)
    return {
        "train": RowFile(source=train.source, rows=train.rows[:-n_rows], notes=train.notes),
        split: RowFile(source=train.source, rows=train.rows[-n_rows:], notes=(note,)),
    }


def _check(
    train: RowFile, shares: Mapping[str, float], strata: Mapping[str, list[Group]], by: str | None
) -> None:
    faults = [
        f"{train.source}: no {split} file, and data.{split}_share is 0, so none can be cut"
        for split, share in shares.items()
        if share <= 0
    ]
    if sum(shares.values()) >= 1:
        given = " + ".join(f"data.{split}_share {share:g}" for split, share in shares.items())
        faults.append(f"{train.source}: {given} leaves no train rows; together below 1 is wanted")
    n_needed = 1 + len(shares)
    wanted = f"at least {n_needed}, since {' and '.join(shares)} must be cut from train"
    small = [stratum for stratum, groups in strata.items() if len(groups) < n_needed]
    for stratum in small[:N_SHOWN]:
        what = f"label {stratum!r:.40} has " if by == "label" else ""
        faults.append(
            f"{train.source}: {what}{len(strata[stratum])} different texts; wanted: {wanted}"
        )
    if small[N_SHOWN:]:
        faults.append(f"{train.source}: and {len(small) - N_SHOWN:,} more such labels")
    if faults:
        raise ConfigError(faults)


def _strata(rows: tuple[Row, ...], by: str | None, n_needed: int) -> dict[str, list[Group]]:
    """Return, for each stratum, the row numbers of each of its texts (by the text's first row)."""
    by_text: defaultdict[str, Group] = defaultdict(list)
    for number, row in enumerate(rows):
        if row.label != NO_LABEL or by == "text":
            by_text[normalise_pair(row.text, row.second)].append(number)
    groups = list(by_text.values())
    if by == "number":
        return _tenths(groups, rows, n_needed)
    strata: defaultdict[str, list[Group]] = defaultdict(list)
    for group in groups:
        strata[rows[group[0]].label if by == "label" else ""].append(group)
    return dict(strata)


def _tenths(groups: list[Group], rows: tuple[Row, ...], n_needed: int) -> dict[str, list[Group]]:
    """Return the groups in up to ten strata of like numbers, none too small to be cut."""
    if not all(_is_number(rows[group[0]].label) for group in groups):
        return {"": groups}  # `labels.py` says of the label that is none where it stands
    ordered = sorted(groups, key=lambda group: float(rows[group[0]].label))
    n_strata = max(1, min(MAX_STRATA, len(groups) // (MIN_STRATUM * n_needed)))
    strata: defaultdict[str, list[Group]] = defaultdict(list)
    for place, group in enumerate(ordered):
        strata[f"part {place * n_strata // len(ordered)}"].append(group)
    return dict(strata)


def _is_number(label: str) -> bool:
    try:
        float(label)
    except ValueError:
        return False
    return True


def _digest(seed: int, row: Row) -> str:
    text = normalise_pair(row.text, row.second)
    return hashlib.sha256(f"{seed}\x1f{text}".encode()).hexdigest()


def _share_out(groups: list[Group], shares: Mapping[str, float]) -> dict[int, str]:
    """Return the split of each row of one class that leaves train; `groups` come shuffled."""
    n_rows = sum(len(group) for group in groups)
    left = groups
    cut: dict[int, str] = {}
    for place, (split, share) in enumerate(shares.items()):
        reserve = len(shares) - place  # one text for train and for each split still to come
        taken, left = _take(left, max(1, round(share * n_rows)), limit=len(left) - reserve)
        cut |= {number: split for group in taken for number in group}
    return cut


def _take(groups: list[Group], n_rows: int, *, limit: int) -> tuple[list[Group], list[Group]]:
    """Take groups from the first `limit` up to `n_rows` rows, at least one: (taken, left)."""
    taken: list[Group] = []
    left: list[Group] = []
    for place, group in enumerate(groups):
        fits = place < limit and len(group) <= n_rows
        (taken if fits else left).append(group)
        n_rows -= len(group) if fits else 0
    if not taken:  # every text occurs more often than the part has rows
        smallest = min(range(len(left)), key=lambda place: len(left[place]))
        taken.append(left.pop(smallest))
    return taken, left


def _note(
    split: str, rows: tuple[Row, ...], train: RowFile, by: str | None, seed: int
) -> ReadingNote:
    how = {None: "at random", "text": "the same texts for all tasks that have them"}
    message = (
        f"{split}: {len(rows):,} of {len(train.rows):,} rows cut from train,"
        f" {how.get(by, f'stratified by {by}')}, seed {seed}"
    )
    return ReadingNote(kind=CUT, source=train.source, line=None, message=message)

"""Cut dev and test from train where a user has no such file: stated, seeded and stratified.

Rows of the same text (`duplicates.py`) go into one part together, so a cut never makes the leak
that the audit looks for. The cut depends on the seed and the task's name, not on other tasks.
"""

from collections import defaultdict
from collections.abc import Mapping

from mtl_core.data.duplicates import normalise
from mtl_core.data.rows import Row, RowFile
from mtl_core.data.task import ReadingNote
from mtl_core.errors import ConfigError
from mtl_core.seeding import stream

CUT = "split"
Group = list[int]  # row numbers of one text


def cut_splits(
    train: RowFile, shares: Mapping[str, float], *, task: str, seed: int
) -> dict[str, RowFile]:
    """Return train without the rows cut from it, and the part cut for each split in `shares`.

    Each class gives every part about its share of the rows, at least one, and keeps at least one.

    Args:
        shares: Split to be made and the share of `train`'s rows it gets.
    """
    _check(train, shares)
    parts: dict[int, str] = {}
    for label, groups in _groups(train.rows).items():
        order = stream(seed, "split", task, label).permutation(len(groups))
        parts |= _share_out([groups[place] for place in order], shares)
    made = {}
    for split in ("train", *shares):
        rows = tuple(row for n, row in enumerate(train.rows) if parts.get(n, "train") == split)
        notes = train.notes if split == "train" else (_note(split, rows, train, seed),)
        made[split] = RowFile(source=train.source, rows=rows, notes=notes)
    return made


def _check(train: RowFile, shares: Mapping[str, float]) -> None:
    faults = [
        f"{train.source}: no {split} file, and data.{split}_share is 0, so none can be cut"
        for split, share in shares.items()
        if share <= 0
    ]
    if sum(shares.values()) >= 1:
        given = " + ".join(f"data.{split}_share {share:g}" for split, share in shares.items())
        faults.append(f"{train.source}: {given} leaves no train rows; together below 1 is wanted")
    n_needed = 1 + len(shares)
    for label, groups in _groups(train.rows).items():
        if len(groups) < n_needed:
            count = f"label {label!r} has {len(groups)} different texts"
            wanted = f"at least {n_needed}, since {' and '.join(shares)} must be cut from train"
            faults.append(f"{train.source}: {count}; wanted: {wanted}")
    if faults:
        raise ConfigError(faults)


def _groups(rows: tuple[Row, ...]) -> dict[str, list[Group]]:
    """Return, for each label, the row numbers of each of its texts (by the text's first label)."""
    by_text: defaultdict[str, Group] = defaultdict(list)
    for number, row in enumerate(rows):
        by_text[normalise(row.text)].append(number)
    by_label: defaultdict[str, list[Group]] = defaultdict(list)
    for group in by_text.values():
        by_label[rows[group[0]].label].append(group)
    return dict(by_label)


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


def _note(split: str, rows: tuple[Row, ...], train: RowFile, seed: int) -> ReadingNote:
    message = (
        f"{split}: {len(rows):,} of {len(train.rows):,} rows cut from train,"
        f" stratified by label, seed {seed}"
    )
    return ReadingNote(kind=CUT, source=train.source, line=None, message=message)

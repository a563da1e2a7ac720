"""The audit as a person reads it: a few sentences, then tables, in the order of importance.

A table that would hold nothing but zeros is left out, and the sentences say that in words.
"""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text

from mtl_core.data.audit import Audit, TaskAudit
from mtl_core.data.audit_headline import headline, percent
from mtl_core.data.task import SPLITS

N_LISTED = 20
TEXT_COLUMNS = ("task", "kind", "file", "what", "rows of", "in", "largest class in train")
KINDS = {
    "classification": "classes",
    "multilabel": "labels",
    "regression": "numbers",
    "tagging": "tags",
}


def audit_tables(audit: Audit) -> list[Table]:
    """Return the headline (as a table of one cell) and the tables that have something to say."""
    first = Table.grid()
    first.add_row(Text(headline(audit)))
    tables = [first, _rows_table(audit), _words_table(audit)]
    optional = [_repeats_table(audit), _between_table(audit), _mended_table(audit)]
    return tables + [table for table in optional if table.row_count]


def _rows_table(audit: Audit) -> Table:
    plain = all(task.kind == "classification" and not task.of_pairs for task in audit.tasks)
    kind = () if plain else ("kind",)
    names = ("task", *kind, "classes", "train", "dev", "test", "largest class in train")
    table = _table("Rows", *names)
    for task in audit.tasks:
        what = [] if plain else [_kind(task)]
        n_classes = str(len(task.labels)) if task.labels else ""
        counts = [task.splits[split].rows for split in SPLITS]
        table.add_row(Text(task.name), *what, n_classes, *_counts(counts), Text(_largest(task)))
    table.add_section()
    totals = [audit.totals[f"{split}_rows"] for split in SPLITS]
    table.add_row("all", *([] if plain else [""]), "", *_counts(totals), "")
    return table


def _kind(task: TaskAudit) -> str:
    return f"pairs, {KINDS[task.kind]}" if task.of_pairs else KINDS[task.kind]


def _largest(task: TaskAudit) -> str:
    """Return the largest class of train and its share; of regression, how the numbers are."""
    train = task.splits["train"]
    if task.kind == "regression":
        numbers = train.numbers
        spread = f"mean {numbers['mean']:.2f}, sd {numbers['sd']:.2f}"
        return f"{spread}, {numbers['min']:g} to {numbers['max']:g}"
    largest = max(train.classes, key=lambda label: train.classes[label])
    of = " of the words" if task.kind == "tagging" else ""
    return f"{largest} ({percent(train.majority_share)}{of})"


def _words_table(audit: Audit) -> Table:
    unit = f"{audit.unit} of a train text"
    table = _table(
        "Words", "task", "median", "95 %", "max", "cut %", "words",
        "new % dev", "test", "to all",
        caption=f"median, 95 %, max: {unit}; cut %: train texts longer than {audit.max_words:,};"
        f" words: different words of train ({audit.vocabulary:,} of all tasks can be learnt);"
        " new %: running words of dev and test that train of the task has not;"
        " to all: those of test that no task's train has",
    )  # fmt: skip
    for task in audit.tasks:
        train, dev, test = (task.splits[split] for split in SPLITS)
        lengths = [round(train.lengths[name]) for name in ("median", "q95", "max")]
        shares = (dev.unknown_to_task_share, test.unknown_to_task_share, test.unknown_share)
        table.add_row(
            Text(task.name),
            *_counts(lengths),
            _hundredths(train.cut_share),
            f"{task.whole['train'].vocabulary:,}",
            *map(_hundredths, shares),
        )
    return table


def _repeats_table(audit: Audit) -> Table:
    table = _table(
        "Repeated texts", "task", "train", "dev", "test", "dev seen", "test seen", "or in dev",
        "any train", "or any dev",
        caption="train, dev, test: rows that repeat an earlier row of the split; dev seen, test"
        " seen: rows that are in the task's train; or in dev: test rows in its train or dev;"
        " any train, or any dev: test rows in train, or dev, of any task. Texts are the same when"
        " equal in lower case with white space as one space",
    )  # fmt: skip
    for task in audit.tasks:
        counts = _repeat_counts(task)
        if any(counts):
            table.add_row(Text(task.name), *_counts(counts))
    if table.row_count:
        table.add_section()
        sums = [sum(column) for column in zip(*map(_repeat_counts, audit.tasks), strict=True)]
        table.add_row("all", *_counts(sums))
    return table


def _repeat_counts(task: TaskAudit) -> list[int]:
    within = [task.splits[split].repeated_within for split in SPLITS]
    return [
        *within,
        task.dev_in_train,
        task.test_in_train,
        task.test_in_train_or_dev,
        task.test_in_any_train,
        task.test_in_any_train_or_dev,
    ]


def _between_table(audit: Audit) -> Table:
    table = _table(
        "Rows of one task in another", "rows of", "in", "as written", "by words", "by letters",
        "in train", "dev",
        caption="test rows that are in the other's train or dev: as written, but for case and"
        " white space; by words, whatever stands between them; by letters, however they are parted"
        " into words; in train: those by letters that are in its train; dev: dev rows that are, by"
        " letters, in its train. A text is also in a pair that has it",
    )  # fmt: skip
    shared = [audit.shared[name] for name in ("test_words", "test", "test_in_train")]
    matrices = (audit.between_train_or_dev, *shared, audit.shared["dev_in_train"])
    for i, one in enumerate(audit.tasks):
        for j, other in enumerate(audit.tasks):
            counts = [matrix[i][j] for matrix in matrices]
            if i != j and any(counts[1:]):
                table.add_row(Text(one.name), Text(other.name), *_counts(counts))
    return table


def _mended_table(audit: Audit) -> Table:
    table = _table("Mended, left out, cut", "task", "file", "line", "what")
    for task in audit.tasks:
        for file, count in task.undecodable.items():
            what = f"lines that are not UTF-8, read as Latin-1: {count:,}"
            table.add_row(Text(task.name), Text(file), "", Text(what))
        for note in task.dropped[:N_LISTED]:
            place = (Text(note["file"]), str(note["line"]))
            table.add_row(Text(task.name), *place, Text(note["message"]))
        if task.n_dropped > N_LISTED:
            more = f"and {task.n_dropped - N_LISTED:,} more rows left out"
            table.add_row(Text(task.name), "", "", Text(more))
        for note in task.remarks[:N_LISTED]:
            line = "" if note["line"] is None else str(note["line"])
            table.add_row(Text(task.name), Text(note["file"]), line, Text(note["message"]))
        for cut in task.cut_from_train:
            source = Text(task.splits["train"].source)
            table.add_row(Text(task.name), source, "", Text(cut))
    return table


def _table(title: str, *columns: str, caption: str | None = None) -> Table:
    table = Table(
        title=f"\n{title}",
        title_justify="left",
        title_style="bold",
        caption=caption,
        caption_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
        pad_edge=False,
    )
    for column in columns:
        left = column in TEXT_COLUMNS
        justify: JustifyMethod = "left" if left else "right"
        table.add_column(column, justify=justify, no_wrap=column == "task", overflow="fold")
    return table


def _counts(counts: Sequence[int]) -> list[str]:
    return [f"{count:,}" for count in counts]


def _hundredths(share: float) -> str:
    return f"{100 * share:.1f}"

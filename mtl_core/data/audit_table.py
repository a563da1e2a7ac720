"""The audit as a person reads it: a few sentences, then tables, in the order of importance.

A table that would hold nothing but zeros is left out, and the sentences say that in words.
"""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text

from mtl_core.data.audit import Audit, TaskAudit
from mtl_core.data.iob import CONVERTED
from mtl_core.data.labels import UNSEEN
from mtl_core.data.overlap import EXCLUDED
from mtl_core.data.task import SPLITS

N_LISTED = 20
N_SHARED = 3  # pairs of tasks that the headline names
TEXT_COLUMNS = ("task", "kind", "file", "what", "rows of", "in", "largest class in train")
KINDS = {
    "classification": "classes",
    "multilabel": "labels",
    "regression": "numbers",
    "tagging": "tags",
}

REMARKS = {
    CONVERTED: "have tags of another scheme, which are read as IOB2",
    UNSEEN: "have labels in dev or test that are not in train",
    EXCLUDED: "had train rows left out that are in dev or test of some task",
}


def headline(audit: Audit) -> str:
    """Return what a person must know first: repeated texts, then all that the reader mended."""
    return " ".join([*_repeated(audit), *_shared(audit), *_mended(audit)])


def audit_tables(audit: Audit) -> list[Table]:
    """Return the headline (as a table of one cell) and the tables that have something to say."""
    first = Table.grid()
    first.add_row(Text(headline(audit)))
    tables = [first, _rows_table(audit), _words_table(audit)]
    optional = [_repeats_table(audit), _between_table(audit), _mended_table(audit)]
    return tables + [table for table in optional if table.row_count]


def _repeated(audit: Audit) -> list[str]:
    totals = audit.totals
    n_test, n_seen = totals["test_rows"], totals["test_in_train"]
    if n_seen:
        worst = max(audit.tasks, key=lambda task: task.test_in_train)
        share = _percent(n_seen / n_test)
        sentences = [
            f"{n_seen:,} of {n_test:,} test rows ({share}) occur word for word in the train rows of"
            f" their own task; {worst.name} worst with {worst.test_in_train:,} of"
            f" {worst.splits['test'].rows:,}."
        ]
    else:
        sentences = ["No test row occurs word for word in the train rows of its own task."]
    if totals["test_in_any_train_or_dev"] > n_seen:
        anywhere = totals["test_in_any_train_or_dev"]
        sentences.append(f"{anywhere:,} occur in the train or dev rows of any task.")
    if totals["dev_in_train"]:
        n_dev = totals["dev_rows"]
        sentences.append(f"{totals['dev_in_train']:,} of {n_dev:,} dev rows are in train as well.")
    if totals["contradicting"]:
        sentences.append(f"{_texts(totals['contradicting'])} with more than one label.")
    return sentences


def _shared(audit: Audit) -> list[str]:
    """Name the pairs of tasks of which one has most of the other's test or dev."""
    sentences = []
    for count, split, i, j in sorted(_all_shared(audit), reverse=True)[:N_SHARED]:
        of, other = audit.tasks[i], audit.tasks[j].name
        rows = f"{count:,} of {of.splits[split].rows:,} {split} rows of {of.name}"
        if split == "dev":
            sentences.append(f"{rows} are in train of {other}.")
        else:
            words = audit.shared["test_words"][i][j]
            how = f" ({words:,} word by word, all of them letter by letter)"
            how = how if words < count else ""
            sentences.append(f"{rows} are in train or dev of {other}{how}.")
    return sentences


def _all_shared(audit: Audit) -> list[tuple[int, str, int, int]]:
    """Return rows shared, split, their task and the task that has them too, where there are any."""
    return [
        (count, split, i, j)
        for split, name in {"test": "test", "dev": "dev_in_train"}.items()
        for i, counts in enumerate(audit.shared[name])
        for j, count in enumerate(counts)
        if count
    ]


def _mended(audit: Audit) -> list[str]:
    totals, sentences = audit.totals, []
    if totals["undecodable"]:
        are = "line is" if totals["undecodable"] == 1 else "lines are"
        sentences.append(f"{totals['undecodable']:,} {are} not UTF-8 and read as Latin-1.")
    if totals["n_dropped"]:
        were = "row was" if totals["n_dropped"] == 1 else "rows were"
        sentences.append(f"{totals['n_dropped']:,} {were} left out.")
    cut = sum(bool(task.cut_from_train) for task in audit.tasks)
    if cut:
        sentences.append(f"{cut} of {len(audit.tasks)} tasks had dev or test cut from train.")
    if totals["unlabelled"]:
        rows = "row has" if totals["unlabelled"] == 1 else "rows have"
        sentences.append(f"{totals['unlabelled']:,} {rows} no label for their task.")
    kinds = [{remark["kind"] for remark in task.remarks} for task in audit.tasks]
    for kind, what in REMARKS.items():
        count = sum(kind in found for found in kinds)
        if count:
            sentences.append(f"{count} of {len(audit.tasks)} tasks {what}.")
    return sentences


def _texts(count: int) -> str:
    return "1 text occurs" if count == 1 else f"{count:,} texts occur"


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
    return f"{largest} ({_percent(train.majority_share)}{of})"


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


def _percent(share: float) -> str:
    return f"{_hundredths(share)} %"


def _hundredths(share: float) -> str:
    return f"{100 * share:.1f}"

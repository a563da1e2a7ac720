"""The audit in a few sentences: repeated texts, rows that tasks share, what the reader mended."""

from mtl_core.data.audit import Audit
from mtl_core.data.iob import CONVERTED
from mtl_core.data.labels import UNSEEN
from mtl_core.data.overlap import EXCLUDED

N_SHARED = 3  # pairs of tasks that are named
REMARKS = {
    CONVERTED: "have tags of another scheme, which are read as IOB2",
    UNSEEN: "have labels in dev or test that are not in train",
    EXCLUDED: "had train rows left out that are in dev or test of some task",
}


def headline(audit: Audit) -> str:
    """Return what a person must know first: repeated texts, then all that the reader mended."""
    return " ".join([*_repeated(audit), *_shared(audit), *_mended(audit)])


def percent(share: float) -> str:
    """Return a share in percent, to a tenth."""
    return f"{100 * share:.1f} %"


def _repeated(audit: Audit) -> list[str]:
    totals = audit.totals
    n_test, n_seen = totals["test_rows"], totals["test_in_train"]
    if n_seen:
        worst = max(audit.tasks, key=lambda task: task.test_in_train)
        share = percent(n_seen / n_test)
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

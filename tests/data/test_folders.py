from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from mtl_core.data.config import DataConfig
from mtl_core.data.folders import folder_names, read_folder_task
from mtl_core.data.readers import read_corpus
from mtl_core.data.rows import read_each
from mtl_core.errors import ConfigError


def write(path: Path, *, n_rows: int = 20, labels: Iterable[str] = ("no", "yes")) -> None:
    path.parent.mkdir(exist_ok=True)
    classes = list(labels)
    rows = [f"{path.stem} text {n}\t{classes[n % len(classes)]}" for n in range(n_rows)]
    path.write_text("\n".join(["text\tlabel", *rows]), encoding="utf-8")


def read(folder: Path, *names: str, **config: float) -> tuple[dict[str, int], set[str]]:
    """Return the rows of each split of the first task, and the kinds of its notes."""
    settings = DataConfig(**config)  # type: ignore[arg-type]
    task = read_folder_task(folder, names[0], settings)
    return {split: len(rows) for split, rows in task.splits.items()}, {n.kind for n in task.notes}


def faults_of(folder: Path, *names: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        read_each(names, lambda name: read_folder_task(folder, name, DataConfig()))
    return caught.value.faults


def test_the_three_files_of_a_task_are_its_splits(tmp_path: Path) -> None:
    write(tmp_path / "books" / "train.tsv")
    write(tmp_path / "books" / "dev.tsv", n_rows=6)
    write(tmp_path / "books" / "test.tsv", n_rows=8)

    assert read(tmp_path, "books") == ({"train": 20, "dev": 6, "test": 8}, set())


def test_missing_splits_are_cut_from_train_by_the_stated_shares(tmp_path: Path) -> None:
    write(tmp_path / "books" / "train.tsv", n_rows=200)

    sizes, notes = read(tmp_path, "books", dev_share=0.2, test_share=0.3)

    assert sizes == {"train": 100, "dev": 40, "test": 60}
    assert notes == {"split"}


def test_a_missing_dev_is_cut_and_the_test_file_kept(tmp_path: Path) -> None:
    write(tmp_path / "books" / "train.tsv", n_rows=200)
    write(tmp_path / "books" / "test.tsv", n_rows=8)

    task = read_folder_task(tmp_path, "books", DataConfig())

    assert list(task.splits) == ["train", "dev", "test"]
    assert Counter(task.splits["dev"].labels) == {"no": 10, "yes": 10}
    assert task.splits["dev"].source == str(tmp_path / "books" / "train.tsv")
    assert task.splits["test"].source == str(tmp_path / "books" / "test.tsv")
    assert [note.message for note in task.notes] == [
        "dev: 20 of 200 rows cut from train, stratified by label, seed 0"
    ]


def test_a_cut_does_not_depend_on_the_other_tasks(tmp_path: Path) -> None:
    for name in ("books", "dvd"):
        write(tmp_path / name / "train.tsv", n_rows=100)

    alone = read_corpus(DataConfig(source=str(tmp_path), tasks=("dvd",)))
    among = read_corpus(DataConfig(source=str(tmp_path)))

    assert alone.tasks[0] == among.tasks[1]


def test_hidden_folders_are_no_tasks(tmp_path: Path) -> None:
    for name in ("books", ".cache", "__pycache__"):
        (tmp_path / name).mkdir()
    (tmp_path / "README.md").touch()

    assert folder_names(tmp_path) == ["books"]


def test_two_files_for_one_split_are_a_fault(tmp_path: Path) -> None:
    write(tmp_path / "books" / "train.tsv")
    write(tmp_path / "books" / "train.csv")

    assert faults_of(tmp_path, "books") == (
        f"{tmp_path / 'books'}: train.csv and train.tsv are both train; one is wanted",
    )


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("valid.tsv", "dev.tsv"),
        ("validation.jsonl", "dev.jsonl"),
        ("val.parquet", "dev.parquet"),
        ("Dev.tsv", "dev.tsv"),
        ("tests.csv", "test.csv"),
        ("testing.csv", "test.csv"),
    ],
)
def test_a_split_under_another_name_is_a_fault_not_left_out(
    tmp_path: Path, name: str, meant: str
) -> None:
    write(tmp_path / "books" / "train.tsv")
    write(tmp_path / "books" / name)

    (fault,) = faults_of(tmp_path, "books")

    assert fault.startswith(f"{tmp_path / 'books' / name}: did you mean {meant}?")


@pytest.mark.parametrize("name", ["train.txt", "train.json", "train.tsv.gz"])
def test_a_train_file_in_another_format_is_named(tmp_path: Path, name: str) -> None:
    write(tmp_path / "books" / name)

    (fault,) = faults_of(tmp_path, "books")

    assert fault.endswith("is not understood, write it as train.tsv (or .csv, .jsonl, .parquet)")


def test_files_that_are_no_splits_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path / "books" / "train.tsv")
    write(tmp_path / "books" / "dev.tsv")
    write(tmp_path / "books" / "valid.tsv")  # there is a dev, so nobody takes this for it
    for name in ("README.md", "unlabelled.tsv", "notes.txt", "test"):
        (tmp_path / "books" / name).write_text("nothing")

    assert read(tmp_path, "books")[0] == {"train": 16, "dev": 20, "test": 4}


def test_a_task_without_train_says_what_was_found(tmp_path: Path) -> None:
    write(tmp_path / "books" / "test.tsv")
    (tmp_path / "dvd").mkdir()

    faults = faults_of(tmp_path, "books", "dvd")

    assert faults[0].startswith(f"{tmp_path / 'books'}: no train file (found: test.tsv;")
    assert faults[1].startswith(f"{tmp_path / 'dvd'}: no train file (found: nothing;")


def test_all_faults_of_all_files_are_reported_at_once(tmp_path: Path) -> None:
    write(tmp_path / "books" / "train.tsv", labels=["no"])
    (tmp_path / "dvd").mkdir()
    (tmp_path / "dvd" / "train.tsv").write_text("sentence\tlabel\n")
    (tmp_path / "dvd" / "dev.jsonl").write_text("[]\n")
    write(tmp_path / "music" / "train.tsv")
    write(tmp_path / "music" / "dev.tsv", labels=["no", "maybe"])
    write(tmp_path / "music" / "test.tsv", n_rows=0)
    write(tmp_path / "video" / "train.tsv", n_rows=2)

    faults = faults_of(tmp_path, "books", "dvd", "music", "video")

    wanted = [
        "books/train.tsv: all rows have the label 'no'",
        "dvd/dev.jsonl: 1 of 1 rows are malformed",
        "dvd/dev.jsonl, line 1: a JSON list",
        "dvd/train.tsv, line 1: no column 'text'",
        "music/test.tsv: no rows in test",
        "music/dev.tsv, line 3: label 'maybe' is in dev (10 rows) but not in train",
        "video/train.tsv: label 'no' has 1 different texts; wanted: at least 3",
        "video/train.tsv: label 'yes' has 1 different texts; wanted: at least 3",
    ]
    # A fault of one file hides none of another: music has its label fault beside the empty test.
    found = [fault.removeprefix(f"{tmp_path}/") for fault in faults]
    assert len(found) == len(wanted)
    assert all(any(fault.startswith(start) for fault in found) for start in wanted), found


def test_a_fault_in_one_split_does_not_hide_those_of_the_others(tmp_path: Path) -> None:
    write(tmp_path / "books" / "train.tsv", labels=["no"] * 19 + ["yes"])
    write(tmp_path / "books" / "dev.tsv", labels=["no", "maybe"])
    write(tmp_path / "dvd" / "train.tsv")
    write(tmp_path / "dvd" / "dev.tsv", labels=["no", "maybe"])
    (tmp_path / "dvd" / "test.jsonl").write_text("[]\n")

    faults = faults_of(tmp_path, "books", "dvd")

    assert [fault.split("(")[0] for fault in faults] == [
        f"{tmp_path}/books/train.tsv: label 'yes' has 1 different texts; wanted: at least 2, "
        "since test must be cut from train",
        f"{tmp_path}/books/dev.tsv, line 3: label 'maybe' is in dev ",
        f"{tmp_path}/dvd/test.jsonl: 1 of 1 rows are malformed",
        f"{tmp_path}/dvd/test.jsonl, line 1: a JSON list, where an object is wanted",
        f"{tmp_path}/dvd/dev.tsv, line 3: label 'maybe' is in dev ",
    ]

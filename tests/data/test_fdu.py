from collections import Counter
from pathlib import Path

import pytest

from mtl_core.data.config import DataConfig
from mtl_core.data.fdu import fdu_names, read_fdu
from mtl_core.data.readers import read_corpus
from mtl_core.errors import ConfigError


def write_task(folder: Path, name: str, *, n_train: int = 300, n_test: int = 10) -> list[str]:
    """Write a task; return the lines of its train file, which a test may change and write again."""
    train = [f"{n % 2}\ttrain text {n}" for n in range(1, n_train + 1)]
    rewrite(folder / f"{name}.task.train", train)
    rewrite(folder / f"{name}.task.test", [f"{n % 2}\ttest text {n}" for n in range(n_test)])
    return train


def rewrite(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def test_dev_is_the_last_200_lines_of_the_train_file(tmp_path: Path) -> None:
    write_task(tmp_path, "books")

    task = read_fdu(tmp_path, ["books"])[0]

    assert {name: len(split) for name, split in task.splits.items()} == {
        "train": 100,
        "dev": 200,
        "test": 10,
    }
    assert task.splits["train"].texts[-1] == "train text 100"
    assert task.splits["dev"].texts[0] == "train text 101"
    assert task.splits["dev"].source == str(tmp_path / "books.task.train")
    assert task.labels == ("0", "1")


@pytest.mark.parametrize(("line", "sizes"), [(5, (99, 200)), (250, (100, 199))])
def test_a_row_left_out_moves_no_other_row_between_train_and_dev(
    tmp_path: Path, line: int, sizes: tuple[int, int]
) -> None:
    lines = write_task(tmp_path, "books")
    lines[line - 1] = "0\t"
    rewrite(tmp_path / "books.task.train", lines)

    task = read_fdu(tmp_path, ["books"])[0]

    assert (len(task.splits["train"]), len(task.splits["dev"])) == sizes
    assert [(note.kind, note.line) for note in task.notes] == [("dropped", line)]


@pytest.mark.parametrize("bad", ["no tab at all", "0\ttwo\ttabs", "\tno label", ""])
def test_a_malformed_row_is_left_out_and_noted(tmp_path: Path, bad: str) -> None:
    lines = write_task(tmp_path, "books")
    lines[41] = bad
    rewrite(tmp_path / "books.task.train", lines)

    task = read_fdu(tmp_path, ["books"])[0]

    assert len(task.splits["train"]) == 99
    assert [(note.kind, note.line) for note in task.notes] == [("dropped", 42)]


def test_a_file_of_texts_without_labels_is_refused_not_read_as_empty(tmp_path: Path) -> None:
    write_task(tmp_path, "books")
    rewrite(tmp_path / "books.task.train", ["just a text"] * 300)

    with pytest.raises(ConfigError, match="300 of 300 rows are malformed") as caught:
        read_fdu(tmp_path, ["books"])

    assert "books.task.train, line 1: 0 tabs, where LABEL<TAB>TEXT has one" in str(caught.value)


def test_all_faults_of_all_tasks_are_reported_at_once(tmp_path: Path) -> None:
    write_task(tmp_path, "books", n_train=150)
    write_task(tmp_path, "dvd")
    (tmp_path / "dvd.task.test").unlink()
    write_task(tmp_path, "music")
    (tmp_path / "music.task.train").unlink()
    write_task(tmp_path, "video")

    with pytest.raises(ConfigError) as caught:
        read_fdu(tmp_path, ["books", "dvd", "music", "video"])

    assert len(caught.value.faults) == 3
    assert "150 lines; more than 200 are needed" in caught.value.faults[0]
    assert "task 'dvd': no file" in caught.value.faults[1]
    assert "task 'music': no file" in caught.value.faults[2]


def test_tasks_come_in_published_order_and_then_by_name(tmp_path: Path) -> None:
    for name in ("zebra", "MR", "apparel", "ant", "books"):
        (tmp_path / f"{name}.task.train").touch()
    (tmp_path / "dvd.task.unlabel").touch()

    assert fdu_names(tmp_path) == ["books", "apparel", "MR", "ant", "zebra"]


def test_the_real_tasks_have_their_published_counts(fdu_folder: Path) -> None:
    smaller = {"electronics": 1398, "camera_photo": 1397, "baby": 1300, "magazines": 1370}
    smaller |= {"software": 1315, "sports_outdoors": 1399}  # 1400 without the empty row

    corpus = read_corpus(DataConfig(source=str(fdu_folder)))

    assert corpus.layout == "fdu_mtl"
    assert len(corpus.tasks) == 16
    for task in corpus.tasks:
        sizes = [len(task.splits[split]) for split in ("train", "dev", "test")]
        assert sizes == [smaller.get(task.name, 1400), 200, 400], task.name
        assert task.labels == ("0", "1")


def test_the_real_tasks_have_one_empty_row_and_38_lines_of_latin1(fdu_folder: Path) -> None:
    corpus = read_corpus(DataConfig(source=str(fdu_folder)))

    notes = [note for task in corpus.tasks for note in task.notes]
    dropped = [(Path(n.source).name, n.line) for n in notes if n.kind == "dropped"]
    undecodable = Counter(Path(n.source).name for n in notes if n.kind == "undecodable")
    assert dropped == [("sports_outdoors.task.train", 1121)]
    assert undecodable == {"MR.task.train": 31, "MR.task.test": 6, "dvd.task.train": 1}

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mtl_core.data.config import CorpusConfig, DataConfig
from mtl_core.data.readers import read_corpus
from mtl_core.errors import ConfigError

TRAIN = "text\tlabel\n" + "".join(f"text {n}\t{n % 2}\n" for n in range(40))


def write_tasks(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "train.tsv").write_text(TRAIN)
    return folder


def write_fdu(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        for end in ("train", "test"):
            lines = [f"{n % 2}\t{end} {n}\n" for n in range(210)]
            (folder / f"{name}.task.{end}").write_text("".join(lines))
    return folder


def faults_of(source: Path | str, *tasks: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        read_corpus(DataConfig(source=str(source), tasks=tasks))
    return caught.value.faults


def test_a_folder_of_task_folders_is_read_by_name(tmp_path: Path) -> None:
    corpus = read_corpus(DataConfig(source=str(write_tasks(tmp_path, "dvd", "books"))))

    assert corpus.names == ("books", "dvd")
    assert (corpus.layout, corpus.source) == ("folders", str(tmp_path))


def test_a_folder_of_fdu_files_is_read_in_published_order(tmp_path: Path) -> None:
    corpus = read_corpus(DataConfig(source=str(write_fdu(tmp_path, "MR", "dvd", "books"))))

    assert corpus.names == ("books", "dvd", "MR")
    assert corpus.layout == "fdu_mtl"


def test_the_builtin_corpus_is_generated() -> None:
    small = CorpusConfig(n_tasks=4, rows=40, dev_rows=10, test_rows=10)

    corpus = read_corpus(DataConfig(builtin=small))

    assert corpus.layout == "builtin"
    assert len(corpus.tasks) == 4
    assert read_corpus(DataConfig(builtin=small, tasks=corpus.names[:2])).names == corpus.names[:2]


def test_tasks_are_chosen_and_ordered_by_the_configuration(tmp_path: Path) -> None:
    write_tasks(tmp_path, "books", "dvd", "music")

    corpus = read_corpus(DataConfig(source=str(tmp_path), tasks=("music", "books")))

    assert corpus.names == ("music", "books")


def test_faults_of_tasks_not_asked_for_do_not_matter(tmp_path: Path) -> None:
    write_tasks(tmp_path, "books")
    (tmp_path / "broken").mkdir()

    assert read_corpus(DataConfig(source=str(tmp_path), tasks=("books",))).names == ("books",)
    assert "no train file" in faults_of(tmp_path)[0]


def test_a_home_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_tasks(tmp_path / "data", "books")

    assert read_corpus(DataConfig(source="~/data")).names == ("books",)


@pytest.mark.parametrize("layout", [write_tasks, write_fdu])
def test_unknown_tasks_are_all_named_with_their_neighbours(
    tmp_path: Path, layout: Callable[..., Path]
) -> None:
    layout(tmp_path, "books", "dvd")

    faults = faults_of(tmp_path, "boks", "dvd", "films")

    assert faults == (
        f"data.tasks, in {tmp_path}: unknown 'boks', did you mean 'books'?",
        f"data.tasks, in {tmp_path}: unknown 'films'",
        "known: books, dvd",
    )


def test_a_task_named_twice_is_a_fault(tmp_path: Path) -> None:
    assert faults_of(write_tasks(tmp_path, "books"), "books", "books") == (
        "data.tasks: named more than once: books",
    )


def test_a_missing_folder_names_its_neighbour(tmp_path: Path) -> None:
    write_tasks(tmp_path / "reviews", "books")

    wanted = f"data.source: no such folder: {tmp_path}/review, did you mean 'reviews'?"
    assert faults_of(tmp_path / "review") == (wanted,)
    assert "did you mean 'builtin'?" in faults_of("buildin")[0]
    assert "no such folder" in faults_of(tmp_path / "no" / "where")[0]


def test_a_file_in_place_of_the_folder_is_a_fault(tmp_path: Path) -> None:
    write_tasks(tmp_path, "books")

    (fault,) = faults_of(tmp_path / "books" / "train.tsv")

    assert fault.endswith("train.tsv is a file; the folder with the tasks is wanted")


def test_no_source_at_all_is_a_fault() -> None:
    assert faults_of("") == ('data.source: is empty; a folder, a task file or "builtin" is wanted',)


def test_the_folder_of_one_task_is_a_fault_that_names_its_parent(tmp_path: Path) -> None:
    write_tasks(tmp_path, "books")

    (fault,) = faults_of(tmp_path / "books")

    assert fault.endswith(f"is the folder of one task; its parent is wanted: {tmp_path.resolve()}")


@pytest.mark.parametrize("layout", [write_tasks, write_fdu])
def test_a_folder_a_level_too_high_is_a_fault_that_names_the_right_one(
    tmp_path: Path, layout: Callable[..., Path]
) -> None:
    layout(tmp_path / "reviews", "books")
    (tmp_path / "other").mkdir()

    assert faults_of(tmp_path) == (
        f"data.source: no tasks in {tmp_path}; did you mean {tmp_path / 'reviews'}?",
    )


def test_a_folder_without_tasks_says_what_is_found_and_understood(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "guide.md").touch()
    (tmp_path / "reviews.xlsx").touch()

    (fault,) = faults_of(tmp_path)

    assert fault.startswith(f"data.source: no tasks in {tmp_path} (found: docs, reviews.xlsx;")
    assert "TASK/train.tsv" in fault
    assert "NAME.task.train" in fault


def test_an_empty_folder_says_so(tmp_path: Path) -> None:
    assert "(found: nothing;" in faults_of(tmp_path)[0]


def test_both_layouts_in_one_folder_are_a_fault(tmp_path: Path) -> None:
    write_fdu(tmp_path, "books")
    write_tasks(tmp_path, "dvd")

    (fault,) = faults_of(tmp_path)

    assert fault.endswith("both NAME.task.train files and task folders (dvd); one layout is wanted")


def test_a_closed_folder_is_a_fault_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(_: Path) -> None:  # file modes do not bind the root user, as tests may run
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", closed)

    assert faults_of(tmp_path) == (f"data.source: {tmp_path} cannot be read: Permission denied",)


def test_the_real_tasks_are_read_in_under_two_seconds(fdu_folder: Path) -> None:
    begin = time.perf_counter()
    read_corpus(DataConfig(source=str(fdu_folder)))

    assert time.perf_counter() - begin < 2

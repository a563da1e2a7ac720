from collections.abc import Sequence
from pathlib import Path

import pytest

from mtl_core.data.config import DataConfig
from mtl_core.data.conll import conll_names, read_conll, read_conll_folder
from mtl_core.data.readers import read_corpus
from mtl_core.data.rows import Row
from mtl_core.data.task import Task
from mtl_core.errors import ConfigError

SENTENCE = "EU NNP I-NP I-ORG\nrejects VBZ I-VP O\n"
START = "-DOCSTART- -X- O O\n\n"


def write_2003(folder: Path) -> Path:
    for end in ("train", "testa", "testb"):
        (folder / f"eng.{end}").write_text(f"{START}{SENTENCE}\n{SENTENCE}. . O O\n\n{START}")
    return folder


def counts(tasks: Sequence[Task]) -> dict[str, list[tuple[int, int]]]:
    """Return sentences and words of each split, by task."""
    return {
        task.name: [
            (len(rows), sum(len(label.split(" ")) for label in rows.labels))
            for rows in task.splits.values()
        ]
        for task in tasks
    }


def test_a_sentence_is_a_row_of_words_and_tags_and_documents_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text(f"{START}{SENTENCE}\n\n{START}a\tb c\td\te\n")

    assert read_conll(path, 0, 1).rows == (Row(3, "NNP VBZ", "EU rejects"), Row(9, "b_c", "a"))


def test_a_document_begins_a_sentence_also_without_an_empty_line_before_it(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text("EU NNP\n-DOCSTART- -X-\nrejects VBZ\n")

    assert read_conll(path, 0, 1).rows == (Row(1, "NNP", "EU"), Row(3, "VBZ", "rejects"))


def test_a_no_break_space_belongs_to_a_word(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text("1\u00a0000  CD\n\u00a0 SP\n", encoding="utf-8")

    assert read_conll(path, 0, 1).rows == (Row(1, "CD SP", "1_000 _"),)


def test_a_sentence_with_ragged_columns_is_left_out_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text(f"{SENTENCE}\n" * 150 + "EU NNP I-NP\n" + f"\n{SENTENCE}")

    file = read_conll(path, 0, 3)

    assert len(file.rows) == 151
    assert [(note.line, note.message) for note in file.notes] == [
        (451, "row left out: 3 columns, where the first line has 4")
    ]


def test_a_file_with_many_ragged_columns_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text(f"{SENTENCE}\nEU NNP\n\n{SENTENCE}\nEU\n")

    with pytest.raises(ConfigError) as caught:
        read_conll(path, 0, 3)

    assert caught.value.faults == (
        f"{path}: 2 of 4 rows are malformed",
        f"{path}, line 4: 2 columns, where the first line has 4",
        f"{path}, line 9: 1 columns, where the first line has 4",
    )


def test_a_column_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text(SENTENCE)

    with pytest.raises(ConfigError, match="no column 4; it has 4 columns, the first of them is 0"):
        read_conll(path, 0, 4)


def test_an_empty_file_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "a.conll").touch()

    with pytest.raises(ConfigError, match=r"a\.conll: the file is empty"):
        read_conll(tmp_path / "a.conll", 0, 1)


def test_the_folder_of_2003_gives_three_tasks_on_the_same_texts(tmp_path: Path) -> None:
    folder = write_2003(tmp_path)

    tasks = read_conll_folder(folder, conll_names(folder))

    assert [(task.name, task.metric) for task in tasks] == [
        ("pos", "accuracy"),
        ("chunk", "entity_f1"),
        ("ner", "entity_f1"),
    ]
    assert len({task.splits["test"].texts for task in tasks}) == 1
    assert tasks[2].splits["test"].labels == ("B-ORG O", "B-ORG O O")
    assert tasks[2].labels == ("B-ORG", "O")


def test_a_folder_is_known_by_its_words_whatever_stands_on_lines_between_documents(
    tmp_path: Path,
) -> None:
    for name in ("train.txt", "test.txt"):
        (tmp_path / name).write_text(f"-DOCSTART-\n\n{SENTENCE}\n")

    assert conll_names(tmp_path) == ("pos", "chunk", "ner")


def test_a_fault_of_a_file_is_told_once_for_all_its_tasks(tmp_path: Path) -> None:
    folder = write_2003(tmp_path)
    (folder / "eng.testb").write_text("EU NNP I-NP I-ORG\nrejects\n")

    with pytest.raises(ConfigError) as caught:
        read_conll_folder(folder, ("pos", "ner"))

    assert len(caught.value.faults) == 2


def test_a_folder_of_2003_without_its_test_file_says_so(tmp_path: Path) -> None:
    (write_2003(tmp_path) / "eng.testb").unlink()

    with pytest.raises(ConfigError, match=r"data\.source: no eng\.testb in .*; eng\.train, eng"):
        read_corpus(DataConfig(source=str(tmp_path)))


def test_a_folder_of_other_texts_is_not_conll(tmp_path: Path) -> None:
    assert conll_names(tmp_path) == ()
    for name in ("train.txt", "test.txt"):
        (tmp_path / name).write_text("some words of a text\nand others\n")
    assert conll_names(tmp_path) == ()


def test_the_real_2003_files_have_the_counts_of_the_readme(data_folder: Path) -> None:
    corpus = read_corpus(DataConfig(source=str(data_folder / "conll2003")))

    assert corpus.layout == "conll"
    assert corpus.names == ("pos", "chunk", "ner")
    wanted = [(14_041, 203_621), (3_250, 51_362), (3_453, 46_435)]
    assert counts(corpus.tasks) == dict.fromkeys(corpus.names, wanted)
    assert [len(task.labels) for task in corpus.tasks] == [45, 21, 9]
    said = [note.message for note in corpus.tasks[2].notes]
    assert "the tags are in IOB1 and read as IOB2: 23,427 tags from I- to B-" in said


def test_the_real_2000_files_have_the_counts_of_the_readme(data_folder: Path) -> None:
    corpus = read_corpus(DataConfig(source=str(data_folder / "conll2000")))

    for train, dev, test in counts(corpus.tasks).values():
        assert (train[0] + dev[0], train[1] + dev[1]) == (8_936, 211_727)
        assert (dev[0], test) == (1_000, (2_012, 47_377))
    pos, chunk = corpus.tasks
    assert (len(pos.labels), len(chunk.labels)) == (44, 23)
    assert {note.kind for note in chunk.notes} == {"split", "unseen"}  # IOB2 as it is

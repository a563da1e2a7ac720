"""Texts without labels are found, split as the train texts are, and none of them is held out."""

from pathlib import Path

import pytest

from mtl_core.data.config import DataConfig
from mtl_core.data.readers import read_corpus
from mtl_core.data.task import Corpus
from mtl_core.data.tokenizer import build_tokenizer
from mtl_core.data.unlabelled import read_unlabelled, split_marks, unlabelled_files

TRAIN = ["1\tit did n't work , and i paid -- `` twice '' ...", "0\tshe 's a fan ( of it ) !"] * 201
TEST = ["1\tthe old man , he did n't", "0\ta fan of it"]


def make_fdu(folder: Path, raw: str, plain: str) -> Corpus:
    for name, unlabelled in (("books", raw), ("MR", plain)):
        (folder / f"{name}.task.train").write_text("\n".join(TRAIN))
        (folder / f"{name}.task.test").write_text("\n".join(TEST))
        (folder / f"{name}.task.unlabel").write_text(unlabelled)
    return read_corpus(DataConfig(source=str(folder)))


def words_of(corpus: Corpus) -> list[list[str]]:
    texts = [text for task in corpus.tasks for text in task.splits["train"].texts]
    tokenizer = build_tokenizer(texts, DataConfig())
    names = {number: word for word, number in tokenizer.get_vocab().items()}
    return [[names[word] for word in text] for text in read_unlabelled(corpus, tokenizer)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("It didn't work, and I paid.", "It did n't work , and I paid ."),
        ('She said: "no way"!', "She said : `` no way '' !"),
        ("(see [1])", "( see [ 1 ] )"),
        ("She's 5,000 miles away...", "She 's 5,000 miles away ..."),
        ("a 3.5 mm jack at www.a.com, 8:30", "a 3.5 mm jack at www.a.com , 8:30"),
        ("one--two  and 'three'", "one -- two and ` three '"),
        ("the fans' choice; I'd've", "the fans ' choice ; I 'd 've"),
    ],
)
def test_marks_are_split_off_as_in_the_penn_treebank(text: str, wanted: str) -> None:
    assert split_marks(text).split() == wanted.split()


def test_what_is_split_already_stays_as_it_is() -> None:
    text = "it did n't work , and i paid -- `` twice '' ... she 's a fan ( of it ) !"

    assert split_marks(text).split() == text.split()


def test_a_raw_file_is_split_and_a_tokenised_one_is_not(tmp_path: Path) -> None:
    raw = 'It didn\'t work, and "I" paid...\n'
    plain = "it did n't work , and i paid\n"

    books, mr = words_of(make_fdu(tmp_path, raw, plain))

    assert books == ["it", "did", "n't", "work", ",", "and", "``", "i", "''", "paid", "..."]
    assert mr == plain.split()


def test_texts_of_dev_and_test_are_left_out_however_they_are_written(tmp_path: Path) -> None:
    raw = "The old man, he DIDN'T\nA fan. Of it\nIt didn't.\n"

    found = words_of(make_fdu(tmp_path, raw, "she 's a fan ( of it ) !\n"))  # the latter is in dev

    assert found == [["it", "did", "n't", "<unk>"]]


def test_a_users_folder_may_hold_one(tmp_path: Path) -> None:
    for name in ("books", "dvd"):
        (tmp_path / name).mkdir()
        rows = "".join(f"a good text {at}\t{at % 2}\n" for at in range(40))
        (tmp_path / name / "train.tsv").write_text(f"text\tlabel\n{rows}")
    (tmp_path / "dvd" / "unlabelled.txt").write_text("A good one\n\nand a text\n")
    corpus = read_corpus(DataConfig(source=str(tmp_path)))

    assert unlabelled_files(corpus) == [tmp_path / "dvd" / "unlabelled.txt"]
    assert [len(text) for text in words_of(corpus)] == [3, 3]


def test_a_task_file_has_those_of_the_folders_that_it_names(tmp_path: Path) -> None:
    (tmp_path / "fdu").mkdir()
    make_fdu(tmp_path / "fdu", "A book\n", "a film\n")
    for name in ("dvd", "toys"):
        (tmp_path / name).mkdir()
        rows = "".join(f"a good text {at}\t{at % 2}\n" for at in range(40))
        (tmp_path / name / "train.tsv").write_text(f"text\tlabel\n{rows}")
        (tmp_path / name / "unlabelled.txt").write_text("A good one\n")
    (tmp_path / "tasks.yaml").write_text(
        "- {from: fdu, tasks: [books], prefix: x_}\n"
        "- {from: ., tasks: [dvd]}\n"
        "- {name: toys, files: {train: toys/train.tsv}}\n"
        "- {name: again, files: {train: toys/train.tsv}}\n"
    )

    corpus = read_corpus(DataConfig(source=str(tmp_path / "tasks.yaml")))

    assert unlabelled_files(corpus) == [
        tmp_path / "fdu" / "books.task.unlabel",
        tmp_path / "dvd" / "unlabelled.txt",
        tmp_path / "toys" / "unlabelled.txt",
    ]

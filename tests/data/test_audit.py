import json
from pathlib import Path

import pytest

from mtl_core.data.audit import Audit, audit
from mtl_core.data.audit_words import WholeTexts
from mtl_core.data.config import DataConfig
from mtl_core.data.encode import encode
from mtl_core.data.readers import read_corpus

TRAIN = ["a good book", "bad", "A  good book", "so so", "quite fine", "poor thing", "worst one"]


def write_corpus(folder: Path) -> DataConfig:
    """Write two tasks: books with its three files (one Latin-1 line), dvd without dev and test."""
    books, dvd = folder / "books", folder / "dvd"
    books.mkdir()
    dvd.mkdir()
    rows = [f"{text}\t{'b' if 'bad' in text else 'a'}" for text in TRAIN]
    (books / "train.tsv").write_text("text\tlabel\n" + "\n".join(rows))
    (books / "dev.tsv").write_bytes(b"text\tlabel\na good book\ta\ncaf\xe9\tb\n")
    (books / "test.tsv").write_text(
        "text\tlabel\nBad\tb\n\ta\nworst one\ta\ncaf\u00e9\tb\nnew\ta\n"
    )
    plain = [f"dvd {n},{n % 2}" for n in range(20)]
    (dvd / "train.csv").write_text("text,label\n" + "\n".join([*plain, "new,0"]))
    return DataConfig(source=str(folder), max_words=2)


@pytest.fixture
def audited(tmp_path: Path) -> Audit:
    config = write_corpus(tmp_path)
    return audit(read_corpus(config), None, config)


def test_rows_classes_and_balance_are_counted(audited: Audit) -> None:
    train = audited.tasks[0].splits["train"]

    assert [task.name for task in audited.tasks] == ["books", "dvd"]
    assert (train.rows, train.classes) == (7, {"a": 6, "b": 1})
    assert train.majority_share == pytest.approx(6 / 7)
    assert train.source == "books/train.tsv"
    assert audited.totals["test_rows"] == 4 + 4


def test_lengths_and_the_share_of_texts_cut_are_measured(audited: Audit) -> None:
    train = audited.tasks[0].splits["train"]

    assert train.lengths["mean"] == pytest.approx(15 / 7)
    assert (train.lengths["min"], train.lengths["median"], train.lengths["max"]) == (1, 2, 3)
    assert (train.n_cut, train.cut_share) == (2, pytest.approx(2 / 7))


def test_repeated_texts_are_counted(audited: Audit) -> None:
    books = audited.tasks[0]

    assert books.splits["train"].repeated_within == 1
    assert (books.dev_in_train, books.test_in_train, books.test_in_dev) == (1, 2, 1)
    assert books.test_in_train_or_dev == 3
    assert audited.totals["test_in_train"] == 2
    assert audited.between[0][0] == 2


def test_what_the_reader_mended_is_told_with_file_and_line(audited: Audit) -> None:
    books, dvd = audited.tasks

    assert books.undecodable == {"books/dev.tsv": 1}
    assert books.n_dropped == 1
    assert books.dropped == (
        {"file": "books/test.tsv", "line": 3, "message": "row left out: the text is empty"},
    )
    assert books.cut_from_train == ()
    assert sorted(note.split(":")[0] for note in dvd.cut_from_train) == ["dev", "test"]


def test_the_audit_is_json_and_the_same_wherever_the_folder_is(tmp_path: Path) -> None:
    found = []
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        config = write_corpus(tmp_path / name)
        found.append(audit(read_corpus(config), None, config).as_dict())

    assert json.loads(json.dumps(found[0])) == found[0]
    assert found[0].pop("source") != found[1].pop("source")
    assert found[0] == found[1]


def test_the_encoded_corpus_gives_the_same_audit(tmp_path: Path, audited: Audit) -> None:
    config = DataConfig(source=str(tmp_path), max_words=2)
    corpus = read_corpus(config)

    found = audit(corpus, encode(corpus, config, tmp_path / ".cache"), config)

    assert found == audited


def test_the_real_audit_has_the_published_totals(fdu_folder: Path) -> None:
    config = DataConfig(source=str(fdu_folder))
    corpus = read_corpus(config)

    found = audit(corpus, None, config)

    totals = {name: found.totals[name] for name in ("train_rows", "dev_rows", "test_rows")}
    assert totals == {"train_rows": 22_179, "dev_rows": 3_200, "test_rows": 6_400}
    assert (found.totals["test_in_train"], found.totals["test_in_any_train_or_dev"]) == (491, 559)
    assert (found.totals["undecodable"], found.totals["n_dropped"]) == (38, 1)
    assert found.headline.startswith(
        "491 of 6,400 test rows (7.7 %) occur word for word in the train rows of their own task;"
        " magazines worst with 149 of 400. 559 occur in the train or dev rows of any task."
    )
    books = next(task for task in found.tasks if task.name == "books").whole
    assert books["train"].vocabulary == 19_538
    assert books["train_and_dev"] == WholeTexts(
        rows=1600,
        classes={"0": 802, "1": 798},
        mean_words=293_999 / 1600,
        longest=5940,
        vocabulary=21_276,
        n_cut=148,
    )

import io
from pathlib import Path

from rich.console import Console

from mtl_core.data.audit import audit
from mtl_core.data.config import DataConfig
from mtl_core.data.readers import read_corpus
from mtl_core.data.task import Corpus, ReadingNote, Split, Task


def make_corpus(test: tuple[str, ...], notes: tuple[ReadingNote, ...] = ()) -> Corpus:
    texts = {"train": ("a good one", "a bad one"), "dev": ("so so", "fine"), "test": test}
    splits = {
        split: Split(texts=rows, labels=("0", "1")[: len(rows)], source=f"data/{split}.tsv")
        for split, rows in texts.items()
    }
    task = Task(name="[books]", labels=("0", "1"), splits=splits, notes=notes)
    return Corpus(tasks=(task,), layout="folders", source="data")


def printed(corpus: Corpus, width: int = 80) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    for table in audit(corpus, None, DataConfig()).tables():
        console.print(table)
    return console.export_text()


def test_the_first_thing_printed_is_what_a_person_must_know() -> None:
    text = printed(make_corpus(("A GOOD one", "new")), width=200)

    assert text.startswith(
        "1 of 2 test rows (50.0 %) occur word for word in the train rows of their own task;"
        " [books] worst with 1 of 2."
    )


def test_a_clean_corpus_says_so_and_prints_no_empty_table() -> None:
    text = printed(make_corpus(("new", "newer")))

    assert text.startswith("No test row occurs word for word in the train rows of its own task.")
    assert "Repeated texts" not in text
    assert "Mended" not in text


def test_what_was_mended_is_printed_with_file_and_line() -> None:
    notes = (
        ReadingNote(kind="dropped", source="data/dev.tsv", line=17, message="row left out: empty"),
        ReadingNote(kind="undecodable", source="data/test.tsv", line=3, message="byte 0xe9"),
        ReadingNote(kind="split", source="data/train.tsv", line=None, message="dev: 2 rows cut"),
    )

    text = printed(make_corpus(("new", "newer"), notes), width=200)

    assert "1 line is not UTF-8 and read as Latin-1. 1 row was left out." in text
    assert "1 of 1 tasks had dev or test cut from train." in text
    lines = [line.split() for line in text.splitlines()]
    assert ["[books]", "dev.tsv", "17", "row", "left", "out:", "empty"] in lines
    assert "dev: 2 rows cut" in text


def test_the_real_audit_fits_a_terminal_of_80_columns(fdu_folder: Path) -> None:
    text = printed(read_corpus(DataConfig(source=str(fdu_folder))))

    assert "…" not in text
    rows = [line.split() for line in text.splitlines()]
    assert ["magazines", "289", "7", "26", "92", "149", "169", "149", "169"] in rows
    assert ["video", "dvd", "14", "16"] in rows

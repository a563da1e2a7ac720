import io
from pathlib import Path

from rich.console import Console

from mtl_core.data.audit import audit
from mtl_core.data.config import DataConfig
from mtl_core.data.labels import make_task
from mtl_core.data.readers import read_corpus
from mtl_core.data.rows import Row, RowFile
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


def test_rows_of_all_kinds_are_shown_with_what_is_most_or_how_numbers_are() -> None:
    labels = {
        ("classification", "x"): ("0", "1", "1", ""),
        ("regression", "x"): ("1", "2", "3", "2"),
        ("multilabel", ""): ("a|b", "a", "|", "a"),
        ("tagging", ""): ("O O", "O B-X", "O O", "O O"),
    }
    tasks = []
    for (kind, second), given in labels.items():
        parts = {
            split: RowFile(
                source=f"data/{split}",
                rows=tuple(
                    Row(n, label, f"{split} {n}", second or None) for n, label in enumerate(given)
                ),
            )
            for split in ("train", "dev", "test")
        }
        tasks.append(make_task(kind, parts, kind=kind))

    text = printed(Corpus(tasks=tuple(tasks), layout="task_file", source="data"), width=120)

    rows = [" ".join(line.split()) for line in text.splitlines()]
    assert "classification pairs, classes 2 4 4 4 1 (66.7 %)" in rows
    assert "regression pairs, numbers 4 4 4 mean 2.00, sd 0.71, 1 to 3" in rows
    assert "multilabel labels 2 4 4 4 a (75.0 %)" in rows
    assert "tagging tags 2 4 4 4 O (87.5 % of the words)" in rows
    assert "3 rows have no label for their task." in text.replace("\n", " ")


def test_the_real_overlap_is_told_first(data_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "tasks.yaml").write_text(
        f"- {{from: {data_folder}/fdu-mtl, tasks: [MR]}}\n"
        f"- {{from: {data_folder}/glue, tasks: [SST-2, MRPC, STS-B]}}\n"
    )

    text = printed(read_corpus(DataConfig(source=str(tmp_path))), width=300)

    first = " ".join(text.partition("\nRows")[0].split())
    assert (
        "219 of 400 test rows of MR are in train or dev of SST-2 (200 word by word, all of them"
        " letter by letter)."
    ) in first
    assert "111 of 1,500 test rows of STS-B are in train or dev of MRPC." in first
    rows = [line.split() for line in text.splitlines()]
    assert ["MR", "SST-2", "117", "200", "219"] in [row[:5] for row in rows]
    assert ["MRPC", "STS-B", "0", "48", "48"] in [row[:5] for row in rows]


def test_what_the_real_tags_were_mended_by_is_told(data_folder: Path) -> None:
    text = printed(read_corpus(DataConfig(source=str(data_folder / "conll2003"))), width=200)

    assert "2 of 3 tasks have tags of another scheme, which are read as IOB2." in text
    assert "IOB1 and read as IOB2: 23,427 tags from I- to B-" in text
    rows = [" ".join(line.split()) for line in text.splitlines()]
    assert "ner tags 9 14,041 3,250 3,453 O (83.3 % of the words)" in rows
    assert "Rows of one task in another" not in text


def test_the_real_audit_fits_a_terminal_of_80_columns(fdu_folder: Path) -> None:
    text = printed(read_corpus(DataConfig(source=str(fdu_folder))))

    assert "…" not in text
    rows = [line.split() for line in text.splitlines()]
    assert ["magazines", "289", "7", "26", "92", "149", "169", "149", "169"] in rows
    assert ["video", "dvd", "16", "16", "16", "14", "10"] in rows

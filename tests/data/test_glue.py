from pathlib import Path

import numpy as np
import pytest

from mtl_core.data.config import DataConfig
from mtl_core.data.glue import GLUE, glue_names, read_glue_task
from mtl_core.data.readers import read_corpus
from mtl_core.data.task import METRICS, Corpus
from mtl_core.errors import ConfigError

# ../shared/data/README.md: rows of train.tsv, rows of dev.tsv, labels, pairs, metric
REAL = {
    "RTE": (2490, 277, ("entailment", "not_entailment"), True, "accuracy"),
    "MRPC": (3667, 408, ("0", "1"), True, "f1"),
    "CoLA": (8551, 1043, ("0", "1"), False, "matthews"),
    "STS-B": (5749, 1500, (), True, "pearson"),
    "WNLI": (635, 71, ("0", "1"), True, "accuracy"),
    "SST-2": (67349, 872, ("0", "1"), False, "accuracy"),
}


def write_rte(folder: Path, n_rows: int = 40) -> Path:
    (folder / "RTE").mkdir(parents=True)
    for split in ("train", "dev"):
        rows = [f'{n}\tone "{n}\ttwo {split}\t{"not_" * (n % 2)}entailment' for n in range(n_rows)]
        text = "\n".join(["index\tsentence1\tsentence2\tlabel", *rows])
        (folder / "RTE" / f"{split}.tsv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    return folder


def write_mnli(folder: Path) -> Path:
    (folder / "MNLI").mkdir(parents=True)
    for name in ("train", "dev_matched", "dev_mismatched"):
        labels = ("neutral", "entailment", "contradiction", "-")
        rows = [f"{name} {n}\tb\t{labels[n % 4]}" for n in range(40)]
        text = "\n".join(["sentence1\tsentence2\tgold_label", *rows])
        (folder / "MNLI" / f"{name}.tsv").write_text(text)
    return folder


@pytest.fixture(scope="module")
def real(data_folder: Path) -> Corpus:
    return read_corpus(DataConfig(source=str(data_folder / "glue")))


def test_the_table_names_metrics_of_the_tasks_kinds() -> None:
    assert all(task.metric in METRICS[task.columns.kind] for task in GLUE.values())


def test_dev_is_our_test_and_dev_is_cut_from_train_and_both_are_said(tmp_path: Path) -> None:
    task = read_glue_task(write_rte(tmp_path), "RTE", DataConfig(dev_share=0.2))

    assert {split: len(rows) for split, rows in task.splits.items()} == {
        "train": 32,
        "dev": 8,
        "test": 40,
    }
    assert task.splits["test"].source == str(tmp_path / "RTE" / "dev.tsv")
    assert [note.message for note in task.notes] == [
        "dev: 8 of 40 rows cut from train, stratified by label, seed 0",
        "test: the rows of dev.tsv, since GLUE's own test labels are not public",
    ]


def test_a_quote_is_plain_text_and_a_byte_order_mark_is_none(tmp_path: Path) -> None:
    task = read_glue_task(write_rte(tmp_path), "RTE", DataConfig())

    assert task.splits["test"].texts[3] == 'one "3'
    assert task.splits["test"].seconds[3] == "two dev"


def test_a_folder_of_glue_s_name_with_other_columns_is_the_user_s_own(tmp_path: Path) -> None:
    (tmp_path / "CoLA").mkdir()
    rows = "".join(f"text {n}\t{n % 2}\n" for n in range(40))
    (tmp_path / "CoLA" / "train.tsv").write_text("text\tlabel\n" + rows)

    assert glue_names(tmp_path) == []
    corpus = read_corpus(DataConfig(source=str(tmp_path)))
    assert (corpus.layout, corpus.tasks[0].metric) == ("folders", "accuracy")


def test_a_user_s_own_task_may_stand_beside_glue_s(tmp_path: Path) -> None:
    write_rte(tmp_path)
    (tmp_path / "mine").mkdir()
    rows = "".join(f"text {n}\t{n % 2}\n" for n in range(40))
    (tmp_path / "mine" / "train.tsv").write_text("text\tlabel\n" + rows)
    (tmp_path / "diagnostic").mkdir()

    corpus = read_corpus(DataConfig(source=str(tmp_path)))

    assert (corpus.names, corpus.layout) == (("RTE", "mine"), "folders")


def test_mnli_is_tested_on_matched_rows_and_on_the_others_where_that_is_asked(
    tmp_path: Path,
) -> None:
    source = str(write_mnli(tmp_path))

    assert read_corpus(DataConfig(source=source)).names == ("MNLI",)
    (task,) = read_corpus(DataConfig(source=source, tasks=("MNLI-mm",))).tasks
    assert task.splits["test"].texts[0] == "dev_mismatched 0"


def test_rows_without_a_gold_label_are_kept_without_one(tmp_path: Path) -> None:
    task = read_glue_task(write_mnli(tmp_path), "MNLI", DataConfig())

    assert task.labels == ("contradiction", "entailment", "neutral")
    assert task.splits["test"].labels.count("") == 10


def test_faults_of_both_files_are_told(tmp_path: Path) -> None:
    write_rte(tmp_path)
    (tmp_path / "RTE" / "train.tsv").write_text("index\tsentence1\tsentence2\tlabel\n1\t2\n")
    (tmp_path / "RTE" / "dev.tsv").unlink()

    with pytest.raises(ConfigError) as caught:
        read_glue_task(tmp_path, "RTE", DataConfig())

    assert any("line 2: 2 cells, where the header has 4" in fault for fault in caught.value.faults)
    assert any("dev.tsv: cannot be read" in fault for fault in caught.value.faults)


def test_the_real_tasks_have_the_counts_of_the_readme(real: Corpus) -> None:
    found = {
        task.name: (
            len(task.splits["train"]) + len(task.splits["dev"]),
            len(task.splits["test"]),
            task.labels,
            task.of_pairs,
            task.metric,
        )
        for task in real.tasks
    }

    assert found == REAL
    assert real.layout == "glue"
    assert all(note.kind in ("split", "unused") for task in real.tasks for note in task.notes)


def test_the_real_scores_of_train_and_dev_are_spread_alike(real: Corpus) -> None:
    splits = next(task.splits for task in real.tasks if task.name == "STS-B")
    train, dev = (np.array(splits[split].labels, dtype=float) for split in ("train", "dev"))

    assert abs(train.mean() - dev.mean()) < 0.05
    assert abs(train.std() - dev.std()) < 0.05

from pathlib import Path

import pytest

from mtl_core.data.config import DataConfig
from mtl_core.data.readers import read_corpus
from mtl_core.data.task import Corpus
from mtl_core.errors import ConfigError

TWO_LABELS = "text\tmood\ttopic\n" + "".join(
    f"text {n}\t{n % 2}\t{'' if n % 4 == 0 else 'ab'[n % 3 == 0]}\n" for n in range(60)
)


def write(folder: Path, tasks: str, **files: str) -> Path:
    """Write a task file, and files whose names have __ in place of the dot."""
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    (folder / "tasks.yaml").write_text(tasks)
    return folder / "tasks.yaml"


def read(path: Path, *tasks: str) -> Corpus:
    return read_corpus(DataConfig(source=str(path), tasks=tasks))


def faults_of(path: Path, *tasks: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        read(path, *tasks)
    return tuple(fault.replace(f"{path.parent}/", "") for fault in caught.value.faults)


def test_a_task_has_the_kind_columns_and_metric_of_its_entry(tmp_path: Path) -> None:
    rows = "".join(f"one {n},two {n},{n / 10}\n" for n in range(40))
    path = write(
        tmp_path,
        """
- name: alike
  kind: regression
  metric: spearman
  files: {train: sts.csv}
  columns: {text: 0, second: 1, label: 2}
""",
        sts__csv=rows,
    )

    corpus = read(path)

    (task,) = corpus.tasks
    assert (corpus.layout, corpus.source) == ("task_file", str(path))
    assert (task.kind, task.metric, task.of_pairs) == ("regression", "spearman", True)
    assert {split: len(rows) for split, rows in task.splits.items()} == {
        "train": 28,
        "dev": 4,
        "test": 8,
    }
    assert read(tmp_path).tasks == corpus.tasks  # the folder that holds tasks.yaml


def test_tasks_of_one_file_share_its_texts_and_keep_rows_without_a_label(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
- {name: mood, files: {train: a.tsv}, columns: {label: mood}}
- {name: topic, files: {train: a.tsv}, columns: {label: topic}}
""",
        a__tsv=TWO_LABELS,
    )

    mood, topic = read(path).tasks

    for split in ("train", "dev", "test"):
        assert mood.splits[split].texts == topic.splits[split].texts
    labels = [label for rows in topic.splits.values() for label in rows.labels]
    assert (len(labels), labels.count("")) == (60, 15)
    assert topic.labels == ("a", "b")


def test_tasks_of_one_saved_data_set_share_its_texts_however_its_path_is_written(
    tmp_path: Path,
) -> None:
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    rows = {"text": [f"text {n}" for n in range(60)], "mood": [n % 2 for n in range(60)]}
    datasets.Dataset.from_dict(rows).save_to_disk(str(tmp_path / "saved"))
    path = write(
        tmp_path,
        """
- {name: mood, disk: saved, columns: {label: mood}}
- {name: same, disk: ./saved/, columns: {label: mood}}
""",
    )

    mood, same = read(path).tasks

    assert mood.splits["test"].texts == same.splits["test"].texts


def test_tasks_of_other_columns_of_one_file_do_not_say_that_their_texts_are_the_same(
    tmp_path: Path,
) -> None:
    path = write(
        tmp_path,
        """
- {name: alone, files: {train: a.csv}, columns: {text: 0, label: 2}}
- {name: pair, files: {train: a.csv}, columns: {text: 0, second: 1, label: 2}}
- {name: turned, files: {train: a.csv}, columns: {text: 1, second: 0, label: 2}}
""",
        a__csv="".join(f"a {n},b {n},{n % 2}\n" for n in range(40)),
    )

    alone, pair, turned = read(path).tasks

    assert all("stratified by label" in note.message for note in alone.notes)
    assert all("the same texts" in note.message for note in pair.notes)
    assert pair.splits["test"].texts == turned.splits["test"].seconds


def test_several_labels_of_a_cell_are_parted_by_the_stated_separator(tmp_path: Path) -> None:
    rows = "".join(f"text {n}\t{['a; b', 'b', ';'][n % 3]}\n" for n in range(30))
    path = write(
        tmp_path,
        "- {name: topics, kind: multilabel, files: {train: a.tsv}, separator: ';'}\n",
        a__tsv="text\tlabel\n" + rows,
    )

    (task,) = read(path).tasks

    assert set(task.splits["train"].labels) == {"a|b", "b", "|"}
    assert task.labels == ("a", "b")


def test_conll_files_are_read_by_numbered_columns_with_the_last_sentences_as_dev(
    tmp_path: Path,
) -> None:
    sentences = "".join(f"w{n} X I-A\nv X O\n\n" for n in range(20))
    path = write(
        tmp_path,
        """
- name: spans
  kind: tagging
  files: {train: a.txt, test: a.txt}
  format: conll
  columns: {word: 0, label: 2}
  dev: last 5
""",
        a__txt=sentences,
    )

    (task,) = read(path).tasks

    assert task.metric == "entity_f1"
    assert task.splits["dev"].texts[0] == "w15 v"
    assert task.splits["dev"].labels[0] == "B-A O"
    assert {note.kind for note in task.notes} == {"converted", "split"}


def test_tags_of_json_lists_are_read(tmp_path: Path) -> None:
    line = '{"words": ["a", "b"], "tags": ["O", "B-X"]}\n'
    path = write(
        tmp_path,
        """
- name: spans
  kind: tagging
  files: {train: a.jsonl, dev: a.jsonl, test: a.jsonl}
  columns: {text: words, label: tags}
""",
        a__jsonl=line * 3,
    )

    (task,) = read(path).tasks

    assert task.splits["train"].texts == ("a b",) * 3
    assert task.splits["train"].labels == ("O B-X",) * 3


def test_a_data_set_saved_on_disk_is_read(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the extra `hub` is not installed")
    rows = {"text": [f"text {n}" for n in range(40)], "label": [n % 2 for n in range(40)]}
    datasets.Dataset.from_dict(rows).save_to_disk(str(tmp_path / "saved"))
    path = write(tmp_path, "- {name: mine, disk: saved}\n")

    (task,) = read(path).tasks

    assert task.labels == ("0", "1")
    assert sum(len(rows) for rows in task.splits.values()) == 40


def test_the_last_rows_of_a_data_set_that_has_dev_are_a_fault(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the extra `hub` is not installed")
    rows = {"text": [f"text {n}" for n in range(40)], "label": [n % 2 for n in range(40)]}
    made = datasets.Dataset.from_dict(rows)
    splits = datasets.DatasetDict({"train": made, "validation": made})
    splits.save_to_disk(str(tmp_path / "saved"))
    entry = "- {name: mine, disk: saved, dev: last 7}\n"

    assert faults_of(write(tmp_path, entry)) == (
        "saved/validation: is dev of task 'mine', and `dev: last 7` is too; one of both would be"
        " right, and `splits:` without dev leaves out the first",
    )
    cut = write(tmp_path, entry.replace("dev:", "splits: {train: train}, dev:"))
    assert len(read(cut).tasks[0].splits["dev"]) == 7


def test_tasks_of_folders_are_included_and_may_be_renamed(tmp_path: Path) -> None:
    (tmp_path / "mine" / "books").mkdir(parents=True)
    (tmp_path / "mine" / "dvd").mkdir()
    text = "text\tlabel\n" + "".join(f"text {n}\t{n % 2}\n" for n in range(40))
    for name in ("books", "dvd"):
        (tmp_path / "mine" / name / "train.tsv").write_text(text)
    path = write(tmp_path, "- {from: mine, tasks: [dvd]}\n- {from: mine, prefix: my_}\n")

    assert read(path).names == ("dvd", "my_books", "my_dvd")
    assert read(path, "my_dvd").names == ("my_dvd",)
    assert faults_of(path, "my_dvds")[0].endswith("unknown 'my_dvds', did you mean 'my_dvd'?")


def test_tasks_of_the_same_name_are_a_fault(tmp_path: Path) -> None:
    entry = "- {name: mood, files: {train: a.tsv}, columns: {label: mood}}\n"
    path = write(tmp_path, entry * 2, a__tsv=TWO_LABELS)

    assert faults_of(path) == (
        "tasks.yaml:2: a second task 'mood'; another name, or `prefix:` of a folder, would be"
        " right",
    )


@pytest.mark.parametrize(
    ("more", "parts"),
    [
        ("files: {train: a.tsv, test: a.tsv}", "dev is cut from train, test is its own"),
        ("files: {train: a.tsv}, dev: last 9", "dev is last 9, test is cut from train"),
    ],
)
def test_tasks_of_the_same_texts_in_other_parts_are_a_fault(
    tmp_path: Path, more: str, parts: str
) -> None:
    path = write(
        tmp_path,
        f"""
- {{name: mood, columns: {{label: mood}}, {more}}}
- {{name: topic, columns: {{label: topic}}, files: {{train: a.tsv}}}}
""",
        a__tsv=TWO_LABELS,
    )

    assert faults_of(path) == (
        "tasks.yaml:3: task 'topic' has the texts of task 'mood' in other parts: dev is cut from"
        f" train, test is cut from train, there {parts}; the same for both would be right, or rows"
        " of test are in train of the other",
    )
    assert read(path, "topic").names == ("topic",)


def test_tasks_of_the_same_texts_may_be_cut_apart_where_overlap_is_taken_out(
    tmp_path: Path,
) -> None:
    rows = "".join(f"text {n}\t{n % 2}\t{n % 3}\n" for n in range(90))
    path = write(
        tmp_path,
        """
- {name: mood, columns: {label: mood}, files: {train: a.tsv}, dev: last 9}
- {name: topic, columns: {label: topic}, files: {train: a.tsv}}
""",
        a__tsv="text\tmood\ttopic\n" + rows,
    )

    corpus = read_corpus(DataConfig(source=str(path), exclude_overlap=True))

    trained = {text for task in corpus.tasks for text in task.splits["train"].texts}
    tested = {text for task in corpus.tasks for text in task.splits["test"].texts}
    assert not trained & tested


def test_missing_files_are_named_with_line_and_neighbour(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """- name: a
  files:
    train: trian.tsv
- {name: b, disk: nowhere}
- {from: nowhere}
""",
        train__tsv=TWO_LABELS,
    )

    assert faults_of(path) == (
        "tasks.yaml:3: files.train: no such file: trian.tsv, did you mean 'train.tsv'?",
        "tasks.yaml:4: disk: no such folder: nowhere",
        "tasks.yaml:5: from: no such folder: nowhere",
    )


def test_a_header_is_no_row_of_numbered_columns(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "- {name: a, kind: regression, files: {train: a.tsv}, columns: {text: 0, label: 1}}\n",
        a__tsv="text\tscore\none\t1\ntwo\t2\n",
    )

    (fault,) = faults_of(path)

    assert fault.startswith(
        "a.tsv, line 1: no other row has the label 'score', so this is a header"
    )


@pytest.mark.parametrize("text", ["", "tasks: []", "[]", "7"])
def test_anything_but_a_list_of_tasks_is_a_fault(tmp_path: Path, text: str) -> None:
    (fault,) = faults_of(write(tmp_path, text))

    wanted = "a list of tasks, each with name:, files: and columns:"
    assert fault.endswith(f"{wanted}, or the folder with the tasks would be right")


def test_faults_of_the_files_of_all_tasks_are_told_together(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
- {name: a, kind: regression, files: {train: a.tsv, dev: a.tsv, test: a.tsv}}
- {name: b, files: {train: b.tsv}, columns: {text: 0, second: 1, label: 2}}
""",
        a__tsv="text\tlabel\none\t1\ntwo\thigh\n",
        b__tsv="one\t0\ntwo\t1\n",
    )

    assert faults_of(path) == (
        "a.tsv, line 3: the label is 'high', a finite number (up to 1e+15) would be right",
        "b.tsv, line 1: no column 2 (2 columns, the last is 1: 'one', '0')",
    )


def test_a_missing_task_file_is_a_fault_that_names_its_neighbour(tmp_path: Path) -> None:
    write(tmp_path, "[]")

    with pytest.raises(ConfigError, match=r"no such file, did you mean 'tasks\.yaml'"):
        read(tmp_path / "task.yaml")


def test_real_sets_are_combined(data_folder: Path, tmp_path: Path) -> None:
    path = write(
        tmp_path,
        f"""
- {{from: {data_folder}/fdu-mtl, tasks: [MR]}}
- {{from: {data_folder}/glue, tasks: [RTE]}}
- {{from: {data_folder}/conll2000, tasks: [chunk], prefix: wsj_}}
""",
    )

    corpus = read(path)

    assert corpus.names == ("MR", "RTE", "wsj_chunk")
    assert [task.kind for task in corpus.tasks] == ["classification", "classification", "tagging"]

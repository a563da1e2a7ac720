from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mtl_core.data.config import DataConfig
from mtl_core.data.overlap import exclude_overlap, find_overlap, letters, words
from mtl_core.data.readers import read_corpus
from mtl_core.data.task import Corpus, Split, Task
from mtl_core.errors import ConfigError

Text = str | tuple[str, str]


def make_task(name: str, **splits: Sequence[Text]) -> Task:
    """Make a task of texts, or of pairs of texts, whose labels alternate."""
    made = {}
    for split, rows in splits.items():
        pairs = [row for row in rows if isinstance(row, tuple)]
        made[split] = Split(
            texts=tuple(row[0] if isinstance(row, tuple) else row for row in rows),
            seconds=tuple(pair[1] for pair in pairs),
            labels=tuple(str(n % 2) for n in range(len(rows))),
            source=f"{name}.{split}",
        )
    return Task(name=name, labels=("0", "1"), splits=made)


def make_corpus(*tasks: Task) -> Corpus:
    return Corpus(tasks=tasks, layout="folders", source="data")


def train_texts(corpus: Corpus) -> list[tuple[str, ...]]:
    return [task.splits["train"].texts for task in corpus.tasks]


def real_corpus(tmp_path: Path, data_folder: Path, *, exclude: bool = False) -> Corpus:
    """Read the MR task of FDU-MTL with the SST-2, MRPC and STS-B tasks of GLUE."""
    path = tmp_path / "tasks.yaml"
    path.write_text(
        f"- {{from: {data_folder}/fdu-mtl, tasks: [MR]}}\n"
        f"- {{from: {data_folder}/glue, tasks: [SST-2, MRPC, STS-B]}}\n"
    )
    return read_corpus(DataConfig(source=str(path), exclude_overlap=exclude))


def test_texts_are_compared_by_words_and_by_letters() -> None:
    assert words('It is n\'t  "Good" .') == "it is n t good"
    assert letters("isn't") == letters("is n't") == "isnt"
    assert words("Café_1!") == "café 1"
    assert words("! ?") == "! ?"  # nothing but signs: these are then all there is to compare
    assert letters("! ?") == letters("!?")


def test_rows_are_counted_by_hand() -> None:
    one = make_task("one", train=["a b", "x"], dev=["c", "y"], test=["isn't", "it was", "new"])
    two = make_task("two", train=["is n't", "y!"], dev=["it was ."], test=["A B", "z"])

    overlap = find_overlap(make_corpus(one, two))

    assert overlap.test.tolist() == [[0, 2], [1, 0]]
    assert overlap.test_words.tolist() == [[0, 1], [1, 0]]
    assert overlap.test_in_train.tolist() == [[0, 1], [1, 0]]
    assert overlap.dev_in_train.tolist() == [[0, 1], [0, 0]]


def test_a_pair_is_found_in_any_order_and_a_text_in_a_pair() -> None:
    pairs = make_task("pairs", train=[("a", "b"), ("c", "d")], dev=[("e", "f")], test=[("x", "y")])
    turned = make_task(
        "turned", train=[("q", "r")], dev=[("b", "A")], test=[("d", "c"), ("a", "d")]
    )
    single = make_task("single", train=["y", "s"], dev=["d"], test=["e", "t"])

    overlap = find_overlap(make_corpus(pairs, turned, single))

    assert overlap.test.tolist() == [[0, 0, 1], [1, 0, 2], [1, 0, 0]]
    assert overlap.dev_in_train.tolist() == [[0, 0, 0], [1, 0, 0], [1, 0, 0]]


def test_tasks_on_the_same_texts_do_not_count_each_others_rows() -> None:
    one = make_task("pos", train=["a", "b"], dev=["c"], test=["a"])

    overlap = find_overlap(make_corpus(one, replace(one, name="ner")))

    assert not overlap.test.any()


def test_train_rows_that_any_dev_or_test_has_are_left_out_and_counted() -> None:
    one = make_task("one", train=["a", "b", "c", "d", "e"], dev=["A!"], test=["x", "y"])
    pairs = [("p", "q"), ("x", "r"), ("s", "t"), ("u", "v")]
    two = make_task("two", train=pairs, dev=[("b", "z")], test=[("q", "p")])

    corpus = exclude_overlap(make_corpus(one, two))

    assert train_texts(corpus) == [("c", "d", "e"), ("s", "u")]
    assert corpus.tasks[0].splits["train"].labels == ("0", "1", "0")
    assert corpus.tasks[1].splits["train"].seconds == ("t", "v")
    assert [note.message for task in corpus.tasks for note in task.notes] == [
        "train: 2 of 5 rows left out, that are in dev or test of: one 1, two 1",
        "train: 2 of 4 rows left out, that are in dev or test of: two 1, one 1",
    ]


def test_a_corpus_without_overlap_stays_as_it_is() -> None:
    corpus = make_corpus(make_task("one", train=["a", "b"], dev=["c"], test=["d"]))

    assert exclude_overlap(corpus) == corpus


def test_a_class_or_a_task_that_loses_all_its_train_rows_is_a_fault() -> None:
    one = make_task("one", train=["a", "b", "c"], dev=["b"], test=["d"])
    two = make_task("two", train=["e", "f"], dev=["e", "f"], test=["g"])

    with pytest.raises(ConfigError) as caught:
        exclude_overlap(make_corpus(one, two))

    assert caught.value.faults == (
        "data.exclude_overlap: task 'one': all train rows of '1' are in dev or test",
        "data.exclude_overlap: task 'two': all its train rows are in dev or test of some task",
    )


def test_the_real_overlap_is_that_of_the_readme(data_folder: Path, tmp_path: Path) -> None:
    overlap = find_overlap(real_corpus(tmp_path, data_folder))

    mr, sst2, mrpc, sts = range(4)
    assert overlap.test_words[mr, sst2] == 200
    assert overlap.test[mr, sst2] == 219
    assert overlap.test[sts, mrpc] == 111
    assert overlap.test[mrpc, sts] == 48
    assert overlap.test[mr, mrpc] == overlap.test[sst2, sts] == 0


def test_the_switch_leaves_none_of_the_real_test_rows_in_train(
    data_folder: Path, tmp_path: Path
) -> None:
    corpus = real_corpus(tmp_path, data_folder, exclude=True)

    overlap = find_overlap(corpus)

    assert not overlap.test_in_train.any()
    assert not overlap.dev_in_train.any()
    notes = [note.message for note in corpus.tasks[1].notes if note.kind == "excluded"]
    assert len(notes) == 1
    assert "MR" in notes[0]

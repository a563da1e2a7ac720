from collections import Counter

import pytest

from mtl_core.data.duplicates import normalise
from mtl_core.data.rows import Row, RowFile
from mtl_core.data.splits import cut_last, cut_splits
from mtl_core.errors import ConfigError


def make_train(**counts: int) -> RowFile:
    labels = [label for label, count in counts.items() for _ in range(count)]
    rows = tuple(Row(n + 2, label, f"text {n}") for n, label in enumerate(labels))
    return RowFile(source="books/train.tsv", rows=rows)


def classes(part: RowFile) -> Counter[str]:
    return Counter(row.label for row in part.rows)


def test_each_class_gives_its_share_to_each_part() -> None:
    parts = cut_splits(make_train(a=100, b=50), {"test": 0.2, "dev": 0.1}, task="books", seed=0)

    assert classes(parts["test"]) == {"a": 20, "b": 10}
    assert classes(parts["dev"]) == {"a": 10, "b": 5}
    assert classes(parts["train"]) == {"a": 70, "b": 35}


def test_every_row_is_in_exactly_one_part_in_file_order() -> None:
    train = make_train(a=37, b=13)

    parts = cut_splits(train, {"test": 0.2, "dev": 0.1}, task="books", seed=3)

    assert sorted(row for part in parts.values() for row in part.rows) == sorted(train.rows)
    assert all(list(part.rows) == sorted(part.rows) for part in parts.values())


def test_the_cut_depends_on_seed_and_task_and_on_nothing_else() -> None:
    def dev(task: str, seed: int) -> tuple[Row, ...]:
        return cut_splits(make_train(a=100, b=50), {"dev": 0.1}, task=task, seed=seed)["dev"].rows

    assert dev("books", 0) == dev("books", 0)
    assert dev("books", 0) != dev("books", 1)
    assert dev("books", 0) != dev("dvd", 0)


def test_rows_of_one_text_stay_together() -> None:
    texts = [f"Text {n % 20}" if n // 20 % 2 else f"text  {n % 20} " for n in range(200)]
    rows = tuple(Row(n + 2, str(n % 4 > 1), text) for n, text in enumerate(texts))
    train = RowFile(source="train.tsv", rows=rows)

    parts = cut_splits(train, {"test": 0.3, "dev": 0.2}, task="books", seed=0)

    found = [{normalise(row.text) for row in part.rows} for part in parts.values()]
    assert all(found)
    assert sum(map(len, found)) == len(set().union(*found)) == 20


def test_a_rare_class_still_has_a_row_in_every_part() -> None:
    parts = cut_splits(make_train(a=100, b=3), {"test": 0.2, "dev": 0.1}, task="books", seed=0)

    assert [classes(part)["b"] for part in parts.values()] == [1, 1, 1]


def test_even_a_large_share_leaves_a_row_of_each_class_in_train() -> None:
    parts = cut_splits(make_train(a=3, b=3), {"test": 0.5, "dev": 0.4}, task="books", seed=0)

    assert all(classes(part) == {"a": 1, "b": 1} for part in parts.values())


def test_a_text_more_frequent_than_the_part_is_large_goes_whole() -> None:
    rows = tuple(Row(n, label, f"{label}{n % 2}") for n in range(20) for label in "ab")

    parts = cut_splits(RowFile(source="train.tsv", rows=rows), {"dev": 0.1}, task="books", seed=0)

    assert classes(parts["dev"]) == {"a": 10, "b": 10}


def test_the_cut_is_stated_in_a_note() -> None:
    parts = cut_splits(make_train(a=100, b=50), {"dev": 0.1}, task="books", seed=7)

    (note,) = parts["dev"].notes
    assert note.kind == "split"
    assert note.source == "books/train.tsv"
    assert note.message == "dev: 15 of 150 rows cut from train, stratified by label, seed 7"


def test_classes_too_small_to_be_cut_are_all_named() -> None:
    train = make_train(a=10, b=1, c=2)

    with pytest.raises(ConfigError) as caught:
        cut_splits(train, {"test": 0.2, "dev": 0.1}, task="books", seed=0)

    assert len(caught.value.faults) == 2
    assert "label 'b' has 1 different texts; wanted: at least 3" in caught.value.faults[0]
    assert "label 'c' has 2 different texts; wanted: at least 3" in caught.value.faults[1]


def test_of_very_many_classes_too_small_to_be_cut_the_first_are_named() -> None:
    train = make_train(a=30, **{f"rare{number}": 1 for number in range(500)})

    with pytest.raises(ConfigError) as caught:
        cut_splits(train, {"dev": 0.1}, task="books", seed=0)

    assert len(caught.value.faults) == 6
    assert caught.value.faults[-1] == "books/train.tsv: and 495 more such labels"


def test_too_few_numbers_to_be_cut_are_no_label() -> None:
    train = RowFile(source="a.tsv", rows=(Row(1, "1.5", "x"), Row(2, "2.5", "y")))

    with pytest.raises(ConfigError, match=r"^a\.tsv: 2 different texts; wanted: at least 3"):
        cut_splits(train, {"test": 0.2, "dev": 0.1}, task="sts", seed=0, by="number")


def test_shares_that_leave_no_train_or_no_part_are_refused() -> None:
    with pytest.raises(ConfigError, match="leaves no train rows; together below 1"):
        cut_splits(make_train(a=9, b=9), {"test": 0.6, "dev": 0.4}, task="books", seed=0)
    with pytest.raises(ConfigError, match=r"no dev file, and data\.dev_share is 0"):
        cut_splits(make_train(a=9, b=9), {"dev": 0.0}, task="books", seed=0)


def test_a_hundred_thousand_rows_are_cut_in_the_right_sizes() -> None:
    parts = cut_splits(make_train(a=60_000, b=40_000), {"dev": 0.1}, task="books", seed=0)

    assert classes(parts["dev"]) == {"a": 6_000, "b": 4_000}


def test_rows_without_a_label_stay_in_train() -> None:
    rows = tuple(Row(n, "" if n % 4 == 0 else str(n % 2), f"text {n}") for n in range(40))

    parts = cut_splits(RowFile(source="x", rows=rows), {"dev": 0.3}, task="books", seed=0)

    assert all(row.label for row in parts["dev"].rows)
    assert len(parts["train"].rows) + len(parts["dev"].rows) == 40


def test_numbers_are_spread_alike_over_the_parts() -> None:
    rows = tuple(Row(n, str(n / 10), f"text {n}") for n in range(400))
    train = RowFile(source="x", rows=rows)

    parts = cut_splits(train, {"dev": 0.1, "test": 0.2}, task="sts", seed=0, by="number")

    assert {split: len(part.rows) for split, part in parts.items()} == {
        "train": 280,
        "dev": 40,
        "test": 80,
    }
    for part in parts.values():
        tenths = Counter(int(float(row.label) / 4) for row in part.rows)
        assert set(tenths.values()) == {len(part.rows) // 10}


def test_pairs_of_the_same_two_texts_go_into_one_part() -> None:
    rows = [Row(n, str(n % 2), f"one {n}", f"two {n}") for n in range(20)]
    turned = [Row(n + 20, row.label, row.second or "", row.text) for n, row in enumerate(rows)]

    parts = cut_splits(RowFile(source="x", rows=(*rows, *turned)), {"dev": 0.3}, task="rte", seed=0)

    held = [{frozenset((row.text, row.second)) for row in part.rows} for part in parts.values()]
    assert not held[0] & held[1]


def test_tasks_of_the_same_texts_are_cut_alike_whatever_their_names_and_labels() -> None:
    one = tuple(Row(n, str(n % 2), f"text {n}") for n in range(40))
    two = tuple(row._replace(label="a") for row in one)

    cuts = [
        cut_splits(RowFile(source="x", rows=rows), {"dev": 0.2}, task=name, seed=3, by="text")
        for name, rows in {"mood": one, "topic": two}.items()
    ]

    texts = [[row.text for row in parts["dev"].rows] for parts in cuts]
    assert texts[0] == texts[1]
    assert len(texts[0]) == 8


def test_the_last_rows_are_cut_and_that_is_said() -> None:
    rows = tuple(Row(n, "a", f"text {n}") for n in range(10))

    parts = cut_last(RowFile(source="x", rows=rows), 3)

    assert parts["dev"].rows == rows[-3:]
    assert [note.message for note in parts["dev"].notes] == ["dev: the last 3 of 10 rows of train"]
    with pytest.raises(ConfigError, match="10 rows; more than 10 are needed, the last of them"):
        cut_last(RowFile(source="x", rows=rows), 10)

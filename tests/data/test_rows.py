import pytest

from mtl_core.data.rows import Malformed, Row, RowFile, collect, gathered, make_task, sort_labels
from mtl_core.errors import ConfigError


def part(source: str, *labels: str) -> RowFile:
    rows = tuple(Row(line, label, f"text {line}") for line, label in enumerate(labels, start=2))
    return RowFile(source=source, rows=rows)


def faults_of(**parts: RowFile) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        make_task("books", parts)
    return caught.value.faults


def test_empty_texts_are_left_out_and_noted() -> None:
    found = [Row(1, "a", "one"), Row(2, "a", " \t"), Row(3, "b", "three")]

    file = collect(found, "train.tsv")

    assert [row.line for row in file.rows] == [1, 3]
    assert [(note.kind, note.line) for note in file.notes] == [("dropped", 2)]
    assert "the text is empty" in file.notes[0].message


def test_one_malformed_row_in_a_hundred_is_left_out_and_noted() -> None:
    found = [Malformed(7, "no tab"), *(Row(line, "a", "text") for line in range(8, 107))]

    file = collect(found, "train.tsv")

    assert len(file.rows) == 99
    assert [(note.kind, note.line, note.message) for note in file.notes] == [
        ("dropped", 7, "row left out: no tab")
    ]


@pytest.mark.parametrize("n_good", [0, 9, 197])
def test_two_malformed_rows_are_a_fault_below_two_hundred(n_good: int) -> None:
    good = [Row(line, "a", "text") for line in range(n_good)]

    with pytest.raises(ConfigError, match=f"2 of {n_good + 2} rows are malformed"):
        collect([Malformed(1000, "no tab"), *good, Malformed(1001, "no tab")], "train.tsv")


def test_more_malformed_rows_are_a_fault_that_names_the_first_of_them() -> None:
    bad = [Malformed(line, "no tab") for line in range(1, 9)]
    good = [Row(line, "a", "text") for line in range(9, 101)]

    with pytest.raises(ConfigError) as caught:
        collect([*bad, *good], "train.tsv")

    assert caught.value.faults[0] == "train.tsv: 8 of 100 rows are malformed"
    assert caught.value.faults[1:3] == ("train.tsv, line 1: no tab", "train.tsv, line 2: no tab")
    assert caught.value.faults[-1] == "train.tsv: and 3 more"


@pytest.mark.parametrize(
    ("labels", "order"),
    [
        (["10", "9", "-1"], ("-1", "9", "10")),
        (["1", "0"], ("0", "1")),
        (["2.5", "10"], ("2.5", "10")),
        (["10", "9", "no"], ("10", "9", "no")),
        (["pos", "neg", "pos"], ("neg", "pos")),
        (["nan", "inf"], ("inf", "nan")),
    ],
)
def test_labels_are_sorted_as_numbers_only_if_all_are(
    labels: list[str], order: tuple[str, ...]
) -> None:
    assert sort_labels(labels) == order


def test_a_task_takes_its_labels_from_train_and_keeps_all_rows() -> None:
    task = make_task(
        "books",
        {"train": part("a", "1", "0"), "dev": part("b", "0"), "test": part("c", "1", "1")},
    )

    assert task.labels == ("0", "1")
    assert {name: split.labels for name, split in task.splits.items()} == {
        "train": ("1", "0"),
        "dev": ("0",),
        "test": ("1", "1"),
    }
    assert task.splits["test"].texts == ("text 2", "text 3")


def test_labels_that_train_has_not_are_named_with_file_line_count_and_neighbour() -> None:
    faults = faults_of(
        train=part("train.tsv", "good", "bad"),
        dev=part("dev.tsv", "good", "goood", "goood"),
        test=part("test.tsv", "bad", "unsure"),
    )

    assert len(faults) == 2
    assert faults[0].startswith("dev.tsv, line 3: label 'goood' is in dev (2 rows)")
    assert "did you mean 'good'?" in faults[0]
    assert faults[1].startswith("test.tsv, line 3: label 'unsure' is in test (1 rows)")


def test_all_splits_without_rows_are_named() -> None:
    faults = faults_of(train=part("train.tsv"), dev=part("dev.tsv"), test=part("test.tsv", "a"))

    assert faults == ("train.tsv: no rows in train", "dev.tsv: no rows in dev")


def test_one_class_only_is_a_fault() -> None:
    faults = faults_of(train=part("train.tsv", "a", "a"), dev=part("dev.tsv", "a"))

    assert faults == ("train.tsv: all rows have the label 'a'; a task needs two classes",)


def test_a_label_for_each_row_is_taken_for_text_and_label_in_each_others_place() -> None:
    faults = faults_of(train=part("train.tsv", *(f"a long text {n}" for n in range(30))))

    assert "30 different labels in 30 rows" in faults[0]


def test_names_that_a_study_uses_itself_are_refused() -> None:
    with pytest.raises(ConfigError, match="'average': a study uses this name itself"):
        make_task("average", {"train": part("train.tsv", "a", "b")})


def test_gathered_collects_the_faults_of_several_errors() -> None:
    faults: list[str] = []
    for number in range(2):
        with gathered(faults):
            raise ConfigError([f"{number}a", f"{number}b"])

    assert faults == ["0a", "0b", "1a", "1b"]

import pytest

from mtl_core.data.labels import make_task, sort_labels
from mtl_core.data.rows import Row, RowFile, collect
from mtl_core.errors import ConfigError


def part(source: str, *labels: str) -> RowFile:
    rows = tuple(Row(line, label, f"text {line}") for line, label in enumerate(labels, start=2))
    return RowFile(source=source, rows=rows)


def faults_of(kind: str = "classification", **parts: RowFile) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        make_task("books", parts, kind=kind)
    return caught.value.faults


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


def test_many_and_long_labels_are_told_in_part() -> None:
    names = [f"{number:03} {'long ' * 20}" for number in range(30)]
    train = part("a", *names * 3)
    test = part("b", *(f"new{number} {'long ' * 20}" for number in range(9)))

    faults = faults_of(train=train, test=test)

    assert len(faults) == 6
    assert all(len(fault) < 800 for fault in faults)
    assert faults[0].startswith("b, line 2: label 'new0 long ")
    assert faults[0].endswith(", ... 30 in all)")
    assert faults[-1] == "b: and 4 more"


def test_all_splits_without_rows_are_named() -> None:
    faults = faults_of(train=part("train.tsv"), dev=part("dev.tsv"), test=part("test.tsv", "a"))

    assert faults == ("train.tsv: no rows in train", "dev.tsv: no rows in dev")


def test_a_split_of_which_all_rows_were_left_out_says_why() -> None:
    found = [Row(line, "1", "text", " ") for line in (2, 3)]

    assert faults_of(train=collect(found, "a.tsv")) == (
        "a.tsv: no rows in train; all 2 that it had were left out (line 2: row left out: the second"
        " text is empty)",
    )


def test_one_class_only_is_a_fault() -> None:
    faults = faults_of(train=part("train.tsv", "a", "a"), dev=part("dev.tsv", "a"))

    assert faults == ("train.tsv: all rows have the label 'a'; a task needs two classes",)


def test_a_label_for_each_row_is_taken_for_text_and_label_in_each_others_place() -> None:
    faults = faults_of(train=part("train.tsv", *(f"a long text {n}" for n in range(30))))

    assert "30 different labels in 30 rows" in faults[0]


def test_names_that_a_study_uses_itself_are_refused() -> None:
    with pytest.raises(ConfigError, match="'average': a study uses this name itself"):
        make_task("average", {"train": part("train.tsv", "a", "b")})


def test_rows_without_a_label_are_kept_counted_and_no_class() -> None:
    train = part("train.tsv", "1", "", "0", "")

    task = make_task("books", {"train": train, "dev": part("dev.tsv", "1", "")})

    assert task.labels == ("0", "1")
    assert task.splits["train"].labels == ("1", "", "0", "")
    assert [note.message for note in task.notes] == [
        "train: 2 of 4 rows have no label for this task",
        "dev: 1 of 2 rows have no label for this task",
    ]


def test_a_split_without_any_label_is_a_fault() -> None:
    faults = faults_of(train=part("train.tsv", "1", "0"), test=part("test.tsv", "", ""))

    assert faults == ("test.tsv: no row of test has a label for 'books'",)


@pytest.mark.parametrize("label", ["high", "nan", "inf", "1,5", "1_000", "\u0663", "-1e39"])
def test_a_label_of_regression_that_is_no_finite_number_is_a_fault(label: str) -> None:
    faults = faults_of("regression", train=part("a.tsv", "1", "2.5"), dev=part("b.tsv", "1", label))

    assert faults == (
        f"b.tsv, line 3: the label is {label!r}, a finite number (up to 1e+15) would be right",
    )


def test_faults_of_parts_of_one_file_are_one_list_in_the_order_of_its_lines() -> None:
    rows = tuple(Row(line, f"{line},5", "text") for line in range(1, 10))
    train, dev = RowFile(source="a", rows=rows[1:]), RowFile(source="a", rows=rows[:1])

    faults = faults_of("regression", train=train, dev=dev)

    assert [fault.partition(":")[0] for fault in faults[:-1]] == [
        f"a, line {line}" for line in range(1, 6)
    ]
    assert faults[-1] == "a: and 4 more"


def test_a_label_that_a_cut_took_from_train_says_so() -> None:
    train = RowFile(source="a", rows=(Row(1, "0", "x"), Row(2, "1", "y")))
    test = RowFile(source="a", rows=(Row(3, "rare", "z"),))

    (fault,) = faults_of(train=train, test=test)

    assert fault.startswith("a, line 3: label 'rare' is in test (1 rows) but not in train")
    assert fault.endswith(
        "; test was cut from this file: a file of its own for test, or another cut"
        " (data.split_seed), would be right"
    )


def test_numbers_are_no_classes_and_must_differ() -> None:
    task = make_task("sts", {"train": part("a.tsv", "1", "2.5", "")}, kind="regression")

    assert (task.labels, task.metric) == ((), "pearson")
    assert faults_of("regression", train=part("a.tsv", "1", "1.0")) == (
        "a.tsv: all rows have the label 1; numbers that differ are wanted",
    )


def test_as_many_tags_as_words_are_wanted() -> None:
    faults = faults_of("tagging", train=part("a.conll", "O B-X", "O", "O O O"))

    assert faults == (
        "a.conll, line 3: 1 tags for 2 words; one tag for each word would be right",
        "a.conll, line 4: 3 tags for 2 words; one tag for each word would be right",
    )


def test_a_tag_that_train_has_not_is_the_task_s_and_noted() -> None:
    parts = {"train": part("a", "O B-X"), "test": part("b", "O B-Y", "B-Y O")}

    task = make_task("ner", parts, kind="tagging")

    assert task.labels == ("B-X", "B-Y", "O")
    assert [(note.kind, note.line, note.message) for note in task.notes] == [
        ("unseen", 2, "'B-Y' is in test (2 times) but not in train, so it will be missed")
    ]


def test_several_labels_of_one_text_are_told_apart() -> None:
    task = make_task("topics", {"train": part("a", "b|a", "|", "c", "")}, kind="multilabel")

    assert task.labels == ("a", "b", "c")
    assert task.metric == "micro_f1"


def test_a_label_in_train_is_wanted_where_a_text_may_have_several() -> None:
    faults = faults_of("multilabel", train=part("a.tsv", "|", "", "|"), dev=part("b.tsv", "x"))

    assert faults == (
        "a.tsv: none of the 2 rows of train has a label; one in some of them would be right"
        " (between several stands '|', or what separator: of a task file names)",
    )
    one = make_task("topics", {"train": part("a.tsv", "x", "|")}, kind="multilabel")
    assert one.labels == ("x",)


def test_tags_that_are_no_spans_are_scored_by_accuracy() -> None:
    parts = {"train": part("a", "DT NN")}

    assert make_task("pos", parts, kind="tagging").metric == "accuracy"
    assert make_task("ner", {"train": part("a", "O I-X")}, kind="tagging").metric == "entity_f1"
    with pytest.raises(ConfigError, match="a, line 2: the tag of 'text' is 'DT', and entity_f1"):
        make_task("pos", parts, kind="tagging", metric="entity_f1")


def test_a_metric_of_another_kind_is_a_fault() -> None:
    with pytest.raises(ConfigError, match="unknown metric 'pearson'; of classification: accuracy"):
        make_task("books", {"train": part("a", "0", "1")}, metric="pearson")


def test_f1_of_more_than_two_labels_is_a_fault() -> None:
    with pytest.raises(ConfigError, match=r"there are 3 \(0, 1, 2\); macro_f1 would be right"):
        make_task("books", {"train": part("a", "0", "1", "2")}, metric="f1")

    assert make_task("books", {"train": part("a", "0", "1")}, metric="f1").metric == "f1"


def test_pairs_in_one_split_alone_are_a_fault() -> None:
    pairs = RowFile(source="p", rows=(Row(1, "0", "a", "b"), Row(2, "1", "c", "d")))

    assert faults_of(train=pairs, dev=part("dev", "0")) == (
        "task 'books': only train of its splits hold pairs of texts",
    )
    mixed = RowFile(source="m", rows=(*pairs.rows, Row(3, "1", "c")))
    assert faults_of(train=mixed) == ("m: some rows of train are pairs and some are not",)

import pytest

from mtl_core.data.iob import to_iob2
from mtl_core.data.rows import Row, RowFile


def part(*labels: str) -> RowFile:
    rows = tuple(Row(line, label, "word") for line, label in enumerate(labels, start=1))
    return RowFile(source="x", rows=rows)


def converted(*labels: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the labels in IOB2, and what the notes say."""
    file = to_iob2({"train": part(*labels)})["train"]
    return tuple(row.label for row in file.rows), tuple(note.message for note in file.notes)


@pytest.mark.parametrize(
    ("label", "iob2"),
    [
        ("I-X I-X O I-X", "B-X I-X O B-X"),  # a span at the start, and one after O
        ("I-X I-Y I-Y", "B-X B-Y I-Y"),  # one of another type follows
        ("I-X B-X I-X", "B-X B-X I-X"),  # one of the same type follows
        ("B-X E-X S-Y O", "B-X I-X B-Y O"),  # IOBES
        ("U-X B-Y L-Y", "B-X B-Y I-Y"),  # BILOU
    ],
)
def test_every_span_begins_with_b(label: str, iob2: str) -> None:
    assert converted(label)[0] == (iob2,)


def test_what_was_converted_is_said_and_counted() -> None:
    assert converted("I-X I-X O I-X", "O", "I-Y B-Y")[1] == (
        "the tags are in IOB1 and read as IOB2: 3 tags from I- to B-",
    )


@pytest.mark.parametrize("labels", [("B-X I-X O B-X B-X",), ("O O",), ("DT NN I-X",), ("",)])
def test_iob2_and_tags_that_are_no_spans_stay_as_they_are(labels: tuple[str, ...]) -> None:
    assert converted(*labels) == (labels, ())


def test_a_converted_file_is_not_converted_again() -> None:
    (once,), _ = converted("I-X I-X I-Y B-Y O I-X")

    assert converted(once) == ((once,), ())


def test_splits_are_converted_together_or_not_at_all() -> None:
    parts = {"train": part("I-X O", "0 O"), "dev": part("I-X O")}

    assert to_iob2(parts) == parts

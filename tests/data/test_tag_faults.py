import pytest

from mtl_core.data.rows import Row, RowFile
from mtl_core.data.tag_faults import slips_among_spans, tag_faults


def part(source: str, *labels: str) -> RowFile:
    rows = tuple(Row(line, label, "a word") for line, label in enumerate(labels, start=2))
    return RowFile(source=source, rows=rows)


def test_a_tag_that_is_none_among_spans_is_a_fault() -> None:
    spans = ["B-X I-X"] * 10

    parts = {"train": part("a", *spans), "dev": part("b", "B-X 0", "O O")}
    faults = tag_faults(parts, metric=None)

    assert faults == [
        "b, line 2: the tag of 'word' is '0'; O, or a tag such as B-PER or I-PER as nearly all"
        " others are, would be right (with metric: accuracy any tags are)",
    ]
    assert tag_faults(parts, metric="accuracy") == []


@pytest.mark.parametrize(
    ("labels", "slips"),
    [
        (("B-X I-X O",) * 9 + ("0 BX O",), {"0", "BX"}),
        (("S-X O",) * 9 + ("0 O",), {"0"}),
        (("B-X I-X O",) * 8 + ("0 BX O",), set()),  # more than a tenth
        (("DT NN",) * 9 + ("I-X O",), set()),
        (("O O",), set()),
    ],
)
def test_a_few_other_tags_among_spans_are_slips(labels: tuple[str, ...], slips: set[str]) -> None:
    assert (
        slips_among_spans({"train": part("a", *labels[1:]), "dev": part("b", labels[0])}) == slips
    )

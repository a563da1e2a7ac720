"""What is wrong with the tags of a task: too few or many for the words, or a slip among spans.

A few tags that are none of spans, where all others are, are slips (`0` for `O`): with them the task
would be one of single words, in another scheme and by another metric, and nobody would be told.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

from mtl_core.data.iob import is_span
from mtl_core.data.rows import Malformed, Row, RowFile, first_few_of_each
from mtl_core.data.task import labels_in

MAX_SLIPS = 0.1  # share of the tags beside O: more of them are tags of another kind

Parts = Mapping[str, RowFile]


def tag_faults(parts: Parts, metric: str | None) -> list[str]:
    """Return the rows whose tags are not as many as their words, and the slips among spans.

    Args:
        metric: As the task states it; with accuracy any tags are taken.
    """
    slips = set() if metric == "accuracy" else slips_among_spans(parts)
    wanted = (
        "O, or a tag such as B-PER or I-PER as nearly all others are, would be right "
        "(with metric: accuracy any tags are)"
    )
    found = []
    for part in parts.values():
        labelled = [row for row in part.rows if row.label]
        uneven = [row for row in labelled if row.label.count(" ") != row.text.count(" ")]
        found += [(part.source, Malformed(row.line, _uneven(row))) for row in uneven]
        found += [
            (part.source, Malformed(row.line, f"{_told(word, tag)}; {wanted}"))
            for row, word, tag in _tags_of(part)
            if tag in slips
        ]
    return first_few_of_each(found)


def slips_among_spans(parts: Parts) -> set[str]:
    """Return the tags that are no spans where nearly all of the splits' tags beside O are."""
    rows = [row for part in parts.values() for row in part.rows]
    counts = Counter(tag for row in rows for tag in row.label.split() if tag != "O")
    slips = {tag for tag in counts if not is_span(tag)}
    few = sum(counts[tag] for tag in slips) <= MAX_SLIPS * counts.total()
    return slips if few else set()


def no_span_faults(parts: Parts) -> list[str]:
    """Return the first tag of each source that entity_f1 cannot score; none where it is a slip."""
    if slips_among_spans(parts):
        return []
    wanted = "accuracy would be right, or tags such as O, B-PER, I-PER"
    first: dict[str, str] = {}
    for part in parts.values():
        found = next((found for found in _tags_of(part) if not is_span(found[2])), None)
        if found is not None:
            row, word, tag = found
            what = f"{_told(word, tag)}, and entity_f1 scores spans; {wanted}"
            first.setdefault(part.source, f"{part.source}, line {row.line}: {what}")
    return list(first.values())


def _tags_of(part: RowFile) -> Iterator[tuple[Row, str, str]]:
    """Yield each word, its tag, and the row of both."""
    for row in part.rows:
        for word, tag in zip(row.text.split(" "), labels_in(row.label, "tagging"), strict=False):
            yield row, word, tag


def _told(word: str, tag: str) -> str:
    return f"the tag of {word!r:.40} is {tag!r:.40}"


def _uneven(row: Row) -> str:
    n_tags, n_words = row.label.count(" ") + 1, row.text.count(" ") + 1
    return f"{n_tags:,} tags for {n_words:,} words; one tag for each word would be right"

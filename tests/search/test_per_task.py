"""Numbers by task as a mapping, and how little they take."""

import math
import sys

import pytest

from search.per_task import PerTask


def test_it_reads_as_the_mapping_it_was_made_of() -> None:
    numbers = PerTask({"books": 0.5, "dvd": 1.0})

    assert numbers == {"books": 0.5, "dvd": 1.0}
    assert list(numbers.items()) == [("books", 0.5), ("dvd", 1.0)]
    assert repr(numbers) == "{'books': 0.5, 'dvd': 1.0}"
    assert "music" not in numbers
    with pytest.raises(KeyError, match="music"):
        numbers["music"]


def test_the_order_of_tasks_is_that_of_each_mapping() -> None:
    one, other = PerTask({"books": 1.0, "dvd": 2.0}), PerTask({"dvd": 2.0, "books": 1.0})

    assert one == other
    assert list(other) == ["dvd", "books"]


def test_none_and_whole_numbers_become_floats() -> None:
    numbers = PerTask({"books": None, "dvd": 1})

    assert math.isnan(numbers["books"])
    assert isinstance(numbers["dvd"], float)


def test_a_number_takes_eight_bytes() -> None:
    few, many = (PerTask({f"task{k}": 0.5 for k in range(n)}) for n in (8, 108))

    assert sys.getsizeof(many._numbers) - sys.getsizeof(few._numbers) == 100 * 8
    assert few._places is PerTask(dict(few))._places

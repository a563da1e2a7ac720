from typing import Any

import numpy as np
import pytest

from search.conditional import Active, Conditional, Entry, in_order
from search.domains import Alternative, Bound, Choice, Fixed, FloatRange, IntRange

LAYERS = Entry("n_layers", (Alternative(IntRange(Bound(1), Bound(3))),), 4)
STRUCTURE = Entry("structure", (Alternative(Choice(("single", "stack", "layerwise"))),), "stack")
DEPTH = Entry(
    "depth",
    (
        Alternative(IntRange(Bound(0), Bound(0, "n_layers")), (("structure", ("stack",)),)),
        Alternative(IntRange(Bound(0), Bound(1, "n_layers")), (("structure", ("layerwise",)),)),
    ),
    None,
)


def make_conditional(*entries: Entry) -> Conditional:
    ordered, circle = in_order(entries)
    assert not circle
    return Conditional(tuple(ordered), {entry.key: entry.default for entry in entries})


def test_a_key_stands_after_those_that_decide_over_it() -> None:
    ordered, _ = in_order([DEPTH, STRUCTURE, LAYERS])

    assert ordered[-1] is DEPTH


def test_a_circle_is_found() -> None:
    left = Entry("a", (Alternative(Fixed(1), (("b", (1,)),)),), 0)
    right = Entry("b", (Alternative(Fixed(1), (("a", (1,)),)),), 0)

    _, circle = in_order([left, right])

    assert set(circle) == {"a", "b"}


def test_the_number_of_configurations_counts_conditions_and_bounds() -> None:
    conditional = make_conditional(DEPTH, STRUCTURE, LAYERS)

    # For 1, 2, 3 layers: one without depth, 2 + 3 + 4 of stack, 1 + 2 + 3 of layerwise.
    assert conditional.size() == 3 + 9 + 6


def test_every_configuration_is_listed_once() -> None:
    conditional = make_conditional(DEPTH, STRUCTURE, LAYERS)

    listed = list(conditional.enumerate())

    assert len(listed) == conditional.size()
    assert len({str(sorted(values.items())) for values in listed}) == len(listed)
    assert all(("depth" in values) == (values["structure"] != "single") for values in listed)


@pytest.mark.parametrize("seed", range(20))
def test_random_finite_spaces_are_counted_as_they_are_listed(seed: int) -> None:
    conditional = make_conditional(*random_entries(np.random.default_rng(seed)))

    assert conditional.size() == len(list(conditional.enumerate()))


def random_entries(rng: np.random.Generator) -> list[Entry]:
    """Return six entries that each may depend on some of those before."""
    entries: list[Entry] = []
    for i in range(6):
        alternatives = []
        for _ in range(int(rng.integers(1, 4))):
            names = [f"k{j}" for j in range(i) if rng.random() < 0.4]
            when = tuple((n, tuple(rng.integers(0, 4, 2).tolist())) for n in names)
            high = Bound(0, f"k{rng.integers(i)}") if i and rng.random() < 0.5 else Bound(3)
            domain: Any = IntRange(Bound(0), high) if rng.random() < 0.7 else Fixed(2)
            alternatives.append(Alternative(domain, when))
        entries.append(Entry(f"k{i}", tuple(alternatives), 1))
    return entries


def test_a_million_million_configurations_are_counted_without_listing_them() -> None:
    many = [Entry(f"k{i}", (Alternative(IntRange(Bound(1), Bound(100))),), 1) for i in range(6)]

    assert make_conditional(*many).size() == 100**6


def test_a_real_range_makes_a_space_infinite_only_where_it_applies() -> None:
    rate = Entry("rate", (Alternative(FloatRange(0.1, 1.0)),), 0.5)
    never = Entry("rate", (Alternative(FloatRange(0.1, 1.0), (("n_layers", (9,)),)),), 0.5)

    assert make_conditional(LAYERS, rate).size() is None
    assert make_conditional(LAYERS, never).size() == 3


def test_a_key_that_does_not_apply_takes_its_default() -> None:
    conditional = make_conditional(DEPTH, STRUCTURE, LAYERS)
    chosen = {"structure": "single", "n_layers": 2}

    values, resolved = conditional.walk(lambda active: chosen[active.entry.key])

    assert values == chosen
    assert resolved["depth"] is None


def test_one_name_for_optuna_has_one_distribution() -> None:
    conditional = make_conditional(DEPTH, STRUCTURE, LAYERS)
    seen: dict[str, set[str]] = {}

    for values in conditional.enumerate():

        def pick(active: Active, values: dict[str, Any] = values) -> Any:
            seen.setdefault(active.name, set()).add(str(active.domain))
            return values[active.entry.key]

        conditional.walk(pick)

    assert all(len(domains) == 1 for domains in seen.values())
    assert "depth/1:0..3" in seen
    assert "depth/2:0..2" in seen


def test_the_part_of_some_keys_holds_what_decides_over_them() -> None:
    other = Entry("other", (Alternative(Choice((1, 2))),), 1)

    part = make_conditional(DEPTH, STRUCTURE, LAYERS, other).among(["depth"])

    assert {entry.key for entry in part.entries} == {"depth", "structure", "n_layers"}

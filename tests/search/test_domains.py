import warnings
from typing import Any

import numpy as np
import optuna
import pytest

from search.domains import Alternative, Bound, Choice, Fixed, FloatRange, IntRange, Searched, same

DOMAINS: dict[str, Searched] = {
    "choice": Choice(("a", "b", "c")),
    "choice of lists": Choice(([1, 2], [2, 1], None)),
    "choice of mappings": Choice(({"books": 2.0}, None)),
    "int": IntRange(Bound(2), Bound(9)),
    "int step": IntRange(Bound(2), Bound(9), step=3).at({}),
    "int log": IntRange(Bound(1), Bound(1000), log=True),
    "one int": IntRange(Bound(3), Bound(3)),
    "float": FloatRange(0.1, 0.5),
    "float log": FloatRange(1e-4, 1e-2, log=True),
    "float step": FloatRange(0.1, 0.55, step=0.1),
}


@pytest.mark.parametrize("name", DOMAINS)
def test_drawn_values_are_of_the_domain(name: str) -> None:
    domain, rng = DOMAINS[name], np.random.default_rng(0)

    drawn = [domain.sample(rng) for _ in range(300)]

    assert all(domain.contains(value) for value in drawn)
    listed = domain.values()
    if listed is not None and len(listed) < 50:
        assert all(any(same(value, v) for v in drawn) for value in listed)  # each is drawn


@pytest.mark.parametrize("name", DOMAINS)
def test_optuna_suggests_values_of_the_domain_and_without_a_warning(name: str) -> None:
    domain = DOMAINS[name]
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trials = [study.ask() for _ in range(20)]
        values = [domain.suggest(trial, "key") for trial in trials]
        distribution = domain.distribution()

    assert all(domain.contains(value) for value in values)
    assert all(trial.distributions == {"key": distribution} for trial in trials)
    params = [trial.params["key"] for trial in trials]
    assert [domain.decode(param) for param in params] == values
    assert all(distribution._contains(distribution.to_internal_repr(p)) for p in params)


@pytest.mark.parametrize(
    ("domain", "values"),
    [
        (Fixed(3), [3]),
        (Choice((1, 2)), [1, 2]),
        (IntRange(Bound(1), Bound(8), step=3), [1, 4, 7]),
        (FloatRange(0.1, 0.4, step=0.1), [0.1, 0.2, 0.3, 0.4]),
        (FloatRange(0.1, 0.45, step=0.1), [0.1, 0.2, 0.3, 0.4]),
        (FloatRange(0.3, 0.3), [0.3]),
    ],
)
def test_a_finite_domain_lists_its_values(domain: Any, values: list[Any]) -> None:
    assert list(domain.values()) == values


def test_a_real_range_without_step_has_no_list_of_values() -> None:
    assert FloatRange(0.1, 0.5).values() is None


@pytest.mark.parametrize(
    ("domain", "value"),
    [
        (IntRange(Bound(0), Bound(2)), True),
        (IntRange(Bound(0), Bound(2)), 1.0),
        (IntRange(Bound(1), Bound(8), step=3), 5),
        (FloatRange(0.0, 1.0), True),
        (FloatRange(0.0, 1.0), "0.5"),
        (FloatRange(0.1, 0.5, step=0.1), 0.15),
        (Choice((1, 2)), True),
        (Choice((None,)), 0),
    ],
)
def test_a_value_of_another_type_or_off_the_grid_is_not_of_the_domain(
    domain: Searched, value: Any
) -> None:
    assert not domain.contains(value)


def test_a_log_range_is_drawn_evenly_over_its_orders_of_magnitude() -> None:
    rng, domain = np.random.default_rng(0), FloatRange(1e-4, 1e-2, log=True)

    below = np.mean([domain.sample(rng) < 1e-3 for _ in range(2000)])

    assert below == pytest.approx(0.5, abs=0.05)


def test_a_bound_follows_the_key_that_it_names() -> None:
    domain = IntRange(Bound(0), Bound(1, "encoder.n_layers"))

    assert list(domain.at({"encoder.n_layers": 4}).values()) == [0, 1, 2, 3]
    assert str(domain) == "0 .. n_layers - 1"


def test_an_alternative_holds_when_all_its_conditions_do() -> None:
    when = (("structure", ("a", "b")), ("depth", (1,)))
    alternative = Alternative(Fixed(0), when)

    assert alternative.holds({"structure": "b", "depth": 1})
    assert not alternative.holds({"structure": "b", "depth": 2})
    assert alternative.needs() == {"structure", "depth"}


def test_true_is_not_one() -> None:
    assert not same(True, 1)
    assert not same([1], [True])
    assert same(1, 1.0)
    assert same([1, None], [1, None])

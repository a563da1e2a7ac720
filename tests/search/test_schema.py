import pytest

from mtl_core.model.structures import STRUCTURES
from mtl_core.training.config import TrialConfig
from mtl_core.weighting.methods import METHODS
from search.schema import METHOD_NAMES, NAMES, all_keys, full_name, show, trial_keys


def test_the_names_of_methods_are_those_of_the_table() -> None:
    assert set(METHOD_NAMES) == set(METHODS)
    assert set(NAMES["sharing.structure"]) == set(STRUCTURES)


def test_the_keys_that_may_be_searched_are_those_of_a_trial() -> None:
    defaults = TrialConfig().as_dict()
    expected = {f"{s}.{k}": v for s, values in defaults.items() for k, v in values.items()}

    assert {name: key.default for name, key in trial_keys().items()} == expected


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("n_layers", "encoder.n_layers"),
        ("encoder.n_layers", "encoder.n_layers"),
        ("seed", "search.seed"),  # not the one inside data.builtin
        ("builtin.rows", "data.builtin.rows"),
        ("rows", None),
        ("n_layer", None),
    ],
)
def test_a_short_name_stands_for_one_key_or_none(name: str, full: str | None) -> None:
    assert full_name(name, all_keys()) == full


@pytest.mark.parametrize(
    ("key", "right"),
    [
        ("encoder.n_layers", "a whole number of at least 1"),
        ("encoder.dropout", "a number of at least 0 and below 1"),
        ("encoder.freeze_words", "true or false"),
        ("training.optimizer", "one of adam, adamw"),
        ("training.clip_norm", "a number above 0 or null"),
        ("data.vectors", "a text or null"),
        ("weighting.weights", "a mapping (name: a number above 0) or null"),
    ],
)
def test_what_would_be_right_is_said_in_words(key: str, right: str) -> None:
    assert all_keys()[key].right() == right


def test_a_whole_number_is_kept_as_a_real_one_where_that_is_meant() -> None:
    cleaned = trial_keys()["training.clip_norm"].clean(1)

    assert isinstance(cleaned, float)


def test_only_counts_may_be_named_in_bounds() -> None:
    counts = {name for name, key in trial_keys().items() if key.is_count}

    assert {"encoder.n_layers", "training.epochs"} <= counts
    assert counts.isdisjoint({"encoder.dropout", "encoder.freeze_words", "sharing.structure"})


def test_a_long_value_is_cut_in_a_message() -> None:
    assert show(None) == "null"
    assert show(["a", 1]) == "[a, 1]"
    assert len(show("x" * 1000)) == 70

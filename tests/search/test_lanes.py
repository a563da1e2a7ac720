"""Which engine a trial goes to, and how many trials there are at a time."""

from dataclasses import replace
from typing import Any

import pytest

from mtl_core.model.config import EncoderConfig
from mtl_core.model.forward import family
from mtl_core.training.config import TrialConfig
from search.config import SearchConfig
from search.lanes import Lanes, family_of, in_words, most_lanes, names


def make_config(d_model: int = 12) -> dict[str, Any]:
    return TrialConfig(encoder=EncoderConfig(d_model=d_model)).as_dict()


def test_trials_spread_over_the_engines_before_they_share_one() -> None:
    lanes = Lanes(names(3), each=2)

    engines = [lanes.place(f"t{n}", make_config()).engine for n in range(6)]

    assert sorted(engines[:3]) == sorted(engines[3:]) == names(3)
    assert lanes.free() == 0


def test_trials_of_a_family_share_an_engine_as_long_as_none_stands_idle() -> None:
    lanes = Lanes(names(2), each=3)

    narrow, wide = make_config(12), make_config(24)
    engines = [lanes.place(n, c).engine for n, c in [("a", narrow), ("b", wide), ("c", wide)]]

    assert engines == ["engine1", "engine2", "engine2"]
    assert lanes.place("d", narrow).engine == "engine1"


def test_an_engine_that_is_full_is_left_even_by_its_own_family() -> None:
    lanes = Lanes(names(2), each=1)

    assert lanes.place("a", make_config(12)).engine == "engine1"
    assert lanes.place("b", make_config(12)).engine == "engine2"


def test_a_trial_that_ends_frees_its_lane_at_once() -> None:
    lanes = Lanes(names(1), each=1)
    place = lanes.place("a", make_config())

    assert lanes.free() == 0
    assert lanes.release("a") == place
    assert lanes.free() == 1
    assert lanes.release("a") is None


def test_no_two_runs_of_a_trial_have_the_same_lane() -> None:
    lanes = Lanes(names(1))
    first = lanes.place("a", make_config())
    lanes.release("a")

    assert lanes.place("a", make_config()).lane != first.lane


def test_an_engine_that_is_down_gets_nothing_unless_all_are() -> None:
    lanes = Lanes(names(2), each=2)
    lanes.down.add("engine1")

    assert lanes.free() == 2
    assert [lanes.place(t, make_config()).engine for t in "abc"] == ["engine2"] * 3
    lanes.down.add("engine2")
    assert lanes.free() == 0
    assert lanes.place("d", make_config()).engine in names(2)


def test_a_limit_holds_over_all_engines() -> None:
    lanes = Lanes(names(2), each=4, limit=3)

    assert lanes.total == lanes.free() == 3
    lanes.place("a", make_config())
    assert lanes.free() == 2


@pytest.mark.parametrize(
    "change",
    [
        *({"d_model": 24}, {"d_word": 6}, {"n_heads": 2}, {"d_ff": 8}, {"n_types": 2}),
        *({"norm": "post"}, {"norm_eps": 1e-12}, {"activation": "gelu"}, {"precision": "float32"}),
        *({}, {"n_layers": 2, "dropout": 0.4}, {"wide": True}, {"freeze_words": True}),
    ],
)
def test_the_family_is_that_of_the_forward_pass(change: dict[str, Any]) -> None:
    one = EncoderConfig(d_model=12, d_word=12, n_heads=3)
    other = replace(one, **change)

    ours, theirs = (family_of(TrialConfig(encoder=encoder).as_dict()) for encoder in (one, other))

    assert (ours == theirs) == (family(one) == family(other))


def test_the_family_has_as_many_parts_as_that_of_the_forward_pass() -> None:
    encoder = EncoderConfig()

    ours = family_of(TrialConfig(encoder=encoder).as_dict())

    assert sorted(map(str, ours)) == sorted(map(str, family(encoder)))


@pytest.mark.parametrize(
    ("search", "engines", "expected"),
    [
        (SearchConfig(trials=26), 2, 2),  # TPE: 5 of 26 at a time at most
        (SearchConfig(trials=6), 2, 1),
        (SearchConfig(trials=100), 1, 20),
        (SearchConfig(trials=26, sampler="random"), 2, 13),
        (SearchConfig(trials=1000, sampler="random"), 2, 64),
        (SearchConfig(trials=100, workers=6), 4, 2),
        (SearchConfig(trials=100, workers=1), 1, 1),
    ],
)
def test_there_are_never_more_lanes_than_the_search_can_make_use_of(
    search: SearchConfig, engines: int, expected: int
) -> None:
    assert most_lanes(search, engines) == expected


@pytest.mark.parametrize(
    ("lanes", "words"),
    [
        (Lanes(names(2), each=3), "2 engines x 3 lanes"),
        (Lanes(names(1)), "1 engine x 1 lane"),
        (Lanes(names(2), each=3, limit=5), "2 engines x 3 lanes, at most 5 trials at a time"),
    ],
)
def test_lanes_are_said_in_one_line(lanes: Lanes, words: str) -> None:
    assert in_words(lanes) == words


def test_a_trial_is_kept_apart_from_others_even_in_an_engine_that_is_not_up_yet() -> None:
    lanes = Lanes(names(2), each=2)
    lanes.down.add("engine2")
    lanes.place("a", make_config())

    assert lanes.place("b", make_config(), apart_from=["a"]).engine == "engine2"
    assert lanes.place("c", make_config(), apart_from=["a", "b"]).engine == "engine1"

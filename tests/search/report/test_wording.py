"""Numbers and names as a reader meets them."""

import pytest

from mtl_core.training.config import TrialConfig
from search.kept_configs import KeptConfigs
from search.report.statistics import Difference
from search.report.wording import (
    code,
    count,
    depth_cell,
    depth_in_words,
    duration,
    escape,
    interval,
    percent,
    settings,
    signed,
    table,
    verdict,
    wrapped,
)
from search.trial_record import TrialRecord


def make_trial(structure: str, depth: object = None, n_layers: int = 4) -> TrialRecord:
    sharing = {"structure": structure, "divergence_depth": depth}
    config = TrialConfig.from_dict({"sharing": sharing, "encoder": {"n_layers": n_layers}})
    return TrialRecord(
        id="t0001", number=1, values={}, kept=KeptConfigs().keep(config.as_dict()), seed=0,
        source="tpe", proposed_at=0.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a|b", "a\\|b"),
        ("*bold*", "\\*bold\\*"),
        ("<script>", "\\<script\\>"),
        ("[x](y)", "\\[x\\](y)"),
        ("_x_ and y__z", "\\_x\\_ and y\\_\\_z"),
        ("health_care_1", "health_care_1"),
        ("two\nlines", "two lines"),
        ("plain", "plain"),
    ],
)
def test_names_are_escaped(name: str, written: str) -> None:
    assert escape(name) == written


def test_code_cannot_be_left_by_a_name() -> None:
    assert code("stack_cls") == "`stack_cls`"
    assert code("a`b") == "a\\`b"
    assert code("a|b") == "a\\|b"


@pytest.mark.parametrize(
    ("share", "text"), [(0.0214, "+2.1"), (-0.3, "-30.0"), (0.0, "0.0"), (-0.0001, "0.0")]
)
def test_signed_points(share: float, text: str) -> None:
    assert signed(share) == text


def test_missing_numbers_are_dashes() -> None:
    assert (percent(None), signed(None), interval(None)) == ("–", "–", "–")
    assert verdict(None) == "no rows to compare"


def test_interval_and_its_verdict() -> None:
    found = Difference(mean=-0.021, low=-0.03, high=-0.012, rows=400)

    assert interval(found) == "-2.1 (-3.0 to -1.2)"
    assert verdict(found) == "worse"
    assert verdict(Difference(mean=0.1, low=-0.1, high=0.3, rows=4)) == "no difference seen"
    assert verdict(Difference(mean=0.2, low=0.1, high=0.3, rows=4)) == "better"


def test_counts_have_their_plural_and_their_comma() -> None:
    assert count(1, "trial") == "1 trial"
    assert count(6400, "test row") == "6,400 test rows"


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.21, "4.2 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("structure", "depth", "words", "cell"),
    [
        ("single_task", None, "nothing shared", "–"),
        ("stack_cls", 2, "tasks part after 2 of 4 layers", "2/4"),
        ("stack_cls", None, "tasks part after 4 of 4 layers", "4/4"),
        ("layerwise_implicit", 1, "task tokens enter after 1 of 4 layers", "1/4"),
        ("layerwise_explicit", None, "task tokens enter after 0 of 4 layers", "0/4"),
        ("stack_pooling", (1, 3), "depths 1, 3 of 4 layers, by task", "1 3"),
    ],
)
def test_depths(structure: str, depth: object, words: str, cell: str) -> None:
    trial = make_trial(structure, depth)

    assert depth_in_words(trial) == words
    assert depth_cell(trial) == cell


def test_settings_leave_out_what_is_said_elsewhere() -> None:
    values = {"training.learning_rate": 0.00123456, "sharing.structure": "stack_cls"}

    text = settings(values, leave_out=("sharing.structure",))

    assert text == "`training.learning_rate` 0.001235"


def test_table_is_aligned_as_text() -> None:
    text = table(["task", "test"], [["books", "85.7"], ["a", "–"]])

    assert text.splitlines() == [
        "| task  | test |",
        "| ----- | ---: |",
        "| books | 85.7 |",
        "| a     |    – |",
    ]


def test_prose_is_wrapped_and_tables_and_code_are_not() -> None:
    long = "word " * 40
    text = wrapped(f"{long}\n| {long}|\n```sh\n{long}\n```\n- {long}")

    lines = text.splitlines()
    assert all(len(line) <= 100 for line in lines if not line.startswith(("|", long)))
    assert f"| {long}|" in lines
    assert long in lines
    assert lines[-1].startswith("  word")

"""The plan shown before a search: its pictures and its estimate, and that it starts nothing."""

import re
from pathlib import Path

import pytest

from mtl_core.errors import ConfigError
from search.config import EarlyStoppingConfig, SearchConfig
from search.dry_run import expected_epochs, plan_pictures, show_plan
from search.space import load_space

SPACES = Path(__file__).resolve().parents[2] / "spaces"


def test_each_rung_lets_one_trial_in_so_many_go_on() -> None:
    stopping = EarlyStoppingConfig(grace_period_epochs=2, reduction_factor=4)

    assert expected_epochs(10, SearchConfig(early_stopping=None)) == 10
    assert expected_epochs(10, SearchConfig(early_stopping=stopping)) == 2 + 6 / 4 + 2 / 16
    assert expected_epochs(2, SearchConfig(early_stopping=stopping)) == 2


def test_there_is_a_picture_of_each_structure_with_the_depths_there_are() -> None:
    space = load_space(SPACES / "layerwise.yaml")

    pictures = dict(plan_pictures(space, ["a", "b"], width=80))

    assert len(pictures) == 5
    assert "single_task" in pictures
    assert "stack_pooling, divergence depth 0, 1, 2, 3; here 2" in pictures
    assert "layerwise_implicit, divergence depth 0, 1, 2; here 1" in pictures


def test_a_dry_run_shows_size_plans_trials_epochs_and_time_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BRANCHPOINT_CACHE", str(tmp_path / "cache"))

    show_plan(str(SPACES / "sanity.yaml"))

    shown = " ".join(capsys.readouterr().out.split())
    for part in ("12 configurations", "sharing.structure", "alba_1", "6 trials", "epochs in all"):
        assert part in shown
    assert "Nothing was started" in shown
    assert "a lane each" in shown
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_a_dry_run_trains_the_vectors_that_are_the_studys_own_and_says_what_they_cover(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("gensim", reason="gensim trains the vectors")
    monkeypatch.setenv("BRANCHPOINT_CACHE", str(tmp_path / "cache"))
    own = ["data.vectors=own", "data.own_vectors={dimension: 24, epochs: 1}"]

    show_plan(str(SPACES / "sanity.yaml"), out=str(tmp_path), overrides=[*own, "d_word=24"])

    shown = capsys.readouterr().out
    assert shown.startswith("training word vectors on the study's own texts")
    assert "word vectors for" in shown
    with pytest.raises(ConfigError, match=r"encoder\.d_word: 24 would be right"):
        show_plan(str(SPACES / "sanity.yaml"), out=str(tmp_path), overrides=own)


def test_a_dry_run_says_what_a_warm_up_costs_and_makes_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRANCHPOINT_CACHE", str(tmp_path / "cache"))
    overrides = ["encoder.mlm_warm_up=true", "data.mlm={steps: 1234}"]

    show_plan(str(SPACES / "sanity.yaml"), out=str(tmp_path), overrides=overrides)

    assert "a warm-up of 1,234 steps" in " ".join(capsys.readouterr().out.split())
    assert not list(tmp_path.glob("cache/*.mlm.arrow"))


def test_a_dry_run_finds_that_there_is_no_word_to_warm_up_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRANCHPOINT_CACHE", str(tmp_path / "cache"))
    changes = ["mlm_warm_up=true", "data.min_count=100000"]

    with pytest.raises(ConfigError, match="no word of the train texts is known"):
        show_plan(str(SPACES / "sanity.yaml"), out=str(tmp_path), overrides=changes)


def test_a_dry_run_says_how_many_lanes_there_are_where_they_are_fixed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRANCHPOINT_CACHE", str(tmp_path / "cache"))

    show_plan(
        str(SPACES / "sanity.yaml"),
        out=str(tmp_path),
        overrides=["search.lanes=3", "search.workers=1", "structure=single_task"],
    )

    shown = " ".join(capsys.readouterr().out.split())
    assert "1 engine x 3 lanes, at most 1 trial at a time" in shown
    assert re.search(r"of [\d,]+ parameters;", shown)  # all probes have as many


def test_a_dry_run_of_a_comparison_names_its_arms_and_that_none_is_stopped_early(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRANCHPOINT_CACHE", str(tmp_path / "cache"))

    show_plan(str(SPACES / "sanity.yaml"), out=str(tmp_path), overrides=["mode=compare"])

    shown = " ".join(capsys.readouterr().out.split())
    assert "6 trials, about 12 epochs in all" in shown
    assert (
        "3 arms of 2 trials each, none stopped early: single_task, stack_pooling, "
        "layerwise_implicit." in shown
    )

"""How the search went, what is odd in the data, how to do it again."""

from typing import Any

from search.report.account import data_section, reproduce_section, search_section
from search.report.findings import Findings


def test_search_is_accounted_for(whole: Any) -> None:
    text = " ".join(search_section(Findings(whole.record()), 40).split())

    assert "4 trials: 3 finished, 1 failed." in text
    assert "They are 4 of the space's 40 configurations." in text
    assert "a trial 2.0 s (median), 3 epochs in all" in text
    assert "all trials that were asked for are done" in text
    assert "- diverged: loss is NaN (t0004)" in text


def test_exhausted_space_is_said(whole: Any) -> None:
    text = search_section(Findings(whole.record()), 4)

    assert "They are all 4 configurations of the space." in " ".join(text.split())


def test_data_notes_come_from_the_audit(audit_json: dict[str, Any]) -> None:
    text = data_section(audit_json)

    assert "80 of 800 test rows occur in train." in text
    assert "- books.train: 3 lines not UTF-8, read as Latin-1" in text
    assert "- films.train, line 12: the text is empty" in text
    assert "- books: dev: the last 200 rows of train" in text


def test_command_versions_seed_and_data_are_there(
    whole: Any, environment_json: dict[str, Any]
) -> None:
    text = reproduce_section(Findings(whole.record()), environment_json)

    assert "python -m search.run --space 'spaces/my space.yaml'" in text
    assert "- data: `0123456789abcdef`" in text
    assert "- seed 3;" in text
    assert "torch 2.13.0" in text
    assert "`abc123` with changes that are not committed" in text
    assert "no GPU" in text

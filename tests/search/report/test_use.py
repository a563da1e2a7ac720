"""How to load the best models: the snippets must do what they say, also for pairs."""

from typing import Any

import pytest

from search.report.findings import Findings
from search.report.use import use_section


@pytest.mark.parametrize("of_pairs", [False, True])
def test_models_can_be_loaded_as_the_report_says(of_pairs: bool, whole: Any) -> None:
    audit = {"tasks": [{"name": "books", "of_pairs": of_pairs}]}

    text = use_section(Findings(whole.record()), audit)

    assert 'mtl_core.load("best/average")' in text
    assert "branchpoint predict --model best/average --task books < texts.txt" in text
    (call,) = (line for line in text.splitlines() if line.startswith("predictor.predict("))
    given: list[Any] = []
    exec(call, {"predictor": type("", (), {"predict": lambda _, *args: given.extend(args)})()})
    assert [len(part) for part in given[1:]] == ([2, 2] if of_pairs else [2])
    assert ("with a tab between" in text) == of_pairs

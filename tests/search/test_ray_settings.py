"""What Ray is told, and what of it is left behind: nothing."""

import logging
import os

import pytest

from search.ray_settings import settings, silence


def test_the_environment_is_as_before_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    before, level = dict(os.environ), logging.getLogger("ray").level

    with settings(), silence():
        assert os.environ["RAY_AIR_NEW_OUTPUT"] == "0"
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == "1"  # the user's own setting stands

    assert dict(os.environ) == before
    assert logging.getLogger("ray").level == level

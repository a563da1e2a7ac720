"""The baselines before they are asked for: once, in a thread, with their errors kept for later."""

import subprocess
import sys
import threading

import pytest

from mtl_core.baselines import Baseline
from search.ahead import MODULES, Ahead


def test_baselines_are_trained_when_asked_for_if_nobody_began_before() -> None:
    names = []

    def train() -> list[Baseline]:
        names.append(threading.current_thread().name)
        return []

    assert list(Ahead(train).baselines()) == []
    assert names == ["MainThread"]


def test_what_has_begun_is_trained_once_and_in_another_thread() -> None:
    names = []

    def train() -> list[Baseline]:
        names.append(threading.current_thread().name)
        return []

    ahead = Ahead(train)
    ahead.begin()
    ahead.begin()

    assert [list(ahead.baselines()), list(ahead.baselines())] == [[], []]
    assert len(names) == 1
    assert names != ["MainThread"]


def test_all_is_imported_before_anything_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr("search.ahead.import_module", done.append)
    ahead = Ahead(lambda: done.append("training") or [])
    ahead.wait_for_imports()  # of nothing, as long as nothing has begun

    ahead.begin()
    ahead.wait_for_imports()
    list(ahead.baselines())

    assert done == [*MODULES, "training"]


def test_next_to_nothing_is_left_to_import_at_the_end_of_a_study() -> None:
    program = (
        "import sys\n"
        "from search.ahead import Ahead\n"
        "ahead = Ahead(list)\n"
        "ahead.begin()\n"
        "ahead.wait_for_imports()\n"
        "before = set(sys.modules)\n"
        "import optuna, search.finish, search.views\n"
        "optuna.storages.RDBStorage('sqlite://')\n"
        "optuna.importance.PedAnovaImportanceEvaluator()\n"
        "print(len(before), *sorted(set(sys.modules) - before))\n"
    )

    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    n_before, *late = done.stdout.split()
    assert len(late) < 0.02 * int(n_before), f"{len(late)} modules: {late}"


def test_an_error_is_raised_where_the_baselines_are_needed() -> None:
    def train() -> list[Baseline]:
        raise ValueError("no words at all")

    ahead = Ahead(train)
    ahead.begin()

    with pytest.raises(ValueError, match="no words at all"):
        ahead.baselines()

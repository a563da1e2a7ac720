"""The record of with what a study was made: enough to repeat it, nothing personal."""

import json
import sys
from pathlib import Path

import pytest

from search import environment as module
from search.environment import command, environment


def found() -> dict[str, object]:
    return environment(seed=3, data_source="builtin", data_fingerprint="abc", argv=["run.py"])


def test_environment_is_json_and_holds_seed_data_and_versions() -> None:
    values = json.loads(json.dumps(found()))

    assert values["seed"] == 3
    assert values["data"] == {"source": "builtin", "fingerprint": "abc"}
    assert values["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert values["versions"]["torch"]
    assert values["machine"]["cpus"] >= 1


def test_module_run_is_written_as_it_is_typed() -> None:
    given = ["/somewhere/search/run.py", "--space", "spaces/sanity.yaml", "--seed", "1"]

    assert command(given) == ["python", "-m", "search.run", *given[1:]]


def test_console_script_is_written_without_its_folder() -> None:
    assert command(["/opt/venv/bin/branchpoint", "run"]) == ["branchpoint", "run"]


def test_another_program_has_no_command() -> None:
    assert command(["/usr/lib/ipykernel_launcher.py", "-f", "secret.json"]) == []
    assert command([]) == []


def test_home_folder_does_not_appear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")

    written = command(
        ["run.py", "--out", "/home/someone/x", "--set=data.vectors=/home/someone", "y"]
    )

    assert written[3:] == ["--out", "~/x", "--set=data.vectors=~", "y"]


def test_missing_tools_leave_their_facts_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")

    values = found()

    assert values["git_commit"] is None
    assert values["git_dirty"] is None
    assert values["machine"]["gpus"] == []  # type: ignore[index]


def test_code_outside_a_checkout_has_no_commit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "_ROOT", tmp_path)

    assert found()["git_commit"] is None


def test_a_login_in_an_address_is_left_out_of_the_command() -> None:
    argv = ["branchpoint", "run", "--address", "https://ann:tok_SECRET@host/x", "--set=a=b@c"]

    assert command(argv)[3:] == ["https://***@host/x", "--set=a=b@c"]

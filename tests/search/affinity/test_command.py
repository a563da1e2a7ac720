"""`branchpoint affinity` on a study that has ended."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest
from typer.testing import CliRunner

from mtl_core.data.synthetic import generate, planted_truth, write_folders
from mtl_core.training.results import Diverged
from search.affinity import drive
from search.affinity.file import AFFINITY, read_affinity
from search.run import app

if TYPE_CHECKING:
    from conftest import Tiny


def call(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["affinity", *arguments])
    return result.exit_code, result.output


def test_it_measures_writes_the_report_and_prints_the_section(whole: "Tiny") -> None:
    whole.record.close()

    code, output = call(str(whole.folder), "--epochs", "2")

    assert code == 0
    assert "measuring how tasks relate" in output
    assert "**Look-ahead**" in output
    assert read_affinity(whole.folder)["epochs"] == 2
    assert "## How the tasks relate" in (whole.folder / "report.md").read_text()


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    code, output = call(str(tmp_path / "nowhere"))

    assert code == 2
    assert "no study is here" in output


def test_no_epochs_are_refused(whole: "Tiny") -> None:
    code, output = call(str(whole.folder), "--epochs", "0")

    assert code == 2
    assert "--epochs: found 0, a whole number of at least 1 would be right" in output
    assert not (whole.folder / AFFINITY).exists()


def test_data_that_are_gone_or_changed_are_said_to_be(whole: "Tiny", tmp_path: Path) -> None:
    config = whole.space.data.builtin
    folder = tmp_path / "data"
    write_folders(generate(config), planted_truth(config), folder)

    changed = call(str(whole.folder), "--data", str(folder))
    shutil.rmtree(folder)
    gone = call(str(whole.folder), "--data", str(folder))

    assert (changed[0], gone[0]) == (2, 2)
    assert f"{folder} holds other data than those of the study" in changed[1]
    assert "measuring needs the data of the study; --data says where they are now" in gone[1]
    assert not (whole.folder / AFFINITY).exists()


def test_a_study_without_scores_cannot_be_measured(tiny: "Tiny") -> None:
    code, output = call(str(tiny.folder))

    assert code == 2
    assert f"no {AFFINITY} could be made" in output


def test_a_training_that_fails_is_not_answered_with_an_earlier_measurement(
    whole: "Tiny", monkeypatch: pytest.MonkeyPatch
) -> None:
    whole.record.close()
    assert call(str(whole.folder))[0] == 0
    monkeypatch.setattr(drive, "measure", Mock(side_effect=Diverged("epoch 1: loss nan")))

    code, output = call(str(whole.folder), "--epochs", "2")

    assert code == 2
    assert "how tasks relate could not be measured: epoch 1: loss nan" in output
    assert "**Look-ahead**" not in output


@pytest.mark.parametrize("key", ["search.affinity.epochs=-1", "search.affinity.every=0"])
def test_values_of_the_space_are_checked(key: str, tmp_path: Path) -> None:
    space = tmp_path / "s.yaml"
    space.write_text("name: s\nsharing: {structure: stack_cls}\n")

    result = CliRunner().invoke(app, ["run", "--space", str(space), "--set", key, "--dry-run"])

    assert result.exit_code == 2
    assert "would be right" in result.output

"""All views of a study come from its journal alone, and can be written again."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from search.record import StudyRecord
from search.report.findings import Findings
from search.rows import pack
from search.space import Space, parse_space
from search.views import predictions_table, write_views

SPACE = """
name: tiny
search: {trials: 2}
sharing: {structure: {choice: [single_task, stack_cls]}}
"""


@pytest.fixture
def space() -> Space:
    return parse_space(SPACE)


def make_record(space: Space) -> StudyRecord:
    values = {"sharing.structure": "stack_cls"}
    config = space.configure(values).as_dict()
    rows = {
        "dev": {"books": 0.5}, "dev_rows": {"books": 4}, "scores": {},
        "correct": pack({"books": np.array([True, False, True])}),
        "seen": pack({"books": np.array([False, False, True])}),
    }  # fmt: skip
    trial: dict[str, Any] = {"trial": "t0001"}
    events: list[dict[str, Any]] = [
        {
            "event": "study", "format": 1, "name": "tiny", "space_digest": "",
            "data_fingerprint": "", "seed": 0, "tasks": ["books"],
        },
        {
            "event": "proposed", "number": 1, "values": values, "config": config, "seed": 1,
            "source": "grid", **trial,
        },
        {"event": "started", "attempt": 1, "worker": "w", **trial},
        {
            "event": "reported", "epoch": 1, "average": 0.5, "scores": {"books": 0.5},
            "loss": 0.1, "losses": {"books": 0.1}, "tokens_per_second": 1.0, "seconds": 1.0,
            **trial,
        },
        {"event": "finished", "epochs": 1, "reason": "epochs", **trial},
        {"event": "baseline", "name": "majority", "test": {}, **rows},
        {"event": "tested", "model": "average", "epoch": 1, **trial, **rows},
    ]  # fmt: skip
    return StudyRecord(None, [{"time": float(i), **event} for i, event in enumerate(events)])


def test_all_views_are_written_with_the_journal_alone(space: Space, tmp_path: Path) -> None:
    write_views(make_record(space), space, tmp_path)

    assert {path.name for path in tmp_path.iterdir()} == {
        "trials.parquet", "curves.parquet", "predictions.parquet", "optuna.db", "report.md",
        "report.html", "SHA256SUMS",
    }  # fmt: skip


def test_report_takes_in_audit_environment_and_the_size_of_the_space(
    space: Space, tmp_path: Path
) -> None:
    (tmp_path / "audit.json").write_text(json.dumps({"headline": "All is well."}))
    (tmp_path / "environment.json").write_text(json.dumps({"versions": {"torch": "9.9"}}))

    write_views(make_record(space), space, tmp_path)

    report = (tmp_path / "report.md").read_text()
    assert "All is well." in report
    assert "torch 9.9" in report
    assert "1 of the space's 2 configurations" in report


def test_damaged_audit_does_not_stop_the_report(space: Space, tmp_path: Path) -> None:
    (tmp_path / "audit.json").write_text("{half")

    write_views(make_record(space), space, tmp_path)

    assert "## The data" not in (tmp_path / "report.md").read_text()


def test_predictions_have_a_row_for_each_model_task_and_test_row(space: Space) -> None:
    rows = predictions_table(Findings(make_record(space))).to_pandas()

    assert rows["model"].tolist() == ["majority"] * 3 + ["average"] * 3
    assert rows["row"].tolist() == [0, 1, 2] * 2
    assert rows["correct"].tolist() == [True, False, True] * 2
    assert rows["seen_in_train"].tolist() == [False, False, True] * 2
    assert rows["trial"].isna().tolist() == [True] * 3 + [False] * 3


def test_predictions_of_an_untested_study_are_an_empty_table(space: Space, tmp_path: Path) -> None:
    record = StudyRecord(None, [make_record(space).header])

    write_views(record, space, tmp_path)

    assert pq.read_table(tmp_path / "predictions.parquet").num_rows == 0


def is_sound(study: Path) -> bool:
    """Whether the files are those whose checksums are in the folder, as anyone can find out."""
    check = ["sha256sum", "--check", "--status", "SHA256SUMS"]
    return subprocess.run(check, cwd=study, check=False).returncode == 0


def test_a_table_that_was_cut_off_or_changed_is_found_and_made_anew(
    space: Space, tmp_path: Path
) -> None:
    record = make_record(space)
    write_views(record, space, tmp_path)
    assert is_sound(tmp_path)
    whole = (tmp_path / "trials.parquet").read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 8] ^= 1
    for damaged in (whole[: len(whole) // 2], bytes(flipped)):
        (tmp_path / "trials.parquet").write_bytes(damaged)
        assert not is_sound(tmp_path)

        write_views(record, space, tmp_path)

        assert is_sound(tmp_path)
        assert (tmp_path / "trials.parquet").read_bytes() == whole

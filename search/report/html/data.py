"""The tasks as the audit found them: one line each, for the page's table of the data."""

from collections.abc import Mapping
from typing import Any


def task_rows(audit: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what the audit counted of each task, as the page's table has it."""
    rows = []
    for task in audit.get("tasks", ()):
        splits = task.get("splits", {})
        train = splits.get("train", {})
        lengths = train.get("lengths") or {}
        rows.append(
            {
                "name": task["name"],
                "kind": task.get("kind", "") + (" of pairs" if task.get("of_pairs") else ""),
                "metric": task.get("metric", ""),
                "labels": len(task.get("labels", ())),
                "rows": [splits.get(split, {}).get("rows") for split in ("train", "dev", "test")],
                "majority": (splits.get("test") or {}).get("majority_share"),
                "median": lengths.get("median"),
                "longest": lengths.get("max"),
                "cut": train.get("cut_share"),
                "unknown": (splits.get("test") or {}).get("unknown_share"),
                "repeated": task.get("test_in_any_train"),
            }
        )
    return rows

"""Events of a confirmation, made by hand: a shortlist, and runs with so many rows right."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from search.rows import pack  # noqa: TID251


def shortlisted(roles: Mapping[str, Sequence[str]], trials: int = 0) -> dict[str, Any]:
    """The event that names the trials to be confirmed, with their roles."""
    subjects = [{"trial": trial, "roles": list(names)} for trial, names in roles.items()]
    return {"event": "shortlisted", "trials": trials, "subjects": subjects}


def begun(trial: str, number: int, *, attempt: int = 1, seed: int | None = None) -> dict[str, Any]:
    return {
        "event": "confirming", "run": f"{trial}c{number}", "trial": trial, "number": number,
        "seed": number if seed is None else seed, "attempt": attempt, "worker": "engine1",
    }  # fmt: skip


def failed(trial: str, number: int, reason: str = "loss is NaN") -> dict[str, Any]:
    return {
        "event": "unconfirmed", "run": f"{trial}c{number}", "trial": trial, "kind": "diverged",
        "reason": reason, "traceback": None,
    }  # fmt: skip


def confirmed(
    trial: str,
    number: int,
    dev: Mapping[str, np.ndarray],
    test: Mapping[str, np.ndarray],
    seen: Mapping[str, np.ndarray] | None = None,
    *,
    epoch: int = 1,
    seconds: float = 2.0,
) -> dict[str, Any]:
    """The event of a run that is done; `dev` and `test` are right or wrong, row by row."""
    unseen = {task: np.zeros(len(rows), bool) for task, rows in test.items()}
    scores = {task: float(rows.mean()) for task, rows in dev.items()}
    known = unseen if seen is None else seen
    return {
        "event": "confirmed", "run": f"{trial}c{number}", "trial": trial, "epoch": epoch,
        "epochs": 3, "seconds": seconds, "dev": scores, "reported": dict(scores),
        "dev_rows": {task: len(rows) for task, rows in dev.items()},
        "dev_correct": pack(dict(dev)), "correct": pack(dict(test)), "metrics": {},
        "seen": pack(dict(known)),
        "scores": {
            task: {
                "accuracy": float(rows.mean()), "rows": len(rows),
                "accuracy_unseen": float(rows[~known[task]].mean()) if len(rows) else None,
                "rows_unseen": int((~known[task]).sum()),
            }
            for task, rows in test.items()
        },
    }  # fmt: skip

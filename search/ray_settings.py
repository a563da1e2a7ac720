"""How Ray is set while a search uses it: it runs the code that is here, and keeps quiet.

All that a user sees is ours. What is changed in this process is as before afterwards.
"""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]

# Read by Ray when it is imported, when it starts, or in the workers, which inherit them.
SETTINGS = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_task_events_max_num_task_in_gcs": "1000",  # of 100,000, which took 350 MB in a long search
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1e12",  # the journal is the truth; Tune writes no snapshots
    "TUNE_MAX_PENDING_TRIALS_PG": "64",  # workers start together; `searcher.py` bounds their number
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_THRESHOLD_S": "1000000",
}


@contextmanager
def settings() -> Iterator[None]:
    """Have Ray's settings in the environment; a setting the user has made himself stands."""
    new = {key: value for key, value in SETTINGS.items() if key not in os.environ}
    paths = [str(SOURCE), *filter(None, [os.environ.get("PYTHONPATH")])]
    former = os.environ.get("PYTHONPATH")
    os.environ.update(new, PYTHONPATH=os.pathsep.join(paths))
    try:
        yield
    finally:
        for key in new:
            os.environ.pop(key, None)
        if former is None:
            os.environ.pop("PYTHONPATH", None)
        else:
            os.environ["PYTHONPATH"] = former


@contextmanager
def silence() -> Iterator[None]:
    """Keep Ray's log, and what it prints of lost workers, off the terminal."""
    from ray._private.ray_logging import stdout_deduplicator

    logger = logging.getLogger("ray")
    level, skipped = logger.level, stdout_deduplicator.skip_re
    logger.setLevel(logging.CRITICAL)
    stdout_deduplicator.skip_re = re.compile("")  # every line
    try:
        yield
    finally:
        logger.setLevel(level)
        stdout_deduplicator.skip_re = skipped

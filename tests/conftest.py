"""Fixtures of all tests: seeds, and the real FDU-MTL files where this machine has them."""

import os
import random
import sys
from pathlib import Path

import pytest
import torch

# What several test files import, and holds no tests; last, so that it hides nothing.
sys.path.append(str(Path(__file__).with_name("support")))
pytest.register_assert_rewrite("agreement", "schedules")

# A search that a failed test leaves in a thread would join another test's cluster by its next call,
# and Ray ends a process whose cluster has been gone for a minute: all tests of it.
os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"

# Engines and clients give way to all other programs (nice 15), as they should beside a user's own.
# Beside other tests, which do not, a search would stand still until they are done.
os.environ.setdefault("RAY_worker_niceness", "0")

# Triton reads it when it is first imported, by whatever part; only tests of kernels make use of it.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# Real data is never in the repository; a clone may have it beside itself.
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


if "PYTEST_XDIST_WORKER" in os.environ:  # threads of several would wait for each other
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seeded() -> None:
    random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of the real sets: $BRANCHPOINT_TEST_DATA, or ../shared/data beside the clone."""
    folder = Path(os.environ.get("BRANCHPOINT_TEST_DATA", DATA))
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is absent (set BRANCHPOINT_TEST_DATA)")
    return folder


@pytest.fixture(scope="session")
def fdu_folder(data_folder: Path) -> Path:
    """The folder of the 16 real FDU-MTL tasks."""
    folder = data_folder / "fdu-mtl"
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is absent")
    return folder

"""A search on a real disk of its own that fills up, or does not answer for a while.

The disks are mounted in a file system that the search alone sees; where that is not allowed, the
tests skip.
"""

import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from journals import events, reports

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 240
AWAY_SECONDS = 5
COMMAND = [
    sys.executable, "-m", "search.run", "--space", str(ROOT / "spaces" / "sanity.yaml"),
    "--set", "confirm.seeds=0", "--set", "n_layers=1", "--set", "search.affinity.epochs=0",
    "--set", "search.workers=1", "--out",
]  # fmt: skip


def run_inside(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script that may mount what nobody else sees."""
    command = ["unshare", "-m", "sh", "-c", script]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False
    )


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A place to mount a disk at."""
    place = tmp_path / "disk"
    place.mkdir()
    tried = run_inside(f"mount -t tmpfs none {shlex.quote(str(place))}")
    if tried.returncode:
        pytest.skip(f"no disk can be mounted: {tried.stderr[:200]}")
    yield place
    shutil.rmtree(place, ignore_errors=True)


def test_a_disk_that_fills_up_is_named_and_with_more_room_the_search_goes_on(
    disk: Path, tmp_path: Path
) -> None:
    """All of 300 KB is taken by weights and lanes; then the journal gets no more."""
    place, kept = shlex.quote(str(disk)), shlex.quote(str(tmp_path / "kept"))
    search = shlex.join([*COMMAND, str(disk)])
    done = run_inside(
        f"mount -t tmpfs -o size=300k none {place} && {search} 2> {kept}-first\n"
        f"echo $? > {kept}-code; cp -r {place} {kept}-full\n"
        f"mount -o remount,size=64m {place} && {search}; code=$?\n"
        f"cp -r {place} {kept}-done; exit $code"
    )

    assert done.returncode == 0, done.stderr
    assert Path(f"{tmp_path}/kept-code").read_text() == "2\n"
    first = Path(f"{tmp_path}/kept-first").read_text()
    assert "No space left on device" in first
    assert str(disk) in first
    assert "Traceback" not in first
    full, whole = (reports(tmp_path / f"kept-{name}" / "sanity") for name in ("full", "done"))
    assert whole[: len(full)] == full
    assert len({trial for trial, _, _ in whole}) == 6
    assert (tmp_path / "kept-done" / "sanity" / "report.html").is_file()


@pytest.mark.fault
def test_a_disk_that_does_not_answer_for_a_while_delays_the_search(
    disk: Path, tmp_path: Path
) -> None:
    """As a network disk does whose server is away: what is written waits."""
    image, kept = tmp_path / "image", tmp_path / "kept"
    for tool in ("mkfs.ext4", "fsfreeze"):
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool}")
    with image.open("wb") as file:
        file.truncate(64 << 20)
    place, study = shlex.quote(str(disk)), disk / "sanity"
    done = run_inside(
        f"mkfs.ext4 -q {shlex.quote(str(image))} && mount -o loop {shlex.quote(str(image))} {place}"
        " || exit 77\n"
        f"{shlex.join([*COMMAND, str(disk)])} & search=$!\n"
        f"until grep -qs reported {shlex.quote(str(study))}/journal.jsonl; do sleep 0.1; done\n"
        f"fsfreeze -f {place} && sleep {AWAY_SECONDS} && fsfreeze -u {place} || exit 77\n"
        f"wait $search; code=$?; cp -r {place} {shlex.quote(str(kept))}; exit $code"
    )

    if done.returncode == 77:
        pytest.skip(f"no disk that can be frozen: {done.stderr[:200]}")
    assert done.returncode == 0, done.stderr
    times = [event["time"] for event in events(kept / "sanity")]
    pauses = [after - before for before, after in pairwise(times)]
    assert max(pauses) > 0.9 * AWAY_SECONDS
    assert not [e for e in events(kept / "sanity") if e["event"] in ("retried", "failed")]
    assert len({trial for trial, _, _ in reports(kept / "sanity")}) == 6

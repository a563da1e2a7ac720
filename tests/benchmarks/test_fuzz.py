"""Whether anything but a clear message comes of files that are a little wrong.

    python tests/benchmarks/test_fuzz.py [--inputs 1000000] [--reader space tasks journal model all]
        [--seed 0] [--processes 1] [--number N] [--atheris]

feeds mutated files (`tests/support/fuzzing.py`, valid ones in `fuzz_files.py`) to the readers of
spaces, task files, journals and models. A file is accepted, or refused by a `ConfigError`; whatever
else happens, takes more than a few seconds or ends the process is a finding, kept in a folder and
named by reader, seed and number, which repeat it (`--number`). `--atheris` has one reader's inputs
made by that library, led by what code they reach; it is not installed with the tests.
"""

import argparse
import gc
import importlib
import multiprocessing
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType, FunctionType
from typing import Any

import pytest

sys.path.append(str(Path(__file__).resolve().parent))

from fuzz_files import READERS, Case, Reader

from mtl_core.errors import ConfigError

SECONDS = 10.0  # for one input, after which it hangs
DEAF_SECONDS = 60.0  # after which a process that does not even hear of it is ended
MEMORY = 4 << 30  # beyond what a process has at its start
SHARES = {"space": 0.1, "tasks": 0.15, "journal": 0.6, "model": 0.15}  # by what an input costs
N_TESTED = 300


class Hang(BaseException):
    """An input took too long; no `Exception`, and no `OSError`, which readers take for a fault."""


@dataclass
class Tally:
    """What came of the inputs of one reader; findings by their numbers."""

    accepted: int = 0
    refused: int = 0
    seconds: float = 0.0
    findings: dict[int, str] = field(default_factory=dict)


def fuzz(name: str, numbers: range, seed: int, kept: Path, at: Any = None) -> Tally:
    """Feed the inputs of those numbers to a reader.

    Args:
        kept: Folder for what is found.
        at: Shared with who watches: the number in work, how many were accepted and refused, and
            the seconds so far.
    """
    tally = Tally()
    with opened(name) as reader, _alarm(), _little_memory():
        began = time.perf_counter()
        for number in numbers:
            if at is not None:
                at[:] = [number, tally.accepted, tally.refused, time.perf_counter() - began]
            case = reader.make(_rng(name, seed, number))
            found = feed(reader, case)
            tally.accepted += found == "accepted"
            tally.refused += found == "refused"
            if found not in ("accepted", "refused"):
                tally.findings[number] = found
                _keep(kept, f"{name}-{seed}-{number}", case, found)
        if at is not None:
            at[:] = [numbers.stop, tally.accepted, tally.refused, time.perf_counter() - began]
    return tally


def feed(reader: Reader, case: Case) -> str:
    """Return "accepted", "refused", or the traceback of what should not have happened."""
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        reader.read(case)
    except ConfigError as error:
        is_clear = bool(error.faults) and all(fault.strip() for fault in error.faults)
        return "refused" if is_clear else "".join(traceback.format_exception(error))
    except (Exception, Hang) as error:
        return "".join(traceback.format_exception(error))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return "accepted"


@contextmanager
def opened(name: str) -> Iterator[Reader]:
    """Yield the reader with its valid files in a folder that is fast, and gone afterwards."""
    fast = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with _no_hub(), tempfile.TemporaryDirectory(prefix="fuzz-", dir=fast) as folder:
        yield READERS[name](Path(folder))


@contextmanager
def _no_hub() -> Iterator[None]:
    """Have names of models that mutation made up looked for nowhere outside."""
    before = sys.modules.get("huggingface_hub")
    sys.modules["huggingface_hub"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["huggingface_hub"]
        if before is not None:
            sys.modules["huggingface_hub"] = before


def watched(numbers: range, name: str, seed: int, kept: Path) -> Tally:
    """Fuzz in a process of its own; where an input ends it, that is a finding, and it goes on."""
    context = multiprocessing.get_context("spawn")
    whole = Tally()
    while numbers:
        at = context.Array("d", [-1, 0, 0, 0])
        process = context.Process(target=fuzz, args=(name, numbers, seed, kept, at))
        process.start()
        _wait(process, at)
        number, accepted, refused = map(int, at[:3])
        whole.accepted, whole.refused = whole.accepted + accepted, whole.refused + refused
        whole.seconds += at[3]
        if process.exitcode == 0:
            break
        if number < 0:
            raise RuntimeError(f"{name}: the process ended before its first input")
        case = _case(name, seed, number)
        _keep(kept, f"{name}-{seed}-{number}", case, f"the process ended: {process.exitcode}")
        numbers = range(number + numbers.step, numbers.stop, numbers.step)
    return whole


def _wait(process: Any, at: Any) -> None:
    """Wait for the end; kill a process that has been at the same input for too long."""
    last, since = at[0], time.monotonic()
    while process.exitcode is None:
        process.join(timeout=1)
        if at[0] != last or at[0] < 0:
            last, since = at[0], time.monotonic()
        if time.monotonic() - since > DEAF_SECONDS:
            process.kill()


@contextmanager
def _little_memory() -> Iterator[None]:
    """Have what asks for too much memory fail, in place of the machine."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    most = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _rng(name: str, seed: int, number: int) -> random.Random:
    return random.Random(f"{name} {seed} {number}")


def _case(name: str, seed: int, number: int) -> Case:
    with opened(name) as reader:
        return reader.make(_rng(name, seed, number))


def _keep(kept: Path, name: str, case: Case, found: str) -> None:
    (kept / name).write_bytes(case.data)
    text = f"{case.file}\n{found}\n"
    (kept / f"{name}.txt").write_text(text, encoding="utf-8", errors="backslashreplace")


@contextmanager
def _alarm() -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, _hangs)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)


def _hangs(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise Hang(f"no answer after {SECONDS:g} s")


@pytest.mark.parametrize("reader", SHARES)
def test_nothing_but_a_clear_message_comes_of_files_that_are_a_little_wrong(
    reader: str, tmp_path: Path
) -> None:
    found = fuzz(reader, range(N_TESTED), seed=0, kept=tmp_path)

    assert not found.findings, "\n".join(found.findings.values())[:4000]
    assert found.refused > 20
    assert found.accepted > 20


@pytest.mark.parametrize("reader", SHARES)
def test_the_files_that_are_made_wrong_are_right(reader: str) -> None:
    with opened(reader) as opened_reader:
        assert {feed(opened_reader, case) for case in opened_reader.valid} == {"accepted"}


def test_a_reader_that_hangs_or_breaks_is_found() -> None:
    def hang(case: Case) -> None:  # noqa: ARG001
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        try:
            time.sleep(5)
        except OSError:
            raise ConfigError("cannot be read") from None

    def break_(case: Case) -> None:
        raise KeyError(case.file)

    with _alarm():
        found = [feed(Reader(_no_case, read), Case("a", b"")) for read in (hang, break_)]

    assert "Hang: no answer" in found[0]
    assert "KeyError: 'a'" in found[1]


def _no_case(rng: random.Random) -> Case:  # noqa: ARG001
    return Case("a", b"")


def run(name: str, count: int, options: argparse.Namespace, kept: Path) -> None:
    """Fuzz one reader and print what came of it."""
    n = options.processes
    parts = [range(at, count, n) for at in range(n)]
    with ThreadPoolExecutor(n) as pool:
        tallies = list(pool.map(partial(watched, name=name, seed=options.seed, kept=kept), parts))
    findings = {
        int(path.stem.rpartition("-")[2]): path.read_text(encoding="utf-8").strip()
        for path in kept.glob(f"{name}-{options.seed}-*.txt")
    }
    rate = count / max(tally.seconds for tally in tallies)
    print(
        f"{name}: {count:,} inputs, {sum(t.accepted for t in tallies):,} accepted, "
        f"{sum(t.refused for t in tallies):,} refused clearly, {len(findings)} findings; "
        f"{rate:.0f} a second",
        flush=True,
    )
    last = {number: text.splitlines()[-1][:200] for number, text in sorted(findings.items())}
    for line, times in Counter(last.values()).most_common():
        first = next(number for number, found in last.items() if found == line)
        print(f"  {times}, --number {first}: {line}", flush=True)


def run_atheris(name: str, count: int, kept: Path) -> None:
    """Have atheris make the inputs of one reader; it ends the process itself."""
    atheris = importlib.import_module("atheris")  # has no types, and is seldom there

    with opened(name) as reader, _alarm():
        for number, case in enumerate(reader.valid):
            (kept / f"valid-{number}").write_bytes(bytes([number]) + case.data)
        files = [case.file for case in reader.valid]

        def try_one(data: bytes) -> None:
            case = Case(files[data[0] % len(files)] if data else files[0], data[1:])
            found = feed(reader, case)
            if found not in ("accepted", "refused"):
                print(found, flush=True)
                raise RuntimeError(f"a finding; its input is in {kept}")

        for function in _our_functions():
            atheris.instrument_func(function)
        program = [sys.argv[0], f"-runs={count}", f"-artifact_prefix={kept}/", str(kept)]
        atheris.Setup(program, try_one)
        atheris.Fuzz()


def _our_functions() -> list[FunctionType]:
    """Return what is to be led by; `instrument_all` would take minutes for all of torch."""
    return [
        found
        for found in gc.get_objects()
        if isinstance(found, FunctionType)
        and str(found.__module__).partition(".")[0] in ("mtl_core", "search", "yaml")
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--reader", nargs="+", choices=[*SHARES, "all"], default=["all"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--number", type=int, help="one input again, in this process")
    parser.add_argument("--atheris", action="store_true")
    options = parser.parse_args()
    names = list(SHARES) if "all" in options.reader else options.reader
    kept = Path(tempfile.mkdtemp(prefix="findings-"))
    print(f"findings are in {kept}", flush=True)
    total = sum(SHARES[name] for name in names)
    for name in names:
        if options.number is not None:
            one = range(options.number, options.number + 1)
            print(name, fuzz(name, one, options.seed, kept).findings.get(options.number, "clear"))
        elif options.atheris:
            run_atheris(name, options.inputs, kept)
        else:
            run(name, round(options.inputs * SHARES[name] / total), options, kept)


if __name__ == "__main__":
    main()

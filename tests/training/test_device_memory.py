"""What can still be had is the least of the machine's memory and the containers' limits."""

from pathlib import Path

import torch

from mtl_core.training.device_memory import available_memory, memory_of

GIB = 1 << 30


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def make_machine(folder: Path, groups: str) -> tuple[Path, Path]:
    meminfo = f"MemTotal: {9 * GIB // 1024} kB\nMemAvailable: {8 * GIB // 1024} kB\n"
    write(folder / "proc" / "meminfo", meminfo)
    write(folder / "proc" / "self" / "cgroup", groups)
    return folder / "proc", folder / "cgroup"


def test_a_machine_without_containers_has_what_it_says(tmp_path: Path) -> None:
    assert available_memory(*make_machine(tmp_path, "0::/\n")) == 8 * GIB


def test_a_container_s_limit_counts_without_what_is_taken(tmp_path: Path) -> None:
    proc, groups = make_machine(tmp_path, "0::/job\n")
    write(groups / "job" / "memory.max", f"{4 * GIB}\n")
    write(groups / "job" / "memory.current", f"{3 * GIB}\n")
    write(groups / "job" / "memory.stat", f"anon 5\ninactive_file {GIB}\n")

    assert available_memory(proc, groups) == 2 * GIB


def test_the_limit_of_an_outer_container_counts(tmp_path: Path) -> None:
    proc, groups = make_machine(tmp_path, "0::/outer/job\n")
    write(groups / "outer" / "job" / "memory.max", "max\n")
    write(groups / "outer" / "job" / "memory.current", "5\n")
    write(groups / "outer" / "memory.max", f"{3 * GIB}\n")
    write(groups / "outer" / "memory.current", f"{2 * GIB}\n")

    assert available_memory(proc, groups) == GIB


def test_the_older_kind_of_groups_counts(tmp_path: Path) -> None:
    proc, groups = make_machine(tmp_path, "3:cpu,cpuacct:/job\n2:memory:/job\n")
    write(groups / "memory" / "job" / "memory.limit_in_bytes", f"{2 * GIB}\n")
    write(groups / "memory" / "job" / "memory.usage_in_bytes", f"{GIB}\n")

    assert available_memory(proc, groups) == GIB


def test_more_taken_than_the_limit_leaves_nothing(tmp_path: Path) -> None:
    proc, groups = make_machine(tmp_path, "0::/\n")
    write(groups / "memory.max", "100\n")
    write(groups / "memory.current", "200\n")

    assert available_memory(proc, groups) == 0


def test_a_system_that_says_nothing_has_its_whole_memory(tmp_path: Path) -> None:
    assert available_memory(tmp_path, tmp_path) > 0


def test_this_machine_has_some() -> None:
    assert memory_of(torch.device("cpu")) > 0

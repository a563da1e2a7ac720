"""What the machines of a cluster share, and what is handed to those that do not.

The study's folder must be on a disk, or in a store, that all of them see: engines keep weights
there, and the driver exports them. Files that are only read (the encoded corpus, word vectors,
texts) are looked for at their own place, and else fetched once for each machine from Ray's object
store, into its cache; engines of one machine then map the same file.
"""

import hashlib
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from mtl_core.data.cache import keep
from mtl_core.errors import ConfigError
from search.bucket import bucket_of, copy_of, fetch, hand_on, remove

PROBE = ".seen-by-all"
ANSWER_SECONDS = 60.0


def check_shared(folder: Path) -> None:
    """Have every machine look for a file that was just written to the study's folder.

    Raises:
        ConfigError: Which machines do not see it.
    """
    others = _other_machines()
    if not others:
        return
    text, bucket = uuid.uuid4().hex, bucket_of(folder)
    probe = folder.resolve() / PROBE
    probe.write_text(text, encoding="utf-8")
    hand_on(folder, probe)
    address = None if bucket is None else bucket.address
    try:
        blind = [name for node, name in others if not _sees(node, probe, text, address)]
    finally:
        remove(folder, probe)
    if blind and address is not None:
        raise ConfigError(
            f"--out {address}: the store cannot be read by {', '.join(blind)}; the login that this "
            "machine has must be on all machines of the cluster"
        )
    if blind:
        raise ConfigError(
            f"--out: {folder} is not seen by {', '.join(blind)}; a folder on a disk that all "
            "machines of the cluster share would be right"
        )


def offered(paths: Iterable[str | None]) -> dict[str, tuple[int, Any]]:
    """Return sizes of files and references to their contents, by path."""
    found = {}
    for path in paths:
        if path is not None:
            content = Path(path).read_bytes()
            found[path] = (len(content), ray.put(content))
    return found


def at_hand(path: str, contents: dict[str, tuple[int, Any]]) -> Path:
    """Return where this machine has the file: at its own place, or in the cache."""
    here = Path(path)
    if path not in contents:
        return here
    size, reference = contents[path]
    if here.is_file() and here.stat().st_size == size:
        return here
    content: bytes = ray.get(reference)
    name = f"{hashlib.blake2b(content, digest_size=16).hexdigest()}-{here.name}"
    return keep(
        name,
        lambda beside: _write(beside, content),
        lambda kept: kept.is_file() and kept.stat().st_size == len(content),
        None,
    )


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _other_machines() -> list[tuple[str, str]]:
    """Return the machines that this process does not run on, as (id, name to tell a user)."""
    mine = ray.get_runtime_context().get_node_id()
    nodes = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    return [
        (node["NodeID"], f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})")
        for node in nodes
        if node["NodeID"] != mine
    ]


def _sees(node: str, probe: Path, text: str, address: str | None) -> bool:
    there = NodeAffinitySchedulingStrategy(node, soft=False)
    answer = _read.options(scheduling_strategy=there).remote(str(probe), address)
    try:
        return bool(ray.get(answer, timeout=ANSWER_SECONDS) == text)
    except ray.exceptions.GetTimeoutError:
        return False


@ray.remote(num_cpus=0)
def _read(name: str, address: str | None) -> str | None:
    """Return what a file says; None where there is no such file, or no reading it."""
    path = Path(name)
    try:
        if address is not None:
            path = copy_of(address) / path.parent.name / path.name
            fetch(path.parent, path)
        return path.read_text(encoding="utf-8")
    except (OSError, ConfigError):
        return None

"""Memory of the driver, of a client and of an engine with its lanes, and how many a node carries.

    python tests/benchmarks/test_memory.py [--lanes 1 16 64] [--tiny]

Engines train a random mix of the published sizes on FDU-MTL (`--tiny`: a small model on the
built-in corpus), each number of lanes in a process of its own; driver and clients are those of a
real search on the built-in corpus. A node of so many GB is filled to 80 %: with the driver, what
Ray starts, and an engine for every 64 lanes with their clients.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from corpora import builtin, fdu_mtl
from footprint import MIB, Footprint, engine_footprint, footprint, search_footprints
from lane_work import Trial, mixed_trials
from machine import describe, make_console
from rich.table import Table

from mtl_core.model.config import EncoderConfig

ROOT = Path(__file__).resolve().parents[2]
TINY = EncoderConfig(n_layers=2, d_model=32, d_word=32, n_heads=2, d_ff=64)
CLIENT_BYTES = 130 * MIB  # at most, private
NODES_GB = (24, 128, 512)
FILLED = 0.8  # of a node's memory
LANES_OF_ENGINE = 64
SEARCHED = {"trials": "8", "lanes": "4", "workers": "4", "epochs": "3", "sampler": "random"}
KINDS = {"client": "ray::searchtrial", "engine": "ray::engine"}  # its class, or itself

Engines = dict[int, tuple[int, Footprint]]  # by lanes asked for: lanes there was room for, memory


def measure_engines(
    corpus: Path, trials: Sequence[Trial], numbers: Sequence[int], device: str
) -> Engines:
    return {n: engine_footprint(corpus, trials[:n], device) for n in (0, *numbers)}


def measure_search(folder: Path) -> dict[str, list[Footprint]]:
    """Return the footprints of all processes of a small search, by kind."""
    command = [sys.executable, "-m", "search.run", "--out", str(folder)]
    command += ["--space", str(ROOT / "spaces" / "layerwise.yaml")]
    command += [part for key, value in SEARCHED.items() for part in ("--set", f"{key}={value}")]
    return search_footprints(command, KINDS)


def bytes_per_lane(engines: Engines) -> float:
    """Return what one more lane takes: private memory, or that of the GPU."""
    (_, empty), (lanes, full) = engines[0], engines[max(engines)]
    taken = full.on_gpu if full.on_gpu else full.private - empty.private
    return taken / max(lanes, 1)


def lanes_of_node(node: int, engines: Engines, search: dict[str, list[Footprint]]) -> int:
    """Return how many lanes with their clients a node of `node` bytes carries."""
    on_gpu = any(found.on_gpu for _, found in engines.values())
    client = max(found.private for found in search["client"])
    fixed = sum(found.private for kind in ("driver", "other") for found in search[kind])
    lane = client + engines[0][1].private / LANES_OF_ENGINE
    lane += 0 if on_gpu else bytes_per_lane(engines)
    return max(0, int((FILLED * node - fixed) / lane))


def engine_table(title: str, engines: Engines) -> Table:
    table = Table(title=title)
    for column in ("lanes asked for", "lanes", "resident, MiB", "private, MiB", "on GPU, MiB"):
        table.add_column(column, justify="right")
    for asked, (lanes, found) in engines.items():
        sizes = (found.resident, found.private, found.on_gpu)
        table.add_row(str(asked), str(lanes), *(f"{size / MIB:,.0f}" for size in sizes))
    return table


def search_table(search: dict[str, list[Footprint]]) -> Table:
    table = Table(title="processes of a search")
    for column in ("process", "number", "resident, MiB", "private, MiB"):
        table.add_column(column, justify="left" if column == "process" else "right")
    for kind, found in sorted(search.items()):
        sizes = (max(f.resident for f in found), max(f.private for f in found))
        table.add_row(kind, str(len(found)), *(f"{size / MIB:,.0f}" for size in sizes))
    return table


def node_table(engines: Engines, search: dict[str, list[Footprint]]) -> Table:
    table = Table(title=f"lanes of a node, {bytes_per_lane(engines) / MIB:,.0f} MiB a lane")
    table.add_column("node, GB", justify="right")
    table.add_column("lanes", justify="right")
    for node in NODES_GB:
        table.add_row(str(node), str(lanes_of_node(node * 10**9, engines, search)))
    return table


def test_private_memory_grows_by_what_a_process_writes() -> None:
    before = footprint()
    written = torch.ones(16 * MIB, dtype=torch.uint8)
    after = footprint()

    grown = after.private - before.private
    assert 15 * MIB < grown < 24 * MIB
    assert after.resident >= after.private
    del written


def test_more_lanes_fit_on_a_larger_node() -> None:
    engines = {0: (0, Footprint(300, 200)), 2: (2, Footprint(420, 300))}
    search = {
        "driver": [Footprint(300, 200)],
        "client": [Footprint(200, 90), Footprint(200, 100)],
        "other": [Footprint(80, 50), Footprint(80, 50)],
    }

    fitting = [lanes_of_node(node, engines, search) for node in (200, 1000, 10_000)]

    assert fitting == [0, 3, 50]  # (0.8 x 1,000 - 300) / (100 + 50 + 200 / 64) = 3.3


@pytest.mark.slow
@pytest.mark.cluster
def test_a_client_stays_small(tmp_path: Path) -> None:
    found = measure_search(tmp_path)

    make_console().print(search_table(found))
    assert len(found["client"]) >= int(SEARCHED["lanes"])
    assert max(client.private for client in found["client"]) < CLIENT_BYTES


def main() -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--tiny", action="store_true")
    given = parser.parse_args()
    encoder, batch_size = (TINY, 20) if given.tiny else (EncoderConfig(), 50)
    corpus = builtin() if given.tiny else fdu_mtl()
    trials = mixed_trials(max(given.lanes), encoder, batch_size)
    engines = measure_engines(corpus.path, trials, given.lanes, device)
    with tempfile.TemporaryDirectory() as folder:
        search = measure_search(Path(folder))
    console = make_console()
    console.print(engine_table(f"one engine, d_model {encoder.d_model}, {device}", engines))
    console.print(search_table(search))
    console.print(node_table(engines, search))
    console.print(describe(), highlight=False)


if __name__ == "__main__":
    main()

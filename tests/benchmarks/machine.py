"""The machine that a figure was taken on: its name in one line, and what its products can reach.

The rate of matrix products is measured at the shapes of a model's layers, forward and for both
gradients, since small products reach less of a machine than large ones.
"""

import os
import platform
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from mtl_core.model.config import EncoderConfig
from search.environment import environment

LARGE = 1024  # rows and columns of the product that shows what the machine could reach
SECONDS = 0.3  # for each measured product


def describe() -> str:
    """Return machine, versions, commit, threads, date and how busy the machine is."""
    about = environment(seed=0, data_source="", data_fingerprint="")
    machine, versions = about["machine"], about["versions"]
    commit = (about["git_commit"] or "unknown")[:9] + (
        " with changes" if about["git_dirty"] else ""
    )
    cores, gpus = len(os.sched_getaffinity(0)), ", ".join(machine["gpus"]) or "no GPU"
    return (
        f"{_cpu_name()}, {cores} cores, {machine['memory_gib']} GiB, {gpus}; "
        f"{torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads; "
        f"Python {versions['python']}, torch {torch.__version__}, ray {versions.get('ray')}; "
        f"commit {commit}; {datetime.now(UTC):%Y-%m-%d}, load {os.getloadavg()[0]:.1f}"
    )


def product_rates(config: EncoderConfig, rows: int, device: str = "cpu") -> dict[str, float]:
    """Return operations per second of matrix products by name, "fp32 1024" for instance.

    Args:
        rows: Positions of a step, over which the weights' products go.
    """
    width, inner = config.d_model, config.d_ff
    of_layer = [(width, 3 * width), (width, width), (width, inner), (inner, width)]
    rates = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        rates[f"{name} model"] = _rate(_layer_products(of_layer, rows, dtype, device))
        rates[f"{name} large"] = _rate([_product(LARGE, LARGE, LARGE, dtype, device)])
    return rates


def rate_table(rates: dict[str, float], rows: int) -> Table:
    table = Table(title="matrix products measured, TFLOP/s")
    columns = (f"the model's, {rows:,} rows, forward and gradients", f"{LARGE} x {LARGE} x {LARGE}")
    for column in ("type", *columns):
        table.add_column(column, justify="left" if column == "type" else "right")
    for name in ("fp32", "bf16"):
        of_type = [rates[f"{name} {shape}"] for shape in ("model", "large")]
        table.add_row(name, *(f"{rate / 1e12:.2f}" for rate in of_type))
    return table


def clock() -> float:
    """Return seconds: with one thread its own, which other work on the machine does not lengthen.

    It is for work on a CPU; waiting for a GPU is no time of a thread.
    """
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def make_console() -> Console:
    """Return a console that is wide enough for the tables where it is no terminal."""
    return Console(width=None if sys.stdout.isatty() else 110)


def synchronize(device: str) -> None:
    """Wait for what a GPU has still to do."""
    if device != "cpu":
        torch.cuda.synchronize()


_Product = tuple[float, Callable[[], Tensor]]  # operations, and what computes them


def _product(n: int, inner: int, m: int, dtype: torch.dtype, device: str) -> _Product:
    """An (n, inner) by (inner, m) product."""
    left = torch.randn(n, inner, dtype=dtype, device=device)
    right = torch.randn(inner, m, dtype=dtype, device=device)
    return 2.0 * n * inner * m, lambda: left @ right


def _layer_products(
    of_layer: list[tuple[int, int]], rows: int, dtype: torch.dtype, device: str
) -> list[_Product]:
    """The products of a layer without attention: forward, and the gradients of both sides."""
    products = []
    for inner, out in of_layer:
        products.append(_product(rows, inner, out, dtype, device))
        x, y, w = (
            torch.randn(*shape, dtype=dtype, device=device)
            for shape in ((rows, inner), (rows, out), (inner, out))
        )
        for compute in (lambda x=x, y=y: x.t() @ y, lambda y=y, w=w: y @ w.t()):
            products.append((2.0 * rows * inner * out, compute))
    return products


def _rate(products: list[_Product]) -> float:
    """Return operations per second over all of the products."""
    device = str(products[0][1]().device.type)
    now = clock if device == "cpu" else time.perf_counter
    count, began = 0, 0.0
    while count < 3 or now() - began < SECONDS:
        if count == 2:  # the first rounds allocate and choose kernels
            synchronize(device)
            began = now()
        for _, compute in products:
            compute()
        count += 1
        synchronize(device)
    return (count - 2) * sum(flops for flops, _ in products) / (now() - began)


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()

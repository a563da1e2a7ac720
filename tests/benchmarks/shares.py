"""Where the time of training goes: matrix products, attention, optimiser, dropout, and the rest.

On a CPU it is the time of PyTorch's operations, each counted to the innermost part of the program
that it belongs to, and a mean over the threads where several take texts each (`by_threads.py`); on
a GPU the time of the kernels, by their names, and the gaps between them.
"""

import functools
import importlib
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from machine import synchronize
from rich.table import Table
from torch._C._profiler import _ExperimentalConfig
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile, record_function

PARTS = ("products", "attention", "optimiser", "dropout", "norms", "data", "rest", "gaps")

_WHOLE = "whole"  # of the profile, in the thread that runs it
_WAITS = "_ByThreads"  # of that thread for others, up and down

# Functions whose whole time is of one part, as far as none inside them is of another.
SCOPES = {
    "optimiser": ["mtl_core.training.updates:move_together"],
    "dropout": ["mtl_core.model.dropout:Noise.write", "mtl_core.model.dropout:Noise.write_kept"],
    "data": ["mtl_core.training.updater:collate"],
}

# First match counts. Of operations and autograd functions on a CPU, which hold what they call:
_OPERATIONS = {
    "attention": r"attention|attend",
    "optimiser": r"adam|_foreach|vector_norm",
    "norms": r"layer_norm|norm(backward)?\d*$",
    "dropout": r"dropout|bernoulli|aten::ge$",
    "products": r"aten::(mm|addmm|bmm|baddbmm|_grouped_mm|mkldnn)",
}
# Of kernels on a GPU:
_KERNELS = {
    "attention": r"flash|fmha|attention|softmax|sdpa",
    "optimiser": r"adam|multi_tensor|lpnorm|foreach",
    "norms": r"layer_?norm|gammabeta|^_norm",
    "dropout": r"dropout|_finish|bernoulli|philox|random|distribution",
    "products": r"gemm|gemv|cutlass|nvjet|xmma|wgmma|cublas|splitk",
    "data": r"memcpy",
}


def measure_shares(run: Callable[[], object], device: str = "cpu") -> dict[str, float]:
    """Return the share of the wall time of `run()` that each part takes; they sum to 1."""
    activities = [ProfilerActivity.CPU]
    if device != "cpu":
        activities.append(ProfilerActivity.CUDA)
    all_threads = _ExperimentalConfig(profile_all_threads=True)
    profiling = profile(activities=activities, experimental_config=all_threads)
    with _named_scopes(), profiling as profiler:
        synchronize(device)
        began = time.perf_counter()
        with record_function(_WHOLE):
            run()
        synchronize(device)
        seconds = time.perf_counter() - began
    events = list(profiler.events() or [])
    spent = _on_cpu(events) if device == "cpu" else _on_gpu(events)
    shares = {part: spent[part] / 1e6 / seconds for part in PARTS}
    shares["gaps"] = 1 - sum(shares.values())
    return shares


def share_table(title: str, rows: dict[str, dict[str, float]]) -> Table:
    """Return a table of shares; `rows` are what was measured, by name."""
    table = Table(title=title, caption="gaps: no operation runs, which is Python on a CPU")
    for column in ("", *PARTS):
        table.add_column(column, justify="left" if not column else "right")
    for name, shares in rows.items():
        table.add_row(name, *(f"{shares[part]:.0%}" for part in PARTS))
    return table


@contextmanager
def _named_scopes() -> Iterator[None]:
    """Have the functions of `SCOPES` appear in the profile under the name of their part."""
    with ExitStack() as stack:
        for part, targets in SCOPES.items():
            for target in targets:
                module, _, path = target.partition(":")
                holder, name = _holder(importlib.import_module(module), path)
                stack.enter_context(
                    mock.patch.object(holder, name, _named(part, getattr(holder, name)))
                )
        yield


def _holder(module: object, path: str) -> tuple[Any, str]:
    *outer, name = path.split(".")
    return functools.reduce(getattr, outer, module), name


def _named(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with record_function(f"part:{part}"):
            return function(*args, **kwargs)

    return call


def _on_cpu(events: list[Any]) -> dict[str, float]:
    """Return microseconds by part: each operation's own time goes to it or what it stands in."""
    (whole,) = [event for event in events if event.name == _WHOLE]
    n_others = len({event.thread for event in events} - {whole.thread})
    spent: dict[str, float] = defaultdict(float)
    for event in events:
        if event is not whole and not event.name.startswith(_WAITS):  # whose own time is gaps
            at_a_time = 1 if event.thread == whole.thread else n_others
            spent[_part_of(event)] += event.self_cpu_time_total / at_a_time
    return spent


def _part_of(event: Any) -> str:
    """Return the innermost part that it stands in; a product in another part is that part's."""
    found = "rest"
    while event is not None:
        part = _operation_part(event.name)
        if part is not None and part != "products":
            return part
        found, event = part or found, event.cpu_parent
    return found


@functools.cache
def _operation_part(name: str) -> str | None:
    return name.removeprefix("part:") if name.startswith("part:") else _match(name, _OPERATIONS)


def _on_gpu(events: list[Any]) -> dict[str, float]:
    """Return microseconds by part; of kernels that run at the same time the first one counts."""
    spent: dict[str, float] = defaultdict(float)
    kernels = [event for event in events if event.device_type == DeviceType.CUDA]
    done = 0.0
    for kernel in sorted(kernels, key=lambda kernel: kernel.time_range.start):
        begin, end = max(kernel.time_range.start, done), kernel.time_range.end
        if end > begin and not kernel.name.startswith("part:"):
            spent[_match(kernel.name, _KERNELS) or "rest"] += end - begin
            done = end
    return spent


def _match(name: str, patterns: dict[str, str]) -> str | None:
    lowered = name.lower()
    return next((part for part, found in patterns.items() if re.search(found, lowered)), None)

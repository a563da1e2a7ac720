"""A pass on several threads of a CPU, each of which takes texts all the way up and down again.

PyTorch's own threads meet at every operation, where the short ones, and those that some library
does by one thread, leave the others waiting. Here they meet twice in a step: at the outputs, and
where the gradients of the weights are summed. It is data parallelism inside one step; figures are
in `tests/benchmarks/README.md`. Shapes: I items of a part, C classes.
"""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from functools import cache, partial
from itertools import chain
from typing import Any, TypeVar

import torch
from torch import Tensor

from mtl_core.model.banks import Banks
from mtl_core.model.heads import head_outputs
from mtl_core.model.pieces import cut, share_out, size_of
from mtl_core.model.sentence import sentence_vectors
from mtl_core.model.work import Work

Result = TypeVar("Result")

# Work that is worth a thread. With half as much, short operations wait for each other's Python, and
# a step takes longer: by a tenth there, by half with a quarter (two cores of an EPYC, 64 wide).
_LEAST_SIZE = 1 << 19
_MOST_THREADS = 4  # for the same reason; where there are more, each takes some of PyTorch's own


def outputs_by_threads(
    works: Sequence[Work], dtype: torch.dtype, n_threads: int | None = None
) -> list[Tensor]:
    """Return the outputs of each part, (I, C), by as many threads as are worth it.

    The dropout of a part depends on how many pieces it is cut into, so on the threads that there
    are, but not on other parts.

    Args:
        works: Of one family.
        dtype: Type of the products.
        n_threads: At most; None: as many as PyTorch may use.
    """
    if works[0].banks.rows["words"].device.type != "cpu":
        return _outputs(works, dtype)
    n_threads = torch.get_num_threads() if n_threads is None else n_threads
    sizes = [size_of(work) for work in works]
    n_shares = _worth(sum(sizes), n_threads)
    if n_shares == 1:
        return _outputs(works, dtype)
    parts = [cut(work, _worth(size, n_threads)) for work, size in zip(works, sizes, strict=True)]
    shares = share_out(parts, n_shares)
    of_shares = [[parts[part][piece] for part, piece in share] for share in shares]
    rows = chain.from_iterable(work.banks.rows.values() for work in works)
    tables = {id(t): t for t in rows if t.requires_grad} if torch.is_grad_enabled() else {}
    outputs = _ByThreads.apply(of_shares, dtype, n_threads, *tables.values())  # type: ignore[no-untyped-call]
    found = dict(zip(chain.from_iterable(shares), outputs, strict=True))
    of_parts = [[found[at, piece] for piece in range(len(part))] for at, part in enumerate(parts)]
    return [torch.cat(pieces) if len(pieces) > 1 else pieces[0] for pieces in of_parts]


def _outputs(works: Sequence[Work], dtype: torch.dtype) -> list[Tensor]:
    return head_outputs(works, sentence_vectors(works, dtype))


def _worth(size: int, n_threads: int) -> int:
    """Return how many threads so much work is worth."""
    return max(1, min(n_threads, _MOST_THREADS, size // _LEAST_SIZE))


class _ByThreads(torch.autograd.Function):
    """Each share has a graph of its own, from leaves that are the tables under other names."""

    @staticmethod
    def forward(
        ctx: Any,
        shares: Sequence[Sequence[Work]],
        dtype: torch.dtype,
        n_threads: int,
        *tables: Tensor,
    ) -> tuple[Tensor, ...]:
        leaves = [[table.detach().requires_grad_() for table in tables] for _ in shares]
        calls = [
            partial(
                _share_outputs,
                [_with(work, tables, mine) for work in share],
                dtype,
                with_graph=bool(tables),
            )
            for share, mine in zip(shares, leaves, strict=True)
        ]
        ctx.outputs, ctx.leaves, ctx.n_threads = _on_threads(calls, n_threads), leaves, n_threads
        return tuple(output.detach() for output in chain.from_iterable(ctx.outputs))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        given = iter(gradients)
        calls = [
            # Kept, since a weighting may ask for the gradients of each loss before the last time.
            partial(
                torch.autograd.grad,
                outputs,
                leaves,
                [next(given) for _ in outputs],
                allow_unused=True,
                retain_graph=True,
            )
            for outputs, leaves in zip(ctx.outputs, ctx.leaves, strict=True)
        ]
        found = _on_threads(calls, ctx.n_threads)
        return None, None, None, *map(_sum, zip(*found, strict=True))


def _share_outputs(works: Sequence[Work], dtype: torch.dtype, *, with_graph: bool) -> list[Tensor]:
    with torch.set_grad_enabled(with_graph):  # which each thread has a state of
        return _outputs(works, dtype)


def _with(work: Work, tables: Sequence[Tensor], leaves: Sequence[Tensor]) -> Work:
    """Return the work with these leaves in place of the tables."""
    leaf_of = {id(table): leaf for table, leaf in zip(tables, leaves, strict=True)}
    rows = {group: leaf_of.get(id(table), table) for group, table in work.banks.rows.items()}
    return replace(work, banks=Banks(rows, work.banks.narrowed))


def _sum(gradients: Sequence[Tensor | None]) -> Tensor | None:
    there = [gradient for gradient in gradients if gradient is not None]
    return sum(there[1:], start=there[0]) if there else None


def _on_threads(calls: Sequence[Callable[[], Result]], n_threads: int) -> list[Result]:
    """Return the results, when all have ended; the first exception is raised then."""
    before, each = torch.get_num_threads(), n_threads // len(calls)
    try:
        pool = _pool(len(calls), each)
        torch.set_num_threads(each)  # of MKL too, whose number is one for all threads
        futures = [pool.submit(call) for call in calls]
        wait(futures)
    finally:  # threads to come, too, take what was last set by any
        torch.set_num_threads(before)
    return [future.result() for future in futures]


@cache
def _pool(n_workers: int, each: int) -> ThreadPoolExecutor:
    """Return threads, each of which has so many of PyTorch's own."""
    pool, started = ThreadPoolExecutor(n_workers), threading.Barrier(n_workers + 1)

    def start() -> None:
        torch.set_num_threads(each)
        started.wait()

    for _ in range(n_workers):
        pool.submit(start)
    started.wait()
    return pool


os.register_at_fork(after_in_child=_pool.cache_clear)  # threads stay behind

"""Rows of many tables put together by one launch, found by their addresses.

Shapes: R rows, S numbers of a row.
"""

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

_ROWS, _BLOCK = 8, 512  # rows and numbers of each, of a program


def gather_rows(addresses: np.ndarray, width: int, device: torch.device) -> Tensor:
    """Return the rows that begin at these addresses, (R, S) float32.

    Args:
        addresses: In memory of the device, (R,) int64.
    """
    out = torch.empty(len(addresses), width, device=device)
    if len(addresses):
        given = torch.from_numpy(addresses).to(device, non_blocking=True)
        grid = (triton.cdiv(len(addresses), _ROWS), triton.cdiv(width, _BLOCK))
        _gather[grid](given, out, len(addresses), width, ROWS=_ROWS, BLOCK=_BLOCK)
    return out


@triton.jit
def _gather(addresses, out, count, width, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    there = rows < count
    inside = there[:, None] & (columns < width)[None, :]
    starts = tl.load(addresses + rows, mask=there, other=0).to(tl.pointer_type(tl.float32))
    values = tl.load(starts[:, None] + columns[None, :], mask=inside, other=0.0)
    tl.store(out + rows.to(tl.int64)[:, None] * width + columns[None, :], values, mask=inside)

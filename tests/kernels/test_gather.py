"""Rows of several tables put together, against what stands in each."""

import numpy as np
import torch


def test_rows_are_found_by_their_addresses(device: torch.device) -> None:
    from mtl_core.kernels.gather import gather_rows

    tables = [torch.randn(rows, 21, device=device) for rows in (5, 40)]
    rows = [np.array([4, 0]), np.array([39, 7, 7, 0])]
    starts = [t.data_ptr() + of * 21 * 4 for t, of in zip(tables, rows, strict=True)]

    found = gather_rows(np.concatenate(starts), 21, torch.device(device))

    pairs = zip(tables, rows, strict=True)
    assert torch.equal(found, torch.cat([t[torch.from_numpy(of)] for t, of in pairs]))


def test_of_no_rows_nothing_is_put_together(device: torch.device) -> None:
    from mtl_core.kernels.gather import gather_rows

    assert gather_rows(np.array([], dtype=np.int64), 3, torch.device(device)).shape == (0, 3)

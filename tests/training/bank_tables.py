"""Tables of a layer and of words, for tests of the optimiser."""

import torch
from torch import Tensor


def make_tables(n_banks: int = 3) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "weight": torch.randn(n_banks, 5, 7, generator=generator),
        "bias": torch.randn(n_banks, 7, generator=generator),
        "words": torch.randn(11, 5, generator=generator),
    }

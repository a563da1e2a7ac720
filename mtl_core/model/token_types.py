"""Which text of its input a word belongs to: a vector for each type, added to word and position.

As in BERT (Devlin et al., 2019): a single text is of type 0, the second text of a pair of type 1.
Shapes: G banks, P positions, N texts, T positions of a text, E width.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mtl_core.model.layout import Block


def with_first_type(positions: Tensor, table: Tensor) -> Tensor:
    """Return the positions' vectors, (G, longest, E), with that of type 0, (G, types, E), added.

    All words have it then, and no place of a pass is touched for it; `add_other_types` adds what
    the others are more.
    """
    return positions + table[:, :1]


def add_other_types(
    x: Tensor, table: Tensor, types: Tensor, blocks: Sequence[Block], of_block: Sequence[int]
) -> Tensor:
    """Return x, (P, E), with what each word's type is more than type 0 added.

    Args:
        table: Vectors of the types, (G, types, E).
        types: Type of each word of the part, (N, T).
        blocks: Those of the part, which stand together.
        of_block: Bank of each block.
    """
    n_types = table.shape[1]
    rows = [
        bank * n_types + types[block.first_text : block.first_text + block.texts, : block.width]
        for block, bank in zip(blocks, of_block, strict=True)
    ]
    differences = (table - table[:, :1]).flatten(0, 1)
    added = differences[torch.cat([row.reshape(-1) for row in rows])]
    return x + F.pad(added, (0, 0, blocks[0].start, len(x) - blocks[-1].end))

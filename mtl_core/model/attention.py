"""Attention over the keys that are no padding, through PyTorch's own kernel.

Shapes: N texts, T positions, Q of them that ask, H heads, D width.
"""

import torch.nn.functional as F
from torch import Tensor


def attend(
    query: Tensor, key_value: Tensor, *, n_heads: int, mask: Tensor | None, dropout: float
) -> Tensor:
    """Return what each position gathers from the others, (N, Q, D).

    Args:
        query: (N, Q, D).
        key_value: Keys and then values, (N, T, 2 D).
        mask: True where a key counts, (N, 1, 1, T); None: all do.
        dropout: Share of the attention weights that is dropped.
    """
    n, q, width = query.shape
    heads = query.view(n, q, n_heads, -1).transpose(1, 2)  # (N, H, Q, D / H)
    key, value = key_value.view(n, -1, 2, n_heads, width // n_heads).permute(2, 0, 3, 1, 4).unbind()
    out = F.scaled_dot_product_attention(heads, key, value, attn_mask=mask, dropout_p=dropout)
    return out.transpose(1, 2).reshape(n, q, width)

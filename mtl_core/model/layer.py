"""One pre-norm Transformer layer as a function of its weights (Vaswani et al., 2017).

The weights of a layer stand in tables with a leading bank dimension; `LayerBank` is one bank of
them. Shapes: N texts, T positions, M = N T, D width, F inner width.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mtl_core.model.attention import attend, attend_from
from mtl_core.model.config import EncoderConfig
from mtl_core.model.dropout import Noise


class LayerBank(NamedTuple):
    """One bank of a layer's weights; queries, keys and values stand side by side in one product."""

    norm1_weight: Tensor  # (D,)
    norm1_bias: Tensor
    qkv_weight: Tensor  # (D, 3 D)
    qkv_bias: Tensor
    out_weight: Tensor  # (D, D)
    out_bias: Tensor
    norm2_weight: Tensor  # (D,)
    norm2_bias: Tensor
    up_weight: Tensor  # (D, F)
    up_bias: Tensor
    down_weight: Tensor  # (F, D)
    down_bias: Tensor


def layer_shapes(config: EncoderConfig) -> dict[str, tuple[int, ...]]:
    """Return the shape of each table of a layer, without the bank dimension."""
    width, inner = config.d_model, config.d_ff
    shapes = [(width,), (width,), (width, 3 * width), (3 * width,), (width, width), (width,)]
    shapes += [(width,), (width,), (width, inner), (inner,), (inner, width), (width,)]
    return dict(zip(LayerBank._fields, shapes, strict=True))


def run_layer(
    x: Tensor,
    bank: LayerBank,
    config: EncoderConfig,
    *,
    mask: Tensor | None,
    noise: Noise | None,
    read: int | Tensor | None = None,
) -> Tensor:
    """Return the layer's output, (N, T, D); only at the positions `read`, (N, 1, D), where given.

    Args:
        x: (N, T, D).
        mask: True where a position is no padding, (N, 1, 1, T); None: nowhere is padding.
        noise: Source of dropout; None: no dropout.
        read: One position for all texts, or one for each, (N,); for the last layer of a plan that
            reads a token, where nothing else is needed.
    """
    normed = F.layer_norm(x, x.shape[-1:], bank.norm1_weight, bank.norm1_bias)
    width = x.shape[-1]
    share, n_heads = config.dropout_attention if noise else 0.0, config.n_heads
    if read is None:
        qkv = linear(normed, bank.qkv_weight, bank.qkv_bias)
        mixed = attend(qkv, n_heads=n_heads, mask=mask, dropout=share)
    else:
        x = pick(x, read)
        weight, bias = torch.split(bank.qkv_weight, [width, 2 * width], 1), bank.qkv_bias
        query = linear(pick(normed, read), weight[0], bias[:width])
        key_value = linear(normed, weight[1], bias[width:])
        mixed = attend_from(query, key_value, n_heads=n_heads, mask=mask, dropout=share)
    x = _add(x, linear(mixed, bank.out_weight, bank.out_bias), config.dropout, noise)
    normed = F.layer_norm(x, x.shape[-1:], bank.norm2_weight, bank.norm2_bias)
    inner = torch.addmm(bank.up_bias, normed.reshape(-1, width), bank.up_weight)  # (M, F)
    inner = drop(inner.relu_(), config.dropout, noise)
    inner = torch.addmm(bank.down_bias, inner, bank.down_weight)  # (M, D)
    return _add(x, inner.view(x.shape), config.dropout, noise)


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return x W + b as one product over all positions; weights are (in, out)."""
    return torch.addmm(bias, x.reshape(-1, x.shape[-1]), weight).view(*x.shape[:-1], -1)


def pick(x: Tensor, read: int | Tensor) -> Tensor:
    """Return position `read` of each text, (N, 1, D)."""
    if isinstance(read, int):
        return x[:, read : read + 1]
    return x.gather(1, read[:, None, None].expand(-1, 1, x.shape[-1]))


def drop(x: Tensor, share: float, noise: Noise | None) -> Tensor:
    """Return x with a share of it dropped; without noise, x."""
    return x * noise.mask(x.shape, share, x.dtype) if noise and share else x


def _add(x: Tensor, y: Tensor, share: float, noise: Noise | None) -> Tensor:
    return torch.addcmul(x, y, noise.mask(y.shape, share, y.dtype)) if noise and share else x + y

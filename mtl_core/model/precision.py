"""In which type the products of a pass are computed: float32, or bfloat16 where that is faster.

Weights, the stream of a text, norms, losses and the optimiser stay in float32 all the time, as is
usual in training with mixed precision (Micikevicius et al., 2018).
"""

import torch

from mtl_core.model.config import EncoderConfig

# With tile instructions a product in bfloat16 is 5 to 8 times as fast as in float32, but narrow
# products are bound by other things, and gain nothing.
_LEAST_WIDTH_ON_CPU = 128


def products_dtype(config: EncoderConfig, device: torch.device) -> torch.dtype:
    """Return what `config.precision` comes to on this device."""
    if config.precision == "float32":
        return torch.float32
    if config.precision == "bfloat16" or device.type == "cuda":
        return torch.bfloat16
    tiles = device.type == "cpu" and torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if tiles and config.d_model >= _LEAST_WIDTH_ON_CPU else torch.float32

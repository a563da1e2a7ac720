"""In which type the products of a pass are computed: float32, or bfloat16 where that is faster.

Weights, the stream of a text, norms, losses and the optimiser stay in float32 all the time, as is
usual in training with mixed precision (Micikevicius et al., 2018).
"""

from functools import cache
from pathlib import Path

import torch

from mtl_core.kernels.usable import is_recent
from mtl_core.model.config import EncoderConfig

# Narrow products are bound by other things. On a CPU with tile instructions a wide one is 5 to 8
# times as fast in bfloat16 as in float32, below this width nothing is gained.
_LEAST_WIDTH_WITH_TILES = 128
# With AVX-512's products of bfloat16 it is 2 to 3 times on an AMD: a whole step gains 1.5 at 64, 2
# at 300. An Intel with its tiles switched off computes those at 0.6 of the rate of float32 (80 and
# 135 GFLOP/s on one core, 384 wide), and a whole step takes 1.75 times as long.
_LEAST_WIDTH_WITH_VECTORS = 64
_CPU_INFO = Path("/proc/cpuinfo")


def products_dtype(config: EncoderConfig, device: torch.device) -> torch.dtype:
    """Return what `config.precision` comes to on this device."""
    if config.precision == "float32":
        return torch.float32
    if config.precision == "bfloat16" or (device.type == "cuda" and is_recent(device)):
        return torch.bfloat16
    least = _least_width_on_cpu() if device.type == "cpu" else None
    return torch.float32 if least is None or config.d_model < least else torch.bfloat16


def _least_width_on_cpu() -> int | None:
    """Return the width from which bfloat16 pays on this CPU; None: at none."""
    if torch.cpu._is_amx_tile_supported():
        return _LEAST_WIDTH_WITH_TILES
    if torch.cpu._is_avx512_bf16_supported() and not _is_intel():
        return _LEAST_WIDTH_WITH_VECTORS
    return None


@cache
def _is_intel() -> bool:
    return _CPU_INFO.is_file() and "GenuineIntel" in _CPU_INFO.read_text(encoding="utf-8")

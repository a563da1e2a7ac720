"""Random bits as a function of a key and a number, for kernels: nothing is kept, nothing is drawn.

The same bits come out wherever and whenever they are asked for. So a mask need not be kept for the
backward pass, and that of a lane does not depend on which lanes there are besides (the idea: Salmon
et al., 2011). The mixing is by shifts and products of 32 bits, one key before it and one inside;
keys must be well mixed themselves.
"""

import triton
import triton.language as tl


@triton.jit
def mix(bits):
    """Return 32 bits each of which depends on all of the given ones."""
    bits = bits.to(tl.uint32)
    bits = (bits ^ (bits >> 16)) * 0x7FEB352D
    bits = (bits ^ (bits >> 15)) * 0x846CA68B
    return bits ^ (bits >> 16)


@triton.jit
def is_kept(number, key0, key1, threshold):
    """Return whether a unit is kept; a share `threshold` / 2^32 of them is not."""
    bits = number.to(tl.uint32) ^ key0.to(tl.uint32)
    bits = (bits ^ (bits >> 16)) * 0x7FEB352D + key1.to(tl.uint32)
    bits = (bits ^ (bits >> 15)) * 0x846CA68B
    return (bits ^ (bits >> 16)) >= threshold.to(tl.uint32)

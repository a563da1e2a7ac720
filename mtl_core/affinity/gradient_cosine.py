"""Gradient affinity: the cosine of two tasks' gradients, layer by layer.

At 1 the tasks pull a layer the same way, at 0 they do not mind each other, below it they pull
against each other (Yu et al., 2020, who look at all layers at once). Layers count alike in the
mean, whatever their size; of a large one every n-th number is looked at. Shapes: K tasks, L layers.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

_MOST = 1 << 20  # numbers of a layer


def kept_numbers(gradient: Tensor) -> Tensor:
    """Return what is kept of a task's gradient of one layer, on the CPU."""
    flat = gradient.detach().flatten()
    return flat[:: -(-len(flat) // _MOST)].float().cpu()


def gradient_cosines(gradients: Sequence[Mapping[str, Tensor]], layers: Sequence[str]) -> Tensor:
    """Return the cosines, (L, K, K), float64; 0 with a gradient that is 0.

    Args:
        gradients: Of each task, by layer.
    """
    found = []
    for layer in layers:
        of_tasks = torch.stack([of_task[layer].flatten() for of_task in gradients])  # (K, numbers)
        of_tasks = F.normalize(of_tasks.double(), dim=1)
        found.append(of_tasks @ of_tasks.t())
    return torch.stack(found)

"""One measurement of affinities the slow, obvious way: parameters of a copy are moved, and back.

The copy is in double precision, and each task's texts go through it alone. Gradients are those of
its parameters, the loss of each kind of task and Adam's step are written out, and the names of the
parameters say what is shared. Rows and moments are the library's own; nothing else is.
Shapes: K tasks, L layers.
"""

import copy
import math

import numpy as np
import torch
from torch import Tensor

from mtl_core.affinity.rows import ProbeRows
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.minibatch import Row, collate
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.model.reads import OtherTokens
from mtl_core.training.trainer import Trainer

LENGTH = 3e-3  # of a step over all shared parameters
Tables = dict[str, Tensor]


def reference_affinity(
    trainer: Trainer, rows: ProbeRows, number: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return look-ahead, (K, K), and cosines of words, embedding and layers, (L, K, K)."""
    corpus, model = trainer.updater.corpus, copy.deepcopy(trainer.model).double().eval()
    squares, counts = _moments(trainer)
    shared = {n: p for n, p in model.named_parameters() if _is_shared(n, model) and n in squares}
    dev = rows.for_losses(number)
    before = [_loss(model, corpus, "dev", row).item() for row in dev]
    falls, gradients = [], []
    for (row,) in rows.for_steps(number):
        model.zero_grad(set_to_none=True)
        _loss(model, corpus, "train", row).backward()
        gradient = {
            n: torch.zeros_like(p) if p.grad is None else p.grad.clone() for n, p in shared.items()
        }
        step = _adam_step(gradient, squares, counts)
        kept = {name: parameter.detach().clone() for name, parameter in shared.items()}
        with torch.no_grad():
            for name, parameter in shared.items():
                parameter -= step[name]
            after = [_loss(model, corpus, "dev", of_dev).item() for of_dev in dev]
            for name, parameter in shared.items():
                parameter.copy_(kept[name])
        falls.append([1 - new / old for new, old in zip(after, before, strict=True)])
        gradients.append(gradient)
    return np.array(falls), _cosines(gradients, model.plan.n_layers)


def _is_shared(name: str, model: MultiTaskEncoder) -> bool:
    """Whether all tasks move a parameter: not the heads, nor tokens that a task moves alone."""
    if name == "tokens":
        plan = model.plan
        alike = len({plan.tokens_of(task) for task in range(plan.n_tasks)}) == 1
        return alike and plan.other_tokens is not OtherTokens.DETACHED
    return not name.startswith(("head_", "pair_head_", "token_gate", "wide"))


def _moments(trainer: Trainer) -> tuple[Tables, Tables]:
    """Return the second moment of each parameter, and how often each of its banks has moved."""
    model, state = trainer.model, trainer.updater.optimizer.state_dict()
    squares, counts, filled = Tables(), Tables(), dict[str, int]()
    for name, parameter in model.named_parameters():
        group = model.table_group[name]
        if f"squares/{group}" not in state:
            continue
        of_group = state[f"squares/{group}"].double().view(len(parameter), -1)
        first, size = filled.get(group, 0), parameter[0].numel()
        squares[name] = of_group[:, first : first + size].view(parameter.shape)
        counts[name] = state[f"steps/{group}"].double().view(-1, *[1] * (parameter.dim() - 1))
        filled[group] = first + size
    return squares, counts


def _adam_step(gradients: Tables, squares: Tables, counts: Tables) -> Tables:
    """Return what Adam without momentum would take away, brought to the length."""
    directions = {}
    for name, gradient in gradients.items():
        second = 0.999 * squares[name] + 0.001 * gradient**2
        unbiased = second / (1 - 0.999 ** (counts[name] + 1))
        directions[name] = gradient / (unbiased.sqrt() + 1e-8)
    norm = math.sqrt(sum((direction**2).sum().item() for direction in directions.values()))
    return {name: LENGTH / norm * direction for name, direction in directions.items()}


def _cosines(gradients: list[Tables], n_layers: int) -> np.ndarray:
    """Return the cosine of each two tasks at the words, the embedding and each layer."""
    parts = [("words",), ("positions", "projection_")]
    parts += [(f"layers.{layer}.",) for layer in range(1, 1 + n_layers)]
    found = []
    for prefixes in parts:
        vectors = [
            torch.cat([g.flatten() for name, g in of_task.items() if name.startswith(prefixes)])
            for of_task in gradients
        ]
        found.append([[(a @ b / (a.norm() * b.norm())).item() for b in vectors] for a in vectors])
    return np.array(found)


def _loss(model: MultiTaskEncoder, corpus: EncodedCorpus, split: str, row: Row) -> Tensor:
    """Return the mean loss of a task's rows over what has a label."""
    part, task = corpus.split(row.task, split), corpus.tasks[row.task]
    spans = [slice(*part.target_offsets[at : at + 2]) for at in row.examples]
    targets = torch.from_numpy(np.concatenate([part.targets[span] for span in spans])).double()
    outputs = model(collate(corpus, split, (row,)))[:, : task.n_outputs]
    if task.kind == "regression":
        given = ~targets.isnan()
        return ((outputs[:, 0] - targets)[given] ** 2).mean()
    if task.kind == "multilabel":
        targets, shares = targets.view(outputs.shape), torch.sigmoid(outputs)
        losses = -(targets * torch.log(shares) + (1 - targets) * torch.log(1 - shares))
        return losses[targets >= 0].mean()
    given = targets >= 0
    shares = torch.softmax(outputs[given], dim=1)
    return -torch.log(shares[torch.arange(len(shares)), targets[given].long()]).mean()

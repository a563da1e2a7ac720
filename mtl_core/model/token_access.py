"""How far the task tokens of other tasks reach, where all of them stand before the words (L-E).

As published (Sun, 2019) the words of every task attend to the tokens of all tasks. Those tokens are
the same for every task, so the words look the same to every task, and tasks differ only in the
position that is read; in L-I they differ from the first layer on. `TokenAttention` says which
tokens the words see, `OtherTokens` how a task uses the tokens of the others.
Shapes: K tasks, S = K tokens.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mtl_core.model.reads import TokenAttention

# A gate starts at sigmoid(-4) = 0.018: 16 of them weigh less than one open token. Its learned
# number counts tenfold, so that Adam at a learning rate of 5e-4 opens it in about 800 steps.
_START, _SPEED = -4.0, 10.0


def is_hidden(attention: TokenAttention, task: int, n_tasks: int) -> list[bool]:
    """Return which of the S tokens the words of a task do not attend to."""
    if attention is TokenAttention.ALL:
        return [False] * n_tasks
    own = task if attention is TokenAttention.OWN else None
    return [token != own for token in range(n_tasks)]


def gate_scores(gates: Tensor, task: int) -> Tensor:
    """Return what is added to the attention scores of the S tokens, 0 for the task's own.

    Added to a score is the logarithm of a gate, so that a token counts as that share of a token; a
    factor on the token itself would be undone by the norm of the next layer.

    Args:
        gates: The learned numbers of a task for the others, in their order, (K - 1,).
    """
    shares = F.logsigmoid(_START + _SPEED * gates)
    return torch.cat([shares[:task], shares.new_zeros(1), shares[task:]])

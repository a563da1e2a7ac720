"""The mean over the words of packed texts, against the mean of each text by itself."""

import numpy as np
import torch

from mtl_core.model.layout import Block, place
from mtl_core.model.pooling import mean_of_words


def test_a_mean_is_over_the_words_and_over_nothing_else() -> None:
    blocks = place(
        [
            Block(part=0, task=0, first_text=0, texts=2, n_words=3, n_tokens=1),
            Block(part=1, task=0, first_text=0, texts=1, n_words=2),
        ]
    )
    x = torch.randn(10, 4, dtype=torch.float64, requires_grad=True)

    means = mean_of_words(x, blocks, [np.array([[0, 3], [0, 2]]), np.array([[0, 1]])])

    wanted = torch.stack([x[1:4].mean(0), x[5:7].mean(0), x[8]])
    torch.testing.assert_close(means, wanted)
    weight = torch.randn_like(means)
    ours, theirs = (torch.autograd.grad((y * weight).sum(), x) for y in (means, wanted))
    torch.testing.assert_close(ours, theirs)


def test_each_text_of_a_pair_has_a_mean_over_its_own_words() -> None:
    blocks = place([Block(part=0, task=0, first_text=0, texts=2, n_words=4)])
    x = torch.randn(8, 3, dtype=torch.float64, requires_grad=True)

    means = mean_of_words(x, blocks, [np.array([[0, 1, 2, 4], [0, 2, 3, 4]])])

    wanted = torch.stack([x[0], x[2:4].mean(0), x[4:6].mean(0), x[7]])
    torch.testing.assert_close(means, wanted)
    weight = torch.randn_like(means)
    ours, theirs = (torch.autograd.grad((y * weight).sum(), x) for y in (means, wanted))
    torch.testing.assert_close(ours, theirs)

"""The vectors of token types at the places of a pass, against plain indexing."""

import torch

from mtl_core.model.layout import Block, place
from mtl_core.model.token_types import add_other_types, with_first_type


def test_every_word_has_the_vector_of_its_type() -> None:
    before = Block(part=1, task=0, first_text=0, texts=1, n_words=2)
    mine = [
        Block(part=0, task=1, first_text=2, texts=1, n_words=4),
        Block(part=0, task=0, first_text=0, texts=2, n_words=3),
    ]
    blocks = place([before, *mine, before])
    positions = torch.randn(2, 4, 3)
    table = torch.randn(2, 2, 3, requires_grad=True)  # of two banks
    types = torch.tensor([[0, 0, 1, 1], [0, 1, 1, 0], [0, 0, 0, 1]])

    at_first = with_first_type(positions, table)
    x = torch.cat([torch.zeros(2, 3), at_first[1], at_first[0, :3].repeat(2, 1), torch.zeros(2, 3)])
    out = add_other_types(x, table, types, blocks[1:3], [1, 0])

    wanted = torch.zeros_like(x)
    wanted[2:6] = positions[1] + table[1, types[2]]
    wanted[6:9] = positions[0, :3] + table[0, types[0, :3]]
    wanted[9:12] = positions[0, :3] + table[0, types[1, :3]]
    torch.testing.assert_close(out, wanted)
    weight = torch.randn_like(out)
    ours, theirs = (torch.autograd.grad((y * weight).sum(), table)[0] for y in (out, wanted))
    torch.testing.assert_close(ours, theirs)

"""Words, positions and tokens at the places of a pass, against plain indexing."""

import pytest
import torch
from torch import Tensor

from mtl_core.model.embedding import EmbeddedPart, embed, enter_tokens
from mtl_core.model.layout import Block, place

E_, U = 3, 9


@pytest.fixture
def blocks() -> tuple[Block, ...]:
    return place(
        [
            Block(part=0, task=1, first_text=2, texts=1, n_words=4),
            Block(part=0, task=0, first_text=0, texts=2, n_words=3),
            Block(part=1, task=0, first_text=0, texts=2, n_words=2),
        ]
    )


def leaf(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def test_words_and_positions_are_looked_up_and_summed(blocks: tuple[Block, ...]) -> None:
    words, positions = [leaf(U, E_), leaf(U, E_)], [leaf(2, 5, E_), leaf(1, 5, E_)]
    places = [torch.randint(U, (3, 4)), torch.randint(U, (2, 2))]

    out = embed(
        [
            EmbeddedPart(blocks[:2], places[0], words[0], positions[0], [1, 0]),
            EmbeddedPart(blocks[2:], places[1], words[1], positions[1], [0]),
        ]
    )

    wanted = torch.cat(
        [
            (words[0][places[0][2:, :4]] + positions[0][1, :4]).view(-1, E_),
            (words[0][places[0][:2, :3]] + positions[0][0, :3]).view(-1, E_),
            (words[1][places[1]] + positions[1][0, :2]).view(-1, E_),
        ]
    )
    torch.testing.assert_close(out, wanted)
    weight = torch.randn_like(out)
    ours, theirs = (
        torch.autograd.grad((y * weight).sum(), [*words, *positions]) for y in (out, wanted)
    )
    torch.testing.assert_close(ours, theirs)


def test_words_that_are_kept_as_they_are_get_no_gradient(blocks: tuple[Block, ...]) -> None:
    words, positions = leaf(U, E_).detach(), leaf(1, 5, E_)
    part = EmbeddedPart(blocks[:2], torch.randint(U, (3, 4)), words, positions, [0, 0])

    embed([part]).sum().backward()

    assert words.grad is None
    assert positions.grad is not None


@pytest.mark.parametrize("dropped", [True, False])
def test_tokens_are_put_before_the_words_of_each_text(
    dropped: bool, blocks: tuple[Block, ...]
) -> None:
    x, tokens = leaf(13 + 1, E_)[: blocks[-1].end], leaf(2, E_)
    after = place([blocks[0], Block(0, 0, 0, 2, 3, n_tokens=2), blocks[2]])
    mask = (torch.rand(4, E_) < 0.5).double() * 2 if dropped else None

    out = enter_tokens(x, blocks, after, [tokens], mask)

    first, middle, last = x.split([4, 6, 4])
    new = tokens.expand(2, 2, E_) * (1.0 if mask is None else mask.view(2, 2, E_))
    grown = torch.cat([new, middle.view(2, 3, E_)], 1).view(-1, E_)
    wanted = torch.cat([first, grown, last])
    torch.testing.assert_close(out, wanted)
    weight = torch.randn_like(out)
    ours, theirs = (torch.autograd.grad((y * weight).sum(), [x, tokens]) for y in (out, wanted))
    torch.testing.assert_close(ours, theirs)

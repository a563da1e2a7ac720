"""What enters a pass, for all parts at once, against the same part by part."""

import pytest
import torch
from torch import Tensor

from mtl_core.model.embedding import embed, enter_tokens
from mtl_core.model.embedding_as_one import EmbeddedPart, embed_as_one, enter_as_one
from mtl_core.model.layout import Block, place

E, LONGEST = 3, 8
BEFORE = place(
    [Block(0, 0, 0, 3, 4), Block(0, 1, 3, 2, 4), Block(1, 0, 0, 2, 6), Block(2, 0, 0, 4, 1)]
)


def make_parts(n_words: int) -> list[EmbeddedPart]:
    """Return three parts, of two blocks, one and one; tables have so many words."""
    parts = []
    for number, (texts, width, n_banks) in enumerate([(5, 4, 2), (2, 6, 1), (4, 1, 1)]):
        blocks = [block for block in BEFORE if block.part == number]
        parts.append(
            EmbeddedPart(
                blocks=blocks,
                places=torch.randint(0, n_words, (texts, width)),
                words=torch.randn(n_words, E, requires_grad=True),
                positions=torch.randn(n_banks, LONGEST, E, requires_grad=True),
                of_block=[at % n_banks for at in range(len(blocks))],
            )
        )
    return parts


@pytest.mark.parametrize("n_words", [2, 200])  # fewer than positions, and more
def test_all_parts_are_embedded_as_each_alone(n_words: int) -> None:
    parts = make_parts(n_words)
    leaves = [table for part in parts for table in (part.words, part.positions)]

    found, wanted = embed_as_one(parts), embed(parts)

    assert_same(found, wanted, leaves)


def test_tokens_enter_before_the_words_of_all_blocks_as_of_each() -> None:
    counts = (2, 0, 1, 0)
    after = place(
        [
            Block(old.part, old.task, old.first_text, old.texts, old.n_words, count)
            for old, count in zip(BEFORE, counts, strict=True)
        ]
    )
    x = torch.randn(BEFORE[-1].end, E, requires_grad=True)
    tokens = [torch.randn(2, E, requires_grad=True), torch.randn(1, E, requires_grad=True)]
    mask = torch.rand(3 * 2 + 2 * 1, E)

    found = enter_as_one(x, BEFORE, after, tokens, mask)
    wanted = enter_tokens(x, BEFORE, after, tokens, mask)

    assert_same(found, wanted, [x, *tokens])


def assert_same(found: Tensor, wanted: Tensor, leaves: list[Tensor]) -> None:
    torch.testing.assert_close(found, wanted)
    given = torch.randn_like(found)
    ours, theirs = (torch.autograd.grad(y, leaves, given) for y in (found, wanted))
    torch.testing.assert_close(ours, theirs)

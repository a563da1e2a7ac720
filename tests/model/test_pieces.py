"""How texts are cut into pieces, and who takes which."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from mtl_core.data.minibatch import Minibatch
from mtl_core.model.config import EncoderConfig
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.model.forward import Part, work_of
from mtl_core.model.pieces import cut, share_out, size_of
from mtl_core.model.structures import STRUCTURES
from mtl_core.model.work import Work

MakeModel = Callable[..., MultiTaskEncoder]
MakeBatch = Callable[..., Minibatch]


def work_with(make_model: MakeModel, batch: Minibatch, structure: str = "stack_cls") -> Work:
    return work_of(Part(model=make_model(STRUCTURES[structure](4, 3)), batch=batch, seed=1))


def texts_of(lengths: list[int], sizes: tuple[int, ...], tasks: tuple[int, ...]) -> Minibatch:
    """Return texts whose words are their own number."""
    words = np.zeros((len(lengths), max(lengths)), dtype=np.int64)
    for number, length in enumerate(lengths):
        words[number, :length] = 5 + number
    labels = torch.zeros(len(lengths), dtype=torch.int64)
    return Minibatch(torch.from_numpy(words), torch.tensor(lengths), labels, tasks, sizes)


def test_pieces_have_about_as_many_words_and_their_own_rows(make_model: MakeModel) -> None:
    batch = texts_of([2, 2, 4, 8, 6, 10], sizes=(2, 3, 1), tasks=(1, 3, 0))

    first, second = cut(work_with(make_model, batch), 2)

    assert (first.batch.tasks, first.batch.sizes) == ((1, 3), (2, 2))
    assert (second.batch.tasks, second.batch.sizes) == ((3, 0), (1, 1))
    assert first.lengths.tolist() == [2, 2, 4, 8]
    assert first.batch.words.tolist() == batch.words[:4, :8].tolist()
    assert second.word_places.tolist() == work_with(make_model, batch).word_places[4:].tolist()


def test_a_cls_word_stays_before_the_words_of_a_piece(make_model: MakeModel) -> None:
    batch = texts_of([2, 6], sizes=(2,), tasks=(1,))

    first, _ = cut(work_with(make_model, batch, "single_task"), 2)

    assert first.word_places.shape == (1, 1 + 2)


def test_few_texts_make_few_pieces(make_model: MakeModel) -> None:
    batch = texts_of([3, 20, 3], sizes=(3,), tasks=(1,))

    pieces = cut(work_with(make_model, batch), 4)

    assert [piece.lengths.tolist() for piece in pieces] == [[3], [20], [3]]


def test_texts_whose_padding_counts_stay_together(
    config: EncoderConfig, make_model: MakeModel
) -> None:
    batch = texts_of([3, 20, 3], sizes=(3,), tasks=(1,))
    model = make_model(STRUCTURES["stack_pooling"](4, 3), replace(config, mean_over_padding=True))

    (piece,) = cut(work_of(Part(model=model, batch=batch)), 2)

    assert piece.lengths.tolist() == [3, 20, 3]


def test_pieces_go_to_the_first_shares_in_order_and_the_rest_to_the_least(
    make_model: MakeModel,
) -> None:
    large = cut(work_with(make_model, texts_of([9] * 6, sizes=(6,), tasks=(0,))), 2)
    small = [
        [work_with(make_model, texts_of([length], sizes=(1,), tasks=(0,)))] for length in (2, 8, 30)
    ]

    shares = share_out([small[0], large, *small[1:]], 3)

    assert [size_of(piece) for piece in large] == [27 * 12 * 3] * 2
    assert shares == [[(1, 0), (2, 0)], [(1, 1), (0, 0)], [(3, 0)]]

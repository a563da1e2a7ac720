"""Which rows go through a layer together."""

import torch

from mtl_core.model.plan import Readout, SharingPlan, Tokens
from mtl_core.model.route import Piece, common_widths, plan_route, regroup, take_rows


def rows_of(pieces: tuple[Piece, ...]) -> list[tuple[int, ...]]:
    return [piece.rows for piece in pieces]


def test_rows_of_one_bank_go_together_even_when_others_stand_between() -> None:
    plan = SharingPlan(((0, 0, 0), (0, 1, 0), (0, 0, 0), (0, 1, 2)))

    route = plan_route(plan, (0, 1, 2, 1), (9, 9, 9, 9))

    assert [rows_of(pieces) for pieces in route] == [
        [(0, 1, 2, 3)],
        [(0, 2), (1, 3)],
        [(0, 1, 2, 3)],
        [(0,), (1, 3), (2,)],
    ]


def test_a_row_is_gone_after_the_layer_it_reads() -> None:
    plan = SharingPlan(((0, 0), (0, 0), (0, 0)), readout_layer=(1, 2))

    route = plan_route(plan, (0, 1), (9, 9))

    assert [rows_of(pieces) for pieces in route] == [[(0, 1)], [(0,), (1,)], [(1,)]]
    assert [piece.reads for piece in route[1]] == [True, False]


def test_rows_whose_tokens_have_entered_stand_apart_from_those_without() -> None:
    plan = SharingPlan(((0, 0),) * 4, Tokens.OWN, Readout.TOKEN, token_depth=(0, 1))

    route = plan_route(plan, (0, 1), (9, 9))

    assert [[(p.rows, p.entered, p.enters) for p in pieces] for pieces in route[1:]] == [
        [((0,), True, True), ((1,), False, False)],
        [((0,), True, False), ((1,), True, True)],
        [((0, 1), True, False)],
    ]


def test_rows_of_other_widths_stay_apart() -> None:
    plan = SharingPlan(((0, 0, 0), (0, 0, 0)))

    assert rows_of(plan_route(plan, (0, 1, 2), (20, 9, 20))[1]) == [(0, 2), (1,)]


def test_rows_are_padded_to_the_longest_that_is_not_much_longer() -> None:
    assert common_widths([20, 100, 90, 18, 30]) == (20, 100, 100, 20, 30)
    assert common_widths([1]) == (1,)


def test_texts_follow_their_rows() -> None:
    sizes, x = (1, 2, 1), torch.arange(4)
    pieces = [Piece((2, 0), 0, False, False, False, 9), Piece((1,), 1, False, False, False, 9)]

    apart = regroup([((0, 1), x[:3]), ((2,), x[3:])], pieces, sizes)

    assert [part.tolist() for part in apart] == [[3, 0], [1, 2]]
    assert take_rows(x, (1, 2), sizes).tolist() == [1, 2, 3]
    assert take_rows(x, (0, 1, 2), sizes) is x

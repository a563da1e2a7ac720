"""Where the weights of n-grams stand, and what they add to the logits, worked by hand."""

import numpy as np
import pytest
import torch
from torch import Tensor

from mtl_core.data.minibatch import Minibatch, WideTexts
from mtl_core.data.wide import Ngrams
from mtl_core.model.dropout import Noise
from mtl_core.model.wide import WideLayout, WideLookup, lay_out, look_up, outputs, wide_logits

IN_TRAIN = np.array([[1, 1, 0, 1], [0, 1, 1, 0], [1, 0, 0, 1]], dtype=np.bool_)  # (3 tasks, 4)
FACTORS = np.array([1.0, 2.0, 3.0, 4.0], np.float32)
NGRAMS = Ngrams(1, np.array([10, 21, 32, 50], np.uint64), np.ones(4, np.float32), IN_TRAIN, FACTORS)
TWO, THREE = outputs("classification", "ab"), outputs("classification", "abc")
SETS = (TWO, TWO, THREE)
MANY = 1 << 20  # buckets, so that none is shared


def make_batch(tasks: tuple[int, ...], texts: list[dict[int, float]]) -> Minibatch:
    """Return a minibatch with a text for each task, its n-grams as numbers with values."""
    sizes = [len(text) for text in texts]
    wide = WideTexts(
        ngrams=torch.tensor([n for text in texts for n in text], dtype=torch.int64),
        values=torch.tensor([v for text in texts for v in text.values()], dtype=torch.float32),
        starts=torch.tensor([0, *np.cumsum(sizes)[:-1]], dtype=torch.int64),
        sizes=tuple(sizes),
    )
    ones = torch.ones(len(tasks), dtype=torch.int64)
    return Minibatch(ones[:, None], ones, 0 * ones, tasks, (1,) * len(tasks), wide=wide)


def logits(layout: WideLayout, table: Tensor, batch: Minibatch) -> Tensor:
    return wide_logits(table, look_up(layout, layout.row_of, layout.factors, batch), None, 0.0)


def test_each_task_has_a_row_for_each_ngram_of_its_train_texts() -> None:
    layout = lay_out(NGRAMS, MANY, "per_task", SETS)

    assert layout.banks == ((0,), (1,), (2,))
    assert layout.rows_of_banks == (3, 2, 2)
    assert layout.classes == (2, 2, 3)
    assert layout.n_parameters == 3 * 2 + 2 * 2 + 2 * 3
    assert layout.row_of.tolist() == [[0, 1, 7, 2], [7, 3, 4, 7], [5, 7, 7, 6]]


def test_tasks_share_rows_where_they_have_the_same_labels() -> None:
    layout = lay_out(NGRAMS, MANY, "shared", SETS)

    assert layout.banks == ((0,), (0,), (1,))
    assert layout.rows_of_banks == (4, 2)
    assert layout.row_of.tolist() == [[0, 1, 2, 3], [4, 6, 6, 5]]


def test_both_is_a_shared_row_and_one_of_the_task() -> None:
    layout = lay_out(NGRAMS, MANY, "both", SETS)
    shared, alone = (lay_out(NGRAMS, MANY, kind, SETS) for kind in ("shared", "per_task"))

    assert all(len(banks) == 2 for banks in layout.banks)
    assert layout.banks[0][0] == layout.banks[1][0]
    assert layout.n_parameters == shared.n_parameters + alone.n_parameters


def test_ngrams_of_one_bucket_have_one_row() -> None:
    layout = lay_out(NGRAMS, 10, "shared", SETS)  # 10 and 50 meet in bucket 0

    assert layout.row_of[0].tolist() == [0, 1, 2, 0]
    assert layout.rows_of_banks == (3, 1)


def test_tags_have_no_wide_part_and_numbers_have_one() -> None:
    sets = (TWO, outputs("tagging", ["B", "O"]), outputs("regression", []))

    layout = lay_out(NGRAMS, MANY, "both", sets)

    assert layout.row_of[list(layout.banks[1])].eq(layout.n_rows - 1).all()
    assert [layout.classes[bank] for bank in layout.banks[2]] == [1, 1]


def test_several_labels_are_not_shared_with_classes() -> None:
    layout = lay_out(NGRAMS, MANY, "shared", (TWO, outputs("multilabel", "ab"), TWO))

    assert layout.banks == ((0,), (1,), (0,))


def test_the_rows_of_a_text_are_summed_by_their_values() -> None:
    layout = lay_out(NGRAMS, MANY, "both", (TWO,) * 3)
    table = torch.randn(layout.n_rows, 2, generator=torch.Generator().manual_seed(0))
    table[-1] = 0
    texts = [{0: 0.5, 1: -2.0}, {}, {1: 1.0, 2: 3.0, 3: 4.0}]

    found = logits(layout, table, make_batch((0, 2, 1), texts))

    def row(task: int, slot: int, ngram: int) -> Tensor:
        return table[layout.row_of[layout.banks[task][slot], ngram]]

    first = sum(0.5 * row(0, slot, 0) - 2.0 * row(0, slot, 1) for slot in (0, 1))
    last = sum(row(1, slot, 1) + 3.0 * row(1, slot, 2) for slot in (0, 1))
    last += 4.0 * row(1, 0, 3)  # it is in no train text of the task itself
    torch.testing.assert_close(found, torch.stack([first, torch.zeros(2), last]))


def test_a_row_that_is_not_there_gets_no_gradient() -> None:
    layout = lay_out(NGRAMS, MANY, "per_task", SETS)
    table = torch.ones(layout.n_rows, 3, requires_grad=True)

    logits(layout, table, make_batch((1,), [{0: 1.0, 2: 0.5}])).sum().backward()

    assert table.grad is not None
    assert table.grad.nonzero()[:, 0].unique().tolist() == [4]


def test_dropout_takes_an_ngram_out_of_all_banks_of_its_task() -> None:
    share, count = 0.5, 400
    values = torch.ones(2 * count)
    table = torch.stack([torch.ones(count), torch.zeros(count)], dim=1)
    other = table.flip(1)
    rows = torch.arange(2 * count).view(2, count).T.flatten()  # of the first bank, of the second
    starts = 2 * torch.arange(count)
    lookup = WideLookup(rows, values, starts, n_banks=2)

    found = wide_logits(
        torch.cat([table, other]), lookup, Noise(torch.device("cpu"), seed=1), share
    )

    assert torch.equal(found[:, 0], found[:, 1])
    assert set(found.unique().tolist()) == {0.0, 2.0}
    assert found[:, 0].mean().item() == pytest.approx(1.0, abs=0.15)


def test_ngrams_that_tell_of_the_classes_count_more_where_that_is_asked_for() -> None:
    table = torch.randn(20, 3)
    batch = make_batch((0,), [{0: 0.6, 3: -0.8}])
    weighted = make_batch((0,), [{0: 0.6 * 1.0, 3: -0.8 * 4.0}])

    found = logits(lay_out(NGRAMS, MANY, "shared", SETS, class_ratio=True), table, batch)

    torch.testing.assert_close(
        found, logits(lay_out(NGRAMS, MANY, "shared", SETS), table, weighted)
    )

"""Hidden words: which, how many, what stands in their place, and what is to be foretold."""

from itertools import islice

import numpy as np

from mtl_core.data.config import MlmConfig
from mtl_core.data.masked_words import MaskedBatch, MaskedWords
from mtl_core.data.tokenizer import CLS, UNKNOWN

N_WORDS = 40
FIRST = CLS + 1


def make_texts(lengths: list[int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Texts in which word FIRST + n comes with a chance that falls with n."""
    rng = np.random.default_rng(seed)
    words = FIRST + np.minimum(rng.geometric(0.1, sum(lengths)) - 1, N_WORDS - 1)
    return words.astype(np.int32), np.cumsum([0, *lengths], dtype=np.int64)


def make_words(lengths: list[int], *, max_words: int = 10, **settings: object) -> MaskedWords:
    config = MlmConfig(**{"batch_size": 8, **settings})  # type: ignore[arg-type]
    return MaskedWords(*make_texts(lengths), config, max_words=max_words)


def flat(batch: MaskedBatch) -> np.ndarray:
    """The words of a batch, text after text, without padding."""
    words, lengths = batch.minibatch.words.numpy(), batch.minibatch.lengths.numpy()
    return words[np.arange(words.shape[1]) < lengths[:, None]]


def right(words: MaskedWords, batch: MaskedBatch) -> np.ndarray:
    """The words of a batch as they were before some were hidden."""
    found = flat(batch)
    found[batch.items] = words.words[batch.targets]
    return found


def test_shares_of_the_chosen_words_are_those_of_the_paper() -> None:
    words = make_words([10] * 400)
    batches = list(islice(words.batches(), 200))

    shown = np.concatenate([flat(batch)[batch.items] for batch in batches])
    targets = np.concatenate([words.words[batch.targets] for batch in batches])
    n_words = sum((flat(batch) != CLS).sum() for batch in batches)

    assert abs(len(targets) / n_words - 0.15) < 0.01
    assert abs((shown == UNKNOWN).mean() - 0.8) < 0.03
    kept = (shown == targets).mean()
    assert 0.1 < kept < 0.1 + 2 / N_WORDS + 0.03  # a random word may be the right one
    assert (shown > CLS).mean() < 0.23


def test_an_epoch_has_each_text_once_as_it_is_but_for_the_hidden_words() -> None:
    lengths = [3, 9, 1, 10, 7, 5, 2, 8, 4, 6]
    words = make_words(lengths, batch_size=4)
    wanted = [part.tolist() for part in np.split(make_texts(lengths)[0], np.cumsum(lengths)[:-1])]

    found = []
    for batch in islice(words.batches(), 3):
        texts = np.split(right(words, batch), np.cumsum(batch.minibatch.lengths.numpy())[:-1])
        found += [[int(word) for word in text if word != CLS] for text in texts]

    assert sorted(found) == sorted(wanted)


def test_long_texts_are_cut_and_half_of_the_pieces_begin_with_cls() -> None:
    words = make_words([25] * 40, max_words=10)
    batches = list(islice(words.batches(), 150))

    first = np.concatenate([batch.minibatch.words[:, 0].numpy() for batch in batches])
    lengths = np.concatenate([batch.minibatch.lengths.numpy() for batch in batches])

    with_cls = first == CLS
    assert 0.45 < with_cls.mean() < 0.55
    assert set(lengths - with_cls) == {10, 5}
    assert all((batch.minibatch.words[:, 1:] != CLS).all() for batch in batches)


def test_only_the_most_frequent_words_are_chosen_and_every_batch_has_one() -> None:
    words = make_words([2] * 300, words=1, batch_size=1, mask_share=0.01)

    batches = list(islice(words.batches(), 100))

    assert words.words.tolist() == [FIRST]
    assert all(len(batch.targets) >= 1 for batch in batches)
    assert all((right(words, batch) == FIRST).any() for batch in batches)


def test_the_seed_decides_all_of_it() -> None:
    first, same, other = (
        list(islice(make_words([10] * 30, seed=seed).batches(), 12)) for seed in (0, 0, 1)
    )

    assert [flat(b).tolist() for b in first] == [flat(b).tolist() for b in same]
    assert [flat(b).tolist() for b in first] != [flat(b).tolist() for b in other]

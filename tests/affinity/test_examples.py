"""Example texts: words as they are written, labels as files have them, cut where they are long."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mtl_core.affinity.examples import WORDS, examples
from mtl_core.data.config import DataConfig
from mtl_core.data.encode import encode
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.task import Corpus, Split, Task
from mtl_core.training.config import TrialConfig
from mtl_core.training.models import build_model

MakeConfig = Callable[..., TrialConfig]


@pytest.mark.parametrize("structure", ["layerwise_explicit", "layerwise_implicit"])
def test_each_kind_of_task_has_an_example(
    structure: str,
    corpus: Corpus,
    mixed: EncodedCorpus,
    make_config: MakeConfig,
    splits_seen: set[str],
) -> None:
    config = make_config(structure)

    found = list(examples(build_model(mixed, config, seed=1).eval(), config, corpus, mixed))

    assert [example.task for example in found] == list(mixed.names)
    for example, task in zip(found, corpus.tasks, strict=True):
        tokens = mixed.names if structure == "layerwise_explicit" else (example.task,)
        assert example.tokens == tokens
        assert len(example.weights) == len(tokens)
        assert all(len(of_token) == len(example.words) for of_token in example.weights)
        assert all(0 < sum(of_token) < 1 for of_token in example.weights)
        assert example.label in task.splits["dev"].labels
        if task.kind == "classification":
            assert example.predicted in task.labels
    assert splits_seen <= {"train", "dev"}


def test_words_are_shown_as_they_are_written_known_or_not(
    tmp_path: Path, make_config: MakeConfig
) -> None:
    corpus = make_corpus("Never SEEN in Train, a fine day")
    encoded = encode(corpus, DataConfig(), tmp_path)
    config = make_config("layerwise_implicit")

    (example,) = examples(build_model(encoded, config, seed=1).eval(), config, corpus, encoded)

    assert example.words == ("Never", "SEEN", "in", "Train,", "a", "fine", "day")


def test_long_texts_are_cut(tmp_path: Path, make_config: MakeConfig) -> None:
    corpus = make_corpus(" ".join(f"w{at}" for at in range(70)))
    encoded = encode(corpus, DataConfig(), tmp_path)
    config = make_config("layerwise_implicit")

    (example,) = examples(build_model(encoded, config, seed=1).eval(), config, corpus, encoded)

    assert example.words == tuple(f"w{at}" for at in range(WORDS))
    assert len(example.weights[0]) == WORDS


def test_pieces_are_shown_where_words_are_cut_into_them(
    tmp_path: Path, make_config: MakeConfig
) -> None:
    corpus = make_corpus("fine finest days")
    encoded = encode(corpus, DataConfig(tokenizer="bpe", vocabulary_size=300), tmp_path)
    config = make_config("layerwise_implicit")

    (example,) = examples(build_model(encoded, config, seed=1).eval(), config, corpus, encoded)

    assert "".join(example.words) == "finefinestdays"


def make_corpus(dev: str) -> Corpus:
    texts = {"train": ("a fine day", "a dull day"), "dev": (dev,), "test": ("a day",)}
    splits = {
        name: Split(texts=of, labels=("good", "bad")[: len(of)], source=name)
        for name, of in texts.items()
    }
    task = Task(name="mood", labels=("bad", "good"), splits=splits)
    return Corpus(tasks=(task,), layout="folders", source="here")

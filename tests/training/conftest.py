"""A tiny corpus with something to learn, encoded once for all tests of the folder."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtl_core.data.config import DataConfig
from mtl_core.data.encode import encode
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.task import Corpus, Split, Task
from mtl_core.training.config import TrialConfig

# For files of this folder that hold no tests; last, so that they hide nothing.
sys.path.append(str(Path(__file__).parent))

SIZES = {"books": (60, 20, 20), "dvd": (44, 20, 20), "music": (23, 20, 20)}


@pytest.fixture(scope="session")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> EncodedCorpus:
    """Three tasks; "music" has three classes. Some dev rows of each occur in train."""
    return make_corpus(SIZES, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def even(tmp_path_factory: pytest.TempPathFactory) -> EncodedCorpus:
    """The same tasks with as many rows each: in the joint regime a task has then the batches that
    it has alone."""
    sizes = dict.fromkeys(SIZES, (43, 20, 20))
    return make_corpus(sizes, tmp_path_factory.mktemp("cache"))


@pytest.fixture
def make_config() -> Callable[..., TrialConfig]:
    """Return a maker of small configurations; keyword arguments are sections' values."""
    sections: dict[str, dict[str, Any]] = {
        "encoder": {
            "n_layers": 2,
            "d_model": 12,
            "d_word": 10,
            "n_heads": 2,
            "d_ff": 16,
        },
        "sharing": {},
        "weighting": {},
        "batches": {"batch_size": 8},
        "training": {"learning_rate": 5e-3, "epochs": 4},
    }

    def make(**changes: dict[str, Any]) -> TrialConfig:
        values = {key: {**section, **changes.get(key, {})} for key, section in sections.items()}
        return TrialConfig.from_dict(values)

    return make


def make_corpus(sizes: dict[str, tuple[int, int, int]], cache: Path) -> EncodedCorpus:
    tasks = [
        make_task(name, number, of_task) for number, (name, of_task) in enumerate(sizes.items())
    ]
    corpus = Corpus(tasks=tuple(tasks), layout="builtin", source="builtin")
    return encode(corpus, DataConfig(max_words=12), cache)


def make_task(name: str, number: int, rows: tuple[int, int, int]) -> Task:
    rng = np.random.default_rng(number)
    labels = ("bad", "fine", "good") if name == "music" else ("bad", "good")
    sizes = dict(zip(("train", "dev", "test"), rows, strict=True))
    splits = {split: make_split(labels, n, rng) for split, n in sizes.items()}
    train, dev = splits["train"], splits["dev"]
    splits["dev"] = Split(
        texts=(*train.texts[:4], *dev.texts[4:]),
        labels=(*train.labels[:4], *dev.labels[4:]),
        source=dev.source,
    )
    return Task(name=name, labels=labels, splits=splits)


def make_split(labels: tuple[str, ...], rows: int, rng: np.random.Generator) -> Split:
    """Texts of 2 to 11 words; nine in ten show the label by its own word."""
    chosen = [labels[at % len(labels)] for at in range(rows)]
    texts = []
    for label in chosen:
        words = [f"w{word}" for word in rng.integers(0, 30, size=rng.integers(1, 11))]
        words.insert(0, f"very-{label}" if rng.random() < 0.9 else "so")
        texts.append(" ".join(words))
    return Split(texts=tuple(texts), labels=tuple(chosen), source="builtin")

"""Small configurations, and a corpus with a task of every kind."""

from collections.abc import Callable
from typing import Any

import pytest
from mixed_corpus import mixed_corpus

from mtl_core.data.config import DataConfig
from mtl_core.data.encode import encode
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.task import Corpus
from mtl_core.training.config import TrialConfig

MakeConfig = Callable[..., TrialConfig]


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    """Tasks of classes, pairs, several labels, values and tags; some train rows have no label."""
    return mixed_corpus(missing=0.4)


@pytest.fixture(scope="session")
def mixed(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> EncodedCorpus:
    return encode(corpus, DataConfig(), tmp_path_factory.mktemp("cache"))


@pytest.fixture
def make_config() -> MakeConfig:
    """Return a maker of small configurations without dropout, for a structure."""
    sizes = {"n_layers": 2, "d_model": 12, "d_word": 10, "n_heads": 2, "d_ff": 16}
    dropouts = ("dropout", "dropout_attention", "dropout_embedding", "dropout_head")

    def make(structure: str, epochs: int = 2, **sharing: Any) -> TrialConfig:
        return TrialConfig.from_dict(
            {
                "encoder": {**sizes, **dict.fromkeys(dropouts, 0.0)},
                "sharing": {"structure": structure, **sharing},
                "batches": {"batch_size": 20},
                "training": {"learning_rate": 5e-3, "epochs": epochs},
            }
        )

    return make


@pytest.fixture
def splits_seen(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Collects which splits of a corpus are asked for."""
    seen: set[str] = set()
    whole = EncodedCorpus.split

    def split(self: EncodedCorpus, task: int, name: str) -> Any:
        seen.add(name)
        return whole(self, task, name)

    monkeypatch.setattr(EncodedCorpus, "split", split)
    return seen

"""A study of four tiny built-in tasks, with trials that were really trained."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from trained_trials import train_trial

from mtl_core.data.encode import encode
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.readers import read_corpus
from mtl_core.data.task import Corpus
from search.record import StudyRecord
from search.space import Space, parse_space
from search.study_files import StudyFiles

SPACE = """
name: tiny
search: {trials: 3}
data:
  builtin: {n_tasks: 4, rows: 40, dev_rows: 16, test_rows: 10}
encoder: {n_layers: 1, d_model: 8, d_word: 8, n_heads: 2, d_ff: 8}
sharing:
  structure:
    choice: [single_task, stack_pooling, layerwise_implicit, layerwise_explicit]
training: {learning_rate: 0.01, epochs: 2}
batches: {batch_size: 8}
"""


class Tiny:
    """The study; `said` is what it told.

    Args:
        folder: Its folder.
    """

    def __init__(self, space: Space, corpus: Corpus, encoded: EncodedCorpus, folder: Path) -> None:
        self.space, self.corpus, self.encoded, self.folder = space, corpus, encoded, folder
        self.said: list[str] = []
        (folder / "space.yaml").write_text(space.text)
        self.record = StudyRecord.open(folder / "journal.jsonl")
        self.record.append(
            "study", format=1, name="tiny", space_digest=space.digest(), seed=0,
            data_fingerprint=corpus.content_hash(), tasks=list(corpus.names),
        )  # fmt: skip

    def subject(self, **changes: Any) -> StudyFiles:
        values = {
            "space": self.space, "record": self.record, "corpus": self.corpus,
            "encoded": self.encoded, "folder": self.folder, "device": "cpu",
            "say": self.said.append,
        }  # fmt: skip
        return StudyFiles(**{**values, **changes})

    def train(self, structure: str, *, keep: bool = True) -> None:
        """Train one trial as the search would, and keep its weights."""
        train_trial(self.record, self.space, self.encoded, self.folder, structure, keep=keep)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Space, Corpus, EncodedCorpus]:
    space = parse_space(SPACE)
    corpus = read_corpus(space.data)
    return space, corpus, encode(corpus, space.data, tmp_path_factory.mktemp("cache"))


@pytest.fixture
def tiny(tmp_path: Path, data: tuple[Space, Corpus, EncodedCorpus]) -> Iterator[Tiny]:
    study = Tiny(*data, tmp_path)
    yield study
    study.record.close()


@pytest.fixture
def whole(tiny: Tiny) -> Tiny:
    """One trial each of the structures with task tokens, and one without sharing."""
    for structure in ("single_task", "layerwise_implicit", "layerwise_explicit"):
        tiny.train(structure)
    tiny.record.append("ended", reason="trials")
    return tiny


@pytest.fixture
def other_space() -> Callable[..., Space]:
    """Return the space after `--set` of some keys."""
    return lambda *overrides: parse_space(SPACE, overrides=overrides)

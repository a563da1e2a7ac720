"""A study of four tiny built-in tasks, with trials that were really trained."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mtl_core.data.encoded import EncodedCorpus, encode
from mtl_core.data.readers import read_corpus
from mtl_core.data.task import Corpus
from mtl_core.training.config import TrialConfig
from mtl_core.training.trainer import Trainer
from search.affinity.drive import Subject
from search.record import StudyRecord
from search.snapshots import save_weights, snapshot_path
from search.space import Space, parse_space

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

    def subject(self, **changes: Any) -> Subject:
        values = {
            "space": self.space, "record": self.record, "corpus": self.corpus,
            "encoded": self.encoded, "folder": self.folder, "device": "cpu",
            "say": self.said.append,
        }  # fmt: skip
        return Subject(**{**values, **changes})

    def train(self, structure: str, *, keep: bool = True) -> None:
        """Train one trial as the search would, and keep its weights."""
        number = len(self.record.trials) + 1
        values = {"sharing.structure": structure}
        trial, config = f"t{number:04d}", self.space.configure(values).as_dict()
        self.record.append(
            "proposed", trial=trial, number=number, values=values, config=config, seed=number,
            source="random",
        )  # fmt: skip
        self.record.append("started", trial=trial, attempt=1, worker="w")
        trainer = Trainer(self.encoded, TrialConfig.from_dict(config), seed=number)
        for result in trainer.epochs():
            self.record.append(
                "reported", trial=trial, epoch=result.epoch, average=result.average,
                scores=result.scores, loss=result.loss, losses=result.losses,
                tokens_per_second=result.tokens_per_second, seconds=result.seconds,
            )  # fmt: skip
            path = snapshot_path(self.folder, trial, result.epoch)
            path.parent.mkdir(exist_ok=True)
            if keep:
                save_weights(trainer.model, path)
        self.record.append("finished", trial=trial, epochs=2, reason="epochs")


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

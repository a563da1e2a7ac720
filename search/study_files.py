"""A study with its data at hand, for who trains, tests or measures models after the search."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.own_texts import texts_path
from mtl_core.data.own_vectors import vectors_path
from mtl_core.data.task import Corpus
from mtl_core.data.vectors import vectors_for
from mtl_core.errors import ConfigError
from mtl_core.tensor_file import read_tensors
from mtl_core.training.config import TrialConfig
from mtl_core.training.mlm import WarmUp
from mtl_core.training.trainer import Trainer
from search.bucket import fetch
from search.config import SearchConfig
from search.record import StudyRecord
from search.snapshots import snapshot_path
from search.space import Space

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class StudyFiles:
    """The question, the record, the data, the folder.

    Args:
        device: Where to train; dev scores are those of the search on the same device.
        say: Told what is going on, one line at a time.
    """

    space: Space
    record: StudyRecord
    corpus: Corpus
    encoded: EncodedCorpus
    folder: Path
    device: str
    say: Say


def device_of(space: Space) -> str:
    """Return where the search trained, so that dev scores come out the same."""
    on_gpu = space.search.gpus_per_trial > 0 and torch.cuda.is_available()
    return "cuda" if on_gpu else "cpu"


@contextmanager
def threads_of_a_trial(search: SearchConfig) -> Iterator[None]:
    """Let PyTorch take as many threads as a trial had, `cpus_per_trial`.

    Its own choice is one for each core, which on a busy machine wait for each other at every short
    operation: a training of two epochs took 29 seconds with one and more than 200 with two.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(search.threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def trainer_of(study: StudyFiles, config: TrialConfig, seed: int) -> Trainer:
    """Return what trains a configuration as the search did."""
    encoded, data = study.encoded, study.space.data
    path = vectors_path(study.corpus, encoded, data)
    vectors, warm_up = None if path is None else vectors_for(encoded, path), None
    if config.encoder.mlm_warm_up:
        texts = texts_path(study.corpus, encoded)
        warm_up = WarmUp(encoded, texts, data.mlm, vectors=vectors, device=study.device)
    return Trainer(
        encoded, config, seed=seed, device=study.device, vectors=vectors, warm_up=warm_up
    )


def kept_weights(study: StudyFiles, name: str, epoch: int) -> dict[str, Tensor] | None:
    """Return the parameters that were kept of a trial or run; None where they are not there."""
    path = snapshot_path(study.folder, name, epoch)
    fetch(study.folder, path)
    if not path.exists():
        return None
    try:
        return read_tensors(path)[0]
    except ConfigError as error:  # a worker or the disk died over them
        study.say("; ".join(error.faults))
        return None

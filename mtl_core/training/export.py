"""A trained model as a folder that anyone can load: weights, configuration, tokenizer.

    model.safetensors   the parameters, and which words the train split of each task has
    config.json         configuration, sharing plan, tasks with their labels, what it was made of
    tokenizer.json      of the `tokenizers` library

The folder is written beside and then renamed. `load` needs nothing but the folder; `mtl_core.load`
is the same function. Shapes: K tasks, V words, C classes.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from mtl_core.data.batches import Minibatch, evaluation_steps
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.tokenizer import encode_texts
from mtl_core.errors import ConfigError, check_names
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.model.plan import SharingPlan
from mtl_core.model.structures import build_plan
from mtl_core.training.config import TrialConfig
from mtl_core.training.models import load_parameters

FORMAT = 1
WEIGHTS, CONFIG, TOKENIZER = "model.safetensors", "config.json", "tokenizer.json"
_VOCABULARY = "vocabulary_of_tasks"  # among the weights, (K, V) as bytes


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """The likeliest label of a text, and the probability of each label of its task."""

    label: str
    probabilities: dict[str, float]


def export(
    folder: Path,
    state: Mapping[str, Tensor],
    config: TrialConfig,
    corpus: EncodedCorpus,
    *,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Write the folder; one that is there is replaced.

    Args:
        state: Parameters by name, as a trainer's `best` holds them.
        about: More to say of the model, as JSON values: scores, seed, commit, ...
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    tensors[_VOCABULARY] = torch.from_numpy(corpus.vocabulary_of_tasks().astype(np.uint8))
    plan = build_plan(config.sharing, corpus.n_tasks, config.encoder.n_layers)
    values = {
        "format": FORMAT,
        "versions": {"branchpoint": _version("branchpoint"), "torch": torch.__version__},
        "tasks": [asdict(task) for task in corpus.tasks],
        "max_words": corpus.max_words,
        "config": config.as_dict(),
        "plan": plan.as_dict(),
        "about": dict(about or {}),
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as beside:
        new = Path(beside, "new")
        new.mkdir()  # with the usual rights, where the temporary folder is private
        save_file(tensors, new / WEIGHTS)
        (new / WEIGHTS).chmod(0o644)
        (new / CONFIG).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
        (new / TOKENIZER).write_text(corpus.tokenizer_json, encoding="utf-8")
        if folder.exists():
            folder.rename(Path(beside, "old"))
        new.rename(folder)


class Predictor:
    """A loaded model; `tasks` are the names it knows, `about` what was said of it."""

    def __init__(
        self, model: MultiTaskEncoder, values: Mapping[str, Any], tokenizer: Tokenizer
    ) -> None:
        self.model, self._tokenizer = model.eval(), tokenizer
        self.about: dict[str, Any] = values["about"]
        self.config: dict[str, Any] = values["config"]
        self.labels: dict[str, tuple[str, ...]] = {
            task["name"]: tuple(task["labels"]) for task in values["tasks"]
        }
        self._max_words: int = values["max_words"]

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(self.labels)

    def predict(self, task: str, texts: Sequence[str]) -> list[Prediction]:
        """Return the prediction for each text, in their order.

        Raises:
            ConfigError: The model has no such task, or the texts are no list of texts.
        """
        check_names([task], self.tasks, where="task")
        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
            raise ConfigError("texts: must be a list of texts, each of them a string")
        labels = self.labels[task]
        return [
            Prediction(
                label=labels[int(row.argmax())],
                probabilities=dict(zip(labels, row.tolist(), strict=True)),
            )
            for row in self._probabilities(self.tasks.index(task), texts, len(labels))
        ]

    def _probabilities(self, task: int, texts: Sequence[str], n_classes: int) -> Tensor:
        """Return the probability of each class for each text, (texts, C)."""
        ids = encode_texts(self._tokenizer, texts, self._max_words)
        found = torch.empty(len(ids), n_classes)
        with torch.no_grad():
            for examples, batch in _minibatches(task, ids):
                logits = self.model(batch)[:, :n_classes]
                found[torch.from_numpy(examples)] = torch.softmax(logits, dim=1)
        return found


def load(folder: str | Path) -> Predictor:
    """Return the model of a folder that `export` wrote, on the CPU.

    Raises:
        ConfigError: The folder is not such a one, or is damaged; says what is missing or wrong.
    """
    folder = Path(folder)
    _check_files(folder)
    try:
        values = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            raise ConfigError(f"{folder / CONFIG}: format {values['format']}, must be {FORMAT}")
        tensors = load_file(folder / WEIGHTS)
        model = _model(values, tensors.pop(_VOCABULARY), tensors)
        return Predictor(model, values, _tokenizer(folder / TOKENIZER))
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{folder}: not a model of branchpoint, or damaged ({error!r})") from None


def _tokenizer(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # the library raises no more special one
        raise ValueError(f"{path.name}: {error}") from None


def _check_files(folder: Path) -> None:
    if not folder.is_dir():
        found = "a file" if folder.exists() else "no such folder"
        raise ConfigError(f"{folder}: {found}, must be a folder that holds an exported model")
    missing = [name for name in (WEIGHTS, CONFIG, TOKENIZER) if not (folder / name).is_file()]
    if missing:
        raise ConfigError(f"{folder}: not an exported model, it has no {', '.join(missing)}")


def _model(
    values: Mapping[str, Any], vocabulary: Tensor, state: Mapping[str, Tensor]
) -> MultiTaskEncoder:
    model = MultiTaskEncoder(
        SharingPlan.from_json(json.dumps(values["plan"])),
        TrialConfig.from_dict(values["config"]).encoder,
        n_classes=[len(task["labels"]) for task in values["tasks"]],
        vocabulary_of_tasks=vocabulary.numpy().astype(np.bool_),
        max_words=values["max_words"],
        task_names=[task["name"] for task in values["tasks"]],
        seed=0,
    )
    load_parameters(model, state)
    return model


def _minibatches(task: int, ids: Sequence[Sequence[int]]) -> Iterator[tuple[np.ndarray, Minibatch]]:
    """Yield minibatches of texts of like length, each with the places of its texts in `ids`."""
    lengths = np.array([len(of_text) for of_text in ids], dtype=np.int64)
    for step in evaluation_steps([lengths]):
        examples = step[0].examples
        words = np.zeros((len(examples), lengths[examples].max()), dtype=np.int64)
        for at, example in enumerate(examples):
            words[at, : lengths[example]] = ids[example]
        yield (
            examples,
            Minibatch(
                words=torch.from_numpy(words),
                lengths=torch.from_numpy(lengths[examples]),
                labels=torch.zeros(len(examples), dtype=torch.int64),
                tasks=(task,),
                sizes=(len(examples),),
            ),
        )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:  # run from a checkout that is not installed
        return None

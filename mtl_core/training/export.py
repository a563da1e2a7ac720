"""A trained model as a folder that anyone can load: weights, configuration, tokenizer.

    model.safetensors   the parameters, and which words the train split of each task has; of a
                        model whose heads see n-grams these too, with their idf
    config.json         configuration, sharing plan, tasks with their labels, what it was made of
    tokenizer.json      of the `tokenizers` library

The weights carry a checksum of themselves and of the other two files. The folder is written beside
and then renamed. `load` needs nothing but the folder; `mtl_core.load` is the same function. Shapes:
K tasks, V words, C classes.
"""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from mtl_core.data.encoded import EncodedCorpus, task_info
from mtl_core.data.wide import Ngrams, wide_features
from mtl_core.errors import ConfigError
from mtl_core.foreign import (
    MOST_JSON_BYTES,
    MOST_TOKENIZER_BYTES,
    check_inside,
    parse_json,
    read_bounded,
)
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.model.plan import SharingPlan
from mtl_core.model.wide import outputs
from mtl_core.tensor_file import digest_of, read_tensors, write_tensors
from mtl_core.training.checkpoint import pack, unpack
from mtl_core.training.config import TrialConfig
from mtl_core.training.models import layout_of, load_parameters, plan_of, reads_of_tasks
from mtl_core.training.predictor import Predictor

FORMAT = 2
WEIGHTS, CONFIG, TOKENIZER = "model.safetensors", "config.json", "tokenizer.json"
_VOCABULARY = "vocabulary_of_tasks"  # among the weights, (K, V) as bytes
_NGRAMS = "ngrams"  # among the weights


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
    tensors = dict(state)
    tensors[_VOCABULARY] = torch.from_numpy(corpus.vocabulary_of_tasks().astype(np.uint8))
    if config.encoder.wide:
        arrays = wide_features(corpus, config.encoder.wide_ngrams).ngrams.as_arrays()
        tensors |= pack(_NGRAMS, {n: torch.from_numpy(np.array(a)) for n, a in arrays.items()})
    plan = plan_of(config, corpus.n_tasks)
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
        texts = {CONFIG: json.dumps(values, indent=2) + "\n", TOKENIZER: corpus.tokenizer_json}
        for name, text in texts.items():
            (new / name).write_text(text, encoding="utf-8")
        digests = {name: digest_of(text) for name, text in texts.items()}
        write_tensors(new / WEIGHTS, tensors, json.dumps(digests))
        (new / WEIGHTS).chmod(0o644)
        if folder.exists():
            folder.rename(Path(beside, "old"))
        new.rename(folder)


def load(folder: str | Path) -> Predictor:
    """Return the model of a folder that `export` wrote, on the CPU.

    Raises:
        ConfigError: The folder is not such a one, or is damaged; says what is missing or wrong.
    """
    folder = Path(folder)
    _check_files(folder)
    try:
        text = read_bounded(folder / CONFIG, MOST_JSON_BYTES)
        values = parse_json(text)
        if values["format"] != FORMAT:
            raise ConfigError(f"{folder / CONFIG}: format {values['format']}, must be {FORMAT}")
        tensors, digests = read_tensors(folder / WEIGHTS)
        tokenizer = read_bounded(folder / TOKENIZER, MOST_TOKENIZER_BYTES)
        _check_texts(folder, {CONFIG: text, TOKENIZER: tokenizer}, parse_json(digests))
        encoder = TrialConfig.from_dict(values["config"]).encoder
        arrays = {name: tensor.numpy() for name, tensor in unpack(_NGRAMS, tensors).items()}
        ngrams = Ngrams.of_arrays(encoder.wide_ngrams, arrays) if encoder.wide else None
        model = _model(values, tensors.pop(_VOCABULARY), tensors, ngrams)
        return Predictor(model, values, _tokenizer(tokenizer), ngrams)
    except (LookupError, TypeError, ValueError, MemoryError, OverflowError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{folder}: not a model of branchpoint, or damaged ({error!r})") from None


def _tokenizer(text: str) -> Tokenizer:
    try:
        return Tokenizer.from_str(text)
    except Exception as error:  # the library raises no more special one
        raise ValueError(f"{TOKENIZER}: {error}") from None


def _check_texts(folder: Path, texts: Mapping[str, str], digests: Mapping[str, str]) -> None:
    """Raise a `ConfigError` for files that are not those which the weights were written with."""
    faults = [
        f"{folder / name}: is damaged, its checksum is another than that in {WEIGHTS}; export the "
        "model again (the command that made it does)"
        for name, text in texts.items()
        if digest_of(text) != digests[name]
    ]
    if faults:
        raise ConfigError(faults)


def _check_files(folder: Path) -> None:
    if not folder.is_dir():
        found = "a file" if folder.exists() else "no such folder"
        raise ConfigError(f"{folder}: {found}, must be a folder that holds an exported model")
    missing = [name for name in (WEIGHTS, CONFIG, TOKENIZER) if not (folder / name).is_file()]
    check_inside(folder, (WEIGHTS, CONFIG, TOKENIZER))
    if missing:
        raise ConfigError(f"{folder}: not an exported model, it has no {', '.join(missing)}")


def _model(
    values: Mapping[str, Any],
    vocabulary: Tensor,
    state: Mapping[str, Tensor],
    ngrams: Ngrams | None,
) -> MultiTaskEncoder:
    encoder = TrialConfig.from_dict(values["config"]).encoder
    tasks = [task_info(task) for task in values["tasks"]]
    label_sets = tuple(outputs(task.kind, task.labels) for task in tasks)
    plan = SharingPlan.from_json(json.dumps(values["plan"]))
    model = MultiTaskEncoder(
        plan,
        encoder,
        n_classes=[task.n_outputs for task in tasks],
        reads=reads_of_tasks(tasks, plan),
        vocabulary_of_tasks=vocabulary.numpy().astype(np.bool_),
        max_words=values["max_words"],
        task_names=[task.name for task in tasks],
        seed=0,
        wide=None if ngrams is None else layout_of(ngrams, encoder.wide_layout, label_sets),
    )
    for name, parameter in model.named_parameters():
        if state[name].shape != parameter.shape:
            found, wanted = tuple(state[name].shape), tuple(parameter.shape)
            raise ValueError(f"{name} is {found} in {WEIGHTS} and {wanted} by {CONFIG}")
    load_parameters(model, state)
    return model


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:  # run from a checkout that is not installed
        return None

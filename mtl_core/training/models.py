"""The encoder of a configuration on a corpus: new, or with weights that were kept.

What is kept of a model is its parameters by name; everything else follows from the configuration,
the tasks and the words of their train splits.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from mtl_core.data.encoded import EncodedCorpus, TaskInfo
from mtl_core.data.wide import Ngrams, wide_features
from mtl_core.errors import ConfigError
from mtl_core.model.config import EncoderConfig
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.model.plan import SharingPlan
from mtl_core.model.pretrained import WHERE, Pretrained, contradictions, describe, resolve
from mtl_core.model.pretrained_weights import StartingWeights, read_weights
from mtl_core.model.reads import Reads, reads_of
from mtl_core.model.structures import build_plan
from mtl_core.model.wide import LabelSets, WideLayout, lay_out, outputs
from mtl_core.model_folder import TOKENIZER
from mtl_core.training.config import TrialConfig
from mtl_core.training.mlm import WarmUp, WordVectors


def build_model(
    corpus: EncodedCorpus,
    config: TrialConfig,
    *,
    seed: int,
    vectors: WordVectors | None = None,
    warm_up: WarmUp | None = None,
) -> MultiTaskEncoder:
    """Return the encoder at the start of its training, on the CPU.

    Args:
        warm_up: What warms it up, where the configuration asks for it.

    Raises:
        ConfigError: The pretrained encoder that is asked for is not there, or does not fit; or
            nothing can warm the encoder up, or its warm-up diverges.
    """
    if config.encoder.mlm_warm_up:
        if warm_up is None:
            raise ConfigError("encoder.mlm_warm_up: found true, but there are no texts for it here")
        start = warm_up.weights(config.encoder)
        return _new_model(corpus, config, seed, (start.words.numpy(), None), start.tables)
    if config.encoder.pretrained is not None:
        start = _starting_weights(corpus, config.encoder)
        words = start.words[: corpus.vocabulary_size].numpy()
        return _new_model(corpus, config, seed, (words, None), start.tables)
    return _new_model(corpus, config, seed, vectors or (None, None), None)


def check_pretrained(corpus: EncodedCorpus, pretrained: str) -> None:
    """Read all of a pretrained encoder, its weights too, and hold it against the corpus.

    Args:
        pretrained: Folder or hub name.

    Raises:
        ConfigError: Models could not start from it: a file is missing or broken, a weight has not
            the shape that `config.json` says, or the texts were encoded with another vocabulary.
    """
    _starting_weights(corpus, resolve(pretrained=pretrained))


def _new_model(
    corpus: EncodedCorpus,
    config: TrialConfig,
    seed: int,
    vectors: tuple[np.ndarray | None, np.ndarray | None],
    given: Mapping[str, Tensor] | None,
) -> MultiTaskEncoder:
    plan, (matrix, found) = plan_of(config, corpus.n_tasks), vectors
    return MultiTaskEncoder(
        plan,
        config.encoder,
        reads=reads_of_tasks(corpus.tasks, plan),
        n_classes=corpus.n_classes,
        vocabulary_of_tasks=corpus.vocabulary_of_tasks(),
        max_words=corpus.max_words,
        task_names=corpus.names,
        seed=seed,
        vectors=matrix,
        found=found,
        given=given,
        wide=wide_layout(corpus, config.encoder),
    )


def plan_of(config: TrialConfig, n_tasks: int) -> SharingPlan:
    """Return the sharing plan of a configuration."""
    encoder = config.encoder
    return build_plan(config.sharing, n_tasks, encoder.n_layers, text_cls=encoder.brings_cls)


def wide_layout(corpus: EncodedCorpus, config: EncoderConfig) -> WideLayout | None:
    """Return where the weights of the corpus's n-grams stand; None where heads see none.

    Models of one process share the layout.
    """
    if not config.wide:
        return None
    label_sets = tuple(outputs(task.kind, task.labels) for task in corpus.tasks)
    features = wide_features(corpus, config.wide_ngrams)
    return layout_of(features.ngrams, config.wide_layout, label_sets)


@lru_cache(maxsize=8)
def layout_of(ngrams: Ngrams, how: tuple[int, str, bool], label_sets: LabelSets) -> WideLayout:
    """Return where the weights of n-grams stand, `how` being an encoder's `wide_layout`."""
    n_buckets, sharing, class_ratio = how
    return lay_out(ngrams, n_buckets, sharing, label_sets, class_ratio=class_ratio)


def reads_of_tasks(tasks: Sequence[TaskInfo], plan: SharingPlan) -> tuple[Reads, ...]:
    """Return what the head of each task reads."""
    return tuple(reads_of(task.kind, plan.readout, of_pairs=task.of_pairs) for task in tasks)


def restore_model(
    corpus: EncodedCorpus, config: TrialConfig, state: Mapping[str, Tensor]
) -> MultiTaskEncoder:
    """Return the encoder with the parameters of `state`, on the CPU, ready to evaluate."""
    model = _new_model(corpus, config, 0, (None, None), None)
    load_parameters(model, state)
    return model.eval()


def copy_parameters(model: MultiTaskEncoder) -> dict[str, Tensor]:
    """Return the parameters by name, copied to the CPU."""
    return {
        name: parameter.detach().to("cpu", copy=True)
        for name, parameter in model.named_parameters()
    }


@torch.no_grad()
def load_parameters(model: MultiTaskEncoder, state: Mapping[str, Tensor]) -> None:
    """Write the parameters of `state` into those of the model, in place."""
    for name, parameter in model.named_parameters():
        assert parameter.shape == state[name].shape, name
        parameter.copy_(state[name])


def _starting_weights(corpus: EncodedCorpus, config: EncoderConfig) -> StartingWeights:
    """Return what the pretrained encoder starts from, after a look at whether it fits."""
    assert config.pretrained is not None
    found = describe(config.pretrained)
    given = {key: getattr(config, key) for key in found.sizes}
    faults = [f"encoder.{key}: {text}" for key, text in contradictions(found, given).items()]
    if faults:
        faults.append(f"{WHERE}: `resolve` of mtl_core.model.pretrained fills these in")
    if corpus.max_words > found.n_positions:
        limit = f"{found.folder} has positions for {found.n_positions}"
        faults.append(f"data.max_words: found {corpus.max_words}, {limit}")
    tokenizer = Tokenizer.from_str(corpus.tokenizer_json)
    faults += _vocabulary_faults(corpus, tokenizer, found)
    if faults:
        raise ConfigError(faults)
    return read_weights(found, config, tokenizer.encode("").ids[0])


def _vocabulary_faults(
    corpus: EncodedCorpus, tokenizer: Tokenizer, found: Pretrained
) -> Iterator[str]:
    path = found.folder / TOKENIZER
    if not path.is_file():
        yield f"{path}: no such file; the encoder's own tokenizer would be right"
    elif Tokenizer.from_file(str(path)).get_vocab() != tokenizer.get_vocab():
        yield (
            f"data.tokenizer: the texts were encoded with another vocabulary than that of {path}; "
            f"data.tokenizer: {found.folder} would be right"
        )
    elif corpus.vocabulary_size > found.n_words:
        yield (
            f"{path}: has ids up to {corpus.vocabulary_size - 1}, but the word table of "
            f"{found.folder} has {found.n_words} rows; the tokenizer of this encoder would be right"
        )

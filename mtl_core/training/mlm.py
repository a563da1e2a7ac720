"""Masked-language-model warm-up: our own encoder learns to foretell words before it sees a task.

Devlin et al. (2019), on the study's own texts (`data/own_texts.py`) with a budget of its own. The
encoder of a warm-up has no banks: one of each table, and the word vectors of all tasks. These start
all banks of any plan: words, positions, projection, layers, and the final norm after the last
layer, under which the layers were learnt. The head that foretells words is thrown away: it brings
a word's vector to the width of the word vectors, which are also the softmax's weights (tied; Press
and Wolf, 2017). Heads start as usual; tokens start around <cls> at the first position, as it enters
the layers.

There is one warm-up for each choice of sizes. It is kept beside the encoded corpus under a hash of
sizes, settings, texts and vectors, so it is made by the first engine that needs it; those that need
it in the same moment each make it, and come to the same on the same kind of device.
Shapes: V words, E width of word vectors, D width, W words that can be foretold, M hidden words.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtl_core.data.arrays import Arrays, keep_arrays
from mtl_core.data.config import MlmConfig
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.masked_words import MaskedBatch, MaskedWords
from mtl_core.data.own_texts import read_texts
from mtl_core.data.tokenizer import CLS
from mtl_core.errors import ConfigError
from mtl_core.model.config import EncoderConfig
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.model.forward import Part, compute_logits, family
from mtl_core.model.pretrained_weights import StartingWeights
from mtl_core.model.reads import Reads
from mtl_core.model.structures import stack_pooling
from mtl_core.seeding import derive_seed
from mtl_core.training.config import TrainingConfig
from mtl_core.training.lr_schedule import lr_factor

FORMAT = 1
ENDING = ".mlm.arrow"
WordVectors = tuple[np.ndarray, np.ndarray]  # matrix (V, E) float32, found (V,) bool
_SCHEDULE = TrainingConfig(lr_schedule="linear", warmup=0.1)
_WEIGHT_DECAY, _CLIP_NORM = 0.01, 1.0
_WORDS, _LOSSES = "words", "losses"  # among the arrays that are kept


class WarmUp:
    """Warms up encoders on a corpus's texts, each choice of sizes once.

    Args:
        texts: The file of `own_texts.texts_path`.
        vectors: Word vectors to start from, and which words were found.
        device: "cpu", or a CUDA device.

    Attributes:
        n_steps: The steps taken by now, of all warm-ups; who watches that it moves may ask.
    """

    def __init__(
        self,
        corpus: EncodedCorpus,
        texts: Path,
        config: MlmConfig,
        *,
        vectors: WordVectors | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        self.corpus, self.texts, self.config = corpus, texts, config
        self.vectors, self.device = vectors, torch.device(device)
        self.n_steps = 0
        self._kept: dict[str, tuple[StartingWeights, np.ndarray]] = {}
        self._source = _hash_of_vectors(vectors)

    def weights(self, encoder: EncoderConfig) -> StartingWeights:
        """Return what the banks of an encoder of these sizes start from, on the CPU.

        Raises:
            ConfigError: The warm-up diverges.
        """
        return self._of(encoder)[0]

    def losses(self, encoder: EncoderConfig) -> np.ndarray:
        """Return the mean cross-entropy of the hidden words at each step, in nats, (steps,)."""
        return self._of(encoder)[1]

    def name(self, encoder: EncoderConfig) -> str:
        """Return the name of the file that the warm-up of these sizes is kept in."""
        sizes = [encoder.n_layers, *family(encoder), self.corpus.max_words]
        about = [FORMAT, sizes, asdict(self.config), self.texts.name, self._source]
        about.append(self.corpus.vocabulary_size)
        return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:32] + ENDING

    def _of(self, encoder: EncoderConfig) -> tuple[StartingWeights, np.ndarray]:
        name = self.name(encoder)
        if name not in self._kept:
            folder = self.corpus.path.parent
            arrays = keep_arrays(name, lambda: self._train(encoder), folder)
            tables = {key: torch.from_numpy(np.array(array)) for key, array in arrays.items()}
            words, losses = tables.pop(_WORDS), tables.pop(_LOSSES)
            self._kept[name] = StartingWeights(words=words, tables=tables), losses.numpy()
        return self._kept[name]

    def _train(self, encoder: EncoderConfig) -> Arrays:
        config, max_words = self.config, self.corpus.max_words
        texts = MaskedWords(*read_texts(self.texts), config, max_words=max_words)
        model = self._new_model(_plain(encoder, config.dropout))
        words = torch.from_numpy(texts.words).to(self.device)
        bias = nn.Parameter(torch.zeros(len(words), device=self.device))
        parameters = [*model.parameters(), bias]
        optimizer = torch.optim.AdamW(parameters, weight_decay=_WEIGHT_DECAY, fused=True)
        losses = []
        for step, batch in enumerate(islice(texts.batches(), config.steps)):
            factor = lr_factor(_SCHEDULE, (step + 0.5) / config.steps)
            optimizer.param_groups[0]["lr"] = config.learning_rate * factor
            hidden = _foretell(model, batch, derive_seed(config.seed, "mlm", "step", step))
            logits = F.linear(hidden, model.words[words], bias)  # (M, W)
            loss = F.cross_entropy(logits, batch.targets.to(self.device))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(parameters, _CLIP_NORM)
            optimizer.step()
            losses.append(loss.detach())
            self.n_steps += 1
        found = torch.stack(losses).cpu()
        if not found.isfinite().all():
            at = int((~found.isfinite()).nonzero()[0]) + 1
            raise ConfigError(
                f"data.mlm.learning_rate: found {config.learning_rate}, with which the warm-up "
                f"diverges at step {at} of {config.steps}; a smaller one would be right"
            )
        return _arrays(model) | {_LOSSES: found.numpy()}

    def _new_model(self, config: EncoderConfig) -> MultiTaskEncoder:
        matrix, found = self.vectors or (None, None)
        model = MultiTaskEncoder(
            stack_pooling(1, config.n_layers),
            config,
            n_classes=[config.d_word],
            reads=[Reads.WORDS],
            vocabulary_of_tasks=np.ones((1, self.corpus.vocabulary_size), dtype=np.bool_),
            max_words=self.corpus.max_words + 1,  # and <cls>
            task_names=["mlm"],
            seed=self.config.seed,
            vectors=matrix,
            found=found,
        )
        return model.to(self.device)


def _foretell(model: MultiTaskEncoder, batch: MaskedBatch, seed: int) -> Tensor:
    """Return what the encoder makes of each hidden word, (M, E)."""
    minibatch = batch.minibatch.to(model.words.device)
    (of_words,) = compute_logits([Part(model=model, batch=minibatch, seed=seed)])
    return of_words[batch.items.to(of_words.device)]


def _plain(encoder: EncoderConfig, dropout: float) -> EncoderConfig:
    """Return the encoder with the dropout of a warm-up and without what is no part of one."""
    return replace(
        encoder,
        dropout=dropout,
        dropout_attention=dropout,
        dropout_embedding=dropout,
        dropout_head=0.0,
        freeze_words=False,
        mean_over_padding=False,
        mlm_warm_up=False,
        wide=False,
    )


@torch.no_grad()
def _arrays(model: MultiTaskEncoder) -> dict[str, np.ndarray]:
    """Return one bank of each table, tokens among them and heads not, and the word vectors."""
    named = {name: table.detach().cpu() for name, table in model.named_parameters()}
    words = named.pop(_WORDS)
    tables = {n: table[0] for n, table in named.items() if not n.startswith("head_")}
    tables["tokens"] = _cls(words, tables, model.config)
    return {name: table.numpy().copy() for name, table in (tables | {_WORDS: words}).items()}


def _cls(words: Tensor, tables: Mapping[str, Tensor], config: EncoderConfig) -> Tensor:
    """Return <cls> at the first position as it enters the layers, (D,)."""
    start = words[CLS] + tables["positions"][0]
    if "types" in tables:
        start = start + tables["types"][0]
    if config.norm == "post":
        weight, bias = tables["embedding.norm_weight"], tables["embedding.norm_bias"]
        return F.layer_norm(start, start.shape, weight, bias, config.norm_eps)
    return start @ tables["projection_weight"] + tables["projection_bias"]


def _hash_of_vectors(vectors: WordVectors | None) -> str:
    if vectors is None:
        return ""
    digest = hashlib.sha256()
    for array in vectors:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()

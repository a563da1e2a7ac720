"""What a lane needs of the device's memory.

A lane's parameters, moments and word tables are counted from its plan, without building it. What a
step takes besides (activations and gradients) is measured by one trial run of the longest step of
an epoch, and remembered for all lanes of that plan, those sizes and those batches; until then it is
estimated. Shapes: N texts, T positions, D width, F inner width, E width of word vectors.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from mtl_core.data.config import BatchConfig
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.minibatch import Step
from mtl_core.model.config import EncoderConfig
from mtl_core.model.forward import compute_logits
from mtl_core.model.plan import SharingPlan
from mtl_core.model.tables import list_tables
from mtl_core.model.words import word_ids_of_banks
from mtl_core.training.config import TrialConfig
from mtl_core.training.lane import Lane
from mtl_core.training.layer_rates import WORDS, frozen_groups
from mtl_core.training.losses import row_losses
from mtl_core.training.models import plan_of, reads_of_tasks, wide_layout

_NUMBER = 4  # bytes of a float32
# On a CPU no allocator tells the peak. It was 1.1 to 2 times what is kept for the backward pass
# with the gradients (three structures, both regimes, 4 layers 300 wide, with and without dropout).
_AT_WORK = 2
_Key = tuple[str, EncoderConfig, BatchConfig, int]


class LaneMemory:
    """What lanes on a corpus need, in bytes."""

    def __init__(self, corpus: EncodedCorpus) -> None:
        self.corpus = corpus
        self._states: dict[_Key, int] = {}
        self._measured: dict[_Key, int] = {}

    def need(self, config: TrialConfig) -> int:
        """Return what a lane of the configuration takes while it trains."""
        key = self._key(config)
        if key not in self._states:
            self._states[key] = self._count_state(config)
        passes = self._measured.get(key)
        return self._states[key] + (self._estimate_pass(config) if passes is None else passes)

    def is_measured(self, config: TrialConfig) -> bool:
        return self._key(config) in self._measured

    def measure(self, lane: Lane) -> None:
        """Find what the longest step of the lane's epoch takes; the lane stays as it was."""
        lengths = self.corpus.lengths("train")
        step = max(lane.steps, key=lambda step: _padded(step, lengths))
        self._measured[self._key(lane.config)] = measure_pass(lane, step)

    def _key(self, config: TrialConfig) -> _Key:
        return (
            self._plan(config).digest(),
            config.encoder,
            config.batches,
            config.training.frozen_layers,
        )

    def _plan(self, config: TrialConfig) -> SharingPlan:
        return plan_of(config, self.corpus.n_tasks)

    def _count_state(self, config: TrialConfig) -> int:
        """Return the bytes of parameters, moments, step counts and the rows of words."""
        plan, encoder = self._plan(config), config.encoder
        tables = list_tables(
            plan,
            encoder,
            n_classes=self.corpus.n_classes,
            max_words=self.corpus.max_words,
            task_names=self.corpus.names,
            reads=reads_of_tasks(self.corpus.tasks, plan),
        )
        frozen, sizes = frozen_groups(config.training), [0, 0]  # of those that move, and others
        for table in tables:
            size = len(table.task_names) * int(np.prod(table.shape))
            sizes[table.group in frozen] += size
        groups = {table.group: len(table.task_names) for table in tables}
        numbers = 3 * sizes[False] + sizes[True]
        numbers += sum(count for group, count in groups.items() if group not in frozen)
        all_known = encoder.pretrained is not None
        ids = word_ids_of_banks(plan, self._vocabulary, all_known=all_known)
        words = sum(map(len, ids))
        if layout := wide_layout(self.corpus, encoder):
            numbers += layout.n_rows * (3 * max(self.corpus.n_classes) + 1) + layout.row_of.numel()
        moving = not encoder.freeze_words and WORDS not in frozen
        numbers += words * encoder.d_word * (3 if moving else 1) + words * moving
        return _NUMBER * numbers

    def _estimate_pass(self, config: TrialConfig) -> int:
        """Return roughly what a step keeps until its backward pass, and its gradients."""
        encoder, batches = config.encoder, config.batches
        texts = batches.token_budget or batches.batch_size * self._longest
        positions = texts * (self.corpus.n_tasks if batches.regime == "joint" else 1)
        of_layer = 12 * encoder.d_model + 3 * encoder.d_ff
        of_position = encoder.n_layers * of_layer + 2 * encoder.d_word + encoder.d_model
        return _NUMBER * positions * of_position + self._states[self._key(config)] // 3

    @cached_property
    def _vocabulary(self) -> np.ndarray:
        return self.corpus.vocabulary_of_tasks()

    @cached_property
    def _longest(self) -> int:
        return max(int(lengths.max()) for lengths in self.corpus.lengths("train"))


def measure_pass(lane: Lane, step: Step) -> int:
    """Return the bytes that a forward and backward pass of this step takes at most."""
    device = lane.updater.device
    if device.type != "cuda":
        return _AT_WORK * _run(lane, step)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    _run(lane, step)
    return torch.cuda.max_memory_allocated(device) - before


def _run(lane: Lane, step: Step) -> int:
    """Run the pass and let it go; return the bytes kept for the backward pass, and gradients."""
    (part,) = lane.updater.prepare([step])
    assert part.narrowed is not None
    own = {_storage(table)[0] for table in (*lane.model.parameters(), *lane.model.buffers())}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        place, size = _storage(tensor)
        if place not in own:
            kept[place] = size
        return tensor

    # By one thread, since a hook sees only what its own thread saves.
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        tasks = lane.updater.corpus.tasks
        loss = row_losses(compute_logits([part], n_threads=1), [part.batch], tasks).sum()
    torch.autograd.backward(loss)
    gradients = [leaf.grad for leaf in part.narrowed.tables.values() if leaf.grad is not None]
    return sum(kept.values()) + sum(gradient.nbytes for gradient in gradients)


def _storage(tensor: Tensor) -> tuple[int, int]:
    storage = tensor.untyped_storage()
    return storage.data_ptr(), storage.nbytes()


def _padded(step: Step, lengths: Sequence[np.ndarray]) -> int:
    return sum(len(row.examples) * int(lengths[row.task][row.examples].max()) for row in step)

"""The encoder that runs any sharing plan: the published Transformer with its weights in banks.

Pre-norm layers, a final norm, learned positions, an input projection, ReLU and linear heads (Sun,
2019), or as BERT has them: post-norm layers, a norm of the embedding, GELU. The plan (`plan.py`)
says which bank a text uses at each layer, `tables.py` and `words.py` which tables of weights that
makes, `sentence.py` and `layer.py` what is computed with them.
Shapes: N texts, T positions, D width, E width of word vectors, K tasks, C classes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtl_core.data.minibatch import Minibatch
from mtl_core.model.bank_module import BankModule
from mtl_core.model.banks import Banks, Narrowed, Use, narrow_rows, take_words, used_words
from mtl_core.model.config import EncoderConfig
from mtl_core.model.dropout import draw_seed
from mtl_core.model.forward import Part, compute_logits
from mtl_core.model.plan import SharingPlan
from mtl_core.model.reads import OtherTokens, Reads, Tokens, head_width
from mtl_core.model.tables import initial_table, list_tables, names_of_banks
from mtl_core.model.wide import WideLayout, WideLookup, look_up
from mtl_core.model.words import CLS_ID, initial_words, word_ids_of_banks, word_rows
from mtl_core.seeding import stream

_KEPT = 1024  # sets of tasks whose banks are remembered; most trainings have fewer
# Used banks of each group, the place of each among them, and the same as tensors.
_Used = tuple[Mapping[str, tuple[int, ...]], Mapping[str, Mapping[int, int]], dict[str, Tensor]]


class MultiTaskEncoder(BankModule):
    """Encoder and heads of all tasks; every parameter's leading dimension counts banks.

    Args:
        n_classes: Outputs of each task; logits of classes a task lacks are -inf.
        reads: What each task's head reads; empty: the sentence vector.
        vocabulary_of_tasks: Whether a word is in a task's train split, (K, V) bool.
        max_words: Longest text, in words.
        task_names: They and `seed` name the random streams of the initial weights.
        vectors: Given word vectors, (V, E), for the words `found`, (V,) bool; None: for all.
        given: Weights learnt in an encoder without banks, that all banks start from: one bank of
            each table, by the table's name (`tables.initial_table`).
        wide: Where the weights of n-grams stand, if `config.wide`.
    """

    wide_row: Tensor
    wide_factor: Tensor
    class_mask: Tensor

    def __init__(
        self,
        plan: SharingPlan,
        config: EncoderConfig,
        *,
        n_classes: Sequence[int],
        vocabulary_of_tasks: np.ndarray,
        max_words: int,
        task_names: Sequence[str],
        seed: int,
        reads: Sequence[Reads] = (),
        vectors: np.ndarray | None = None,
        found: np.ndarray | None = None,
        given: Mapping[str, Tensor] | None = None,
        wide: WideLayout | None = None,
    ) -> None:
        super().__init__()
        self.plan, self.config, self.n_classes = plan, config, tuple(n_classes)
        self.reads = tuple(reads) or (Reads.TEXT,) * plan.n_tasks
        self._used: dict[tuple[int, ...], _Used] = {}  # of the tasks of a minibatch
        all_known = config.pretrained is not None
        ids = word_ids_of_banks(plan, vocabulary_of_tasks, all_known=all_known)
        names = (*names_of_banks(plan.groups[0], task_names), *((),) * all_known)
        streams = [stream(seed, "init", "words", 0, *sorted(of_bank)) for of_bank in names]
        words = initial_words(ids, config.d_word, streams, vectors, found)
        self.words = nn.Parameter(words, requires_grad=not config.freeze_words)
        self.table_group["words"] = "words"
        n_words = vocabulary_of_tasks.shape[1]
        self.word_rows = word_rows(ids, n_words, all_known=all_known)  # (banks, V)
        self._add_wide(wide)
        for table in list_tables(
            plan,
            config,
            n_classes=n_classes,
            max_words=max_words,
            task_names=task_names,
            reads=self.reads,
        ):
            start = initial_table(table, (given or {}).get(table.name), seed=seed)
            self.add_table(table.name, table.group, start)
        mask = torch.arange(max(n_classes)) < torch.tensor(self.n_classes)[:, None]  # (K, C)
        self.register_buffer("class_mask", mask, persistent=False)
        self.tie()

    def forward(self, batch: Minibatch, narrowed: Narrowed | None = None) -> Tensor:
        """Return the outputs of each text's task, (I, C): of texts, or of words that are tagged.

        Args:
            narrowed: `narrow(batch)`, whose leaves then get the gradients; None: the parameters do.
        """
        seed = draw_seed() if self.training else None
        return compute_logits([Part(model=self, batch=batch, narrowed=narrowed, seed=seed)])[0]

    def narrow(self, batch: Minibatch) -> Narrowed:
        """Return the banks and word rows that the minibatch uses, as leaves that get gradients.

        Args:
            batch: On the CPU, wherever the model is: how many words are used is known there without
                waiting for a GPU.
        """
        return self.narrow_all([batch])[0]

    def narrow_all(self, batches: Sequence[Minibatch]) -> list[Narrowed]:
        """Return the same for each minibatch; the leaves are those of all of them together."""
        use = self.use_of(batches)
        leaves = {
            group: narrow_rows(self.rows[group], numbers, use.used[group]).requires_grad_(
                group not in self.frozen
            )
            for group, numbers in use.banks.items()
        }
        used = dict(use.used)
        if use.words is not None:
            used["words"], leaves["words"] = take_words(self.words, use.words)
        lookups: Sequence[WideLookup | None] = [None] * len(batches)
        if self.wide_layout is not None:
            used["wide"], leaves["wide"], lookups = self.narrow_wide(batches)
        return [
            Narrowed(used, leaves, use.places, places, lookup)
            for places, lookup in zip(use.word_places, lookups, strict=True)
        ]

    def use_of(self, batches: Sequence[Minibatch]) -> Use:
        """Return what these minibatches, of one update, use of the model."""
        tasks = batches[0].tasks
        if len(batches) > 1:
            tasks = tuple(sorted({task for batch in batches for task in batch.tasks}))
        if tasks not in self._used:
            if len(self._used) == _KEPT:
                self._used.clear()
            self._used[tasks] = self._used_banks(tasks)
        banks, places, used = self._used[tasks]
        of_words, words = [self.word_places(batch) for batch in batches], None
        if self.words.requires_grad:
            words, of_words = used_words(len(self.words), of_words)
        return Use(banks, places, used, words, of_words)

    def banks(self) -> Banks:
        """Return all banks; where gradients are taken, of the parameters."""
        by_row = self.unmoved()
        if self.wide_layout is not None:
            by_row["wide"] = self.wide
        if not torch.is_grad_enabled():
            return Banks(self.rows | by_row)
        return Banks(self.joined() | by_row)

    def unmoved(self) -> dict[str, Tensor]:
        """Return what a pass reads besides the banks that it uses."""
        if self.plan.other_tokens is OtherTokens.DETACHED:
            return {"words": self.words, "detached_tokens": self.rows["tokens"].detach()}
        return {"words": self.words}

    def count_parameters(self) -> int:
        """Return the trainable parameters, without word vectors, weights of n-grams, positions and
        padded classes."""
        left_out = ("words", "wide", "positions")
        counts = {name: p.numel() for name, p in self.named_parameters() if p.requires_grad}
        widths = [head_width(self.config.d_model, of_task) for of_task in self.reads]
        heads = sum((w + 1) * n for w, n in zip(widths, self.n_classes, strict=True))
        return heads + sum(
            count
            for name, count in counts.items()
            if name not in left_out and not self.table_group[name].endswith("heads")
        )

    def word_places(self, batch: Minibatch) -> Tensor:
        """Return the row of the word table of each word, (N, T), the <cls> word's put first.

        On the CPU, by NumPy, which for some thousand words takes a tenth of the time of torch.
        """
        words = batch.words
        if self.plan.tokens is Tokens.CLS_WORD and not self.config.brings_cls:
            words = F.pad(words, (1, 0), value=CLS_ID)
        banks = [self.plan.groups[0][task] for task in batch.tasks]
        if len(set(banks)) == 1:
            return torch.from_numpy(self.word_rows[banks[0]][words.numpy()])
        of_texts = np.repeat(banks, batch.sizes)
        return torch.from_numpy(self.word_rows[of_texts[:, None], words.numpy()])

    def wide_lookup(self, batch: Minibatch) -> WideLookup:
        """Return the rows of the table of n-grams that the texts sum."""
        assert self.wide_layout is not None
        assert batch.wide is not None
        on_cpu = batch.wide.ngrams.device.type == "cpu"
        layout = self.wide_layout
        of_layout = (layout.row_of, layout.factors) if on_cpu else (self.wide_row, self.wide_factor)
        return look_up(layout, *of_layout, batch)

    def narrow_wide(self, batches: Sequence[Minibatch]) -> tuple[Tensor, Tensor, list[WideLookup]]:
        """Return which rows of n-grams are used, them as a leaf, and the lookups in it."""
        lookups = [self.wide_lookup(batch) for batch in batches]
        rows, places = used_words(len(self.wide), [of.rows for of in lookups])
        used, leaf = take_words(self.wide, rows)
        pairs = zip(lookups, places, strict=True)
        return used, leaf, [replace(of, rows=rows).to(self.wide.device) for of, rows in pairs]

    def _add_wide(self, layout: WideLayout | None) -> None:
        assert (layout is not None) == self.config.wide
        self.wide_layout = layout
        if layout is not None:
            self.wide = nn.Parameter(torch.zeros(layout.n_rows, max(self.n_classes)))
            self.register_buffer("wide_row", layout.row_of, persistent=False)
            self.register_buffer("wide_factor", layout.factors, persistent=False)
            self.table_group["wide"] = "wide"

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        self._used.clear()
        return super()._apply(fn, recurse)

    def _used_banks(self, tasks: tuple[int, ...]) -> _Used:
        banks = self.plan.used_banks(tasks)
        of_pairs = tuple(k for k in banks["heads"] if self.reads[k] is Reads.PAIR)
        banks["pair_heads"] = of_pairs
        banks["heads"] = tuple(k for k in banks["heads"] if k not in of_pairs)
        banks = {group: numbers for group, numbers in banks.items() if group in self.rows}
        places = {g: {bank: i for i, bank in enumerate(numbers)} for g, numbers in banks.items()}
        device = self.words.device
        used = {
            group: torch.tensor(numbers, dtype=torch.int64).to(device, non_blocking=True)
            for group, numbers in banks.items()
        }
        return banks, places, used

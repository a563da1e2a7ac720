"""The encoder that runs any sharing plan: the published Transformer with its weights in banks.

Pre-norm layers, a final norm, learned positions, an input projection, ReLU and linear heads (Sun,
2019). The plan (`plan.py`) says which bank a text uses at each layer, `tables.py` and `words.py`
which tables of weights that makes, `sentence.py` and `layer.py` what is computed with them.
Shapes: N texts, T positions, D width, E width of word vectors, K tasks, C classes.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtl_core.data.batches import Minibatch
from mtl_core.model.banks import Narrowed, narrow_table, narrow_words
from mtl_core.model.config import EncoderConfig
from mtl_core.model.dropout import draw_seed
from mtl_core.model.forward import Part, compute_logits
from mtl_core.model.plan import SharingPlan, Tokens
from mtl_core.model.tables import initial_table, list_tables, names_of_banks
from mtl_core.model.words import CLS_ID, initial_words, word_ids_of_banks, word_rows
from mtl_core.seeding import stream


class MultiTaskEncoder(nn.Module):
    """Encoder and heads of all tasks; every parameter's leading dimension counts banks.

    Args:
        n_classes: Classes of each task; logits of classes a task lacks are -inf.
        vocabulary_of_tasks: Whether a word is in a task's train split, (K, V) bool.
        max_words: Longest text, in words.
        task_names: They and `seed` name the random streams of the initial weights.
        vectors: Given word vectors, (V, E), for the words `found`, (V,) bool; None: for all.
    """

    word_row: Tensor
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
        vectors: np.ndarray | None = None,
        found: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        self.plan, self.config, self.n_classes = plan, config, tuple(n_classes)
        self.table_group = {"words": "words"}
        ids = word_ids_of_banks(plan, vocabulary_of_tasks)
        names = names_of_banks(plan.groups[0], task_names)
        streams = [stream(seed, "init", "words", 0, *sorted(of_bank)) for of_bank in names]
        words = initial_words(ids, config.d_word, streams, vectors, found)
        self.words = nn.Parameter(words, requires_grad=not config.freeze_words)
        rows = torch.from_numpy(word_rows(ids, vocabulary_of_tasks.shape[1]))
        self.register_buffer("word_row", rows, persistent=False)
        for table in list_tables(
            plan, config, n_classes=n_classes, max_words=max_words, task_names=task_names
        ):
            self._add(table.name, initial_table(table, seed=seed))
            self.table_group[table.name] = table.group
        mask = torch.arange(max(n_classes)) < torch.tensor(self.n_classes)[:, None]  # (K, C)
        self.register_buffer("class_mask", mask, persistent=False)

    def forward(self, batch: Minibatch, narrowed: Narrowed | None = None) -> Tensor:
        """Return the logits of each text's task, (N, C).

        Args:
            narrowed: `narrow(batch)`, whose leaves then get the gradients; None: the parameters do.
        """
        seed = draw_seed() if self.training else None
        return compute_logits([Part(model=self, batch=batch, narrowed=narrowed, seed=seed)])[0]

    def narrow(self, batch: Minibatch) -> Narrowed:
        """Return the banks and word rows that the minibatch uses, as leaves that get gradients."""
        banks, place_of = _used_banks(self.plan, batch.tasks)
        device = batch.words.device
        used = {group: torch.tensor(numbers, device=device) for group, numbers in banks.items()}
        rows = self.word_places(batch)
        used["words"], places = torch.unique(rows, return_inverse=True)
        used["words"] = used["words"].long()
        tables = {
            name: narrow_table(table, banks[group], used[group])
            for name, table in self.named_parameters()
            if (group := self.table_group[name]) != "words"
        }
        if not self.words.requires_grad:
            return Narrowed(used, tables, place_of, rows)
        tables["words"] = narrow_words(self.words, used["words"])
        return Narrowed(used, tables, place_of, places)

    def count_parameters(self) -> int:
        """Return the trainable parameters, without word vectors, positions and padded classes."""
        left_out = ("words", "positions", "head_weight", "head_bias")
        counts = {name: p.numel() for name, p in self.named_parameters() if p.requires_grad}
        heads = int(self.class_mask.sum()) * (1 + self.config.d_model)
        return heads + sum(count for name, count in counts.items() if name not in left_out)

    def word_places(self, batch: Minibatch) -> Tensor:
        """Return the row of the word table of each word, (N, T), the <cls> word's put first."""
        words = batch.words
        if self.plan.tokens is Tokens.CLS_WORD:
            words = F.pad(words, (1, 0), value=CLS_ID)
        banks = [self.plan.groups[0][task] for task in batch.tasks]
        if len(set(banks)) == 1:
            return self.word_row[banks[0]][words]
        parts = torch.split(words, list(batch.sizes))
        return torch.cat([self.word_row[b][part] for b, part in zip(banks, parts, strict=True)])

    def _add(self, name: str, table: Tensor) -> None:
        """Register a table under its dotted name."""
        path, _, kind = name.rpartition(".")
        holder: nn.Module = self
        for part in path.split(".") if path else []:
            if part not in holder._modules:
                holder.add_module(part, nn.Module())
            holder = holder.get_submodule(part)
        holder.register_parameter(kind, nn.Parameter(table))


@lru_cache(maxsize=1024)
def _used_banks(
    plan: SharingPlan, tasks: tuple[int, ...]
) -> tuple[Mapping[str, tuple[int, ...]], Mapping[str, Mapping[int, int]]]:
    """Return the banks that `tasks` use, by group, and the place of each among them."""
    banks = plan.used_banks(tasks)
    places = {g: {bank: i for i, bank in enumerate(numbers)} for g, numbers in banks.items()}
    return banks, places

"""The texts of a pass as attention sees them: neighbours of one width, and what they attend to.

Shapes: S tokens before the words, T words.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mtl_core.model.attention import has_kernel
from mtl_core.model.layout import Block, runs
from mtl_core.model.reads import TokenAttention
from mtl_core.model.segment import Segment, Segmented
from mtl_core.model.token_access import gate_scores, is_hidden
from mtl_core.model.work import Company


class Segments:
    """Makes the segments of one pass; what layers have in common is made once."""

    def __init__(self, company: Company) -> None:
        self._company, self._works = company, company.works
        self._biases: dict[tuple[tuple[tuple[int, int], ...], int], Tensor | None] = {}
        self._hidden: dict[tuple[tuple[int, int], ...], Tensor] = {}
        self._gates: dict[tuple[int, int], Tensor] = {}  # of a part and a task
        self._latest: tuple[tuple[Block, ...], Segmented] | None = None
        d_head = company.config.d_model // company.config.n_heads
        self._has_kernel = has_kernel(company.device, company.type, d_head)

    def of(self, blocks: tuple[Block, ...]) -> Segmented:
        """Return the texts by width; with dropout those of one part, so that it draws its own."""
        if self._latest is None or self._latest[0] is not blocks:
            self._latest = blocks, Segmented(self._made(blocks))
        return self._latest[1]

    def _made(self, blocks: Sequence[Block]) -> list[Segment]:

        def alike(block: Block) -> tuple[int, int, int | None, bool, bool]:
            work = self._works[block.part]
            drops = work.noise is not None and work.config.dropout_attention
            part = block.part if drops else None
            return block.n_tokens, block.n_words, part, self._hides(block), self._is_gated(block)

        segments, first = [], 0
        for start, end, (n_tokens, n_words, part, hides, gated) in runs(blocks, alike):
            width = n_tokens + n_words
            texts = (end - start) // width
            noise = None if part is None else self._works[part].noise
            inside = [b for b in blocks if start <= b.start < end]
            by_kernel = self._has_kernel and not (hides or gated)
            segments.append(
                Segment(
                    start=start,
                    first_text=first,
                    texts=texts,
                    width=width,
                    bias=None if by_kernel else self._bias(inside, n_tokens, n_words),
                    noise=noise,
                    share=0.0 if part is None else self._works[part].config.dropout_attention,
                    hidden=self._hidden_of(inside) if hides else None,
                    gates=self._gates_of(inside) if gated else None,
                    valid=n_tokens + self._lengths(inside) if by_kernel else None,
                )
            )
            first += texts
        return segments

    def _bias(self, blocks: Sequence[Block], n_tokens: int, n_words: int) -> Tensor | None:
        """Return -inf where a text is padded, else 0, (texts, S + T); None: nowhere is padding."""
        key = tuple((block.part, block.first_text) for block in blocks), n_tokens
        if key not in self._biases:
            lengths = self._lengths(blocks)
            self._biases[key] = None
            if int(lengths.min()) < n_words:
                place = np.arange(-n_tokens, n_words)
                bias = np.where(place < lengths[:, None], 0.0, -np.inf)
                self._biases[key] = self._scores(bias)
        return self._biases[key]

    def _lengths(self, blocks: Sequence[Block]) -> np.ndarray:
        """Return the words of each text, (texts,)."""
        return np.concatenate([self._company.lengths(block) for block in blocks])

    def _hides(self, block: Block) -> bool:
        attention = self._works[block.part].plan.token_attention
        return block.n_tokens > 0 and attention is not TokenAttention.ALL

    def _hidden_of(self, blocks: Sequence[Block]) -> Tensor:
        """Return -inf for the tokens that a text's words do not attend to, else 0, (texts, S)."""
        key = tuple((block.part, block.first_text) for block in blocks)
        if key not in self._hidden:
            of_blocks = [
                is_hidden(self._works[b.part].plan.token_attention, b.task, b.n_tokens)
                for b in blocks
            ]
            of_texts = np.repeat(of_blocks, [block.texts for block in blocks], axis=0)
            bias = np.where(of_texts, -np.inf, 0.0)
            self._hidden[key] = self._scores(bias)
        return self._hidden[key]

    def _is_gated(self, block: Block) -> bool:
        return block.n_tokens > 0 and self._works[block.part].plan.n_gates > 0

    def _gates_of(self, blocks: Sequence[Block]) -> Tensor:
        """Return what the gates add to the scores of the tokens, (texts, S)."""
        for block in blocks:
            if (block.part, block.task) not in self._gates:
                banks = self._works[block.part].banks
                gates = banks.rows["token_gates"][banks.place("token_gates", block.task)]
                of_task = gate_scores(gates, block.task).to(self._company.type)
                self._gates[block.part, block.task] = of_task
        scores = [self._gates[block.part, block.task].expand(block.texts, -1) for block in blocks]
        return torch.cat(scores) if len(scores) > 1 else scores[0]

    def _scores(self, bias: np.ndarray) -> Tensor:
        scores = torch.from_numpy(bias).to(self._company.type)
        return scores.to(self._company.device, non_blocking=True)

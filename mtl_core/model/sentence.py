"""From the words of a pass to one vector per text, by the plans of its parts.

The texts of all parts stand in one tensor of positions (`layout.py`) and go up together:
embedding, layers, and the readout with its final norm, each by the banks of its part's plan. A row
leaves after the layer it reads.
Shapes: P positions, N texts, T positions of a text, S tokens before the words, D width.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import torch
from torch import Tensor

from mtl_core.data.batches import Minibatch, spans
from mtl_core.model.attention import Segment
from mtl_core.model.banks import Banks, Chosen, Kinds, Tables, unpack
from mtl_core.model.config import EncoderConfig
from mtl_core.model.dropout import Noise, Span, drop_mask
from mtl_core.model.embedding import EmbeddedPart, embed, enter_tokens
from mtl_core.model.grouped import Bounds, as_one, grouped_linear, grouped_norm
from mtl_core.model.layer import (
    LayerBanks,
    LayerWork,
    Reading,
    drop,
    layer_kinds,
    run_layer,
)
from mtl_core.model.layout import (
    Block,
    Run,
    common_widths,
    cut_by_width,
    place,
    runs,
    text_blocks,
)
from mtl_core.model.plan import Readout, Reads, SharingPlan, Tokens, layer_group, norm_group
from mtl_core.model.pooling import mean_of_words
from mtl_core.model.tables import embedding_shapes
from mtl_core.model.token_access import OtherTokens, TokenAttention, gate_scores, is_hidden
from mtl_core.model.token_types import add_other_types, with_first_type


@dataclass(frozen=True, kw_only=True)
class Work:
    """What one part brings to a pass, its weights at hand.

    Args:
        word_places: Row of the word table of each word, the <cls> word's put first, (N, T).
        lengths: The batch's, as a list.
        noise: Source of dropout; None: no dropout.
        reads: What the head of each task reads.
        n_outputs: Classes, or other numbers, that the head of each task gives.
    """

    plan: SharingPlan
    config: EncoderConfig
    batch: Minibatch
    word_places: Tensor
    lengths: np.ndarray
    banks: Banks
    noise: Noise | None
    reads: Sequence[Reads]
    n_outputs: Sequence[int]

    @property
    def word_offset(self) -> int:
        """Words put before those of the minibatch."""
        return int(self.plan.tokens is Tokens.CLS_WORD and not self.config.brings_cls)


@dataclass(frozen=True)
class Stretch:
    """Some blocks of a pass and what stands at their positions, (P, D)."""

    blocks: tuple[Block, ...]
    x: Tensor


def sentence_vectors(works: Sequence[Work], dtype: torch.dtype) -> Stretch:
    """Return what the heads read, in an order of its own: a block for texts of one row.

    One position a text; of a pair whose texts are read apart, two; of a text whose words are read,
    one for each word.

    Args:
        works: Of one family.
        dtype: Type of the products.
    """
    return _Pass(works, dtype).run()


class _Pass:
    """One forward pass."""

    def __init__(self, works: Sequence[Work], dtype: torch.dtype) -> None:
        self.works = works
        words = works[0].banks.rows["words"]
        double = words.dtype is torch.float64  # a model that was made double stays so
        self.type = torch.float64 if double else dtype  # of the products
        self.stream = torch.float64 if double else torch.float32  # of a text on its way up
        self.device = works[0].batch.words.device
        self.config = works[0].config  # in its sizes and manners that of all
        self.layer_kinds = layer_kinds(works[0].config, self.stream, self.type)
        self.biases: dict[tuple[tuple[tuple[int, int], ...], int], Tensor | None] = {}
        self.hidden: dict[tuple[tuple[int, int], ...], Tensor] = {}
        self.gates: dict[tuple[int, int], Tensor] = {}  # of a part and a task

    def run(self) -> Stretch:
        now = self._embed(_blocks(self.works))
        read: list[Stretch] = []
        now = self._pool(0, now, read)
        for layer in range(1, 1 + max(work.plan.n_layers for work in self.works)):
            now = self._enter(layer, now)
            picked = [self._picks(layer, block) for block in now.blocks]
            going, leaving = split_blocks(now, picked)
            if leaving.blocks:
                vectors = self._layer(layer, leaving, read=True)
                read.append(self._norm(layer, Stretch(text_blocks(leaving.blocks), vectors)))
            if going.blocks:
                going = Stretch(going.blocks, self._layer(layer, going, read=False))
            now = self._pool(layer, going, read)
        if len(read) == 1:
            return read[0]
        blocks = place([block for part in read for block in part.blocks])
        return Stretch(blocks, torch.cat([part.x for part in read]))

    def _embed(self, blocks: tuple[Block, ...]) -> Stretch:
        """Return words and positions of the texts, brought to the model's width, (P, D)."""
        group, width = layer_group(0), self.config.d_word
        shapes = tuple(embedding_shapes(self.config).values())[-2:]  # of the projection, or norm
        n_last, n_types = sum(prod(shape) for shape in shapes), self.config.n_types
        parts, types, last = [], [], {}
        for number, work in enumerate(self.works):
            rows = work.banks.rows[group]
            sizes = [rows.shape[1] - n_types * width - n_last, n_types * width, n_last]
            positions, of_types, last[number] = torch.split(rows, sizes, 1)
            mine = [block for block in blocks if block.part == number]
            banks = [work.banks.place(group, work.plan.groups[0][block.task]) for block in mine]
            positions = positions.view(len(rows), -1, width)
            if n_types:
                types.append(of_types.view(len(rows), n_types, width))
                positions = with_first_type(positions, types[-1])
            words = work.banks.rows["words"]
            parts.append(EmbeddedPart(mine, work.word_places, words, positions, banks))
        x = embed(parts)
        for work, part, table in zip(self.works, parts, types, strict=False):
            if (of_words := _types(work)) is not None:
                x = add_other_types(x, table, of_words, part.blocks, part.of_block)
        return Stretch(blocks, self._bring_in(x, blocks, last, shapes))

    def _bring_in(
        self,
        x: Tensor,
        blocks: tuple[Block, ...],
        last: Mapping[int, Tensor],
        shapes: tuple[tuple[int, ...], ...],
    ) -> Tensor:
        """Return the embedding as it enters the layers: projected, or of post-norm models normed.

        Args:
            last: The tables of that, side by side, of each part.
            shapes: Theirs.
        """
        post, group = self.config.norm == "post", layer_group(0)
        found, kind = self._runs(blocks, 0), self.stream if post else self.type
        chosen = [
            (last[part], self.works[part].banks.place(group, bank)) for _, _, (part, bank) in found
        ]
        kinds, one = Kinds(shapes, (kind, kind)), as_one(self.device, len(chosen))
        weights, biases = unpack(chosen, kinds, as_one=one)
        bounds, spans = _bounds(found), self._spans(blocks, "dropout_embedding")
        if post:
            eps = self.config.norm_eps
            return drop(grouped_norm(x, weights, biases, bounds, self.stream, eps=eps), spans)
        return grouped_linear(drop(x, spans).to(self.type), weights, biases, bounds).to(self.stream)

    def _enter(self, layer: int, now: Stretch) -> Stretch:
        """Return the blocks with the tokens that enter before this layer."""
        enters = [self._n_entering(layer, block) for block in now.blocks]
        if not any(enters):
            return now
        blocks = [
            replace(block, n_tokens=block.n_tokens + count)
            for block, count in zip(now.blocks, enters, strict=True)
        ]
        after = place(blocks)
        entering = [block for block, count in zip(after, enters, strict=True) if count]
        tokens = [self._tokens(block) for block in entering]
        mask = self._token_mask(entering)
        return Stretch(after, enter_tokens(now.x, now.blocks, after, tokens, mask))

    def _n_entering(self, layer: int, block: Block) -> int:
        plan = self.works[block.part].plan
        enters = plan.token_depth[block.task] == layer - 1
        return len(plan.tokens_of(block.task)) if enters else 0

    def _tokens(self, block: Block) -> Tensor:
        """Return the tokens that enter before the words of a block's texts, (S, D)."""
        work = self.works[block.part]
        if work.plan.other_tokens is OtherTokens.DETACHED:
            return self._own_among_detached(block)
        tokens = work.plan.tokens_of(block.task)
        numbers = [work.banks.place("tokens", token) for token in tokens]
        table = work.banks.rows["tokens"]
        return table if numbers == list(range(len(table))) else table[numbers]

    def _own_among_detached(self, block: Block) -> Tensor:
        banks, task = self.works[block.part].banks, block.task
        place, all_tokens = banks.place("tokens", task), banks.rows["detached_tokens"]
        own = banks.rows["tokens"][place : place + 1]
        return torch.cat([all_tokens[:task], own, all_tokens[task + 1 :]])

    def _token_mask(self, blocks: Sequence[Block]) -> Tensor | None:
        """Return the dropout of the tokens that have entered, those of all texts in turn."""
        alone = place([replace(block, n_words=0) for block in blocks])
        width = self.works[0].config.d_model
        spans = self._spans(alone, "dropout_embedding")
        return drop_mask(spans, width, self.stream, self.device)

    def _layer(self, layer: int, part: Stretch, *, read: bool) -> Tensor:
        found, reading = self._runs(part.blocks, layer), None
        if read:
            texts = text_blocks(part.blocks)
            reading = Reading(
                places=self._read_places(part.blocks),
                bounds=_bounds(self._runs(texts, layer)),
                spans=self._spans(texts, "dropout"),
            )
        work = LayerWork(
            banks=LayerBanks(*tables_of(self.works, found, layer_group(layer), self.layer_kinds)),
            bounds=_bounds(found),
            segments=self._segments(part.blocks),
            spans=self._spans(part.blocks, "dropout"),
            n_heads=self.config.n_heads,
            dtype=self.type,
            norm=self.config.norm,
            activation=self.config.activation,
            norm_eps=self.config.norm_eps,
            reading=reading,
        )
        return run_layer(part.x, work)

    def _pool(self, layer: int, now: Stretch, read: list[Stretch]) -> Stretch:
        """Add to `read` what is read after this layer of all positions; return the rest."""
        ends = [self._reads(layer, block) for block in now.blocks]
        going, leaving = split_blocks(now, ends)
        if leaving.blocks:
            normed = self._norm(layer, leaving)
            of_words = [self._kind(block) is Reads.WORDS for block in leaving.blocks]
            means, words = split_blocks(normed, of_words)
            if means.blocks:
                read.append(self._means(means))
            if words.blocks:
                read.append(self._words(words))
        return going

    def _means(self, part: Stretch) -> Stretch:
        """Return the mean over the words of each text; of a pair, one after the other."""
        pooled = [self._pooled_spans(block) for block in part.blocks]
        blocks = [
            replace(block, n_words=of_block.shape[1] // 2, n_tokens=0)
            for block, of_block in zip(part.blocks, pooled, strict=True)
        ]
        return Stretch(place(blocks), mean_of_words(part.x, part.blocks, pooled))

    def _words(self, part: Stretch) -> Stretch:
        """Return the words of each text, padding and tokens left out, one position each."""
        blocks, places = [], []
        for block in part.blocks:
            lengths = self.works[block.part].lengths
            lengths = lengths[block.first_text : block.first_text + block.texts]
            first = block.n_tokens + self.works[block.part].word_offset
            starts = block.start + first + block.width * np.arange(block.texts)
            places.append(spans(starts, lengths))
            blocks.append(replace(block, texts=int(lengths.sum()), n_words=1, n_tokens=0))
        chosen = torch.from_numpy(np.concatenate(places)).to(self.device, non_blocking=True)
        return Stretch(place(blocks), part.x.index_select(0, chosen))

    def _norm(self, layer: int, part: Stretch) -> Stretch:
        """Return the positions normed by the bank of the layer they are read at.

        A post-norm model has no final norm: its last layer ends with one.
        """
        if self.config.norm == "post":
            return part
        width, found = part.x.shape[1], self._runs(part.blocks, layer, norm=True)
        kinds = Kinds(((width,), (width,)), (self.stream, self.stream))
        weights, biases = tables_of(self.works, found, norm_group(layer), kinds)
        eps = self.config.norm_eps
        x = grouped_norm(part.x, weights, biases, _bounds(found), part.x.dtype, eps=eps)
        return Stretch(part.blocks, x)

    def _runs(
        self, blocks: Sequence[Block], layer: int, *, norm: bool = False
    ) -> list[Run[tuple[int, int]]]:
        """Return the runs of blocks of one part with one bank, of a layer or of its final norm."""

        def part_and_bank(block: Block) -> tuple[int, int]:
            plan = self.works[block.part].plan
            row = plan.norm_banks(layer) if norm else plan.groups[layer]
            return block.part, row[block.task]

        return runs(blocks, part_and_bank)

    def _spans(self, blocks: Sequence[Block], share: str) -> list[Span]:
        """Return the places of each part with its dropout, the value `share` of its encoder."""
        return [
            Span(start, end, self.works[part].noise, getattr(self.works[part].config, share))
            for start, end, part in runs(blocks, lambda block: block.part)
        ]

    def _segments(self, blocks: Sequence[Block]) -> list[Segment]:
        """Return the texts by width; with dropout those of one part, so that it draws its own."""

        def alike(block: Block) -> tuple[int, int, int | None, bool, bool]:
            work = self.works[block.part]
            drops = work.noise is not None and work.config.dropout_attention
            part = block.part if drops else None
            return block.n_tokens, block.n_words, part, self._hides(block), self._is_gated(block)

        segments, first = [], 0
        for start, end, (n_tokens, n_words, part, hides, gated) in runs(blocks, alike):
            width = n_tokens + n_words
            texts = (end - start) // width
            noise = None if part is None else self.works[part].noise
            inside = [b for b in blocks if start <= b.start < end]
            segments.append(
                Segment(
                    start=start,
                    first_text=first,
                    texts=texts,
                    width=width,
                    bias=self._bias(inside, n_tokens, n_words),
                    noise=noise,
                    share=0.0 if part is None else self.works[part].config.dropout_attention,
                    hidden=self._hidden(inside) if hides else None,
                    gates=self._gates(inside) if gated else None,
                )
            )
            first += texts
        return segments

    def _bias(self, blocks: Sequence[Block], n_tokens: int, n_words: int) -> Tensor | None:
        """Return -inf where a text is padded, else 0, (texts, S + T); None: nowhere is padding."""
        key = tuple((block.part, block.first_text) for block in blocks), n_tokens
        if key not in self.biases:
            lengths = np.concatenate([self._lengths(block) for block in blocks])
            self.biases[key] = None
            if int(lengths.min()) < n_words:
                place = np.arange(-n_tokens, n_words)
                bias = np.where(place < lengths[:, None], 0.0, -np.inf)
                self.biases[key] = torch.from_numpy(bias).to(self.device, self.type)
        return self.biases[key]

    def _hides(self, block: Block) -> bool:
        attention = self.works[block.part].plan.token_attention
        return block.n_tokens > 0 and attention is not TokenAttention.ALL

    def _hidden(self, blocks: Sequence[Block]) -> Tensor:
        """Return -inf for the tokens that a text's words do not attend to, else 0, (texts, S)."""
        key = tuple((block.part, block.first_text) for block in blocks)
        if key not in self.hidden:
            of_blocks = [
                is_hidden(self.works[b.part].plan.token_attention, b.task, b.n_tokens)
                for b in blocks
            ]
            of_texts = np.repeat(of_blocks, [block.texts for block in blocks], axis=0)
            bias = np.where(of_texts, -np.inf, 0.0)
            self.hidden[key] = torch.from_numpy(bias).to(self.device, self.type)
        return self.hidden[key]

    def _is_gated(self, block: Block) -> bool:
        return block.n_tokens > 0 and self.works[block.part].plan.n_gates > 0

    def _gates(self, blocks: Sequence[Block]) -> Tensor:
        """Return what the gates add to the scores of the tokens, (texts, S)."""
        for block in blocks:
            if (block.part, block.task) not in self.gates:
                banks = self.works[block.part].banks
                gates = banks.rows["token_gates"][banks.place("token_gates", block.task)]
                self.gates[block.part, block.task] = gate_scores(gates, block.task).to(self.type)
        scores = [self.gates[block.part, block.task].expand(block.texts, -1) for block in blocks]
        return torch.cat(scores) if len(scores) > 1 else scores[0]

    def _lengths(self, block: Block) -> np.ndarray:
        """Return the words of each text, its <cls> word counted."""
        work = self.works[block.part]
        mine = work.lengths[block.first_text : block.first_text + block.texts]
        return mine + work.word_offset

    def _pooled_spans(self, block: Block) -> np.ndarray:
        """Return the words that each mean of a text is over: from, to; of a pair, twice; (N, 2 or
        4)."""
        lengths, work = self._lengths(block), self.works[block.part]
        zeros = np.zeros_like(lengths)
        if work.config.mean_over_padding:
            return np.stack([zeros, np.full_like(lengths, block.n_words)], axis=1)
        if self._kind(block) is not Reads.PAIR:
            return np.stack([zeros, lengths], axis=1)
        assert work.batch.seconds is not None
        seconds = work.batch.seconds[block.first_text : block.first_text + block.texts]
        # What separates the texts stands last in the first of them and counts to neither.
        ends = np.maximum(seconds - 1, 1)
        return np.stack([zeros, ends, np.minimum(seconds, lengths - 1), lengths], axis=1)

    def _kind(self, block: Block) -> Reads:
        return self.works[block.part].reads[block.task]

    def _reads(self, layer: int, block: Block) -> bool:
        """Whether all positions of the block are read after this layer."""
        plan = self.works[block.part].plan
        of_all = plan.readout is Readout.MEAN or self._kind(block) is Reads.WORDS
        return of_all and plan.readout_layer[block.task] == layer

    def _picks(self, layer: int, block: Block) -> bool:
        """Whether one position of each text is read after this layer, and nothing else needed."""
        plan = self.works[block.part].plan
        return plan.readout_layer[block.task] == layer and not self._reads(layer, block)

    def _read_places(self, blocks: Sequence[Block]) -> Tensor:
        """Return the place of the <cls> word or token of each text, (N,)."""
        places = []
        for block in blocks:
            at = block.task if self.works[block.part].plan.tokens is Tokens.ALL else 0
            places.append(np.arange(block.start + at, block.end, block.width))
        return torch.from_numpy(np.concatenate(places)).to(self.device, non_blocking=True)


def tables_of(
    works: Sequence[Work],
    found: Sequence[Run[tuple[int, int]]],
    group: str,
    kinds: Kinds,
) -> list[Tables]:
    """Return the tables of a group by kind, those of each run; its key is its part and bank."""
    banks = [(works[part].banks, bank) for _, _, (part, bank) in found]
    chosen: Chosen = [(mine.rows[group], mine.place(group, bank)) for mine, bank in banks]
    return unpack(chosen, kinds, as_one=as_one(chosen[0][0].device, len(found)))


def _types(work: Work) -> Tensor | None:
    """Return 1 for the words of the second text of a pair, else 0, (N, T); None: all are 0."""
    seconds, places = work.batch.seconds, work.word_places
    if work.config.n_types < 2 or seconds is None:
        return None
    starts = seconds[:, None] + work.word_offset
    types = np.arange(places.shape[1]) >= starts
    return torch.from_numpy(types.astype(np.int64)).to(places.device, non_blocking=True)


def _bounds(found: Sequence[Run[tuple[int, int]]]) -> Bounds:
    return tuple((start, end) for start, end, _ in found)


def _blocks(works: Sequence[Work]) -> tuple[Block, ...]:
    """Return the rows of all parts, side by side where they share banks or have one width."""
    parts = []
    for number, work in enumerate(works):
        batch, first = work.batch, 0
        blocks = []
        for task, size, width in zip(batch.tasks, batch.sizes, _widths(work), strict=True):
            for start, stop, of_part in _cuts(work, first, size, width):
                n_words = of_part + work.word_offset
                blocks.append(Block(number, task, first + start, stop - start, n_words))
            first += size
        parts.append(sorted(blocks, key=_order(work.plan)))
    parts.sort(key=lambda blocks: blocks[0].n_words)
    return place([block for blocks in parts for block in blocks])


def _cuts(work: Work, first: int, size: int, width: int) -> list[tuple[int, int, int]]:
    """Return the parts of a row, and the words to which the texts of each are padded."""
    if work.batch.words.device.type != "cpu" or work.config.mean_over_padding:
        return [(0, size, width)]
    return cut_by_width(work.lengths[first : first + size], width, work.config.d_model)


def _order(plan: SharingPlan) -> Callable[[Block], tuple[tuple[int, ...], int, int]]:
    paths = tuple(zip(*plan.groups, strict=True))
    return lambda block: (paths[block.task], block.n_words, block.first_text)


def _widths(work: Work) -> tuple[int, ...]:
    """Return the words to which the texts of each row are padded."""
    sizes, padded = work.batch.sizes, work.batch.words.shape[1]
    if len(sizes) == 1 or work.config.mean_over_padding:
        return (padded,) * len(sizes)
    starts = np.cumsum([0, *sizes[:-1]])
    return common_widths(np.maximum.reduceat(work.lengths, starts).tolist())


def split_blocks(now: Stretch, leaving: Sequence[bool]) -> tuple[Stretch, Stretch]:
    """Return the blocks that go on, and those that are leaving."""
    if not any(leaving):
        return now, Stretch((), now.x[:0])
    if all(leaving):
        return Stretch((), now.x[:0]), now
    pieces = torch.split(now.x, [block.end - block.start for block in now.blocks])
    sides: list[Stretch] = []
    for side in (False, True):
        chosen = [at for at, leaves in enumerate(leaving) if leaves is side]
        blocks = place([now.blocks[at] for at in chosen])
        sides.append(Stretch(blocks, torch.cat([pieces[at] for at in chosen])))
    return sides[0], sides[1]

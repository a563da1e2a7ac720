"""From the words of a minibatch to one vector per text, by the plan.

Rows of like banks go together (`route.py`): embedding, layers, and the readout with its final norm.
Shapes: N texts, T positions, S tokens before the words, D width, E width of word vectors.
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from mtl_core.data.batches import Minibatch
from mtl_core.model.banks import BankViews
from mtl_core.model.config import EncoderConfig
from mtl_core.model.dropout import Noise
from mtl_core.model.layer import LayerBank, drop, linear, run_layer
from mtl_core.model.plan import Readout, SharingPlan, Tokens, layer_group, norm_group
from mtl_core.model.route import Piece, common_widths, plan_route, regroup, take_rows


def sentence_vectors(
    plan: SharingPlan,
    config: EncoderConfig,
    batch: Minibatch,
    word_places: Tensor,
    views: BankViews,
    noise: Noise | None,
) -> Tensor:
    """Return the sentence vector of each text, (N, D).

    Args:
        word_places: Row of the word table of each word, (N, T).
        views: The weights.
        noise: Source of dropout; None: no dropout.
    """
    return _Pass(plan, config, batch, word_places, views, noise).run()


@dataclass
class _Pass:
    """One forward pass."""

    plan: SharingPlan
    config: EncoderConfig
    batch: Minibatch
    word_places: Tensor
    views: BankViews
    noise: Noise | None
    _masks: dict[tuple[tuple[int, ...], int, int], Tensor | None] = field(default_factory=dict)

    def run(self) -> Tensor:
        sizes = self.batch.sizes
        route = plan_route(self.plan, self.batch.tasks, self._widths())
        texts = [self._embed(piece) for piece in route[0]]
        vectors: dict[int, Tensor] = {}
        state: list[tuple[tuple[int, ...], Tensor]] = []
        for layer, pieces in enumerate(route):
            if layer:
                texts = regroup(state, pieces, sizes)
                texts = [self._layer(layer, p, x) for p, x in zip(pieces, texts, strict=True)]
            state = [(p.rows, x) for p, x in zip(pieces, texts, strict=True) if not p.reads]
            for piece, x in zip(pieces, texts, strict=True):
                if piece.reads:
                    parts = torch.split(self._read(layer, piece, x), self._sizes(piece))
                    vectors.update(zip(piece.rows, parts, strict=True))
        rows = [vectors[row] for row in range(len(sizes))]
        return torch.cat(rows) if len(rows) > 1 else rows[0]

    def _widths(self) -> tuple[int, ...]:
        """Return the words to which the texts of each row are padded."""
        sizes, padded = self.batch.sizes, self.batch.words.shape[1]
        if len(sizes) == 1 or self.config.mean_over_padding:
            return (padded,) * len(sizes)
        return common_widths(
            [max(part.tolist()) for part in torch.split(self.batch.lengths, list(sizes))]
        )

    def _embed(self, piece: Piece) -> Tensor:
        """Return words and positions of the texts, brought to the model's width, (N, T, D)."""
        places = take_rows(self.word_places, piece.rows, self.batch.sizes)
        places = places[:, : piece.width + self._word_offset]
        names = ("positions", "projection_weight", "projection_bias")
        positions, weight, bias = self.views.take(names, layer_group(0), piece.bank)
        x = F.embedding(places, self.views.tables["words"]) + positions[: places.shape[1]]
        return linear(drop(x, self.config.dropout_embedding, self.noise), weight, bias)

    def _layer(self, layer: int, piece: Piece, x: Tensor) -> Tensor:
        """Return the output of a layer, (N, S + T, D); only what is read, (N, 1, D), at a top."""
        if piece.enters:
            x = torch.cat([self._tokens(piece), x], dim=1)
        names = [f"layers.{layer}.{kind}" for kind in LayerBank._fields]
        bank = LayerBank(*self.views.take(names, layer_group(layer), piece.bank))
        position = piece.reads and self.plan.readout is not Readout.MEAN
        return run_layer(
            x,
            bank,
            self.config,
            mask=self._mask(piece),
            noise=self.noise,
            read=self._read_position(piece) if position else None,
        )

    def _read(self, layer: int, piece: Piece, x: Tensor) -> Tensor:
        """Return the sentence vectors, normed by the bank of the layer they are read at, (N, D)."""
        group, bank = norm_group(layer), self.plan.norm_banks(layer)[self._tasks(piece)[0]]
        names = [f"norms.{layer}.norm_weight", f"norms.{layer}.norm_bias"]
        weight, bias = self.views.take(names, group, bank)
        x = F.layer_norm(x, x.shape[-1:], weight, bias)
        if self.plan.readout is not Readout.MEAN:
            return x.squeeze(1)
        n_tokens = self._n_tokens(piece)
        mask = self._mask(piece)
        if mask is None or self.config.mean_over_padding:
            return x[:, n_tokens:].mean(dim=1)
        words = mask[:, 0, :, n_tokens:].to(x.dtype)  # (N, 1, T)
        return torch.bmm(words / words.sum(dim=-1, keepdim=True), x[:, n_tokens:]).squeeze(1)

    def _tokens(self, piece: Piece) -> Tensor:
        """Return the tokens that enter before the words of each text, (N, S, D)."""
        table, places = self.views.tables["tokens"], self.views.places
        of_rows = [self.plan.tokens_of(task) for task in self._tasks(piece)]
        if places is not None:
            of_rows = [tuple(places["tokens"][token] for token in row) for row in of_rows]
        if len(set(of_rows)) == 1:
            of_rows, sizes = of_rows[:1], [sum(self._sizes(piece))]
        else:
            sizes = self._sizes(piece)
        parts = [
            table[list(row)].expand(size, -1, -1) for row, size in zip(of_rows, sizes, strict=True)
        ]
        tokens = torch.cat(parts) if len(parts) > 1 else parts[0]
        return drop(tokens, self.config.dropout_embedding, self.noise)

    def _read_position(self, piece: Piece) -> int | Tensor:
        """Return the place of the <cls> word, or of the token that is read: for all, or each."""
        tasks = self._tasks(piece)
        if self.plan.tokens is not Tokens.ALL:
            return 0
        if len(set(tasks)) == 1:
            return tasks[0]
        device = self.batch.words.device
        sizes = torch.tensor(self._sizes(piece), device=device)
        return torch.tensor(tasks, device=device).repeat_interleave(sizes)  # (N,)

    def _mask(self, piece: Piece) -> Tensor | None:
        """Return where a piece has no padding, (N, 1, 1, S + T); None: nowhere is padding."""
        before = self._n_tokens(piece) + self._word_offset
        key = (piece.rows, before, piece.width)
        if key not in self._masks:
            lengths = take_rows(self.batch.lengths, piece.rows, self.batch.sizes)
            self._masks[key] = None
            if int(lengths.min()) < piece.width:
                place = torch.arange(-before, piece.width, device=lengths.device)
                self._masks[key] = (place < lengths[:, None])[:, None, None]
        return self._masks[key]

    def _n_tokens(self, piece: Piece) -> int:
        return len(self.plan.tokens_of(self._tasks(piece)[0])) if piece.entered else 0

    @property
    def _word_offset(self) -> int:
        return int(self.plan.tokens is Tokens.CLS_WORD)

    def _tasks(self, piece: Piece) -> list[int]:
        return [self.batch.tasks[row] for row in piece.rows]

    def _sizes(self, piece: Piece) -> list[int]:
        return [self.batch.sizes[row] for row in piece.rows]

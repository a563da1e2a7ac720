"""Any sharing plan, run the slow, obvious way: a module for each bank, one text at a time.

A bank is an `nn.Linear`, an `nn.LayerNorm`, ...; a text goes through those that the plan names,
alone and without padding. The initial weights are the library's own, in double precision, so that
what differs later is the rounding of the other side. There is no dropout.
Shapes: T positions of a text, D width, C classes.
"""

import math
from collections.abc import Callable, Sequence

import torch
from reference_ngrams import ReferenceNgrams
from torch import Tensor, nn

from mtl_core.data.encoded import EncodedCorpus
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.model.plan import NOT_REACHED
from mtl_core.model.reads import OtherTokens, Readout, TokenAttention, Tokens
from mtl_core.training.config import TrialConfig
from mtl_core.training.models import build_model

PADDING, UNKNOWN, CLS = 0, 1, 2
Key = tuple[str | int, ...]  # names one bank: ("layer", 2, 0), ("head", 3), ("word", 0, 17)
Way = Callable[[Tensor, Tensor], None]  # copies between part of a table and a parameter


class ReferenceModel:
    """The banks of a configuration by key; `touched` collects those that texts went through."""

    def __init__(self, corpus: EncodedCorpus, config: TrialConfig, seed: int) -> None:
        encoder = config.encoder
        dropouts = (encoder.dropout, encoder.dropout_attention, encoder.dropout_embedding)
        assert not any((*dropouts, encoder.dropout_head))
        start = build_model(corpus, config, seed=seed)
        self.plan, self.config = start.plan, encoder
        self.words_of_bank = _words_of_banks(corpus, self.plan.groups[0])
        self.banks = _make_banks(start, self.words_of_bank)
        self.wide = ReferenceNgrams(corpus, start) if encoder.wide else None
        self.touched: set[Key] = set()
        for key, bank in self.banks.items():
            _copy(start, key, bank.double(), _to_bank)

    def write_to(self, model: MultiTaskEncoder) -> None:
        """Write the weights into the tables of an encoder of the same configuration."""
        for key, bank in self.banks.items():
            _copy(model, key, bank, _from_bank)

    def logits(self, words: list[int], task: int, longest: int) -> Tensor:
        """Return the logits of a text, (C,).

        Args:
            longest: Words of the longest text of its minibatch; padding up to there is averaged too
                where the configuration asks for it, as the published code did.
        """
        plan, n_keys, text = self.plan, len(words), words
        bias: dict[tuple[bool, int], Tensor] = {}
        if self.config.mean_over_padding:
            words = words + [PADDING] * (longest - len(words))
        if plan.tokens is Tokens.CLS_WORD:
            words, n_keys = [CLS, *words], n_keys + 1
        x = self._embed(words, plan.groups[0][task])
        tokens = self._tokens(task)
        for layer in range(1, 1 + plan.readout_layer[task]):
            if tokens and layer == plan.token_depth[task] + 1:
                x, n_keys = torch.cat([torch.stack(tokens), x]), n_keys + len(tokens)
                bias = self._token_bias(task)
            x = self._bank("layer", layer, plan.groups[layer][task])(x, n_keys, bias)
        at = plan.readout_layer[task]
        x = self._bank("norm", at, plan.groups[at][task])(x)
        if plan.readout is Readout.MEAN:
            vector = x[len(tokens) :].mean(dim=0)
        else:
            vector = x[task if plan.tokens is Tokens.ALL else 0]
        logits = self._bank("head", task)(vector)
        for row, value in self.wide.of_text(text, task) if self.wide else ():
            logits = logits + value * self._bank("wide", row).value[: len(logits)]
        return logits

    def _embed(self, words: list[int], bank: int) -> Tensor:
        embedding = self._bank("embedding", bank)
        held = [word if word in self.words_of_bank[bank] else UNKNOWN for word in words]
        x = torch.stack([self._bank("word", bank, word).value for word in held])
        return embedding.projection(x + embedding.positions[: len(x)])

    def _tokens(self, task: int) -> list[Tensor]:
        """Return the tokens that stand before the words of a task."""
        numbers: Sequence[int] = ()
        if self.plan.tokens is Tokens.CLS:
            numbers = [self.plan.groups[0][task]]
        elif self.plan.tokens is Tokens.OWN:
            numbers = [task]
        elif self.plan.tokens is Tokens.ALL:
            numbers = range(self.plan.n_tasks)
        if self.plan.other_tokens is OtherTokens.DETACHED:
            others = [self.banks["token", number].value.detach() for number in numbers]
            return [*others[:task], self._bank("token", task).value, *others[task + 1 :]]
        return [self._bank("token", number).value for number in numbers]

    def _token_bias(self, task: int) -> dict[tuple[bool, int], Tensor]:
        """Return what is added to a token's score, by whether a word asks and the token's place."""
        plan, bias = self.plan, {}
        if plan.tokens is not Tokens.ALL:
            return {}
        gates = self._bank("gate", task).value if plan.n_gates else None
        for token in range(plan.n_tasks):
            own, open_to = token == task, torch.zeros((), dtype=torch.float64)
            if gates is not None and not own:
                gate = gates[token - (token > task)]
                open_to = torch.log(1 / (1 + torch.exp(4 - 10 * gate)))
            seen = {TokenAttention.ALL: True, TokenAttention.OWN: own, TokenAttention.NONE: False}
            bias[False, token] = open_to
            bias[True, token] = open_to if seen[plan.token_attention] else open_to - torch.inf
        return bias

    def _bank(self, *key: str | int) -> nn.Module:
        self.touched.add(key)
        return self.banks[key]


class Layer(nn.Module):
    """A pre-norm Transformer layer for one text."""

    def __init__(self, d_model: int, d_ff: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norm1, self.norm2 = nn.LayerNorm(d_model), nn.LayerNorm(d_model)
        self.query, self.key = nn.Linear(d_model, d_model), nn.Linear(d_model, d_model)
        self.value, self.out = nn.Linear(d_model, d_model), nn.Linear(d_model, d_model)
        self.up, self.down = nn.Linear(d_model, d_ff), nn.Linear(d_ff, d_model)

    def forward(self, x: Tensor, n_keys: int, bias: dict[tuple[bool, int], Tensor]) -> Tensor:
        """Return the layer's output, (T, D); positions from `n_keys` on are no keys.

        Args:
            bias: Added to the scores of the tokens, by whether a word asks and the token's place.
        """
        n_tokens = len(bias) // 2
        rows = [
            [bias.get((query >= n_tokens, key), x.new_zeros(())) for key in range(n_keys)]
            for query in range(len(x))
        ]
        added = torch.stack([torch.stack(row) for row in rows])
        normed = self.norm1(x)
        q, k, v = self.query(normed), self.key(normed[:n_keys]), self.value(normed[:n_keys])
        width = x.shape[1] // self.n_heads
        heads = []
        for head in range(self.n_heads):
            part = slice(head * width, (head + 1) * width)
            scores = q[:, part] @ k[:, part].T / math.sqrt(width)
            weights = torch.softmax(scores + added, dim=1)
            heads.append(weights @ v[:, part])
        x = x + self.out(torch.cat(heads, dim=1))
        return x + self.down(torch.relu(self.up(self.norm2(x))))


class Embedding(nn.Module):
    """A bank of the embedding, without its word vectors."""

    def __init__(self, n_positions: int, d_word: int, d_model: int) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.zeros(n_positions, d_word))
        self.projection = nn.Linear(d_word, d_model)


class Vector(nn.Module):
    """One word vector, one token before the words, or the gates of a task."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(width))


def _words_of_banks(corpus: EncodedCorpus, banks: Sequence[int]) -> list[list[int]]:
    """Return the words that each bank of the embedding holds: those of its tasks' train texts."""
    held: list[set[int]] = [{PADDING, UNKNOWN, CLS} for _ in range(1 + max(banks))]
    for task, bank in enumerate(banks):
        held[bank].update(corpus.split(task, "train").words.tolist())
    return [sorted(words) for words in held]


def _make_banks(model: MultiTaskEncoder, words_of_bank: list[list[int]]) -> dict[Key, nn.Module]:
    plan, config = model.plan, model.config
    banks: dict[Key, nn.Module] = {}
    for bank, words in enumerate(words_of_bank):
        n_positions = model.get_parameter("positions").shape[1]
        banks["embedding", bank] = Embedding(n_positions, config.d_word, config.d_model)
        for word in words:
            banks["word", bank, word] = Vector(config.d_word)
    for layer in range(1, 1 + plan.n_layers):
        for bank in sorted({*plan.groups[layer]} - {NOT_REACHED}):
            banks["layer", layer, bank] = Layer(config.d_model, config.d_ff, config.n_heads)
    for task, layer in enumerate(plan.readout_layer):
        banks["norm", layer, plan.groups[layer][task]] = nn.LayerNorm(config.d_model)
        banks["head", task] = nn.Linear(config.d_model, model.n_classes[task])
    for row in range(model.wide_layout.n_rows if model.wide_layout else 0):
        banks["wide", row] = Vector(max(model.n_classes))
    n_tokens = {Tokens.CLS: 1 + max(plan.groups[0]), Tokens.OWN: plan.n_tasks}
    n_tokens[Tokens.ALL] = plan.n_tasks
    for token in range(n_tokens.get(plan.tokens, 0)):
        banks["token", token] = Vector(config.d_model)
    for task in range(plan.n_tasks if plan.n_gates else 0):
        banks["gate", task] = Vector(plan.n_gates)
    return banks


# Between modules and the tables of the encoder


def _copy(model: MultiTaskEncoder, key: Key, bank: nn.Module, way: Way) -> None:
    """Copy one bank out of the encoder's tables, or into them."""
    p, kind = {n: t.detach() for n, t in model.named_parameters()}, key[0]
    if kind == "wide":
        way(p["wide"][key[1]], bank.value)
    elif kind == "word":
        row = int(model.word_rows[key[1], key[2]])
        way(p["words"][row], bank.value)
    elif kind == "token":
        way(p["tokens"][key[1]], bank.value)
    elif kind == "gate":
        way(p["token_gate_bias"][key[1]], bank.value)
    elif kind == "embedding":
        way(p["positions"][key[1]], bank.positions)
        way(p["projection_weight"][key[1]].T, bank.projection.weight)
        way(p["projection_bias"][key[1]], bank.projection.bias)
    elif kind == "head":
        n_classes = model.n_classes[int(key[1])]
        way(p["head_weight"][key[1]][:, :n_classes].T, bank.weight)
        way(p["head_bias"][key[1]][:n_classes], bank.bias)
    elif kind == "norm":
        place = _norm_place(model, int(key[1]), int(key[2]))
        way(p[f"norms.{key[1]}.norm_weight"][place], bank.weight)
        way(p[f"norms.{key[1]}.norm_bias"][place], bank.bias)
    else:
        _copy_layer(model, int(key[1]), int(key[2]), bank, way)


def _copy_layer(
    model: MultiTaskEncoder, layer: int, bank: int, module: nn.Module, way: Way
) -> None:
    tables = dict(model.get_submodule(f"layers.{layer}").named_parameters())
    t = {name: table.detach()[bank] for name, table in tables.items()}
    width = model.config.d_model
    for place, linear in enumerate((module.query, module.key, module.value)):
        part = slice(place * width, (place + 1) * width)
        way(t["qkv_weight"][:, part].T, linear.weight)
        way(t["qkv_bias"][part], linear.bias)
    for name in ("out", "up", "down"):
        way(t[f"{name}_weight"].T, module.get_submodule(name).weight)
        way(t[f"{name}_bias"], module.get_submodule(name).bias)
    for name in ("norm1", "norm2"):
        way(t[f"{name}_weight"], module.get_submodule(name).weight)
        way(t[f"{name}_bias"], module.get_submodule(name).bias)


def _norm_place(model: MultiTaskEncoder, layer: int, bank: int) -> int:
    """Return the place in the table of the norm that a bank's readers at a layer share."""
    plan = model.plan
    readers = [k for k in range(plan.n_tasks) if plan.readout_layer[k] == layer]
    return list(dict.fromkeys(plan.groups[layer][k] for k in readers)).index(bank)


@torch.no_grad()
def _to_bank(table: Tensor, parameter: Tensor) -> None:
    parameter.copy_(table)


@torch.no_grad()
def _from_bank(table: Tensor, parameter: Tensor) -> None:
    table.copy_(parameter)

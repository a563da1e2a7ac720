"""Small encoders, minibatches, and the same model computed the plain way, one text at a time."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mtl_core.data.minibatch import Minibatch
from mtl_core.model.config import EncoderConfig
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.model.plan import SharingPlan
from mtl_core.model.reads import OtherTokens, Readout, TokenAttention, Tokens
from mtl_core.model.structures import STRUCTURES, deepest, layerwise_explicit

NAMES = ("books", "dvd", "kitchen", "toys")
N_CLASSES = (2, 3, 2, 5)
K, L = 4, 3
N_WORDS = 40
MAX_WORDS = 24

MakeModel = Callable[..., MultiTaskEncoder]
MakeBatch = Callable[..., Minibatch]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test that takes a `plan` for each structure at each depth, and for random plans."""
    if "plan" in metafunc.fixturenames:
        plans = {f"{name}-{depth}": STRUCTURES[name](K, L, depth) for name, depth in _forms()}
        plans |= {f"random-{seed}": random_plan(seed) for seed in range(20)}
        for attention, others in product(TokenAttention, OtherTokens):
            plan = replace(layerwise_explicit(K, L, 1), token_attention=attention)
            name = f"tokens-{attention.value}-{others.value}"
            plans[name] = replace(plan, other_tokens=others)
        metafunc.parametrize("plan", plans.values(), ids=plans.keys())


def _forms() -> list[tuple[str, int | list[int] | None]]:
    forms: list[tuple[str, int | list[int] | None]] = [("single_task", None)]
    for name in sorted(set(STRUCTURES) - {"single_task"}):
        high = deepest(name, L)
        assert high is not None
        forms += [(name, depth) for depth in (*range(1 + high), [0, high, 1, high])]
    return forms


def random_plan(seed: int) -> SharingPlan:
    """Return a plan of any kind: random banks, tokens, depths and layers to read at."""
    rng = np.random.default_rng(seed)
    tokens = list(Tokens)[seed % len(Tokens)]
    free = tokens in (Tokens.CLS, Tokens.OWN, Tokens.ALL)
    layers = rng.integers(0 if tokens is Tokens.NONE else 1, 1 + L, K)
    layers[rng.integers(K)] = L
    depth = [int(rng.integers(layer)) if free else 0 for layer in layers]
    readout = {Tokens.NONE: Readout.MEAN, Tokens.CLS_WORD: Readout.FIRST}.get(
        tokens, [Readout.MEAN, Readout.TOKEN][seed % 2]
    )
    groups = tuple(tuple(row) for row in rng.integers(0, 3, (1 + L, K)).tolist())
    return SharingPlan(groups, tokens, readout, tuple(depth), tuple(layers.tolist()))


@pytest.fixture(scope="session")
def config() -> EncoderConfig:
    return EncoderConfig(
        n_layers=3,
        d_model=12,
        d_word=10,
        n_heads=2,
        d_ff=16,
        dropout=0.0,
        dropout_attention=0.0,
        dropout_embedding=0.0,
        dropout_head=0.0,
    )


@pytest.fixture(scope="session")
def vocabulary() -> np.ndarray:
    """Which of the words are in train of which of the four tasks, (K, V)."""
    return np.random.default_rng(3).random((len(NAMES), N_WORDS)) < 0.7


@pytest.fixture
def make_model(config: EncoderConfig, vocabulary: np.ndarray) -> MakeModel:
    """Return a function that makes an encoder of four tasks, in double precision.

    Weights start ten times larger than published, so that a fault shows in the results.
    """

    def make(
        plan: SharingPlan, config: EncoderConfig = config, **changes: object
    ) -> MultiTaskEncoder:
        values = {
            "n_classes": N_CLASSES[: plan.n_tasks],
            "vocabulary_of_tasks": vocabulary[: plan.n_tasks],
            "max_words": MAX_WORDS,
            "task_names": NAMES[: plan.n_tasks],
            "seed": 5,
        }
        model = MultiTaskEncoder(plan, config, **(values | changes)).double()
        with torch.no_grad():
            for name, table in model.named_parameters():
                table.mul_(1 if "norm" in name else 10)
                if name.endswith("bias"):
                    table.add_(0.1)
        return model

    return make


@pytest.fixture
def make_batch() -> MakeBatch:
    """Return a function that makes a minibatch of random texts with rows of the tasks given."""

    def make(tasks: Sequence[int], sizes: Sequence[int] | None = None, seed: int = 0) -> Minibatch:
        rng = np.random.default_rng(seed)
        sizes = tuple(sizes or (3,) * len(tasks))
        lengths = torch.from_numpy(rng.integers(1, MAX_WORDS, sum(sizes)))
        words = torch.from_numpy(rng.integers(1, N_WORDS, (sum(sizes), int(lengths.max()))))
        words[torch.arange(words.shape[1]) >= lengths[:, None]] = 0
        labels = torch.cat(
            [
                torch.from_numpy(rng.integers(0, N_CLASSES[task], size))
                for task, size in zip(tasks, sizes, strict=True)
            ]
        )
        return Minibatch(words, lengths, labels, tuple(tasks), sizes)

    return make


@pytest.fixture(scope="session")
def plain_logits() -> Callable[..., Tensor]:
    return compute_plain_logits


def compute_plain_logits(model: MultiTaskEncoder, batch: Minibatch) -> Tensor:
    """Return the logits as the plan says it, one text at a time, (N, C)."""
    tasks = [task for task, size in zip(batch.tasks, batch.sizes, strict=True) for _ in range(size)]
    padded = batch.words.shape[1] if model.config.mean_over_padding else None
    return torch.stack(
        [
            _text_logits(model, words[: padded or length], int(length), task)
            for words, length, task in zip(batch.words, batch.lengths, tasks, strict=True)
        ]
    )


def _text_logits(model: MultiTaskEncoder, words: Tensor, length: int, task: int) -> Tensor:
    plan, p = model.plan, dict(model.named_parameters())
    if plan.tokens is Tokens.CLS_WORD:
        words, length = torch.cat([torch.tensor([2]), words]), length + 1
    bank = plan.groups[0][task]
    x = (
        p["words"][torch.from_numpy(model.word_rows)[bank][words].long()]
        + p["positions"][bank][: len(words)]
    )
    post, eps = model.config.norm == "post", model.config.norm_eps
    if model.config.n_types:
        x = x + p["types"][bank][0]
    if post:
        weight, bias = p["embedding.norm_weight"][bank], p["embedding.norm_bias"][bank]
        x = F.layer_norm(x, x.shape[-1:], weight, bias, eps)
    else:
        x = x @ p["projection_weight"][bank] + p["projection_bias"][bank]
    keys = torch.arange(len(words)) < length
    n_tokens = 0
    for layer in range(1, 1 + plan.readout_layer[task]):
        if layer == plan.token_depth[task] + 1:
            tokens = {
                Tokens.NONE: [],
                Tokens.CLS_WORD: [],
                Tokens.CLS: [plan.groups[0][task]],
                Tokens.OWN: [task],
                Tokens.ALL: range(plan.n_tasks),
            }[plan.tokens]
            n_tokens = len(tokens)
            entering = [p["tokens"][token][None] for token in tokens]
            if plan.other_tokens is OtherTokens.DETACHED:
                entering = [t if k == task else t.detach() for k, t in enumerate(entering)]
            x = torch.cat([*entering, x])
            keys = torch.cat([torch.ones(n_tokens, dtype=torch.bool), keys])
        bias = _bias(model, keys, n_tokens, task)
        x = _layer(model, x, bias, layer, plan.groups[layer][task])
    layer = plan.readout_layer[task]
    if not post:
        norm = plan.norm_banks(layer)[task]
        weight, bias = p[f"norms.{layer}.norm_weight"], p[f"norms.{layer}.norm_bias"]
        x = F.layer_norm(x, x.shape[-1:], weight[norm], bias[norm], eps)
    if plan.readout is Readout.MEAN:
        vector = x[n_tokens:].mean(0)
    else:
        vector = x[task if plan.tokens is Tokens.ALL else 0]
    logits = vector @ p["head_weight"][task] + p["head_bias"][task]
    return torch.where(torch.arange(len(logits)) < model.n_classes[task], logits, -torch.inf)


def _bias(model: MultiTaskEncoder, keys: Tensor, n_tokens: int, task: int) -> Tensor:
    """Return what is added to the score of each key (column) for each that asks, (T, T)."""
    plan = model.plan
    bias = torch.zeros(len(keys), len(keys), dtype=torch.float64)
    bias[:, ~keys] = -torch.inf
    if plan.tokens is not Tokens.ALL or not n_tokens:
        return bias
    others = [token for token in range(n_tokens) if token != task]
    if plan.token_attention is not TokenAttention.ALL:
        bias[n_tokens:, others] = -torch.inf
    if plan.token_attention is TokenAttention.NONE:
        bias[n_tokens:, task] = -torch.inf
    if plan.other_tokens is OtherTokens.GATED and others:
        gates = model.get_parameter("token_gate_bias")[task]
        opened = torch.zeros_like(bias)
        for token, gate in zip(others, gates, strict=True):
            column = torch.arange(len(keys)) == token
            opened = opened + column * torch.log(torch.sigmoid(10 * gate - 4))
        bias = bias + opened
    return bias


def _layer(model: MultiTaskEncoder, x: Tensor, bias: Tensor, layer: int, bank: int) -> Tensor:
    holder = model.get_submodule(f"layers.{layer}")
    p = {name: table[bank] for name, table in holder.named_parameters()}
    heads, width = model.config.n_heads, x.shape[-1]
    post, eps = model.config.norm == "post", model.config.norm_eps
    norms = [
        partial(F.layer_norm, normalized_shape=(width,), weight=weight, bias=bias, eps=eps)
        for weight, bias in (
            (p["norm1_weight"], p["norm1_bias"]),
            (p["norm2_weight"], p["norm2_bias"]),
        )
    ]
    normed = x if post else norms[0](x)
    qkv = (normed @ p["qkv_weight"] + p["qkv_bias"]).view(len(x), 3, heads, -1)
    query, key, value = qkv.permute(1, 2, 0, 3)  # (H, T, D / H)
    scores = query @ key.transpose(1, 2) / (width // heads) ** 0.5
    weights = (scores + bias).softmax(-1)
    mixed = (weights @ value).transpose(0, 1).reshape(len(x), width)
    x = x + mixed @ p["out_weight"] + p["out_bias"]
    x = norms[0](x) if post else x
    normed = x if post else norms[1](x)
    inner = normed @ p["up_weight"] + p["up_bias"]
    inner = F.gelu(inner) if model.config.activation == "gelu" else inner.relu()
    x = x + inner @ p["down_weight"] + p["down_bias"]
    return norms[1](x) if post else x

"""Words per second of our training against a plain one of the published model, in the same run.

The plain one is what the published code does, written out below: a batch is 50 random texts padded
to the longest, attention weights are made in full and dropped by `F.dropout`, and dense Adam goes
over all word vectors in every step. Ours is the `Trainer`'s update with the default batches. Both
train the published model with its dropouts on FDU-MTL in float32, in turns, task by task; only the
words of the texts count, padding does not.

    python tests/benchmarks/test_training_speed.py [--rounds 16] [--structure layerwise_implicit]

Run by pytest, it takes a few steps on one thread and holds the ratio to at least 8.
Shapes: N texts, T positions, H heads, D width.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from mtl_core.data.batches import Row, Step, collate, plan_epoch
from mtl_core.data.config import DataConfig
from mtl_core.data.encoded import EncodedCorpus, encode
from mtl_core.data.readers import read_corpus
from mtl_core.model.config import EncoderConfig
from mtl_core.training.config import TrialConfig
from mtl_core.training.trainer import Trainer

REQUIRED_RATIO = 8.0
OURS_PER_PLAIN = 3  # steps of ours for each plain one: texts of a batch of ours are alike in length
DATA = Path(
    os.environ.get("BRANCHPOINT_TEST_DATA", Path(__file__).resolve().parents[3] / "shared/data")
)


class PlainLayer(nn.Module):
    """A pre-norm layer with its attention weights made in full."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        width = config.d_model
        self.n_heads = config.n_heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, config.d_ff), nn.Linear(config.d_ff, width)
        self.dropout = nn.Dropout(config.dropout)
        self.attention_dropout = nn.Dropout(config.dropout_attention)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        normed = self.norm1(x)
        query, key, value = (
            part(normed).view(*x.shape[:2], self.n_heads, -1).transpose(1, 2)  # (N, H, T, D / H)
            for part in (self.query, self.key, self.value)
        )
        scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5  # (N, H, T, T)
        weights = F.softmax(scores.masked_fill(~mask, -1e9), dim=-1)
        mixed = self.attention_dropout(weights) @ value
        x = x + self.dropout(self.out(mixed.transpose(1, 2).reshape(x.shape)))
        return x + self.dropout(self.down(self.dropout(F.relu(self.up(self.norm2(x))))))


class PlainModel(nn.Module):
    """S-P (mean of the words) or L-I (the task's token before the words)."""

    def __init__(self, corpus: EncodedCorpus, config: EncoderConfig, structure: str) -> None:
        super().__init__()
        width = config.d_model
        self.with_token = structure == "layerwise_implicit"
        self.words = nn.Embedding(corpus.vocabulary_size, config.d_word)
        self.positions = nn.Embedding(corpus.max_words, config.d_word)
        self.projection = nn.Linear(config.d_word, width)
        self.tokens = nn.Embedding(corpus.n_tasks, width)
        self.layers = nn.ModuleList(PlainLayer(config) for _ in range(config.n_layers))
        self.norm = nn.LayerNorm(width)
        self.heads = nn.ModuleList(nn.Linear(width, n) for n in corpus.n_classes)
        self.dropout = nn.Dropout(config.dropout_embedding)
        self.head_dropout = nn.Dropout(config.dropout_head)

    def forward(self, words: Tensor, task: int) -> Tensor:
        mask = words != 0  # (N, T)
        x = self.words(words) + self.positions(torch.arange(words.shape[1]))
        x = self.projection(x)
        if self.with_token:
            token = self.tokens(torch.full((len(words), 1), task))
            x = torch.cat([token, x], dim=1)
            mask = F.pad(mask, (1, 0), value=True)
        x = self.dropout(x)
        for layer in self.layers:
            x = layer(x, mask[:, None, None])
        x = self.norm(x)
        read = x[:, 0] if self.with_token else (x * mask[..., None]).sum(1) / mask.sum(1)[:, None]
        return self.heads[task](self.head_dropout(read))


class PlainTraining:
    """One task a step, random batches, dense Adam with two learning rates, clipping."""

    def __init__(self, corpus: EncodedCorpus, config: TrialConfig) -> None:
        self.corpus, self.training = corpus, config.training
        self.model = PlainModel(corpus, config.encoder, config.sharing.structure).train()
        words = list(self.model.words.parameters())
        others = [p for name, p in self.model.named_parameters() if not name.startswith("words")]
        rate = config.training.learning_rate
        self.optimizer = torch.optim.Adam(
            [{"params": others, "lr": rate}, {"params": words, "lr": rate / 10}]
        )

    def take(self, step: Step) -> None:
        batch = collate(self.corpus, "train", step)
        loss = F.cross_entropy(self.model(batch.words, step[0].task), batch.labels)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.training.clip_norm or 1.0)
        self.optimizer.step()


@dataclass
class Speed:
    """Words trained on, positions computed for them, and seconds; of each step."""

    words: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def words_per_second(self) -> float:
        return sum(self.words) / sum(self.seconds)

    def measure(self, corpus: EncodedCorpus, step: Step, take: Callable[[Step], object]) -> None:
        lengths = corpus.split(step[0].task, "train").lengths[step[0].examples]
        # With one thread its own time is taken, which other work on the machine does not lengthen.
        clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
        started = clock()
        take(step)
        self.seconds.append(clock() - started)
        self.words.append(int(lengths.sum()))
        self.positions.append(int(lengths.max()) * len(lengths))


def read_fdu_mtl(cache: Path | None = None) -> EncodedCorpus:
    config = DataConfig(source=str(DATA / "fdu-mtl"))
    return encode(read_corpus(config), config, cache)


def compare(corpus: EncodedCorpus, structure: str, rounds: int) -> tuple[Speed, Speed]:
    """Return the speeds of the plain training and of ours, over `rounds` tasks in turn."""
    config = TrialConfig.from_dict({"sharing": {"structure": structure}})
    plain, trainer = PlainTraining(corpus, config), Trainer(corpus, config, seed=0)
    trainer.model.train()
    lengths = [corpus.split(task, "train").lengths for task in range(corpus.n_tasks)]
    steps = plan_epoch(lengths, corpus.names, config.batches, seed=0, epoch=1)
    ours_of = [iter([s for s in steps if s[0].task == k]) for k in range(corpus.n_tasks)]
    random = random_steps(corpus, config.batches.batch_size)
    speeds = (Speed(), Speed())
    for turn in range(-1, rounds):  # the first turn warms up and is not counted
        of_plain, of_ours = speeds if turn >= 0 else (Speed(), Speed())
        task = turn % corpus.n_tasks
        of_plain.measure(corpus, next(s for s in random if s[0].task == task), plain.take)
        for _ in range(OURS_PER_PLAIN):
            of_ours.measure(corpus, next(ours_of[task]), lambda s: trainer.updater.take(s, 1.0))
    return speeds


def random_steps(corpus: EncodedCorpus, batch_size: int) -> Iterator[Step]:
    """Yield batches of random texts, of one task after the other."""
    rng = np.random.default_rng(0)
    while True:
        for task in range(corpus.n_tasks):
            rows = rng.permutation(len(corpus.split(task, "train")))[:batch_size]
            yield (Row(task, rows),)


def report(structure: str, plain: Speed, ours: Speed) -> Table:
    ratio = ours.words_per_second / plain.words_per_second
    table = Table(title=f"{structure}: ours is {ratio:.1f} times the plain training")
    for column in ("training", "words/s", "seconds/step", "padding", "steps"):
        table.add_column(column, justify="left" if column == "training" else "right")
    for name, speed in (("plain", plain), ("ours", ours)):
        padding = 1 - sum(speed.words) / sum(speed.positions)
        seconds = sum(speed.seconds) / len(speed.seconds)
        cells = (f"{speed.words_per_second:,.0f}", f"{seconds:.3f}", f"{padding:.1%}")
        table.add_row(name, *cells, str(len(speed.seconds)))
    return table


@pytest.mark.slow
def test_training_is_at_least_eight_times_as_fast_as_a_plain_one(tmp_path: Path) -> None:
    if not (DATA / "fdu-mtl").is_dir():
        pytest.skip(f"no FDU-MTL in {DATA}; set BRANCHPOINT_TEST_DATA")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        plain, ours = compare(read_fdu_mtl(tmp_path), "layerwise_implicit", rounds=4)
    finally:
        torch.set_num_threads(threads)

    assert ours.words_per_second >= REQUIRED_RATIO * plain.words_per_second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=16)
    parser.add_argument("--structure", default="layerwise_implicit")
    parser.add_argument("--threads", type=int, default=None)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    console = Console()
    console.print(
        report(options.structure, *compare(read_fdu_mtl(), options.structure, options.rounds))
    )
    console.print(
        f"{platform.machine()} with {torch.backends.cpu.get_cpu_capability()}, "
        f"{torch.get_num_threads()} threads, "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )


if __name__ == "__main__":
    main()

"""Words per second of our training against a plain one of the published model, in the same run.

Ours is the `Trainer`'s update with the default batches, the plain one is in `plain_training.py`.
Both train the published model with its dropouts on FDU-MTL, in turns, task by task; only the words
of the texts count, padding does not. Printed too is how much of the rate that this machine's matrix
products were measured at the training reaches.

    python tests/benchmarks/test_training_speed.py [--rounds 16] [--structure layerwise_implicit]

`--profile` prints where the time of ours goes. Run by pytest, it takes a few steps on two threads
and holds the ratio to at least 20, on machines without products in bfloat16 to 8.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from corpora import FDU_MTL, builtin, fdu_mtl
from machine import clock, describe, make_console, product_rates, rate_table
from plain_training import PlainModel, PlainTraining, random_steps
from rich.table import Table
from shares import PARTS, measure_shares, share_table
from torch.utils.flop_counter import FlopCounterMode
from work import UPDATE, steps_flops

from mtl_core.data.batches import plan_epoch
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.minibatch import Row, Step, collate
from mtl_core.model.config import EncoderConfig
from mtl_core.model.precision import products_dtype
from mtl_core.training.config import TrialConfig
from mtl_core.training.trainer import Trainer
from mtl_core.training.updates import take_alone
from search.local_ray import local_cpus

REQUIRED_RATIO = 20.0
REQUIRED_WITHOUT_BF16 = 8.0
OURS_PER_PLAIN = 3  # steps of ours for each plain one: texts of a batch of ours are alike in length
PROFILED_STEPS = 16
ROWS = 6500  # positions of a batch of 50 texts, about


@dataclass
class Speed:
    """Steps of a training, what they were worth and how long they took.

    Args:
        words: Words trained on, of each step.
        positions: Positions computed for them.
        seconds: Time of each step.
        flops, padded_flops: Operations of the matrix products of all steps, without and with those
            on padding.
    """

    words: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    flops: float = 0.0
    padded_flops: float = 0.0

    @property
    def words_per_second(self) -> float:
        return sum(self.words) / sum(self.seconds)

    def measure(
        self,
        corpus: EncodedCorpus,
        config: TrialConfig,
        step: Step,
        take: Callable[[Step], object],
    ) -> None:
        lengths = corpus.split(step[0].task, "train").lengths[step[0].examples]
        started = clock()
        take(step)
        self.seconds.append(clock() - started)
        self.words.append(int(lengths.sum()))
        self.positions.append(int(lengths.max()) * len(lengths))
        self.flops += UPDATE * steps_flops(corpus, config, [step])
        self.padded_flops += UPDATE * steps_flops(corpus, config, [step], padded=True)


def published(structure: str) -> TrialConfig:
    return TrialConfig.from_dict({"sharing": {"structure": structure}})


def compare(corpus: EncodedCorpus, structure: str, rounds: int) -> tuple[Speed, Speed]:
    """Return the speeds of the plain training and of ours, over `rounds` tasks in turn."""
    config = published(structure)
    plain, trainer = PlainTraining(corpus, config), Trainer(corpus, config, seed=0)
    trainer.model.train()
    steps = _steps(corpus, config)
    ours_of = [iter([s for s in steps if s[0].task == k]) for k in range(corpus.n_tasks)]
    random = random_steps(corpus, config.batches.batch_size)
    speeds = (Speed(), Speed())
    for turn in range(-1, rounds):  # the first turn warms up and is not counted
        of_plain, of_ours = speeds if turn >= 0 else (Speed(), Speed())
        task = turn % corpus.n_tasks
        step = next(s for s in random if s[0].task == task)
        of_plain.measure(corpus, config, step, plain.take)
        for _ in range(OURS_PER_PLAIN):
            step = next(ours_of[task])
            of_ours.measure(corpus, config, step, lambda s: take_alone(trainer.updater, s))
    return speeds


def _steps(corpus: EncodedCorpus, config: TrialConfig) -> list[Step]:
    lengths = corpus.lengths("train")
    return plan_epoch(lengths, corpus.names, config.batches, seed=0, epoch=1)


def profile_ours(corpus: EncodedCorpus, config: TrialConfig, steps: int) -> dict[str, float]:
    """Return the shares of time of some steps of ours."""
    trainer = Trainer(corpus, config, seed=0)
    planned = _steps(corpus, config)
    trainer.model.train()
    for step in planned[:2]:
        take_alone(trainer.updater, step)
    return measure_shares(lambda: [take_alone(trainer.updater, s) for s in planned[2 : 2 + steps]])


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


def reached(speeds: dict[str, Speed], rates: dict[str, float]) -> Table:
    """Return what of the measured rates the trainings reach, with and without work on padding."""
    table = Table(title="operations of matrix products in the whole time of a step")
    of_rate = ("of fp32, model's", "of bf16, model's", "of bf16, large")
    for column in ("training", "TFLOP/s", *of_rate, "with padding, TFLOP/s", "of bf16, model's"):
        table.add_column(column, justify="left" if column == "training" else "right")
    for name, speed in speeds.items():
        seconds = sum(speed.seconds)
        rate, padded = speed.flops / seconds, speed.padded_flops / seconds
        shares = [rate / rates[of] for of in ("fp32 model", "bf16 model", "bf16 large")]
        table.add_row(
            name,
            f"{rate / 1e12:.3f}",
            *(f"{share:.0%}" for share in shares),
            f"{padded / 1e12:.3f}",
            f"{padded / rates['bf16 model']:.0%}",
        )
    return table


def test_operations_of_a_step_are_those_that_the_plain_model_computes(tmp_path: Path) -> None:
    corpus = builtin(tmp_path, n_tasks=2, rows=20, dev_rows=4, test_rows=4)
    config = TrialConfig.from_dict(
        {"encoder": {"n_layers": 2, "d_model": 12, "d_word": 10, "n_heads": 2, "d_ff": 16}}
    )
    step = (Row(1, np.arange(7)),)
    batch = collate(corpus, "train", step)
    with FlopCounterMode(display=False) as counter:
        PlainModel(corpus, config.encoder, "stack_pooling").eval()(batch.words, 1)

    assert steps_flops(corpus, config, [step], padded=True) == counter.get_total_flops()


def test_the_parts_of_a_profile_make_up_the_whole_time(tmp_path: Path) -> None:
    corpus = builtin(tmp_path, n_tasks=2, rows=60, dev_rows=4, test_rows=4)
    config = TrialConfig.from_dict({"encoder": {"n_layers": 1, "d_model": 12, "d_word": 12}})

    shares = profile_ours(corpus, config, steps=1)

    assert list(shares) == list(PARTS)
    assert sum(shares.values()) == pytest.approx(1)
    named = [part for part in PARTS if part not in ("rest", "gaps")]
    assert all(shares[part] > 0 for part in named)


@pytest.mark.slow
def test_training_is_many_times_as_fast_as_a_plain_one(tmp_path: Path) -> None:
    if not FDU_MTL.is_dir():
        pytest.skip(f"no {FDU_MTL}; set BRANCHPOINT_TEST_DATA")
    dtype = products_dtype(EncoderConfig(), torch.device("cpu"))
    required = REQUIRED_RATIO if dtype is torch.bfloat16 else REQUIRED_WITHOUT_BF16
    threads = torch.get_num_threads()
    torch.set_num_threads(min(2, local_cpus()))
    try:
        plain, ours = compare(fdu_mtl(tmp_path), "layerwise_implicit", rounds=8)
    finally:
        torch.set_num_threads(threads)

    assert ours.words_per_second >= required * plain.words_per_second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=16)
    parser.add_argument("--structure", default="layerwise_implicit")
    parser.add_argument("--threads", type=int, default=local_cpus())
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    console, corpus, config = make_console(), fdu_mtl(), published(options.structure)
    rates = product_rates(config.encoder, ROWS)
    plain, ours = compare(corpus, options.structure, options.rounds)
    console.print(report(options.structure, plain, ours))
    console.print(rate_table(rates, ROWS))
    console.print(reached({"plain": plain, "ours": ours}, rates))
    if options.profile:
        shares = profile_ours(corpus, config, PROFILED_STEPS)
        console.print(share_table("time of a step of ours", {options.structure: shares}))
    console.print(describe(), highlight=False)


if __name__ == "__main__":
    main()

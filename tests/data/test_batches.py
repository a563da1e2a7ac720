"""Steps show the rows they should, in an order that seed, epoch and names alone decide."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from mtl_core.data.batches import evaluation_steps, plan_epoch
from mtl_core.data.config import BatchConfig, DataConfig
from mtl_core.data.encode import encode
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.minibatch import Row, Step, collate
from mtl_core.data.task import Corpus, Split, Task
from mtl_core.seeding import stream

NAMES = ("books", "films", "toys")
ROWS = (230, 61, 140)
ALL_CONFIGS = [
    BatchConfig(regime=regime, sampling=sampling, batch_size=20, token_budget=budget, bucketing=on)
    for regime in ("alternating", "joint")
    for sampling in ("proportional", "uniform", "temperature")
    for budget in (None, 600)
    for on in (True, False)
]


def make_lengths(rows: Sequence[int] = ROWS, names: Sequence[str] = NAMES) -> list[np.ndarray]:
    return [
        np.floor(1 + 80 * stream(0, name).random(n) ** 2).astype(np.int64)
        for name, n in zip(names, rows, strict=True)
    ]


def plan(
    config: BatchConfig, *, names: Sequence[str] = NAMES, seed: int = 0, epoch: int = 1
) -> list[Step]:
    rows = [ROWS[NAMES.index(name)] for name in names]
    return plan_epoch(make_lengths(rows, names), names, config, seed=seed, epoch=epoch)


def rows_of(steps: Sequence[Step], task: int) -> list[list[int]]:
    return [row.examples.tolist() for step in steps for row in step if row.task == task]


def shown(steps: Sequence[Step], task: int) -> Counter[int]:
    return Counter(example for row in rows_of(steps, task) for example in row)


def digest(steps: Sequence[Step]) -> str:
    text = repr([[(row.task, row.examples.tolist()) for row in step] for step in steps])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@pytest.mark.parametrize("config", ALL_CONFIGS, ids=str)
def test_every_plan_shows_as_many_examples_as_there_are_rows(config: BatchConfig) -> None:
    steps = plan(config)

    assert sum(sum(shown(steps, task).values()) for task in range(3)) == sum(ROWS)
    assert all(len(row.examples) > 0 for step in steps for row in step)


@pytest.mark.parametrize("config", ALL_CONFIGS, ids=str)
def test_same_seed_and_epoch_give_the_same_plan_and_others_another(config: BatchConfig) -> None:
    assert digest(plan(config)) == digest(plan(config))
    assert digest(plan(config)) != digest(plan(config, seed=1))
    assert digest(plan(config)) != digest(plan(config, epoch=2))


@pytest.mark.parametrize(
    "config", [c for c in ALL_CONFIGS if c.sampling == "proportional"], ids=str
)
def test_proportional_shows_every_row_exactly_once(config: BatchConfig) -> None:
    steps = plan(config)

    for task, n in enumerate(ROWS):
        assert shown(steps, task) == Counter(range(n))


@pytest.mark.parametrize("config", [c for c in ALL_CONFIGS if c.sampling == "uniform"], ids=str)
def test_uniform_shows_small_tasks_in_passes_and_a_part_of_large_ones(config: BatchConfig) -> None:
    steps = plan(config)

    counts = [shown(steps, task) for task in range(3)]
    assert [sum(count.values()) for count in counts] == [144, 144, 143]
    assert set(counts[0].values()) == {1}
    assert set(counts[1].values()) == {2, 3}
    assert len(counts[1]) == 61


@pytest.mark.parametrize("config", [c for c in ALL_CONFIGS if c.token_budget], ids=str)
def test_no_row_takes_more_words_than_the_budget(config: BatchConfig) -> None:
    lengths = make_lengths()

    for step in plan(config):
        for row in step:
            assert len(row.examples) * lengths[row.task][row.examples].max() <= 600


@pytest.mark.parametrize("bucketing", [True, False])
def test_alternating_rows_have_the_batch_size_and_the_last_is_partial(bucketing: bool) -> None:
    steps = plan(BatchConfig(batch_size=20, bucketing=bucketing))

    assert all(len(step) == 1 for step in steps)
    for task, n in enumerate(ROWS):
        sizes = [len(row) for row in rows_of(steps, task)]
        assert sizes == [20] * (n // 20) + [n % 20] * (n % 20 > 0)


def test_alternating_goes_in_rounds_that_exhausted_tasks_leave() -> None:
    steps = plan(BatchConfig(batch_size=20))
    order = [step[0].task for step in steps]  # 12, 4 and 7 rows

    assert all(sorted(order[at : at + 3]) == [0, 1, 2] for at in range(0, 12, 3))
    assert all(sorted(order[at : at + 2]) == [0, 2] for at in range(12, 18, 2))
    assert order[18:] == [0] * 5
    assert len({tuple(order[at : at + 3]) for at in range(0, 12, 3)}) > 1


@pytest.mark.parametrize("budget", [None, 600])
def test_joint_has_one_row_of_every_task_in_every_step(budget: int | None) -> None:
    steps = plan(BatchConfig(regime="joint", batch_size=20, token_budget=budget))

    assert all([row.task for row in step] == [0, 1, 2] for step in steps)


def test_joint_spreads_a_task_evenly_and_keeps_the_mean_batch() -> None:
    steps = plan(BatchConfig(regime="joint", batch_size=20))

    assert len(steps) == 8  # 431 rows of 3 tasks, 20 a row: 7.2
    for task, n in enumerate(ROWS):
        sizes = {len(row) for row in rows_of(steps, task)}
        assert sizes <= {n // 8, n // 8 + 1}


def test_joint_repeats_rows_of_a_task_that_has_fewer_than_there_are_steps() -> None:
    lengths = [np.full(400, 5), np.full(3, 5)]

    steps = plan_epoch(
        lengths, ("a", "b"), BatchConfig(regime="joint", batch_size=10), seed=0, epoch=1
    )

    assert len(steps) == 21
    assert shown(steps, 1) == Counter({0: 7, 1: 7, 2: 7})


def test_joint_puts_texts_of_the_same_length_quantile_into_a_step() -> None:
    lengths = make_lengths()
    steps = plan(BatchConfig(regime="joint", batch_size=20))

    means = np.array([[lengths[r.task][r.examples].mean() for r in step] for step in steps])
    assert np.corrcoef(means.T).min() > 0.95
    assert means[:, 0].tolist() != sorted(means[:, 0])


@pytest.mark.parametrize("regime", ["alternating", "joint"])
def test_bucketing_puts_texts_of_like_length_together(regime: str) -> None:
    def padding(bucketing: bool) -> float:
        config = BatchConfig(regime=regime, batch_size=20, bucketing=bucketing)  # type: ignore[arg-type]
        lengths = make_lengths()
        rows = [lengths[r.task][r.examples] for step in plan(config) for r in step]
        return 1 - sum(row.sum() for row in rows) / sum(row.max() * len(row) for row in rows)

    assert padding(bucketing=False) > 0.5
    assert padding(bucketing=True) < 0.2


@pytest.mark.parametrize("budget", [None, 600])
@pytest.mark.parametrize("sampling", ["proportional", "uniform"])
def test_order_of_a_task_does_not_depend_on_its_place(sampling: str, budget: int | None) -> None:
    for regime in ("alternating", "joint"):
        config = BatchConfig(regime=regime, sampling=sampling, token_budget=budget)  # type: ignore[arg-type]
        steps, moved = plan(config), plan(config, names=("toys", "books", "films"))

        assert rows_of(steps, 0) == rows_of(moved, 1)
        assert rows_of(steps, 2) == rows_of(moved, 0)
        if regime == "alternating":
            assert [s[0].task for s in steps] == [(s[0].task + 2) % 3 for s in moved]


@pytest.mark.parametrize("budget", [None, 600])
def test_order_of_a_task_does_not_depend_on_which_others_there_are(budget: int | None) -> None:
    config = BatchConfig(batch_size=20, token_budget=budget)

    among_three, alone = plan(config), plan(config, names=("films",))

    assert rows_of(among_three, 1) == rows_of(alone, 0)


def test_plans_are_those_of_other_machines() -> None:
    plans = {
        "alternating": plan(BatchConfig(batch_size=20)),
        "random": plan(BatchConfig(batch_size=20, bucketing=False)),
        "joint": plan(BatchConfig(regime="joint", batch_size=20, sampling="temperature")),
        "budget": plan(BatchConfig(token_budget=600, sampling="uniform")),
    }

    assert {name: digest(steps) for name, steps in plans.items()} == {
        "alternating": "2f54f21554e4233c",
        "random": "788dca074d5b1031",
        "joint": "b37e7479ad62ee6f",
        "budget": "cffdd9ebb4ac7afe",
    }


@pytest.fixture
def corpus(tmp_path: Path) -> EncodedCorpus:
    def task(name: str, *texts: str) -> Task:
        labels = tuple("long" if " " in text else "short" for text in texts)
        split = Split(texts=texts, labels=labels, source=name)
        return Task(
            name=name,
            labels=("long", "short"),
            splits=dict.fromkeys(("train", "dev", "test"), split),
        )

    tasks = (task("x", "a b c", "a", "b c"), task("y", "c b", "b"))
    return encode(Corpus(tasks=tasks, layout="folders", source=""), DataConfig(), tmp_path)


def test_collate_pads_with_zero_and_keeps_the_order_of_the_rows(corpus: EncodedCorpus) -> None:
    # By count: b 4 times, c 3, a 2; so b = 3, c = 4, a = 5.
    batch = collate(corpus, "train", (Row(1, np.array([0])), Row(0, np.array([2, 0, 1]))))

    assert batch.words.tolist() == [[4, 3, 0], [3, 4, 0], [5, 3, 4], [5, 0, 0]]
    assert batch.lengths.tolist() == [2, 2, 3, 1]
    assert batch.labels.tolist() == [0, 0, 0, 1]
    assert batch.tasks == (1, 0)
    assert batch.sizes == (1, 3)
    assert {t.dtype for t in (batch.words, batch.lengths, batch.labels)} == {torch.int64}


def test_a_minibatch_moves_to_a_device_but_for_what_lays_out_its_texts(
    corpus: EncodedCorpus,
) -> None:
    batch = collate(corpus, "dev", (Row(0, np.array([0, 1])),)).to("meta")

    assert batch.labels.device.type == "meta"
    assert {t.device.type for t in (batch.words, batch.lengths)} == {"cpu"}
    assert batch.sizes == (2,)


def test_evaluation_shows_every_row_once_longest_first_within_the_budget() -> None:
    lengths = make_lengths()

    steps = evaluation_steps(lengths, token_budget=700)

    assert all(len(step) == 1 for step in steps)
    for task, n in enumerate(ROWS):
        assert shown(steps, task) == Counter(range(n))
        order = np.concatenate(rows_of(steps, task))
        assert (np.diff(lengths[task][order]) <= 0).all()
    assert all(len(r.examples) * lengths[r.task][r.examples].max() <= 700 for (r,) in steps)


def test_a_text_longer_than_the_budget_is_evaluated_alone() -> None:
    steps = evaluation_steps([np.array([3, 50, 4])], token_budget=10)

    assert [step[0].examples.tolist() for step in steps] == [[1], [2, 0]]


def test_reviews_are_less_than_a_tenth_padding_at_the_published_batch_size(
    fdu_folder: Path,
) -> None:
    lines = [path.read_bytes().split(b"\n")[:-201] for path in fdu_folder.glob("*.task.train")]
    lengths = [np.clip([len(x.split()) - 1 for x in of], 1, 400).astype(np.int64) for of in lines]
    names = [str(task) for task in range(len(lengths))]

    def padding(config: BatchConfig) -> float:
        steps = plan_epoch(lengths, names, config, seed=0, epoch=1)
        rows = [lengths[row.task][row.examples] for (row,) in steps]
        return 1 - sum(row.sum() for row in rows) / sum(row.max() * len(row) for row in rows)

    assert padding(BatchConfig()) < 0.1
    assert padding(BatchConfig(bucketing=False)) > 0.6

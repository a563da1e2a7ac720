"""Intervals against values worked by hand, against simulations and a bootstrap, and at limits."""

import math
import time
from collections.abc import Iterable

import numpy as np
import pytest

from mtl_core.metrics import Answers, get_metric
from search.report.intervals import Runs, difference, differences, holm, score, scores
from search.report.statistics import Difference, Rows, Scored
from search.report.wording import verdict


def bits(*values: int) -> np.ndarray:
    return np.array(values, dtype=bool)


def right(n_right: int, n_rows: int) -> np.ndarray:
    return np.arange(n_rows) < n_right


def paired_difference(first: Rows, second: Rows, tasks: Iterable[str]) -> Difference | None:
    return difference(Runs((first,)), Runs((second,)), tasks)


def test_one_task_by_hand() -> None:
    first, second = right(60, 100), right(50, 100)  # 10 gained, none lost

    found = paired_difference({"a": first}, {"a": second}, ["a"])

    assert found is not None
    width = 1.959964 * math.sqrt((10.5 + 0.5 - (10.5 - 0.5) ** 2 / 102) / 102**2)
    assert found.mean == pytest.approx(0.1)
    assert found.high - found.mean == pytest.approx(width, rel=1e-6)
    assert found.mean - found.low == pytest.approx(width, rel=1e-6)
    assert found.rows == 100


def test_tasks_count_alike_whatever_their_rows() -> None:
    first = {"small": right(10, 10), "large": right(500, 1000)}
    second = {"small": right(0, 10), "large": right(500, 1000)}

    found = paired_difference(first, second, ["small", "large"])

    assert found is not None
    assert found.mean == pytest.approx(0.5)


def test_interval_agrees_with_a_bootstrap_over_rows_within_tasks() -> None:
    rng = np.random.default_rng(0)
    first = {task: rng.random(400) < 0.85 for task in "abc"}
    second = {task: first[task] ^ (rng.random(400) < 0.1) for task in "abc"}
    difference = {t: first[t].astype(float) - second[t] for t in "abc"}
    means = [
        np.mean([rng.choice(rows, len(rows)).mean() for rows in difference.values()])
        for _ in range(4000)
    ]

    found = paired_difference(first, second, "abc")

    assert found is not None
    low, high = np.quantile(means, [0.025, 0.975])
    assert found.low == pytest.approx(low, abs=0.002)
    assert found.high == pytest.approx(high, abs=0.002)


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(400):
        second = rng.random(60) < 0.7
        first = np.where(rng.random(60) < 0.2, rng.random(60) < 0.8, second)
        truth = 0.2 * (0.8 - 0.7)
        found = paired_difference({"a": first}, {"a": second}, ["a"])
        assert found is not None
        covered += found.low <= truth <= found.high

    assert covered / 400 > 0.92


def test_equal_models_on_few_rows_are_not_equal_for_certain() -> None:
    found = paired_difference({"a": right(5, 10)}, {"a": right(5, 10)}, ["a"])

    assert found is not None
    assert found.mean == 0
    assert found.low < -0.05 < 0.05 < found.high
    assert found.sign == 0


def test_order_of_the_models_turns_the_interval_round() -> None:
    first, second = {"a": right(80, 100)}, {"a": right(70, 100)}

    one, other = (paired_difference(*pair, ["a"]) for pair in ((first, second), (second, first)))

    assert one is not None
    assert other is not None
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


def test_tasks_without_rows_are_left_out() -> None:
    empty = bits()

    assert paired_difference({"a": empty}, {"a": empty}, ["a"]) is None


@pytest.mark.parametrize(
    ("kind", "name"),
    [("regression", "pearson"), ("classification", "matthews"), ("classification", "f1")],
)
def test_intervals_of_other_metrics_are_those_of_a_bootstrap(kind: str, name: str) -> None:
    rng, metric, n = np.random.default_rng(3), get_metric(kind, name), 400
    right = rng.normal(size=n)
    answers = [right + rng.normal(size=n) * noise for noise in (0.8, 1.0)]
    if kind == "classification":
        right, answers = (right > 0) + 0, [(of > 0) + 0 for of in answers]
    first, second = (Scored(metric.counts(Answers(a, right, ("n", "y"))), metric) for a in answers)

    found = paired_difference({"a": first}, {"a": second}, ["a"])

    assert found is not None
    draws = rng.integers(0, n, (2000, n))
    wanted = [first[rows].mean() - second[rows].mean() for rows in draws]
    assert found.mean == pytest.approx(first.mean() - second.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.std(wanted), rel=0.1)


def test_runs_that_answer_alike_do_not_differ_by_the_rounding_of_their_sums() -> None:
    metric, rng = get_metric("classification", "f1"), np.random.default_rng(0)
    answers = (rng.integers(0, 2, 408), rng.integers(0, 2, 408))
    rows = {"a": Scored(metric.counts(Answers(*answers, ("n", "y"))), metric)}

    found = [
        difference(Runs((rows,) * first), Runs((rows,) * second), ["a"])
        for first in range(1, 6)
        for second in range(1, 6)
    ]

    assert all(one is not None and (one.mean, one.sign, one.p) == (0, 0, 1) for one in found)


@pytest.mark.parametrize(("name", "lowest"), [("f1", 0.0), ("matthews", -1.0)])
def test_an_interval_of_a_score_ends_where_its_metric_does(name: str, lowest: float) -> None:
    metric, right = get_metric("classification", name), np.array([0, 1, 1])
    rows = Scored(metric.counts(Answers(np.array([1, 0, 1]), right, ("n", "y"))), metric)

    found = score(Runs(({"a": rows},)), ["a"])

    assert found is not None
    assert found.low == lowest


def test_a_difference_of_correlations_may_be_more_than_one() -> None:
    metric, truth = get_metric("regression", "pearson"), np.arange(40.0)
    rng = np.random.default_rng(0)
    right, wrong = (
        Scored(metric.counts(Answers(way * truth + rng.normal(0, 4, 40), truth, ())), metric)
        for way in (1, -1)
    )

    found = paired_difference({"a": right}, {"a": wrong}, ["a"])

    assert found is not None
    assert 1 < found.low < found.mean < found.high <= 2


def test_where_no_difference_that_there_can_be_would_be_seen_none_is_said() -> None:
    runs = [Runs(tuple({"a": right(n, 40)} for n in of)) for of in ((0, 40), (10, 30))]

    found = difference(*runs, ["a"])

    assert found is not None
    assert found.detectable is None
    assert verdict(found, with_detectable=True) == "no difference seen (none detectable)"


def test_two_models_that_answer_alike_do_not_differ() -> None:
    metric = get_metric("regression", "spearman")
    answers = Answers(np.arange(10.0), np.arange(10.0) ** 2, ())
    rows = Scored(metric.counts(answers), metric)

    found = paired_difference({"a": rows}, {"a": rows}, ["a"])

    assert found is not None
    assert (found.low, found.mean, found.high) == (0.0, 0.0, 0.0)


class World:
    """Runs of two configurations on the same rows: what is right follows from seed, row and rest.

    The true difference is zero, whatever the noise.
    """

    def __init__(self, seed: float, row: float, rest: float, *, n_rows: int, n_seeds: int) -> None:
        self.noise, self.shape = (seed, row, rest), (n_seeds, n_rows)

    def runs(self, rng: np.random.Generator) -> tuple[Runs, Runs]:
        (seed, row, rest), (n_seeds, n_rows) = self.noise, self.shape
        rows = rng.normal(0.8, row, (1, n_rows))
        sides = []
        for _ in range(2):
            x = rows + rng.normal(0, seed, (n_seeds, 1)) + rng.normal(0, rest, (n_seeds, n_rows))
            sides.append(Runs(tuple({"a": right} for right in x > 0)))
        return sides[0], sides[1]


# What differs from training to training, from row to row, and the rest of it.
WORLDS = {
    "seeds do not matter": World(0.0, 1.0, 0.5, n_rows=400, n_seeds=3),
    "seeds matter a little": World(0.05, 1.0, 0.5, n_rows=400, n_seeds=3),
    "seeds matter more than rows": World(0.2, 1.0, 0.5, n_rows=400, n_seeds=3),
    "five seeds, many rows": World(0.1, 1.0, 1.0, n_rows=1600, n_seeds=5),
}


@pytest.mark.parametrize("name", WORLDS)
def test_intervals_over_seeds_and_rows_cover_as_often_as_they_say(name: str) -> None:
    rng, n = np.random.default_rng(4), 1000
    found = [difference(*WORLDS[name].runs(rng), ["a"]) for _ in range(n)]

    covered = sum(one is not None and one.low <= 0 <= one.high for one in found) / n

    assert 0.94 <= covered <= (0.995 if name == "seeds do not matter" else 0.975)


def hierarchical_bootstrap(runs: tuple[Runs, Runs], rng: np.random.Generator) -> bool:
    """Whether the percentile interval of resampled seeds and rows covers zero."""
    first, second = (np.stack([one["a"] for one in side.rows]).astype(float) for side in runs)
    (n_seeds, n_rows), n = first.shape, 400
    rows = rng.multinomial(n_rows, np.full(n_rows, 1 / n_rows), n) / n_rows
    seeds = [rng.integers(0, n_seeds, (n, n_seeds)) for _ in range(2)]
    means = [
        np.take_along_axis(rows @ side.T, drawn, 1).mean(1)
        for side, drawn in zip((first, second), seeds, strict=True)
    ]
    low, high = np.quantile(means[0] - means[1], [0.025, 0.975])
    return bool(low <= 0 <= high)


def test_a_bootstrap_over_three_seeds_would_be_too_narrow() -> None:
    rng, world = np.random.default_rng(5), WORLDS["seeds matter more than rows"]

    covered = np.mean([hierarchical_bootstrap(world.runs(rng), rng) for _ in range(300)])

    assert covered < 0.9


def test_with_many_seeds_the_interval_of_a_score_is_that_of_a_bootstrap() -> None:
    rng = np.random.default_rng(6)
    (runs, _) = World(0.3, 1.0, 0.1, n_rows=300, n_seeds=40).runs(rng)
    values = np.stack([one["a"] for one in runs.rows]).astype(float)
    drawn = [
        values[rng.integers(0, 40, 40)][:, rng.integers(0, 300, 300)].mean() for _ in range(3000)
    ]

    found = score(runs, ["a"])

    assert found is not None
    assert (found.seeds, found.rows) == (40, 300)
    assert found.mean == pytest.approx(values.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.std(drawn), rel=0.1)


def test_a_baseline_has_no_variance_of_seeds() -> None:
    rng = np.random.default_rng(7)
    runs, _ = World(0.3, 1.0, 0.1, n_rows=300, n_seeds=3).runs(rng)
    other = (dict(runs.rows[0]),)

    against_baseline = difference(runs, Runs(other, fixed=True), ["a"])
    against_one_seed = difference(runs, Runs(other), ["a"])

    assert against_baseline is not None
    assert against_one_seed is not None
    assert against_one_seed.detectable is not None
    assert against_baseline.detectable is not None
    assert against_one_seed.detectable > against_baseline.detectable


def test_the_detectable_difference_is_seen_with_the_power_it_names() -> None:
    rng, n = np.random.default_rng(8), 1000
    world = World(0.1, 1.0, 0.5, n_rows=400, n_seeds=5)
    seen, detectable = [], []
    for _ in range(n):
        found = difference(*world.runs(rng), ["a"])
        assert found is not None
        assert found.detectable is not None
        detectable.append(found.detectable)
        seen.append((found.mean, found.high - found.mean))
    shift = float(np.mean(detectable))  # as if one side were truly that much better

    power = np.mean([mean + shift - width > 0 for mean, width in seen])

    assert 0.72 <= power <= 0.88


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_keeps_false_alarms_of_a_family_of_tasks_at_five_percent() -> None:
    rng, n, n_tasks = np.random.default_rng(9), 400, 8
    world = World(0.1, 1.0, 0.5, n_rows=400, n_seeds=3)
    alarms = 0
    for _ in range(n):
        found = [difference(*world.runs(rng), ["a"]) for _ in range(n_tasks)]
        alarms += min(holm([one.p or 0.0 for one in found if one is not None])) <= 0.05

    assert alarms / n <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / n)


UNLIKE = (0.02, 0.05, 0.05, 0.1, 0.1, 0.2, 0.3, 0.4)  # what seeds do to tasks of one family


def family(rng: np.random.Generator) -> tuple[Runs, Runs]:
    """Two configurations that do not differ on eight tasks, which seeds touch differently."""
    pairs = [World(seed, 1.0, 0.5, n_rows=400, n_seeds=3).runs(rng) for seed in UNLIKE]
    return tuple(  # type: ignore[return-value]
        Runs(
            tuple({f"t{k}": pair[side].rows[run]["a"] for k, pair in enumerate(pairs)}
                  for run in range(3))
        )
        for side in (0, 1)
    )  # fmt: skip


def test_tasks_that_seeds_touch_differently_have_no_more_false_alarms_either() -> None:
    rng, n = np.random.default_rng(11), 300
    alarms, covered = 0, 0
    for _ in range(n):
        found = list(differences(*family(rng), [f"t{k}" for k in range(8)]).values())
        alarms += min(holm([one.p or 0.0 for one in found])) <= 0.05
        covered += sum(one.low <= 0 <= one.high for one in found)

    assert alarms / n <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / n)
    assert 0.94 <= covered / (8 * n) <= 0.985


def test_what_is_known_of_all_tasks_makes_the_intervals_of_each_narrower() -> None:
    rng, tasks = np.random.default_rng(12), [f"t{k}" for k in range(8)]
    alone, together = [], []
    for _ in range(30):
        first, second = family(rng)
        for task, one in differences(first, second, tasks).items():
            by_itself = difference(first, second, [task])
            assert by_itself is not None
            assert one.mean == by_itself.mean
            together.append(one.high - one.low)
            alone.append(by_itself.high - by_itself.low)

    assert np.mean(together) < 0.95 * np.mean(alone)


def test_a_single_task_is_the_same_by_itself_and_in_a_family_of_one() -> None:
    rng = np.random.default_rng(13)
    first, second = WORLDS["seeds matter more than rows"].runs(rng)

    assert differences(first, second, ["a"]) == {"a": difference(first, second, ["a"])}
    assert scores(first, ["a"]) == {"a": score(first, ["a"])}


def test_sixteen_tasks_of_five_seeds_take_milliseconds() -> None:
    rng = np.random.default_rng(10)
    sides = [
        Runs(tuple({f"t{k}": rng.random(400) < 0.85 for k in range(16)} for _ in range(5)))
        for _ in range(2)
    ]
    began = time.perf_counter()

    for _ in range(20):
        difference(sides[0], sides[1], [f"t{k}" for k in range(16)])

    assert (time.perf_counter() - began) / 20 < 0.1

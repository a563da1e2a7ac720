"""What the points of a space reach: several fresh seeds each, the epoch chosen on dev, test once.

    python tests/benchmarks/test_reach.py --space spaces/fdu_best.yaml --data FOLDER --seeds 5

Each result is written to a file as it comes, so a run that was cut off goes on. On a GPU all of
them train side by side in one engine, on a CPU each in a process. The interval is of a bootstrap
over the seeds and, within each task, over the test rows; the cheap baselines are measured in the
same run.
"""

import argparse
import json
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

from mtl_core.baselines import baselines
from mtl_core.data.encode import encode
from mtl_core.data.encoded import EncodedCorpus, open_encoded
from mtl_core.data.readers import read_corpus
from mtl_core.data.task import Corpus
from search.report.statistics import OfTask, mean_score, only
from search.rows import metrics_of, pack, rows_of, unpack, unpack_bits
from search.space import Space, load_space

if TYPE_CHECKING:  # torch comes with them
    from mtl_core.training.lane import Lane
    from mtl_core.training.task_evaluation import TaskEvaluation

DRAWS = 1000
LANES = 64  # on a GPU, at most
Rows = dict[str, OfTask]


@dataclass(frozen=True)
class Job:
    """One point of a space, trained from one seed."""

    point: int
    config: dict[str, Any]
    seed: int
    corpus: Path
    vectors: tuple[np.ndarray, np.ndarray] | None


def train(job: Job) -> dict[str, Any]:
    """Return what the epoch that is best on dev comes to on test."""
    import torch

    from mtl_core.training.config import TrialConfig
    from mtl_core.training.evaluation import evaluate
    from mtl_core.training.models import restore_model
    from mtl_core.training.trainer import Trainer

    torch.set_num_threads(1)
    corpus, config = open_encoded(job.corpus), TrialConfig.from_dict(job.config)
    trainer = Trainer(corpus, config, seed=job.seed, vectors=job.vectors)
    dev, state, seconds = None, {}, 0.0
    for result in trainer.epochs():
        seconds += result.seconds
        if dev is None or result.average > dev.average:
            dev = result
            state = {n: p.detach().clone() for n, p in trainer.model.named_parameters()}
    assert dev is not None
    found = evaluate(restore_model(corpus, config, state), corpus, "test")
    return _result(job, dev.epoch, dev.average, seconds, found)


def train_in_lanes(todo: Sequence[Job], device: str, most: int) -> Iterator[dict[str, Any]]:
    """Yield the results of jobs that train side by side, as many as there is room for."""
    from mtl_core.training.config import TrialConfig
    from mtl_core.training.engine import Engine
    from mtl_core.training.lane import Lane
    from mtl_core.training.results import NoRoom

    waiting, going = deque(todo), dict[Lane, Job]()
    began = dict[Lane, float]()
    corpus = open_encoded(todo[0].corpus)
    engine = Engine(corpus, device=device, vectors=todo[0].vectors)
    while waiting or going:
        try:
            while waiting and len(going) < most:
                lane = engine.open(TrialConfig.from_dict(waiting[0].config), waiting[0].seed)
                going[lane], began[lane] = waiting.popleft(), time.perf_counter()
        except NoRoom:
            most = len(going)
        engine.step()
        for lane, result in engine.results():
            if isinstance(result, Exception):
                raise result
            if lane.ended:
                seconds = (time.perf_counter() - began.pop(lane)) / most  # its share of the time
                yield _tested(going.pop(lane), lane, corpus, device, seconds)
                engine.close(lane)


def _tested(
    job: Job, lane: "Lane", corpus: EncodedCorpus, device: str, seconds: float
) -> dict[str, Any]:
    from mtl_core.training.best import AVERAGE
    from mtl_core.training.evaluation import evaluate
    from mtl_core.training.models import restore_model

    best = lane.best[AVERAGE]
    model = restore_model(corpus, lane.config, lane.best.states()[best.epoch]).to(device)
    found = evaluate(model, corpus, "test", device)
    return _result(job, best.epoch, best.score, seconds, found)


def _result(
    job: Job, epoch: int, dev: float, seconds: float, found: "Mapping[str, TaskEvaluation]"
) -> dict[str, Any]:
    return {
        "point": job.point,
        "seed": job.seed,
        "epoch": epoch,
        "dev": dev,
        "minutes": seconds / 60,
        "rows": pack({name: rows_of(of_task) for name, of_task in found.items()}),
        "seen": pack({name: of.seen_in_train for name, of in found.items()}),
    }


class Results:
    """The results of all points, as they were written."""

    def __init__(self, path: Path, corpus: EncodedCorpus) -> None:
        self.path, self.names = path, corpus.names
        self.metrics = metrics_of(corpus)
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self.found = [json.loads(line) for line in lines]

    def has(self, point: int, seed: int) -> bool:
        return any((one["point"], one["seed"]) == (point, seed) for one in self.found)

    def add(self, result: dict[str, Any]) -> None:
        self.found.append(result)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(result) + "\n")

    def of(self, point: int) -> list[dict[str, Any]]:
        return [one for one in self.found if one["point"] == point]

    def rows(self, result: Mapping[str, Any], *, unseen: bool) -> Rows:
        rows = unpack(result["rows"], self.metrics)
        if not unseen:
            return rows
        return only(rows, {task: ~seen for task, seen in unpack_bits(result["seen"]).items()})


def interval(seeds: list[Rows], tasks: tuple[str, ...]) -> tuple[float, float]:
    """Return the 95 % interval of the mean over seeds."""
    return _ends(_drawn_means(seeds, tasks))


def less(results: Results, point: int, base: int) -> str:
    """Return how far a point is from `base`, by the seeds and rows of both: "0.8 (0.2 to 1.5)"."""
    by_seed = [{one["seed"]: one for one in results.of(number)} for number in (point, base)]
    seeds = sorted(by_seed[0].keys() & by_seed[1].keys())
    if point == base or not seeds:
        return ""
    mine, theirs = ([results.rows(of[seed], unseen=False) for seed in seeds] for of in by_seed)
    drawn = [
        a - b
        for a, b in zip(
            _drawn_means(mine, results.names), _drawn_means(theirs, results.names), strict=True
        )
    ]
    pairs = zip(mine, theirs, strict=True)
    found = [mean_score(a, results.names) - mean_score(b, results.names) for a, b in pairs]
    low, high = _ends(drawn)
    return f"{100 * np.mean(found):.1f} ({100 * low:.1f} to {100 * high:.1f})"


def _drawn_means(seeds: list[Rows], tasks: tuple[str, ...]) -> list[float]:
    """Return means of a bootstrap: seeds drawn, then the rows of each task; the same every time."""
    rng = np.random.default_rng(0)
    means = []
    for _ in range(DRAWS):
        chosen = [seeds[at] for at in rng.integers(0, len(seeds), len(seeds))]
        draws = {task: rng.integers(0, len(seeds[0][task]), len(seeds[0][task])) for task in tasks}
        scores = [
            mean_score({task: rows[task][draws[task]] for task in tasks}, tasks) for rows in chosen
        ]
        means.append(float(np.mean(np.array(scores, dtype=np.float64))))
    return means


def _ends(means: list[float]) -> tuple[float, float]:
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def summary(results: Results, points: list[str], base: int | None = None) -> Table:
    """Return a line for each point: dev, test with its spread and interval, unseen rows.

    Args:
        base: The point that the others are held against, if any.
    """
    heads = ["point", "seeds", "dev", "test", "sd", "95 % interval", "unseen", "min a seed"]
    heads += [] if base is None else [f"less {points[base]}"]
    table = Table(*heads, title="Means over the tasks, times 100; epoch chosen on dev")
    for point, name in enumerate(points):
        found = results.of(point)
        if not found:
            continue
        rows = [results.rows(one, unseen=False) for one in found]
        test = [mean_score(of_seed, results.names) for of_seed in rows]
        unseen = [mean_score(results.rows(one, unseen=True), results.names) for one in found]
        low, high = interval(rows, results.names)
        table.add_row(
            name,
            str(len(found)),
            f"{100 * np.mean([one['dev'] for one in found]):.2f}",
            f"{100 * np.mean(test):.2f}",
            f"{100 * np.std(test, ddof=1):.2f}" if len(found) > 1 else "",
            f"{100 * low:.1f} to {100 * high:.1f}",
            f"{100 * np.mean(unseen):.2f}",
            f"{np.mean([one['minutes'] for one in found]):.1f}",
            *([] if base is None else [less(results, point, base)]),
        )
    return table


def baseline_lines(read: Corpus, corpus: EncodedCorpus) -> Iterator[str]:
    """Yield what the cheap baselines reach on the same rows."""
    for baseline in baselines(read):
        plain, unseen = [], []
        for at, name in enumerate(corpus.names):
            of_task = baseline.answered[name]["test"]
            seen = np.array(corpus.split(at, "test").seen_in_train)[of_task.given]
            plain.append(of_task.score)
            unseen.append(of_task.metric.score(of_task.answers.take(~seen)))
        yield f"{baseline.name}: {100 * np.mean(plain):.2f}, unseen {100 * np.mean(unseen):.2f}"


def jobs(space: Space, read: Corpus, seeds: Iterable[int], results: Results) -> list[Job]:
    corpus = encode(read, space.data)
    vectors = word_vectors(space, read, corpus)
    return [
        Job(number, space.configure(point).as_dict(), seed, corpus.path, vectors)
        for seed in seeds
        for number, point in enumerate(space.points)
        if not results.has(number, seed)
    ]


def word_vectors(
    space: Space, read: Corpus, corpus: EncodedCorpus
) -> tuple[np.ndarray, np.ndarray] | None:
    from mtl_core.data.own_vectors import vectors_path
    from mtl_core.data.vectors import vectors_for

    path = vectors_path(read, corpus, space.data)
    return None if path is None else vectors_for(corpus, path)


def train_all(todo: list[Job], workers: int) -> Iterator[dict[str, Any]]:
    """Yield the results as they come; one worker is this process, or the lanes of a GPU."""
    import torch

    if todo and torch.cuda.is_available():
        yield from train_in_lanes(todo, "cuda", LANES)
        return
    if workers == 1:
        yield from map(train, todo)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for done in as_completed([pool.submit(train, job) for job in todo]):
            yield done.result()


def run(
    space: Space,
    *,
    seeds: Iterable[int],
    out: Path,
    workers: int,
    console: Console,
    base: int | None = None,
) -> Results:
    """Train what is not there yet, and print the table after each result."""
    read = read_corpus(space.data)
    corpus = encode(read, space.data)
    names = [
        ", ".join(f"{key.rpartition('.')[2]} {value}" for key, value in point.items())
        for point in space.points
    ]
    results = Results(out, corpus)
    for result in train_all(jobs(space, read, seeds, results), workers):
        results.add(result)
        console.print(summary(results, names, base))
    for line in baseline_lines(read, corpus):
        console.print(line)
    return results


@pytest.mark.slow
def test_points_are_trained_from_several_seeds(tmp_path: Path) -> None:
    structure, depth = "structure: stack_pooling", "divergence_depth"
    points = f"points=[{{{structure}, {depth}: 2}}, {{{structure}, {depth}: 0}}]"
    space = load_space(Path(__file__).parents[2] / "spaces" / "sanity.yaml", [points])
    out = tmp_path / "reach.jsonl"

    run(space, seeds=(1, 2), out=out, workers=1, console=Console())
    again = run(space, seeds=(1, 2), out=out, workers=1, console=Console())
    one, other = less(again, 1, 0), less(again, 0, 1)

    assert [one["seed"] for one in again.of(0)] == [1, 2]
    assert len(out.read_text().splitlines()) == 2 * len(space.points)
    assert less(again, 0, 0) == ""
    assert float(one.split()[0]) == -float(other.split()[0]) != 0


@pytest.mark.slow
def test_in_lanes_points_come_to_the_same(tmp_path: Path) -> None:
    space = load_space(Path(__file__).parents[2] / "spaces" / "sanity.yaml")
    read = read_corpus(space.data)
    nothing = Results(tmp_path / "none.jsonl", encode(read, space.data))
    todo = jobs(space, read, (1, 2), nothing)

    alone = [train(job) for job in todo]
    in_lanes = sorted(train_in_lanes(todo, "cpu", 2), key=lambda one: one["seed"])

    for mine, theirs in zip(in_lanes, alone, strict=True):
        assert mine["dev"] == pytest.approx(theirs["dev"], abs=1e-6)
        assert mine["rows"] == theirs["rows"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--space", required=True)
    parser.add_argument("--data")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--base", type=int, help="point, from 0, that others are held against")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("reach.jsonl"))
    asked = parser.parse_args()
    space = load_space(asked.space, asked.set, data=asked.data)
    seeds = range(asked.first, asked.first + asked.seeds)
    if asked.base is not None and not 0 <= asked.base < len(space.points):
        parser.error(f"--base {asked.base}: found {len(space.points)} points, counted from 0")
    run(
        space,
        seeds=seeds,
        out=asked.out,
        workers=asked.workers,
        console=Console(width=150),
        base=asked.base,
    )


if __name__ == "__main__":
    main()

"""Trials per hour: one at a time, packed by Ray into processes, and in the lanes of one engine.

    python tests/benchmarks/test_lanes.py [--workload mix] [--lanes 1 2 4 ...] [--profile]
    python tests/benchmarks/test_lanes.py --search

The trials have the published sizes and train on FDU-MTL: a random mix of structures, depths,
learning rates, dropouts and weightings, or (`--workload published`) seeds of one structure. All
arms train the same trials in the same run. On a GPU the processes take 1/2 to 1/16 of it, on a CPU
there are one and two for each core; the best of them is the reference. Trials per hour are
extrapolated from some epochs of a sample (`lane_work.py`) to trials of 30 epochs on all rows,
evaluation included; starting a process, and what a search does beside training, are not.

`--search` times a whole search instead: 100 trials of up to 30 epochs with early stopping. `--tiny`
makes either small enough for any machine.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from arms import Workload, best, measure_arms, one_at_a_time, table_of
from corpora import FDU_MTL, Sample, builtin, fdu_mtl, random_texts
from lane_work import Trial, mixed_trials, profile_lanes, same_trials
from machine import describe, make_console, product_rates, rate_table
from rich.console import Console
from search_run import SearchRun, run_search
from shares import share_table

from mtl_core.model.config import EncoderConfig
from search.local_ray import local_cpus

REQUIRED_OF_PACKING, REQUIRED_OF_ONE = 5.0, 20.0  # on a GPU
SEARCH_SECONDS = 600  # at most, on a GPU
STRUCTURE = "layerwise_implicit"  # of the trials that differ in nothing but the seed
TINY = EncoderConfig(n_layers=2, d_model=32, d_word=32, n_heads=2, d_ff=64)
ROWS = 6500  # positions of a batch of 50 texts, about
SEARCH = {"trials": "100", "epochs": "30", "learning_rate": "{float: [1e-4, 2e-3], log: true}"}
TINY_SEARCH = {"trials": "12", "epochs": "4"}


def published_work(
    name: str, lanes: Sequence[int], processes: Sequence[int], device: str, cache: Path | None
) -> Workload:
    """The published sizes on FDU-MTL; on a GPU with a quarter of the dev rows, on a CPU a tenth."""
    on_gpu = device != "cpu"
    corpus = Sample(fdu_mtl(cache), blocks=1, rows=50, every=4 if on_gpu else 10)
    return Workload(
        corpus=corpus,
        trials=_trials(name, EncoderConfig(), max(16, *lanes) if on_gpu else max(lanes), 50),
        lanes=lanes,
        processes=processes,
        engines=(2,) if on_gpu else (local_cpus(),),
        epochs=1,
        device=device,
        few=max(16, *processes) if on_gpu else max(lanes),
    )


def tiny_work(
    name: str, lanes: Sequence[int], processes: Sequence[int], device: str, cache: Path | None
) -> Workload:
    """A small model on the built-in corpus."""
    corpus = builtin(cache, n_tasks=4, rows=160, dev_rows=40, test_rows=10)
    return Workload(
        corpus=Sample(corpus, blocks=1, rows=20, every=2),
        trials=_trials(name, TINY, max(lanes), 20),
        lanes=lanes,
        processes=processes,
        engines=(2,) if device != "cpu" else (local_cpus(),),
        epochs=1,
        device=device,
        few=max(lanes),
    )


def _trials(name: str, encoder: EncoderConfig, count: int, batch_size: int) -> list[Trial]:
    if name == "mix":
        return mixed_trials(count, encoder, batch_size, ways=min(count, 16))
    return same_trials(count, encoder, STRUCTURE, batch_size)


def timed_search(device: str, *, tiny: bool) -> SearchRun:
    """Return what a whole search took as a command."""
    if tiny:
        return run_search("layerwise", TINY_SEARCH)
    return run_search("fdu_mtl", SEARCH | {"gpus_per_trial": str(int(device != "cpu"))}, FDU_MTL)


@pytest.mark.cluster
def test_all_ways_to_train_the_same_trials_come_to_the_same(tmp_path: Path) -> None:
    work = replace(tiny_work("mix", (1, 2, 8), (1, 2), "cpu", tmp_path), engines=(2,))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more of them would wait for each other where a core is not free

    try:
        arms = measure_arms(work)
    finally:
        torch.set_num_threads(threads)

    table = table_of("small form", arms)
    make_console().print(table)
    assert [(arm.name, arm.at_a_time) for arm in arms] == [
        ("processes", 1), ("processes", 2), ("2 engines", 8),
        ("lanes", 1), ("lanes", 2), ("lanes", 8),
    ]  # fmt: skip
    assert table.row_count == len(arms)
    assert {sum(timing.updates for timing in arm.timings) for arm in arms} == {8 * 4}
    for arm in arms:
        for seed, losses in arms[0].losses.items():
            assert arm.losses[seed] == pytest.approx(losses, rel=1e-4), (arm.name, arm.at_a_time)


def test_a_sample_has_texts_of_all_lengths_in_blocks_and_all_words(tmp_path: Path) -> None:
    whole = random_texts([5 + row for row in range(60)], n_tasks=3, cache=tmp_path)
    sample = Sample(whole, blocks=2, rows=10, every=5)

    lengths = sample.lengths("train")
    assert [min(of_task) for of_task in lengths] == [5, 15, 25]
    assert [max(of_task) for of_task in lengths] == [44, 54, 64]
    assert [len(of_task) for of_task in lengths] == [20] * 3
    assert [len(sample.split(task, "dev")) for task in range(3)] == [3] * 3
    assert (sample.vocabulary_of_tasks() == whole.vocabulary_of_tasks()).all()


@pytest.mark.slow
@pytest.mark.gpu
@pytest.mark.cluster
def test_lanes_train_many_times_the_trials_of_processes_on_a_gpu(tmp_path: Path) -> None:
    _skip_without_gpu_and_data()
    work = published_work("mix", (1, 16, 32, 64), (2, 4, 8, 16), "cuda", tmp_path)

    arms = measure_arms(work)

    make_console().print(table_of("mix", arms))
    most = best(arms, "lanes").trials_per_hour
    assert most >= REQUIRED_OF_PACKING * best(arms, "processes").trials_per_hour
    assert most >= REQUIRED_OF_ONE * one_at_a_time(arms).trials_per_hour


@pytest.mark.slow
@pytest.mark.gpu
@pytest.mark.cluster
def test_a_search_of_a_hundred_trials_takes_less_than_ten_minutes_on_a_gpu() -> None:
    _skip_without_gpu_and_data()

    run = timed_search("cuda", tiny=False)

    print(run)
    assert run.seconds < SEARCH_SECONDS


def _skip_without_gpu_and_data() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    if not FDU_MTL.is_dir():
        pytest.skip(f"no {FDU_MTL}; set BRANCHPOINT_TEST_DATA")


def main() -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    cores = local_cpus()
    torch.set_num_threads(cores)
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--workload", choices=["mix", "published"], default="mix")
    lanes = [1, 2, 4, 8, 16, 32, 64] if device == "cuda" else [1, 2, 4, 8, 16]
    parser.add_argument("--lanes", type=int, nargs="+", default=lanes)
    processes = [2, 4, 8, 16] if device == "cuda" else [cores, 2 * cores]
    parser.add_argument("--processes", type=int, nargs="+", default=processes)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--profile", action="store_true", help="where the time of lanes goes")
    parser.add_argument("--search", action="store_true")
    given = parser.parse_args()
    console = make_console()
    if given.search:
        run = timed_search(device, tiny=given.tiny)
        console.print(run.printed, markup=False, highlight=False)
        console.print(str(run), highlight=False)
    else:
        make = tiny_work if given.tiny else published_work
        work = make(given.workload, given.lanes, given.processes, device, None)
        show(console, given.workload, work, profiled=given.profile)
    console.print(describe(), highlight=False)


def show(console: Console, name: str, work: Workload, *, profiled: bool) -> None:
    """Measure, and print the tables; `profiled`: also where the time of lanes goes."""
    arms = measure_arms(work)
    console.print(table_of(f"{name}, {len(work.trials)} trials on {work.device}", arms))
    for arm in arms:
        for note in (note for timing in arm.timings for note in timing.notes):
            console.print(f"{arm.at_a_time} {arm.name}: {note}", highlight=False)
    encoder = work.trials[0][0].encoder
    console.print(rate_table(product_rates(encoder, ROWS, work.device), ROWS))
    if profiled:
        numbers = (1, best(arms, "lanes").at_a_time)
        shares = {
            f"{n} lanes": profile_lanes(work.corpus, work.trials[:n], work.device) for n in numbers
        }
        console.print(share_table("time of updates", shares))


if __name__ == "__main__":
    main()

"""A search of 1,000 trials on 64 tasks: the page is written soon, small, and quick to use."""

import random
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.report.findings import Findings
from search.report.html.material import Material
from search.report.html.page import page
from search.space import Space

N_TRIALS, N_TASKS, N_EPOCHS = 1_000, 64, 20
SECONDS, BYTES, PAGE_BYTES = 20, 1 << 30, 10_000_000
STRUCTURES = ("single_task", "stack_cls", "layerwise_implicit")


@pytest.fixture(scope="module")
def large(make_study: Any) -> Any:
    """The events of such a search, without its journal's file."""
    tasks = [f"task_{at:02d}" for at in range(N_TASKS)]
    study, rng = make_study(tasks), random.Random(0)
    for number in range(N_TRIALS):
        structure = STRUCTURES[number % len(STRUCTURES)]
        depth = None if structure == "single_task" else number % 4
        rate = 10 ** rng.uniform(-4, -2)
        study.propose(structure, depth, **{"training.learning_rate": rate})
        _train(study, rng)
    study.add("ended", reason="trials")
    _test_leaders(study)
    return study


@pytest.fixture
def material(large: Any, space: Space, affinity_of: Any) -> Material:
    return Material(Findings(large.record()), space, affinity=affinity_of(large.tasks))


def test_the_page_is_written_in_time_and_memory_and_can_be_sent(material: Material) -> None:
    before, began = _peak(), time.process_time()

    text = page(material)

    taken = time.process_time() - began
    more = (_peak() - before) / 1e6
    print(f"{taken:.1f} s of a core, {len(text) / 1e6:.1f} MB, {more:.0f} MB more memory")
    assert taken < SECONDS
    assert _peak() < BYTES or _peak() - before < BYTES // 4
    assert len(text.encode()) < PAGE_BYTES


def test_the_page_loads_and_sorts_quickly(browser: Any, material: Material, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(page(material), encoding="utf-8")
    tab = browser.new_page()

    began = time.perf_counter()
    tab.goto(path.as_uri())
    tab.wait_for_selector("html[data-ready]")
    loaded = time.perf_counter() - began
    sorting = (
        "(() => { const t = performance.now(); sortBy(document.getElementById('table-arms'), 2);"
    )
    sorted_in = tab.evaluate(f"{sorting} return performance.now() - t; }})()") / 1000
    began = time.perf_counter()
    tab.evaluate("drawAll()")
    drawn = time.perf_counter() - began
    tab.close()

    print(f"loaded in {loaded:.1f} s, sorted in {sorted_in:.2f} s, all figures in {drawn:.1f} s")
    assert loaded < 30
    assert sorted_in < 1
    assert drawn < 90


def _train(study: Any, rng: random.Random) -> None:
    """Report the epochs of the trial that was proposed last; two of three are stopped early."""
    trial = study.events[-1]["trial"]
    stopped = rng.random() < 0.6
    level = rng.uniform(0.6, 0.85)
    for epoch in range(1, 1 + (6 if stopped else N_EPOCHS)):
        grown = level * (1 - 0.5 * 0.7**epoch)
        scores = {task: round(grown + rng.gauss(0, 0.02), 4) for task in study.tasks}
        study.add(
            "reported", trial=trial, epoch=epoch, average=sum(scores.values()) / len(scores),
            scores=scores, loss=0.5, losses=dict.fromkeys(study.tasks, 0.5),
            tokens_per_second=1e4, seconds=2.0,
        )  # fmt: skip
    if stopped:
        study.add("stopped", trial=trial, epoch=6, rung=6)
    else:
        study.add("finished", trial=trial, epochs=N_EPOCHS, reason="epochs")


def _test_leaders(study: Any) -> None:
    """Test what leads, with the rows that its dev scores let expect; and the baselines."""
    rng = np.random.default_rng(0)
    record = study.record()
    for name, leader in record.leaders().items():
        reports = record.trials[leader.trial].reports
        scores = next(r.scores for r in reports if r.epoch == leader.epoch)
        right = [int(rng.binomial(study.n_rows, min(scores[t], 1.0))) for t in study.tasks]
        rows = study._rows(scores, right)
        study.add("tested", model=name, trial=leader.trial, epoch=leader.epoch, **rows)
    for name, share in (("majority", 0.5), ("tfidf", 0.7), ("tfidf_pooled", 0.72)):
        study.baseline(name, [share] * N_TASKS, [int(share * study.n_rows)] * N_TASKS)


def _peak() -> int:
    """Return the most memory that this process has had, in bytes."""
    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found if sys.platform == "darwin" else found * 1024

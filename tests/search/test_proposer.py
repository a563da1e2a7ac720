"""Proposals: points first, none twice, an end with its reason, and the same ones after a kill."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtl_core.errors import ConfigError
from mtl_core.training.config import TrialConfig
from search.journal import Journal
from search.proposer import Proposal, Proposer, startup_trials
from search.record import StudyRecord
from search.space import Space, parse_space

MIXED = """
name: mixed
search: {trials: 16, startup_trials: 5, seed: 3}
data: {source: builtin}
encoder: {n_layers: 4}
sharing:
  structure: {choice: [single_task, stack_pooling, layerwise_implicit]}
  divergence_depth:
    - {int: [0, n_layers], when: {structure: [stack_pooling]}}
    - {int: [0, n_layers - 1], when: {structure: [layerwise_implicit]}}
training: {learning_rate: {float: [1.0e-4, 1.0e-2], log: true}}
points:
  - {structure: layerwise_implicit, divergence_depth: 0, learning_rate: 5.0e-4}
  - {structure: single_task, learning_rate: 5.0e-4}
"""

FINITE = """
name: finite
search: {trials: 100}
data: {source: builtin}
encoder: {n_layers: 4}
sharing:
  structure: {choice: [single_task, stack_pooling, stack_cls]}
  divergence_depth: {int: [0, n_layers], when: {structure: [stack_pooling, stack_cls]}}
weighting: {method: {choice: [equal, dwa]}}
points: [{structure: stack_cls, divergence_depth: 4, method: equal}]
"""
N_FINITE = (1 + 5 + 5) * 2


def make_space(text: str, **search: Any) -> Space:
    space = parse_space(text)
    return replace(space, search=replace(space.search, **search))


def make_record(path: Path) -> StudyRecord:
    record = StudyRecord(Journal(path))
    record.append("study", format=1, tasks=[])
    return record


def score(proposal: Any) -> float:
    """A response without noise: the middle depth and a rate of 1e-3 are best."""
    values = proposal.values
    depth = values.get("sharing.divergence_depth", 9)
    rate = np.log10(values.get("training.learning_rate", 1e-3))
    return float(0.9 - 0.02 * abs(depth - 2) - 0.05 * (rate + 3) ** 2)


def train(record: StudyRecord, trial: str) -> None:
    """What a worker does: three epochs, or two for a bad trial; every seventh one breaks."""
    known = record.trials[trial]
    record.append("started", trial=trial, attempt=known.attempt + 1, worker="w")
    final = score(known)
    for epoch in (1, 2, 3):
        report = {"epoch": epoch, "average": final - 0.1 / epoch, "scores": {}, "losses": {}}
        speed = {"loss": 1.0, "tokens_per_second": 1.0, "seconds": 1.0}
        record.append("reported", trial=trial, **report, **speed)
        if epoch == 2 and known.number % 7 == 0:
            record.append("failed", trial=trial, kind="error", reason="r", traceback=None)
            return
        if epoch == 2 and final < 0.8:
            record.append("stopped", trial=trial, epoch=2, rung=2)
            return
    record.append("finished", trial=trial, epochs=3, reason="epochs")


def search(space: Space, record: StudyRecord, most: int = 1000) -> list[Proposal]:
    """Run the search with one worker to its end; return what was proposed on the way."""
    for trial in record.unfinished():
        train(record, trial.id)
    proposer, proposals = Proposer(space, record), []
    while len(proposals) < most and (proposal := proposer.propose()) is not None:
        record.append("proposed", **proposal.as_event())
        train(record, proposal.trial)
        proposals.append(proposal)
    return proposals


def test_points_come_first_and_are_whole_configurations(tmp_path: Path) -> None:
    space = make_space(MIXED)
    proposals = search(space, make_record(tmp_path / "j"))

    assert [p.source for p in proposals[:3]] == ["point", "point", "random"]
    assert [p.values for p in proposals[:2]] == list(space.points)
    config = TrialConfig.from_dict(proposals[0].config)
    assert config.sharing.structure == "layerwise_implicit"
    assert config.training.learning_rate == 5e-4


def test_tpe_takes_over_after_the_startup_trials_and_names_itself(tmp_path: Path) -> None:
    proposals = search(make_space(MIXED), make_record(tmp_path / "j"))

    assert [p.source for p in proposals] == ["point"] * 2 + ["random"] * 3 + ["tpe"] * 11
    assert [p.trial for p in proposals][:2] == ["t0001", "t0002"]
    assert len({p.seed for p in proposals}) == 16


def test_a_search_ends_with_its_number_of_trials(tmp_path: Path) -> None:
    record = make_record(tmp_path / "j")
    space = make_space(MIXED, trials=3)
    assert len(search(space, record)) == 3

    proposer = Proposer(space, record)
    assert proposer.propose() is None
    assert proposer.reason == "trials"


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid"])
def test_a_finite_space_is_tried_whole_and_nothing_twice(tmp_path: Path, sampler: str) -> None:
    record = make_record(tmp_path / "j")
    space = make_space(FINITE, sampler=sampler)
    proposals = search(space, record)
    proposer = Proposer(space, record)

    assert len({space.key(p.values) for p in proposals}) == N_FINITE == len(proposals)
    assert proposer.propose() is None
    assert proposer.reason == "exhausted"
    assert proposals[0].source == "point"
    assert {p.source for p in proposals[1:]} <= {sampler, "random"}


def test_one_seed_gives_the_same_proposals_and_another_one_others(tmp_path: Path) -> None:
    first = search(make_space(MIXED), make_record(tmp_path / "a"))
    again = search(make_space(MIXED), make_record(tmp_path / "b"))
    other = search(make_space(MIXED, seed=4), make_record(tmp_path / "c"))

    assert again == first
    assert not {str(p.values) for p in other[2:]} & {str(p.values) for p in first[2:]}


@pytest.mark.parametrize("text", [MIXED, FINITE])
@pytest.mark.parametrize("sampler", ["tpe", "random", "grid"])
def test_a_search_killed_at_any_event_proposes_what_the_undisturbed_one_does(
    tmp_path: Path, text: str, sampler: str
) -> None:
    if text == MIXED and sampler == "grid":
        text = MIXED.replace("float: [1.0e-4, 1.0e-2], log: true", "choice: [5.0e-4, 1.0e-3]")
    space = make_space(text, sampler=sampler, trials=12, startup_trials=4)
    steady = search(space, make_record(tmp_path / "steady"))
    lines = (tmp_path / "steady").read_bytes().splitlines(keepends=True)
    for cut in range(1, len(lines) + 1):
        path = tmp_path / "cut"
        path.write_bytes(b"".join(lines[:cut]))
        n_before = len(StudyRecord.load(path).trials)

        record = StudyRecord.open(path)
        following = search(space, record, most=2)
        record.close()

        assert following == steady[n_before : n_before + 2], (
            f"killed after event {cut} of {len(lines)}"
        )


def test_proposals_with_parallel_workers_do_not_repeat_those_that_run(tmp_path: Path) -> None:
    record = make_record(tmp_path / "j")
    space = make_space(FINITE, startup_trials=2)
    proposer = Proposer(space, record, workers=8)
    running: list[str] = []
    while (proposal := proposer.propose()) is not None:
        record.append("proposed", **proposal.as_event())
        running.append(proposal.trial)
        if len(running) == 8:
            train(record, running.pop(3))

    assert len({space.key(t.values) for t in record.trials.values()}) == N_FINITE


def test_a_continued_search_may_have_more_trials(tmp_path: Path) -> None:
    record = make_record(tmp_path / "j")
    few = search(make_space(MIXED, trials=6), record)
    more = search(make_space(MIXED, trials=9), record)

    assert few + more == search(make_space(MIXED, trials=9), make_record(tmp_path / "k"))


def test_another_trial_that_failed_does_not_count_as_one_to_learn_from(tmp_path: Path) -> None:
    record = make_record(tmp_path / "j")
    proposer = Proposer(make_space(MIXED, startup_trials=1), record)
    for _ in range(4):
        proposal = proposer.propose()
        assert proposal is not None
        record.append("proposed", **proposal.as_event())
        record.append("failed", trial=proposal.trial, kind="error", reason="r", traceback=None)

    assert record.trials["t0004"].source == "random"


def test_a_grid_too_large_to_list_is_refused(tmp_path: Path) -> None:
    text = FINITE.replace("choice: [equal, dwa]", "choice: [equal, dwa, size]") + (
        "training: {epochs: {int: [1, 1000]}, weight_decay: {float: [0.0, 0.1], step: 0.001}}\n"
    )
    with pytest.raises(ConfigError, match=r"'grid' for 3,\d{3},\d{3} configurations"):
        Proposer(make_space(text, sampler="grid"), make_record(tmp_path / "j"))


@pytest.mark.parametrize(
    ("given", "workers", "trials", "expected"),
    [(None, 1, 16, 10), (None, 8, 48, 16), (None, 64, 48, 24), (7, 8, 48, 7), (0, 1, 16, 0)],
)
def test_startup_trials_are_as_given_or_by_the_number_of_workers(
    given: int | None, workers: int, trials: int, expected: int
) -> None:
    space = make_space(MIXED, startup_trials=given, trials=trials)

    assert startup_trials(space.search, workers) == expected

"""An arm is searched as it would be by itself, and all arms get as many trials."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from search.journal import Journal
from search.proposer import Proposal, Proposer
from search.record import StudyRecord
from search.space import Space, parse_space

SPACE = """
search: {mode: compare, trials: 24, startup_trials: 3, seed: 5, SAMPLER}
data: {source: builtin}
encoder: {n_layers: 2}
sharing:
  structure: {choice: [single_task, stack_pooling, layerwise_implicit]}
  divergence_depth:
    - {int: [0, n_layers], when: {structure: stack_pooling}}
    - {int: [0, n_layers - 1], when: {structure: layerwise_implicit}}
weighting: {method: {choice: [equal, dwa]}}
training: {learning_rate: RATES}
points:
  - {structure: layerwise_implicit, divergence_depth: 0, method: equal, learning_rate: 1.0e-3}
  - {structure: single_task, method: equal, learning_rate: 1.0e-3}
  - {structure: layerwise_implicit, divergence_depth: 1, method: equal, learning_rate: 1.0e-3}
"""


def space_of(
    *overrides: str, sampler: str = "tpe", rates: str = "{float: [1.0e-4, 1.0e-2], log: true}"
) -> Space:
    text = SPACE.replace("SAMPLER", f"sampler: {sampler}").replace("RATES", rates)
    return parse_space(text, overrides=overrides)


def make_record(path: Path) -> StudyRecord:
    record = StudyRecord(Journal(path))
    record.append("study", format=1, tasks=["books"])
    return record


def run(record: StudyRecord, proposal: Proposal, score: float) -> None:
    about = {"trial": proposal.trial}
    record.append("proposed", **proposal.as_event())
    record.append("started", **about, attempt=1, worker="w")
    record.append(
        "reported",
        **about,
        epoch=1,
        average=score,
        scores={"books": score},
        loss=1.0,
        losses={"books": 1.0},
        tokens_per_second=1.0,
        seconds=1.0,
    )
    record.append("finished", **about, epochs=1, reason="epochs")


def score_of(proposal: Proposal, better: str | None = None) -> float:
    """Return a score that learning rates near 2e-3 are good for; the arm `better` has more."""
    rate = proposal.config["training"]["learning_rate"]
    more = 0.2 if structure_of(proposal) == better else 0.0
    return float(0.5 - abs(rate - 2e-3) * 20 + more)


def structure_of(proposal: Proposal) -> str:
    return str(proposal.config["sharing"]["structure"])


def search(space: Space, record: StudyRecord, better: str | None = None) -> list[Proposal]:
    proposer, found = Proposer(space, record), []
    while (proposal := proposer.propose()) is not None:
        run(record, proposal, score_of(proposal, better))
        found.append(proposal)
    return found


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_every_arm_gets_as_many_trials_its_points_first(tmp_path: Path, sampler: str) -> None:
    found = search(space_of(sampler=sampler), make_record(tmp_path / "j"))

    of_arms = {
        name: [p for p in found if structure_of(p) == name] for name in map(structure_of, found)
    }
    assert {name: len(trials) for name, trials in of_arms.items()} == dict.fromkeys(of_arms, 8)
    sources = {name: [p.source for p in trials[:3]] for name, trials in of_arms.items()}
    assert sources["layerwise_implicit"][:2] == ["point", "point"]
    assert sources["single_task"][:2] == ["point", "random"]
    assert sources["stack_pooling"][0] == "random"
    if sampler == "tpe":
        assert Counter(p.source for p in found)["tpe"] >= 12


def test_arms_take_turns(tmp_path: Path) -> None:
    found = search(space_of(), make_record(tmp_path / "j"))

    assert [structure_of(p) for p in found[:6]] == [
        "single_task", "stack_pooling", "layerwise_implicit",
    ] * 2  # fmt: skip


def told(proposals: list[Proposal], structure: str) -> list[tuple[Any, ...]]:
    return [(p.values, p.seed, p.source) for p in proposals if structure_of(p) == structure]


def test_an_arm_s_trials_do_not_depend_on_the_results_of_other_arms(tmp_path: Path) -> None:
    plain = search(space_of(), make_record(tmp_path / "a"))
    other = search(space_of(), make_record(tmp_path / "b"), better="stack_pooling")

    for structure in ("single_task", "layerwise_implicit"):
        assert told(plain, structure) == told(other, structure)


def test_an_arm_s_trials_do_not_depend_on_which_arms_there_are(tmp_path: Path) -> None:
    three = search(space_of(), make_record(tmp_path / "a"))
    fewer = "sharing.structure={choice: [layerwise_implicit, single_task]}"
    two = search(space_of(fewer, "trials=16"), make_record(tmp_path / "b"))

    assert told(two, "layerwise_implicit") == told(three, "layerwise_implicit")
    assert told(two, "single_task") == told(three, "single_task")


def test_more_trials_are_shared_out_alike_when_a_study_goes_on(tmp_path: Path) -> None:
    record = make_record(tmp_path / "j")
    first = search(space_of("trials=12"), record)
    more = search(space_of("trials=24"), record)
    at_once = search(space_of("trials=24"), make_record(tmp_path / "whole"))

    assert Counter(map(structure_of, more)) == dict.fromkeys(map(structure_of, first), 4)
    for structure in map(structure_of, first):
        assert told(first + more, structure) == told(at_once, structure)


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid"])
def test_a_comparison_killed_at_any_event_proposes_what_the_undisturbed_one_does(
    tmp_path: Path, sampler: str
) -> None:
    space = space_of("trials=15", sampler=sampler, rates="{choice: [1.0e-3, 2.0e-3, 4.0e-3]}")
    steady = search(space, make_record(tmp_path / "steady"))
    lines = (tmp_path / "steady").read_bytes().splitlines(keepends=True)
    for cut in range(1, len(lines) + 1, 3):
        path = tmp_path / "cut"
        path.write_bytes(b"".join(lines[:cut]))
        with_cut = StudyRecord.open(path)
        n_before = len(with_cut.trials)

        following = Proposer(space, with_cut).propose()
        with_cut.close()

        ended = n_before == len(steady)
        if n_before and with_cut.unfinished():
            continue  # this one is run again first
        assert following == (None if ended else steady[n_before]), f"killed after event {cut}"


def test_an_arm_that_has_been_tried_whole_leaves_the_others_theirs(tmp_path: Path) -> None:
    record = make_record(tmp_path / "j")
    space = space_of("trials=18", rates="{choice: [1.0e-3, 2.0e-3]}")  # single_task: 4 in all

    found = search(space, record)

    assert Counter(map(structure_of, found)) == {
        "single_task": 4,
        "stack_pooling": 6,
        "layerwise_implicit": 6,
    }
    proposer = Proposer(space, record)
    assert proposer.propose() is None
    assert proposer.reason == "trials"


def test_a_comparison_whose_arms_are_all_tried_whole_is_exhausted(tmp_path: Path) -> None:
    record = make_record(tmp_path / "j")
    space = space_of("trials=60", sampler="grid", rates="{choice: [1.0e-3, 2.0e-3]}")

    found = search(space, record)
    proposer = Proposer(space, record)

    assert len(found) == space.size() == 4 + 12 + 8
    assert proposer.propose() is None
    assert proposer.reason == "exhausted"


def test_arms_of_a_conditional_key_hold_it_as_pinned(tmp_path: Path) -> None:
    space = space_of("arms=[divergence_depth]", "trials=16")  # single_task, depths 0, 1 and 2

    found = search(space, make_record(tmp_path / "j"))

    depths = Counter(p.config["sharing"]["divergence_depth"] for p in found)
    assert depths == {None: 4, 0: 4, 1: 4, 2: 4}
    at_two = [p for p in found if p.config["sharing"]["divergence_depth"] == 2]
    assert {structure_of(p) for p in at_two} == {"stack_pooling"}


def test_tpe_learns_from_its_own_arm(tmp_path: Path) -> None:
    space = space_of("trials=90", "startup_trials=5")

    found = search(space, make_record(tmp_path / "j"))

    rates = {
        source: [p.config["training"]["learning_rate"] for p in found if p.source == source]
        for source in ("random", "tpe")
    }
    off = {source: [abs(rate - 2e-3) for rate in of] for source, of in rates.items()}
    assert sum(off["tpe"]) / len(off["tpe"]) < 0.8 * sum(off["random"]) / len(off["random"])

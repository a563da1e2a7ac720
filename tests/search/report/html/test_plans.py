"""The winners' plans: equal ones once, with what they are best for."""

import xml.etree.ElementTree as ElementTree
from typing import Any

from search.report.findings import Findings
from search.report.html.plans import pictures, plan_of


def test_equal_plans_are_one_picture_with_all_it_is_best_for(whole: Any) -> None:
    found = pictures(Findings(whole.record()))

    assert [(p.title, p.uses, p.structures) for p in found] == [
        (
            "layerwise_implicit, task tokens enter after 1 of 4 layers",
            ("the average", "films"), ("layerwise_implicit",),
        ),
        ("stack_cls, tasks part after 3 of 4 layers", ("books",), ("stack_cls",)),
        ("single_task, nothing shared", (), ("single_task",)),
    ]  # fmt: skip


def test_the_best_for_every_task_is_said_so(make_study: Any) -> None:
    study = make_study().train("stack_cls", (0.9, 0.9), 1).train("single_task", (0.5, 0.5))

    assert pictures(Findings(study.record()))[0].uses == ("the average", "every task")


def test_the_winners_of_the_confirmation_are_shown_and_not_the_leaders_of_the_search(
    make_study: Any,
) -> None:
    study = make_study().train("stack_cls", (0.9, 0.9), 1).train("stack_cls", (0.8, 0.8), 2)
    study.train("single_task", (0.5, 0.5))
    study.shortlist(t0001=["average", "task:books"], t0002=["task:films"])
    study.confirm("t0001", (300, 300), dev=(0.7, 0.7)).confirm("t0002", (300, 300), dev=(0.8, 0.8))

    found = pictures(Findings(study.record()))

    assert [(p.trials, p.uses, p.structures) for p in found] == [
        (("t0002",), ("the average", "films"), ("stack_cls",)),
        (("t0001",), ("books",), ()),
        (("t0003",), (), ("single_task",)),  # not confirmed: the leader of the search
    ]


def test_pictures_hold_names_as_text(make_study: Any) -> None:
    study = make_study(["<script>alert(1)</script>"]).train("stack_cls", (0.9,), 1)

    root = ElementTree.fromstring(pictures(Findings(study.record()))[0].svg)

    assert "<script>alert(1)</script>" in [text.text for text in root.iter()]


def test_a_structure_that_this_version_does_not_know_has_no_plan(make_study: Any) -> None:
    study = make_study().train("stack_cls", (0.9, 0.9), 1)
    trial = study.record().trials["t0001"]
    trial.config["sharing"]["structure"] = "of_tomorrow"

    assert plan_of(trial, 2) is None

"""The first lines say what is best, and their words follow the numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtl_core.metrics import get_metric
from search.report.basis import basis
from search.report.findings import Findings
from search.report.headline import answer, comparison, headline
from search.report.marks import MARKDOWN, PLAIN
from search.report.statistics import Scored
from search.rows import pack
from search.study import Study


def sentences(maker: Any) -> list[str]:
    return answer(Findings(maker.record()), PLAIN)


def two_structures(maker: Any, single: tuple[int, int], shared: tuple[int, int]) -> Any:
    """A study in which sharing leads on dev; test rows right as given."""
    maker.train("single_task", (0.8, 0.8)).train("stack_cls", (0.9, 0.9), 2)
    maker.test("structure:single_task", "t0001", single)
    return maker.test("structure:stack_cls", "t0002", shared).test("average", "t0002", shared)


def test_best_on_average_is_named_with_its_scores(whole: Any) -> None:
    found = sentences(whole)

    assert found[0] == (
        "Best on average: layerwise_implicit, task tokens enter after 1 of 4 layers, weighting "
        "equal. It gets 83.8% of the test rows right (81.9% on unseen rows), 85.5% on dev "
        "(t0003, epoch 1)."
    )
    assert found[1].startswith("Sharing helps on average: +4.0 (")
    assert found[-1].startswith("It beats TF-IDF logistic regression pooled over the tasks")


def test_linear_baseline_that_wins_comes_first(maker: Any) -> None:
    two_structures(maker, (300, 300), (320, 320)).baseline("tfidf_pooled", (0.9, 0.9), (360, 360))

    found = sentences(maker)

    assert found[0].startswith("A linear model wins: TF-IDF logistic regression pooled")
    assert "gets 90.0% of the test rows right, 10.0 points more" in found[0]
    assert found[1].startswith("Best on average: stack_cls")


def test_linear_baseline_is_chosen_on_dev(maker: Any) -> None:
    two_structures(maker, (300, 300), (320, 320))
    maker.baseline("tfidf", (0.9, 0.9), (310, 310)).baseline("tfidf_pooled", (0.8, 0.8), (399, 399))

    linear = Findings(maker.record()).linear

    assert linear is not None
    assert linear.name == "tfidf"


def test_linear_baseline_that_may_be_better_comes_first_without_a_claim(maker: Any) -> None:
    two_structures(maker, (300, 300), (320, 320)).baseline("tfidf", (0.8, 0.8), (321, 320))

    assert sentences(maker)[0].startswith("No difference is seen between the best Transformer")


def test_sharing_that_hurts_is_said(maker: Any) -> None:
    found = sentences(two_structures(maker, (340, 340), (300, 300)))

    assert found[1].startswith("Sharing hurts on average: -10.0 (")


def test_difference_that_may_be_none_is_not_claimed(maker: Any) -> None:
    found = sentences(two_structures(maker, (320, 320), (321, 320)))

    assert found[1].startswith("No difference is seen on average between sharing and not: +0.1 (")


def test_single_task_that_is_best_is_held_against_the_best_sharing(maker: Any) -> None:
    maker.train("single_task", (0.9, 0.9)).train("stack_cls", (0.8, 0.8), 2)
    maker.test("structure:single_task", "t0001", (340, 340))
    maker.test("structure:stack_cls", "t0002", (300, 300)).test("average", "t0001", (340, 340))

    found, table = sentences(maker), comparison(Findings(maker.record()), PLAIN)

    assert found[0].startswith("Sharing nothing is the best found on average: single_task")
    assert "Sharing hurts on average (stack_cls, tasks part after 2 of 4 layers" in found[1]
    assert "| best that shares (stack_cls) | +10.0 |" in table


def test_without_single_task_the_gain_is_not_known(maker: Any) -> None:
    maker.train("stack_cls", (0.8, 0.8), 2).test("average", "t0001", (300, 300))
    maker.test("structure:stack_cls", "t0001", (300, 300))

    assert "No trial of single_task has a score in this study" in sentences(maker)[1]


def test_study_without_any_score_has_no_answer(maker: Any) -> None:
    maker.add("ended", reason="interrupted")

    assert sentences(maker) == [
        "No answer: no trial has a dev score: the search was interrupted first."
    ]
    assert comparison(Findings(maker.record()), PLAIN) == ""
    assert basis(Findings(maker.record())) == ""


def test_study_of_which_all_trials_failed_says_why_and_is_given_up(maker: Any) -> None:
    for trial in ("t0001", "t0002"):
        maker.propose("stack_cls")
        maker.add("failed", trial=trial, kind="error", reason="no such bank", traceback=None)
    maker.add("ended", reason="trials")

    assert sentences(maker) == [
        "No answer: no trial has a dev score, 2 of 2 trials failed, most often for: no such bank."
    ]
    assert Study(Path("study"), maker.record()).given_up


def test_study_that_is_not_tested_says_what_leads_on_dev(maker: Any) -> None:
    maker.train("stack_cls", (0.8, 0.9), 2)

    assert sentences(maker) == [
        "Not tested yet; best on dev so far: stack_cls, 85.0% (t0001, epoch 1)."
    ]


def test_what_leads_on_dev_is_told_without_a_percent_sign_where_it_is_no_accuracy(
    maker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Findings, "of_accuracy", False)
    maker.train("stack_cls", (0.8, 0.9), 2)

    assert sentences(maker)[0].startswith("Not tested yet; best on dev so far: stack_cls, 85.0 (")


def test_uneven_search_is_said(maker: Any) -> None:
    two_structures(maker, (300, 300), (320, 320)).train("stack_cls", (0.7, 0.7), 1)

    assert "The search was not even: stack_cls is the best of 2 trials, single_task of 1." in (
        sentences(maker)
    )


def test_comparison_gives_dev_test_verdict_and_unseen_rows(whole: Any) -> None:
    rows = comparison(Findings(whole.record()), PLAIN).splitlines()

    single = next(row for row in rows if row.startswith("| single_task"))
    cells = [cell.strip() for cell in single.strip("|").split("|")]
    assert cells[1] == "+5.5"
    assert cells[2].startswith("+4.0 (")
    assert cells[3] == "better"
    assert cells[4].startswith("+4.4 (")


def test_basis_counts_rows_tasks_and_seeds(whole: Any) -> None:
    text = basis(Findings(whole.record()))

    assert "2 tasks" in text
    assert "800 test rows, 720 of them unseen" in text
    assert "400 dev rows; 1 seed" in text


def test_headline_for_the_terminal_has_no_markdown(whole: Any) -> None:
    text = headline(whole.record())

    assert "**" not in text
    assert "`" not in text
    assert text.startswith("Best on average: layerwise_implicit")


def test_answer_in_markdown_marks_names_and_the_first_sentence(whole: Any) -> None:
    text = answer(Findings(whole.record()), MARKDOWN)[0]

    assert text.startswith("**Best on average: `layerwise_implicit`")


def test_all_rows_unseen_are_not_scored_twice(maker: Any) -> None:
    maker.seen = 0
    two_structures(maker, (300, 300), (320, 320))
    findings = Findings(maker.record())

    assert "unseen" not in answer(findings, PLAIN)[0]
    assert "unseen" not in comparison(findings, PLAIN)
    assert "all of them unseen" in basis(findings)


@pytest.mark.parametrize(
    ("scale", "said"),
    [
        ("over_majority", "Over the majority baseline that is +30.0 ("),
        ("over_single_task", "Over single_task that is +5.0 ("),
    ],
)
def test_the_mean_is_told_on_the_scale_of_the_space(maker: Any, scale: str, said: str) -> None:
    two_structures(maker, (300, 300), (320, 320)).baseline("majority", (0.5, 0.5), (200, 200))
    maker.events[0]["scale"] = scale

    assert any(sentence.startswith(said) for sentence in sentences(maker))


def test_scores_that_are_no_accuracy_are_named_and_not_called_rows(maker: Any) -> None:
    counts = np.tile([[1.0, 1.0, 1.0], [0.0, 1.0, 1.0]], (50, 1))
    two_structures(maker, (300, 300), (320, 320))
    for event in maker.events:
        if event["event"] == "tested":
            rows = Scored(counts, get_metric("tagging", "entity_f1"))
            event["correct"]["books"] = pack({"books": rows})["books"]
            event["metrics"] = {"books": ("tagging", "entity_f1")}
            event["seen"]["books"] = pack({"books": np.zeros(100, bool)})["books"]

    text = " ".join(headline(maker.record()).split())

    assert "Its mean score over the tasks is 65.0 on test" in text  # of 50 and 80
    assert "Scores: books entity_f1, films accuracy, times 100. Of tagged words" in text


@pytest.mark.parametrize(
    ("kind", "name", "width", "words"),
    [
        ("tagging", "accuracy", 2, "each word's most frequent tag"),
        ("regression", "pearson", 5, "TF-IDF ridge regression per task"),
        ("multilabel", "micro_f1", 3, "TF-IDF logistic regression per task"),
    ],
)
def test_the_linear_baseline_is_named_as_what_it_is(
    maker: Any, kind: str, name: str, width: int, words: str
) -> None:
    maker.baseline("tfidf", (0.5, 0.5), (200, 200))
    rows = Scored(np.ones((400, width)), get_metric(kind, name))
    maker.events[-1]["correct"] = pack(dict.fromkeys(("books", "films"), rows))
    maker.events[-1]["metrics"] = dict.fromkeys(("books", "films"), (kind, name))

    assert Findings(maker.record()).in_words("tfidf") == words


def test_a_confirmed_answer_says_mean_interval_and_seeds(confirmed_study: Any) -> None:
    found = sentences(confirmed_study)

    assert found[0].startswith(
        "Best on average: layerwise_implicit, task tokens enter after 1 of 4 layers, weighting "
        "equal. It gets 82.5% ("
    )
    assert "the mean of 5 fresh seeds; 84.5% on dev (t0003)." in found[0]
    assert "1 seed" not in " ".join(found) + basis(Findings(confirmed_study.record()))
    assert "5 fresh seeds for each of 3 configurations" in basis(Findings(confirmed_study.record()))


def test_a_mean_of_correlations_or_f1_is_told_without_percent_signs(
    confirmed_study: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Findings, "of_accuracy", False)
    confirmed_study.baseline("tfidf_pooled", (0.8, 0.8), (325, 325))

    text = " ".join(sentences(confirmed_study))

    assert "a mean score over the tasks of 82.5 (" in text
    assert "TF-IDF" in text
    assert "%" not in text


def test_a_task_that_pays_is_named_after_holms_correction(confirmed_study: Any) -> None:
    text = " ".join(sentences(confirmed_study))

    assert "Task by task sharing is better on 1 and worse on 1 of 2 tasks (Holm-corrected)" in text
    assert "it hurts books -7.5 (" in text


def test_a_linear_baseline_that_wins_over_seeds_comes_first(confirmed_study: Any) -> None:
    confirmed_study.baseline("tfidf_pooled", (0.9, 0.9), (390, 390))

    assert sentences(confirmed_study)[0].startswith("A linear model wins: TF-IDF")


def test_what_would_have_been_seen_is_said_where_nothing_was(maker: Any) -> None:
    maker.train("single_task", (0.8, 0.8)).train("stack_cls", (0.9, 0.9), 2)
    maker.shortlist(t0001=["single_task"], t0002=["average"])
    maker.confirm("t0001", (320, 320), (321, 320), (319, 320), dev=(0.8, 0.8))
    maker.confirm("t0002", (321, 320), (320, 322), (320, 318), dev=(0.9, 0.9))

    found = sentences(maker)
    rows = comparison(Findings(maker.record()), PLAIN)

    assert "a true difference of" in found[1]
    assert found[1].endswith("would have been seen.")
    assert "no difference seen (" in rows
    assert " detectable)" in rows


def test_equal_weights_that_are_best_are_said(confirmed_study: Any) -> None:
    assert "No weighting found is better than equal weights: the best has them." in (
        sentences(confirmed_study)
    )


def test_another_weighting_is_held_against_equal_weights(confirmed_study: Any) -> None:
    proposed = [e for e in confirmed_study.events if e["event"] == "proposed"]
    proposed[2]["config"] = {**proposed[2]["config"], "weighting": {"method": "dwa"}}

    found = sentences(confirmed_study)
    rows = comparison(Findings(confirmed_study.record()), PLAIN)

    (said,) = (sentence for sentence in found if sentence.startswith("With its weighting"))
    assert "the best with equal weights (stack_cls, tasks part after 3 of 4 layers" in said
    assert "| best with equal weights" in rows


def test_without_a_tested_model_no_seed_is_claimed(maker: Any) -> None:
    maker.train("stack_cls", (0.8, 0.9), 2).baseline("majority", (0.5, 0.5), (200, 200))

    assert "no model is tested yet" in basis(Findings(maker.record()))


def test_one_run_each_is_not_passed_off_as_an_interval_over_seeds(maker: Any) -> None:
    maker.train("single_task", (0.8, 0.8)).train("stack_cls", (0.9, 0.9), 2)
    maker.shortlist(t0001=["single_task"], t0002=["average"])
    maker.confirm("t0001", (300, 300), dev=(0.8, 0.8)).confirm("t0002", (350, 350), dev=(0.9, 0.9))
    findings = Findings(maker.record())

    assert "of one seed and over rows alone" in answer(findings, PLAIN)[1]
    assert "better (1 seed)" in comparison(findings, PLAIN)
    assert "With one run each, the intervals say how much the choice of test rows matters" in (
        basis(findings)
    )


def test_a_structure_that_was_left_unconfirmed_is_said(maker: Any) -> None:
    maker.train("single_task", (0.8, 0.8)).train("stack_cls", (0.9, 0.9), 2)
    maker.shortlist(t0001=["single_task"], t0002=["average"])
    maker.confirm("t0002", (350, 350), dev=(0.9, 0.9))

    assert "Not confirmed yet, and in no table for that: single_task (80.0% on dev in the" in (
        basis(Findings(maker.record()))
    )


def test_a_study_of_one_task_says_nothing_of_sharing(make_study: Any) -> None:
    maker = make_study(("books",)).train("single_task", (0.8,)).train("stack_cls", (0.9,), 2)
    maker.train("stack_pooling", (0.85,), 2).shortlist(
        t0001=["single_task"], t0002=["average", "task:books"], t0003=["equal_weights"]
    )
    maker.confirm("t0001", (300,), (301,), dev=(0.9,)).confirm("t0002", (310,), (311,), dev=(0.8,))
    maker.confirm("t0003", (320,), (321,), dev=(0.7,)).baseline("tfidf", (0.5,), (200,))
    findings = Findings(maker.record())

    said = answer(findings, PLAIN)

    assert said[0].startswith("Best: single_task. It gets 75.1% (")
    assert said[1].startswith("One task has nobody to share with: the structures differ in how")
    assert said[2].startswith("It beats TF-IDF")
    assert len(said) == 3
    assert "| best other structure (stack_cls) |" in comparison(findings, PLAIN)
    assert basis(findings).startswith("400 test rows, ")


def test_a_search_whose_time_was_up_before_any_score_says_so(maker: Any) -> None:
    maker.propose("stack_cls").add("ended", reason="minutes")

    assert sentences(maker) == [
        "No answer: no trial has a dev score: the time was up first; the same command with more "
        "minutes goes on."
    ]


MORE = "the same command with more --minutes goes on."


def test_a_search_whose_time_was_up_says_so(maker: Any) -> None:
    maker.train("stack_cls", (0.8, 0.9), 1).test("average", "t0001", (160, 180))
    maker.propose("stack_cls")
    maker.add("ended", reason="minutes")

    assert f"The time was up after 1 trial; {MORE}" in sentences(maker)


def test_so_does_a_confirmation_and_one_that_is_done_says_nothing(confirmed_study: Any) -> None:
    said = f"The time was up before all runs with fresh seeds were done; {MORE}"
    assert said not in sentences(confirmed_study)

    confirmed_study.add("ended", reason="trials", confirmation="minutes")

    assert said in sentences(confirmed_study)


def test_names_from_data_are_as_they_are_on_a_terminal_and_escaped_in_markdown(
    make_study: Any,
) -> None:
    maker = two_structures(make_study(("a*b", "films")), (350, 300), (300, 350))
    maker.shortlist(t0001=["single_task"], t0002=["average"])
    maker.confirm("t0001", (390, 300), (391, 301)).confirm("t0002", (300, 399), (301, 400))
    findings = Findings(maker.record())

    assert "it hurts a*b -2" in " ".join(answer(findings, PLAIN))
    assert r"it hurts a\*b -2" in " ".join(answer(findings, MARKDOWN))


def test_the_best_is_not_told_on_the_scale_of_itself(maker: Any) -> None:
    maker.events[0]["scale"] = "over_single_task"
    maker.train("single_task", (0.9, 0.9)).test("average", "t0001", (360, 360))
    maker.test("structure:single_task", "t0001", (360, 360))

    assert not [said for said in sentences(maker) if said.startswith("Over single_task")]

"""Measuring a study: what is written, when it is not, and that it is not done twice."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from mtl_core.data.encoded import EncodedCorpus
from mtl_core.training.results import Diverged
from search.affinity import drive
from search.affinity.drive import relate_tasks
from search.affinity.file import AFFINITY, read_affinity
from search.space import Space

if TYPE_CHECKING:
    from conftest import Tiny


def test_all_routes_are_measured_and_written(
    whole: "Tiny", monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[str] = set()
    split = EncodedCorpus.split
    monkeypatch.setattr(
        EncodedCorpus,
        "split",
        lambda self, task, name: (seen.add(name), split(self, task, name))[1],
    )

    relate_tasks(whole.subject())

    found = read_affinity(whole.folder)
    assert found["tasks"] == list(whole.corpus.names)
    assert found["trial"] in {"t0002", "t0003"}
    assert (found["epochs"], found["steps"] >= 10) == (1, True)
    assert set(found["routes"]) == {"look_ahead", "gradient_cosine", "attention"}
    for route in found["routes"].values():
        assert np.isfinite(np.array(route["matrix"])).all()
        assert np.array(route["matrix"]).shape == (4, 4)
    assert found["routes"]["attention"]["trial"] == "t0003"
    assert found["routes"]["gradient_cosine"]["layers"] == ["words", "embedding", "layer1"]
    assert len(found["agreement"]) == 3
    assert set(found["groups"]) == set(found["routes"])
    assert found["absent"] == {}
    assert "tellable" in found["fit"]["words"]
    structures = [example["structure"] for example in found["examples"]]
    assert structures == ["layerwise_explicit"] * 4 + ["layerwise_implicit"] * 4
    assert "test" not in seen


def test_an_unchanged_study_is_not_measured_again(
    whole: "Tiny", monkeypatch: pytest.MonkeyPatch
) -> None:
    relate_tasks(whole.subject())
    first = (whole.folder / AFFINITY).read_text()
    monkeypatch.setattr(drive, "measure", Mock(side_effect=AssertionError("measured again")))

    relate_tasks(whole.subject())

    assert (whole.folder / AFFINITY).read_text() == first
    assert [text[:9] for text in whole.said] == ["measuring"]


def test_it_is_measured_with_the_threads_of_a_trial(
    whole: "Tiny", monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    measure = drive.measure
    monkeypatch.setattr(
        drive,
        "measure",
        lambda *args, **options: (
            seen.append(torch.get_num_threads()),
            measure(*args, **options),
        )[1],
    )
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)  # as PyTorch chooses by itself on two cores

        relate_tasks(whole.subject())

        assert (seen, torch.get_num_threads()) == ([1], 2)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("change", ["epochs", "every", "leader"])
def test_a_changed_one_is(
    change: str, whole: "Tiny", other_space: Callable[..., Space], monkeypatch: pytest.MonkeyPatch
) -> None:
    relate_tasks(whole.subject())
    first = read_affinity(whole.folder)
    values: dict[str, Any] = {}
    if change == "leader":
        whole.train("layerwise_explicit")
        leaders = whole.record.leaders()
        better = leaders["structure:layerwise_explicit"].trial == "t0004"
        monkeypatch.setattr(whole.record, "leaders", lambda: leaders)
        if not better:
            leaders["structure:layerwise_explicit"] = whole.record.trials["t0004"].best["average"]
    else:
        values["space"] = other_space(f"search.affinity.{change}=3")

    relate_tasks(whole.subject(**values))

    second = read_affinity(whole.folder)
    assert second["fingerprint"] != first["fingerprint"]
    assert len(whole.said) == 2
    if change == "epochs":
        assert (first["epochs"], second["epochs"]) == (1, 3)


def test_two_measurements_of_a_study_are_the_same(whole: "Tiny") -> None:
    relate_tasks(whole.subject())
    first = (whole.folder / AFFINITY).read_text()
    (whole.folder / AFFINITY).unlink()

    relate_tasks(whole.subject())

    assert (whole.folder / AFFINITY).read_text() == first


def test_words_follow_the_search_without_a_new_measurement(
    whole: "Tiny", monkeypatch: pytest.MonkeyPatch
) -> None:
    relate_tasks(whole.subject())
    path = whole.folder / AFFINITY
    path.write_text(json.dumps({**read_affinity(whole.folder), "fit": {"words": "stale"}}))
    monkeypatch.setattr(drive, "measure", Mock(side_effect=AssertionError("measured again")))

    relate_tasks(whole.subject())

    assert read_affinity(whole.folder)["fit"]["words"] != "stale"


def test_attention_is_absent_with_the_reason(tiny: "Tiny") -> None:
    tiny.train("stack_pooling")

    relate_tasks(tiny.subject())

    found = read_affinity(tiny.folder)
    reason = "the study has no trial of layerwise_explicit, and none is trained for this alone"
    assert found["absent"] == {"attention": reason}
    assert set(found["routes"]) == {"look_ahead", "gradient_cosine"}
    assert found["examples"] == []


def test_weights_that_were_lost_leave_attention_out(tiny: "Tiny") -> None:
    tiny.train("layerwise_explicit", keep=False)

    relate_tasks(tiny.subject())

    absent = read_affinity(tiny.folder)["absent"]["attention"]
    assert absent.startswith("the weights of t0001, epoch ")
    assert absent.endswith(", are no longer kept")


def test_a_study_that_shares_nothing_lends_its_settings(tiny: "Tiny") -> None:
    tiny.train("single_task")

    relate_tasks(tiny.subject())

    found = read_affinity(tiny.folder)
    assert (found["trial"], found["structure"], found["borrowed"]) == (
        "t0001", "stack_pooling", True,
    )  # fmt: skip


def test_a_space_can_say_no_but_a_user_can_still_ask(
    whole: "Tiny", other_space: Callable[..., Space]
) -> None:
    subject = whole.subject(space=other_space("search.affinity.epochs=0"))

    relate_tasks(subject)

    assert not (whole.folder / AFFINITY).exists()
    relate_tasks(subject, by_hand=True)
    assert read_affinity(whole.folder)["epochs"] == 1


def test_an_interrupted_study_and_one_without_scores_are_left_alone(tiny: "Tiny") -> None:
    relate_tasks(tiny.subject())
    tiny.train("stack_pooling")
    tiny.record.append("ended", reason="interrupted")

    relate_tasks(tiny.subject())

    assert not (tiny.folder / AFFINITY).exists()
    assert tiny.said == []


@pytest.mark.parametrize("error", [Diverged("epoch 1"), MemoryError("no room")])
def test_a_training_that_fails_is_said_and_leaves_no_file(
    error: Exception, whole: "Tiny", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drive, "measure", Mock(side_effect=error))

    relate_tasks(whole.subject())

    assert whole.said[-1] == f"how tasks relate could not be measured: {error}"
    assert not (whole.folder / AFFINITY).exists()

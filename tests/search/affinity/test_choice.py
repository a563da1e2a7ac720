"""Which trial affinities are measured on, and for how long."""

from typing import Any

from mtl_core.training.config import TrialConfig
from search.affinity.choice import choose, leader_of
from search.record import StudyRecord


def make_record(*trials: tuple[str, int | None, float, int]) -> StudyRecord:
    """Return a study of finished trials: structure, depth, dev average, and epochs."""
    events: list[dict[str, Any]] = [{"event": "study", "format": 1, "tasks": ["a", "b"]}]
    for number, (structure, depth, average, epochs) in enumerate(trials, start=1):
        trial = f"t{number:04d}"
        sharing = {"structure": structure, "divergence_depth": depth}
        training = {"epochs": 30, "patience_epochs": 3}
        config = TrialConfig.from_dict({"sharing": sharing, "training": training}).as_dict()
        events.append(
            {
                "event": "proposed", "trial": trial, "number": number, "values": {},
                "config": config, "seed": number, "source": "tpe",
            }
        )  # fmt: skip
        events.append({"event": "started", "trial": trial, "attempt": 1, "worker": "w"})
        for epoch in range(1, epochs + 1):
            scores = {"a": average, "b": average}
            events.append(
                {
                    "event": "reported", "trial": trial, "epoch": epoch, "average": average,
                    "scores": scores, "loss": 0.5, "losses": {"a": 0.5, "b": 0.5},
                    "tokens_per_second": 1.0, "seconds": 1.0,
                }
            )  # fmt: skip
        events.append({"event": "finished", "trial": trial, "reason": "epochs"})
    return StudyRecord(None, [{"time": float(i), **event} for i, event in enumerate(events)])


def test_the_best_trial_that_shares_all_layers_is_taken() -> None:
    record = make_record(
        ("single_task", None, 0.9, 10),
        ("stack_pooling", 4, 0.7, 10),
        ("layerwise_implicit", 2, 0.8, 10),
        ("stack_cls", 2, 0.95, 10),
    )

    choice = choose(record)

    assert choice is not None
    assert (choice.trial.id, choice.borrowed) == ("t0003", False)
    assert choice.config.sharing.structure == "layerwise_implicit"


def test_a_study_without_such_a_trial_lends_its_best_settings() -> None:
    record = make_record(("single_task", None, 0.7, 10), ("stack_cls", 0, 0.8, 10))

    choice = choose(record)

    assert choice is not None
    assert (choice.trial.id, choice.borrowed) == ("t0002", True)
    assert choice.config.sharing.structure == "stack_pooling"
    assert choice.config.sharing.divergence_depth is None


def test_a_twentieth_of_the_study_s_epochs_is_trained_without_patience() -> None:
    choice = choose(make_record(*[("stack_pooling", 4, 0.7, 30)] * 6))  # 180 epochs

    assert choice is not None
    assert choice.config.training.epochs == 9
    assert choice.config.training.patience_epochs is None


def test_it_is_one_epoch_at_least_and_the_trial_s_own_at_most() -> None:
    short, long = (
        choose(make_record(*[("stack_pooling", 4, 0.7, n)] * count))
        for n, count in ((1, 2), (30, 25))
    )

    assert short is not None
    assert long is not None
    assert (short.config.training.epochs, long.config.training.epochs) == (1, 30)


def test_as_many_epochs_as_are_asked_for() -> None:
    choice = choose(make_record(("stack_pooling", 4, 0.7, 1)), epochs=7)

    assert choice is not None
    assert choice.config.training.epochs == 7


def test_a_study_without_scores_has_nothing_to_train() -> None:
    assert choose(make_record()) is None


def test_leaders_are_by_structure() -> None:
    record = make_record(("stack_cls", 2, 0.7, 1), ("layerwise_explicit", 0, 0.6, 2))

    leader = leader_of(record, "layerwise_explicit")

    assert leader is not None
    assert (leader.trial, leader.epoch) == ("t0002", 1)
    assert leader_of(record, "layerwise_implicit") is None

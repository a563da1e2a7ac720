"""What moves at which rate: worked by hand, and as trainings show it."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from mtl_core.data.encoded import EncodedCorpus
from mtl_core.errors import ConfigError
from mtl_core.training.config import TrainingConfig, TrialConfig
from mtl_core.training.engine import Engine
from mtl_core.training.lane import Lane
from mtl_core.training.layer_rates import frozen_groups, learning_rates
from mtl_core.training.updates import take_alone
from mtl_core.weighting.methods import METHODS
from mtl_core.weighting.task_weighting import StepLosses, TaskWeighting

Make = Callable[..., TrialConfig]
GROUPS = ("words", "embedding", "layer1", "layer2", "layer3", "norm3", "tokens", "heads")


def test_the_rate_falls_from_the_last_layer_down_to_the_embedding() -> None:
    training = TrainingConfig(learning_rate=0.8, word_learning_rate=0.4, layer_decay=0.5)

    assert learning_rates(training, 3, GROUPS) == pytest.approx(
        {
            "words": 0.05,
            "embedding": 0.1,
            "layer1": 0.2,
            "layer2": 0.4,
            "layer3": 0.8,
            "norm3": 0.8,
            "tokens": 0.8,
            "heads": 0.8,
        }
    )


def test_without_decay_only_words_have_a_rate_of_their_own() -> None:
    rates = learning_rates(TrainingConfig(learning_rate=0.8), 3, GROUPS)

    assert rates == dict.fromkeys(GROUPS, 0.8) | {"words": 0.08}


def test_frozen_layers_are_the_lowest_with_the_embedding() -> None:
    assert frozen_groups(TrainingConfig()) == frozenset()
    assert frozen_groups(TrainingConfig(frozen_layers=2)) == {
        *("words", "embedding", "layer1", "layer2")
    }


def open_lane(corpus: EncodedCorpus, config: TrialConfig) -> Lane:
    return Engine(corpus).open(config, 3)


@pytest.mark.parametrize("structure", ["single_task", "stack_pooling", "layerwise_implicit"])
def test_the_first_step_of_adam_is_as_long_as_the_rate(
    structure: str, encoded: EncodedCorpus, make_config: Make
) -> None:
    config = make_config(
        sharing={"structure": structure}, training={"layer_decay": 0.5, "learning_rate": 8e-3}
    )
    lane = open_lane(encoded, config)
    before = {group: rows.clone() for group, rows in lane.model.rows.items()}
    words = lane.model.words.detach().clone()

    take_alone(lane.updater, lane.steps[0])

    longest = {g: (rows - before[g]).abs().max().item() for g, rows in lane.model.rows.items()}
    longest["words"] = (lane.model.words.detach() - words).abs().max().item()
    wanted = {"words": 2e-4, "embedding": 2e-3, "layer1": 4e-3}
    assert longest == pytest.approx({g: wanted.get(g, 8e-3) for g in longest}, rel=1e-2)


@pytest.mark.parametrize("structure", ["single_task", "layerwise_explicit"])
def test_frozen_layers_keep_every_bit_and_get_no_gradients(
    structure: str, encoded: EncodedCorpus, make_config: Make
) -> None:
    config = make_config(sharing={"structure": structure}, training={"frozen_layers": 1})
    lane = open_lane(encoded, config)
    before = {name: table.clone() for name, table in lane.model.named_parameters()}

    take_alone(lane.updater, lane.steps[0])
    (part,) = lane.updater.prepare([lane.steps[1]])

    after = dict(lane.model.named_parameters())
    group = lane.model.table_group
    moved = {group[name] for name in after if not torch.equal(after[name], before[name])}
    frozen = {"words", "embedding", "layer1"}
    assert moved == set(group.values()) - frozen
    assert part.narrowed is not None
    assert not any(leaf.requires_grad for g, leaf in part.narrowed.tables.items() if g in frozen)
    assert not frozen & lane.updater.optimizer.tables.keys()


class Shared(TaskWeighting):
    """Keeps how many numbers the tasks' gradients have."""

    size = 0

    def combine(self, losses: StepLosses) -> Tensor:
        self.size = losses.gradients().shape[1]
        return losses.values.sum()


def test_gradients_that_tasks_share_are_those_of_what_moves(
    encoded: EncodedCorpus, make_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = Shared()
    monkeypatch.setitem(METHODS, "shared", lambda _: shared)
    config = make_config(
        weighting={"method": "shared"}, batches={"regime": "joint"}, training={"frozen_layers": 1}
    )
    lane = open_lane(encoded, config)

    take_alone(lane.updater, lane.steps[0])

    rows = lane.model.rows  # stack_pooling shares all but the heads
    assert shared.size == rows["layer2"].shape[1] + rows["norm2"].shape[1]


def test_more_frozen_layers_than_there_are_is_refused(
    encoded: EncodedCorpus, make_config: Make
) -> None:
    with pytest.raises(ConfigError, match=r"training.frozen_layers: 3 of the 2 layers .* 0 to 2"):
        open_lane(encoded, make_config(training={"frozen_layers": 3}))


@pytest.mark.parametrize(
    ("key", "value"),
    [("layer_decay", 0.0), ("layer_decay", 1.5), ("frozen_layers", -1), ("accumulate", 0)],
)
def test_values_that_mean_nothing_are_refused_by_name(key: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"{key}\n"):
        TrialConfig.from_dict({"training": {key: value}})

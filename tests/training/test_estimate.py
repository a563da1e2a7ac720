"""The estimate against what is really there, and against hand-worked operations."""

from collections.abc import Callable

import numpy as np
import pytest

from mtl_core.data.encoded import EncodedCorpus
from mtl_core.model.structures import STRUCTURES, layerwise_explicit, stack_pooling
from mtl_core.training.config import TrialConfig
from mtl_core.training.estimate import estimate, flops
from mtl_core.training.trainer import Trainer

Make = Callable[..., TrialConfig]


@pytest.mark.parametrize("regime", ["alternating", "joint"])
@pytest.mark.parametrize("structure", sorted(STRUCTURES))
def test_steps_and_parameters_are_those_of_a_training(
    structure: str, regime: str, encoded: EncodedCorpus, make_config: Make
) -> None:
    config = make_config(
        sharing={"structure": structure}, batches={"regime": regime}, training={"epochs": 2}
    )
    trainer = Trainer(encoded, config, seed=0)
    next(trainer.epochs())

    found = estimate(encoded, config)

    assert found.steps_per_epoch == trainer.updater.steps_done
    assert found.steps == 2 * found.steps_per_epoch
    assert found.parameters == trainer.model.count_parameters()
    assert found.word_vectors == len(trainer.model.get_parameter("words"))
    assert found.words_per_epoch == sum(
        int(encoded.split(task, "train").lengths.sum()) for task in range(3)
    )


def test_operations_are_those_worked_by_hand(make_config: Make) -> None:
    config = make_config(
        encoder={"n_layers": 1, "d_model": 2, "n_heads": 1, "d_word": 3, "d_ff": 5}
    ).encoder

    # One text of 4 words: projection 3*2*4; q, k, v, out 4*2*2*4; feed-forward 2*2*5*4;
    # scores and mixing 2*2*4*4; two operations each.
    by_hand = 2 * (24 + 64 + 80 + 64)

    assert flops(stack_pooling(3, 1), config, np.array([4])) == by_hand
    # All three task tokens stand before the words: 7 positions, projection as before.
    by_hand = 2 * (24 + 112 + 140 + 196)
    assert flops(layerwise_explicit(3, 1), config, np.array([4])) == by_hand

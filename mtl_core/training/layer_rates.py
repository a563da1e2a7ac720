"""Which groups of banks a training moves, and at which full learning rate.

Pretrained layers want smaller steps the further down they are (layer-wise decay; Howard and Ruder,
2018), or none at all. What is new in a model has no lower layers to keep: task tokens, final norms
and heads always move at the full rate.
"""

from collections.abc import Collection

from mtl_core.model.plan import layer_group
from mtl_core.training.config import TrainingConfig

WORDS, WIDE = "words", "wide"  # groups of which an update moves some rows: words, n-grams


def learning_rates(
    training: TrainingConfig, n_layers: int, groups: Collection[str]
) -> dict[str, float]:
    """Return the learning rate of each group at its full value."""
    below = {layer_group(layer): n_layers - layer for layer in range(n_layers + 1)}
    below[WORDS] = n_layers
    rate, words = training.learning_rate, training.word_learning_rate
    wide = training.wide_learning_rate
    full = dict.fromkeys(groups, rate)
    full[WORDS] = rate / 10 if words is None else words
    full[WIDE] = rate * 10 if wide is None else wide
    return {group: full[group] * training.layer_decay ** below.get(group, 0) for group in groups}


def frozen_groups(training: TrainingConfig) -> frozenset[str]:
    """Return the groups that stay as they start, whatever the encoder says of its words."""
    if not training.frozen_layers:
        return frozenset()
    layers = range(training.frozen_layers + 1)
    return frozenset([WORDS, *(layer_group(layer) for layer in layers)])

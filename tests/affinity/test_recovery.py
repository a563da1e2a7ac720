"""The built-in corpus has groups planted in it: the routes find them better than chance.

Its tasks differ in two ways, in the meaning of words (the groups) and in the part of a text they
read, and the routes see both. So single trainings find the groups in part; means over seeds are
held against what random trees come to.
"""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from mtl_core.affinity.groups import cut, of_layers, tree, without_levels
from mtl_core.affinity.measure import measure
from mtl_core.data.config import CorpusConfig, DataConfig
from mtl_core.data.encode import encode
from mtl_core.data.synthetic import generate, planted_truth
from mtl_core.training.config import TrialConfig
from mtl_core.training.trainer import Trainer

SEEDS = (0, 1)
CONFIG = {
    "encoder": {
        "n_layers": 3, "d_model": 32, "d_word": 32, "n_heads": 2, "d_ff": 64,
        "dropout_embedding": 0.1, "dropout": 0.0, "dropout_attention": 0.0, "dropout_head": 0.1,
    },
    "sharing": {"structure": "layerwise_implicit"},
    "batches": {"batch_size": 32},
    "training": {
        "learning_rate": 2e-3, "word_learning_rate": 3e-3, "lr_schedule": "linear", "warmup": 0.1,
        "epochs": 8,
    },
}  # fmt: skip


@pytest.mark.slow
def test_look_ahead_and_cosines_find_the_planted_groups_better_than_chance() -> None:
    found = {"look_ahead": list[float](), "cosines": list[float]()}
    for seed in SEEDS:
        config = CorpusConfig(seed=seed)
        data = replace(DataConfig(max_words=64), builtin=config)
        encoded = encode(generate(config), data)
        groups = planted_truth(config).groups
        planted = [next(g for g, of in enumerate(groups) if name in of) for name in encoded.names]

        trainer = Trainer(encoded, TrialConfig.from_dict(CONFIG), seed=seed)
        measured = measure(trainer, every=19)

        rests = {
            "look_ahead": np.array([without_levels(one) for one in measured.look_ahead]),
            "cosines": np.array([of_layers(one) for one in measured.cosines]),
        }
        for route, of_route in rests.items():
            found[route].append(adjusted_rand_score(planted, cut(tree(of_route.mean(0)), 2)))
    print(found)

    for route, scores in found.items():
        assert np.mean(scores) > _chance(len(planted), planted), (route, scores)


def _chance(n_tasks: int, planted: list[int]) -> float:
    """Return the mean over seeds that trees of random affinities exceed in a tenth of all cases."""
    rng = np.random.default_rng(0)

    def score() -> float:
        affinity: NDArray[np.float64] = rng.normal(size=(n_tasks, n_tasks))
        return float(adjusted_rand_score(planted, cut(tree(without_levels(affinity)), 2)))

    means = [np.mean([score() for _ in SEEDS]) for _ in range(1000)]
    return float(np.quantile(means, 0.9))

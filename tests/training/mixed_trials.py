"""Eight trials that have nothing in common but their sizes, for tests of lanes side by side."""

from collections.abc import Callable

from mtl_core.training.config import TrialConfig

Make = Callable[..., TrialConfig]


def mixed_trials(make_config: Make) -> list[TrialConfig]:
    """Every structure; all methods of weighting; both regimes; samplings, depths and rates."""
    return [
        make_config(
            sharing={"structure": "layerwise_explicit", "divergence_depth": 1},
            weighting={"method": "uncertainty"},
            encoder={"dropout_attention": 0.3},
            training={"lr_schedule": "cosine", "warmup": 0.1, "weight_decay": 0.01},
        ),
        make_config(
            sharing={"structure": "single_task"},
            batches={"regime": "joint"},
            encoder={"wide": True, "wide_sharing": "per_task", "wide_buckets": 16},
        ),
        make_config(
            sharing={"structure": "stack_cls", "divergence_depth": 1},
            weighting={"method": "dwa"},
            encoder={"n_layers": 3, "dropout": 0.4, "wide": True, "dropout_wide": 0.3},
            training={"learning_rate": 2e-2, "wide_weight_decay": 0.01},
        ),
        make_config(
            sharing={"structure": "layerwise_implicit"},
            weighting={"method": "random"},
            batches={"sampling": "uniform", "batch_size": 5},
        ),
        make_config(
            sharing={"structure": "stack_pooling", "divergence_depth": (0, 1, 2)},
            weighting={"method": "size"},
            batches={"regime": "joint", "token_budget": 40},
            training={"optimizer": "adamw", "weight_decay": 0.1},
        ),
        make_config(
            sharing={"structure": "stack_pooling", "divergence_depth": 0},
            weighting={"method": "static", "weights": {"books": 2.0}},
            encoder={"freeze_words": True, "n_layers": 1},
            batches={"bucketing": False},
        ),
        make_config(
            sharing={"structure": "layerwise_implicit", "divergence_depth": 1},
            encoder={"wide": True, "wide_ngrams": 1, "wide_sharing": "shared"},
            batches={"sampling": "temperature", "regime": "joint"},
            training={"clip_norm": None, "lr_schedule": "linear"},
        ),
        make_config(
            sharing={"structure": "layerwise_explicit"},
            encoder={"n_layers": 3, "dropout": 0.0, "dropout_head": 0.0},
            training={"clip_norm": 0.1},
        ),
    ]

"""What one trial is: `TrainingConfig`, and `TrialConfig` that holds every concern of a trial."""

from typing import Any, Literal

from pydantic import Field, TypeAdapter
from pydantic.dataclasses import dataclass

from mtl_core.data.config import BatchConfig
from mtl_core.fields import CLOSED, Count, CountOrZero, Factor, Positive, PositiveOrZero, Share
from mtl_core.model.config import EncoderConfig, SharingConfig
from mtl_core.weighting.config import WeightingConfig


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class TrainingConfig:
    """Optimiser and length of one training; the defaults are the published settings.

    Args:
        word_learning_rate: Learning rate of the word vectors; None: a tenth of `learning_rate`.
        wide_learning_rate: Learning rate of the weights of n-grams; None: ten times
            `learning_rate`, since a linear model on TF-IDF wants large weights.
        wide_weight_decay: Of the weights of n-grams; None: as `weight_decay`.
        lr_schedule: What the learning rate does after the warm-up, down to 0 at the last step.
        warmup: Share of all steps over which the learning rates rise from 0.
        clip_norm: Largest norm of all gradients together; None: no clipping.
        layer_decay: Layer l of L moves at the learning rate times this to the power of L - l, the
            embedding and the word vectors as layer 0; tokens, final norms and heads at all of it.
        frozen_layers: So many of the lowest layers stay as they start, and, if any, the embedding
            and the word vectors with them.
        accumulate: Steps whose gradients are averaged for one update; an epoch's last update takes
            those that are left.
        patience_epochs: Epochs without a better task mean after which training ends; None: never.
    """

    optimizer: Literal["adam", "adamw"] = "adam"
    learning_rate: Positive = 5e-4
    word_learning_rate: PositiveOrZero | None = None
    wide_learning_rate: PositiveOrZero | None = None
    weight_decay: PositiveOrZero = 0.0
    wide_weight_decay: PositiveOrZero | None = None
    lr_schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup: Share = 0.0
    clip_norm: Positive | None = 1.0
    layer_decay: Factor = 1.0
    frozen_layers: CountOrZero = 0
    accumulate: Count = 1
    epochs: Count = 30
    patience_epochs: Count | None = None


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class TrialConfig:
    """One configuration: all that a trial needs besides the data and a seed."""

    encoder: EncoderConfig = Field(default_factory=EncoderConfig)
    sharing: SharingConfig = Field(default_factory=SharingConfig)
    weighting: WeightingConfig = Field(default_factory=WeightingConfig)
    batches: BatchConfig = Field(default_factory=BatchConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values, section by section; `from_dict` turns them back."""
        return _ADAPTER.dump_python(self, mode="json")

    @staticmethod
    def from_dict(values: dict[str, Any]) -> "TrialConfig":
        """Return the configuration of `as_dict`; raises `pydantic.ValidationError`."""
        return _ADAPTER.validate_python(values)


_ADAPTER = TypeAdapter(TrialConfig)

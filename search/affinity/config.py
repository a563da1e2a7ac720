"""What a space may say of measuring how tasks relate: `search.affinity`."""

from pydantic.dataclasses import dataclass

from mtl_core.fields import CLOSED, Count, CountOrZero


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class AffinityConfig:
    """How long the model is trained on which affinities are measured, and how often.

    Args:
        epochs: Epochs of the training; 0: nothing is measured. None: a twentieth of the epochs that
            the study's trials trained together, but not more than the trial's own and at least one.
        every: Steps from one measurement to the next; None: so many that measuring costs about as
            much as the training.
    """

    epochs: CountOrZero | None = None
    every: Count | None = None

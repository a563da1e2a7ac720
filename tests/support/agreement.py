"""When a training agrees with the reference's: its losses, its scores, its weights."""

from collections.abc import Mapping, Sequence

import pytest
from reference import Reference, ReferenceEpoch
from torch import Tensor

from mtl_core.training.best import AVERAGE, Best
from mtl_core.training.config import TrainingConfig
from mtl_core.training.results import EpochResult

LOSSES = 1e-5  # relative; 300 trials differed by 1.2e-6 at most
WEIGHTS = 1e-4  # relative
# Adam makes a step of full size out of a gradient of any size, so where one is near 0 its rounding
# shows in the weight, if not in the loss: a twentieth of a step is allowed for that. The biases of
# queries have the smallest gradients; theirs is the only difference above a hundredth seen so far.
OF_A_STEP = 5e-2


def assert_epochs_agree(found: Sequence[EpochResult], wanted: Sequence[ReferenceEpoch]) -> None:
    """Compare the epochs that `found` has; which ones it must have is for the caller to say."""
    assert len(found) <= len(wanted)
    for epoch, (mine, theirs) in enumerate(zip(found, wanted, strict=False), start=1):
        assert mine.epoch == epoch
        assert mine.losses == pytest.approx(theirs.losses, rel=LOSSES, abs=1e-7), mine
        for name, score in mine.scores.items():
            assert abs(score - theirs.scores[name]) <= theirs.unsure[name] + 1e-9, (mine, theirs)


def assert_ends_where_it_should(found: Sequence[EpochResult], config: TrainingConfig) -> None:
    """Check each epoch's word on whether it is the last, by its own scores and those before."""
    averages = [result.average for result in found]
    for epoch, result in enumerate(found, start=1):
        best = 1 + averages.index(max(averages[:epoch]))
        patience = config.patience_epochs or config.epochs
        ended = "patience" if epoch - best >= patience else None
        assert result.ended == ("epochs" if epoch == config.epochs else ended)


def assert_best_are_kept(best: Mapping[str, Best], found: Sequence[EpochResult]) -> None:
    """Check that the first of the best epochs is known, of the mean and of each task."""
    scores = [{AVERAGE: result.average, **result.scores} for result in found]
    for key in scores[0] if scores else ():
        of_key = [of_epoch[key] for of_epoch in scores]
        assert best[key].score == max(of_key)
        assert best[key].epoch == 1 + of_key.index(max(of_key))


def assert_weights_agree(found: Mapping[str, Tensor], reference: Reference) -> None:
    """Compare every parameter but the biases of the keys.

    These shift all scores of a query alike and change nothing: their true gradient is 0, and Adam
    turns the rounding of it into steps.
    """
    training, width = reference.config.training, reference.config.encoder.d_model
    largest = max(training.learning_rate, training.word_learning_rate or 0.0)
    if reference.config.encoder.wide:
        largest = max(largest, training.wide_learning_rate or 10 * training.learning_rate)
    wanted = reference.tables()
    for name, table in found.items():
        mine, theirs = table.double().clone(), wanted[name]
        if name.endswith("qkv_bias"):
            mine[:, width : 2 * width] = theirs[:, width : 2 * width]
        wrong = (mine - theirs).abs() > WEIGHTS * theirs.abs() + OF_A_STEP * largest
        assert not wrong.any(), (name, wrong.nonzero().tolist()[:5], mine[wrong], theirs[wrong])


def assert_learned_agree(found: Mapping[str, Tensor], reference: Reference) -> None:
    """Compare what the weighting has learned, which only `uncertainty` does."""
    if reference.method == "uncertainty":
        wanted = [variance.item() for variance in reference.log_variances]
        assert found["log_variances"].tolist() == pytest.approx(wanted, rel=WEIGHTS, abs=1e-6)

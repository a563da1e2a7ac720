"""One contract for all task weightings, and what the table says of a wrong name."""

import pytest
import torch

from mtl_core.errors import ConfigError
from mtl_core.weighting.config import WeightingConfig
from mtl_core.weighting.methods import METHODS, build_weighting
from mtl_core.weighting.task_weighting import StepLosses, TaskWeighting

NAMES = ("books", "dvd", "music")


def build(method: str) -> TaskWeighting:
    config = WeightingConfig(method=method, weights={"books": 3.0})
    return build_weighting(config, NAMES, n_rows=(100, 200, 400), seed=5)


def make_losses(tasks: tuple[int, ...], step: int = 0) -> StepLosses:
    def no_gradients() -> torch.Tensor:
        raise AssertionError("a method of losses alone never asks for gradients")

    values = torch.tensor([0.5, 1.0, 2.0])[list(tasks)].requires_grad_()
    return StepLosses(values=values, tasks=tasks, step=step, gradients=no_gradients)


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("tasks", [(0, 1, 2), (2, 0), (1,)])
def test_every_method_gives_each_task_of_the_step_a_positive_weight(
    method: str, tasks: tuple[int, ...]
) -> None:
    losses = make_losses(tasks)

    total = build(method).combine(losses)
    (weights,) = torch.autograd.grad(total, losses.values)

    assert total.shape == ()
    assert weights.shape == (len(tasks),)
    assert bool((weights > 0).all())


@pytest.mark.parametrize("method", sorted(METHODS))
def test_weights_of_a_full_step_sum_to_the_number_of_tasks(method: str) -> None:
    losses = make_losses((0, 1, 2))

    (weights,) = torch.autograd.grad(build(method).combine(losses), losses.values)

    assert weights.sum().item() == pytest.approx(len(NAMES))


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_task_weighs_the_same_alone_in_a_step_and_among_others(method: str) -> None:
    weighting = build(method)
    together, alone = make_losses((0, 1, 2), step=7), make_losses((1,), step=7)

    (of_three,) = torch.autograd.grad(weighting.combine(together), together.values)
    (of_one,) = torch.autograd.grad(weighting.combine(alone), alone.values)

    assert of_one[0].item() == pytest.approx(of_three[1].item())


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_loaded_method_goes_on_as_the_saved_one(method: str) -> None:
    saved, loaded = build(method), build(method)
    for mean_losses in ([0.9, 0.8, 0.7], [0.5, 0.7, 0.6]):
        saved.end_epoch(torch.tensor(mean_losses))
    with torch.no_grad():
        for parameter in saved.parameters():
            parameter.add_(torch.tensor([0.1, -0.2, 0.3]))

    loaded.load_state_dict(saved.state_dict())

    losses = make_losses((0, 1, 2), step=3)
    assert torch.equal(loaded.combine(losses), saved.combine(losses))


def test_an_unknown_method_is_named_with_its_nearest_neighbour() -> None:
    with pytest.raises(ConfigError, match=r"weighting.method: unknown 'uncertain', did you mean"):
        build("uncertain")

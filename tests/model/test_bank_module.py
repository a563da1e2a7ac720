"""Tables and rows are the same numbers, whatever happens to the module."""

import pytest
import torch

from mtl_core.model.bank_module import BankModule


@pytest.fixture
def module() -> BankModule:
    """Two banks of a layer with a weight, (2, 3), and a bias, (3,), and three heads."""
    made = BankModule()
    made.add_table("layers.1.weight", "layer1", torch.arange(12.0).view(2, 2, 3))
    made.add_table("layers.1.bias", "layer1", torch.full((2, 3), -1.0))
    made.add_table("head_bias", "heads", torch.zeros(3, 5))
    made.tie()
    return made


def test_a_row_holds_the_tables_of_a_bank_one_after_the_other(module: BankModule) -> None:
    assert module.rows["layer1"].tolist() == [
        [0, 1, 2, 3, 4, 5, -1, -1, -1],
        [6, 7, 8, 9, 10, 11, -1, -1, -1],
    ]
    assert module.rows["heads"].shape == (3, 5)
    assert list(dict(module.named_parameters())) == [
        "head_bias",
        "layers.1.weight",
        "layers.1.bias",
    ]
    assert module.table_group["layers.1.bias"] == "layer1"


def test_the_parameters_are_views_of_the_rows_after_a_change_of_type_too(
    module: BankModule,
) -> None:
    for changed in (module, module.double(), module.to("cpu")):
        with torch.no_grad():
            changed.rows["layer1"].fill_(2.0)
            changed.get_parameter("layers.1.bias").fill_(3.0)

        assert bool((changed.get_parameter("layers.1.weight") == 2.0).all())
        assert int((changed.rows["layer1"] == 3.0).sum()) == 6


def test_joined_rows_are_the_same_and_give_gradients_to_the_tables(module: BankModule) -> None:
    joined = module.joined()
    joined["layer1"][1].sum().backward()

    assert all(torch.equal(rows, module.rows[group]) for group, rows in joined.items())
    gradient = module.get_parameter("layers.1.weight").grad
    assert gradient is not None
    assert gradient.sum(dim=(1, 2)).tolist() == [0, 6]


def test_frozen_groups_get_no_gradients(module: BankModule) -> None:
    module.freeze(["layer1"])

    moving = [name for name, table in module.named_parameters() if table.requires_grad]
    assert moving == ["head_bias"]
    assert module.frozen == {"layer1"}

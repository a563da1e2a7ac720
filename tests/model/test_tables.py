"""Which tables of weights a plan asks for, and how they start."""

import pytest
import torch

from mtl_core.model.config import EncoderConfig
from mtl_core.model.plan import SharingPlan
from mtl_core.model.reads import Readout, Tokens
from mtl_core.model.tables import Table, initial_table, list_tables

CONFIG = EncoderConfig(n_layers=2, d_model=4, d_word=3, n_heads=2, d_ff=5)
PLAN = SharingPlan(((0, 0), (0, 0), (0, 1)), Tokens.OWN, Readout.TOKEN, readout_layer=(1, 2))
NAMES = ("books", "dvd")


def tables_of(plan: SharingPlan) -> dict[str, Table]:
    tables = list_tables(plan, CONFIG, n_classes=[2, 3], max_words=7, task_names=NAMES)
    return {table.name: table for table in tables}


def test_a_table_has_a_bank_for_each_of_the_plan() -> None:
    tables = tables_of(PLAN)

    assert tables["positions"].shape == (7, 3)
    assert tables["layers.1.qkv_weight"] == Table(
        "layers.1.qkv_weight", "layer1", 1, (4, 12), (("books", "dvd"),)
    )
    assert tables["layers.2.up_bias"].task_names == (("dvd",),)
    assert tables["norms.1.norm_bias"].group == "norm1"
    assert tables["tokens"].task_names == (("books",), ("dvd",))
    assert tables["head_weight"].shape == (4, 3)


def test_the_cls_word_has_a_position_of_its_own() -> None:
    plan = SharingPlan(((0, 1),) * 3, Tokens.CLS_WORD, Readout.FIRST)

    assert tables_of(plan)["positions"].shape == (8, 3)
    assert "tokens" not in tables_of(plan)


def test_a_free_cls_belongs_to_the_tasks_of_its_embedding() -> None:
    plan = SharingPlan(((0, 0),) * 3, Tokens.CLS, Readout.TOKEN)

    assert tables_of(plan)["tokens"].task_names == (("books", "dvd"),)


def test_weights_start_normal_norms_one_and_biases_zero() -> None:
    weight = initial_table(Table("layers.1.up_weight", "layer1", 1, (200, 300), ((),)), seed=1)

    assert weight.std().item() == pytest.approx(0.05, rel=0.02)
    assert weight.mean().item() == pytest.approx(0, abs=1e-3)
    assert initial_table(tables_of(PLAN)["layers.1.norm1_weight"], seed=1).unique().tolist() == [1]
    assert initial_table(tables_of(PLAN)["norms.2.norm_weight"], seed=1).unique().tolist() == [1]
    assert not initial_table(tables_of(PLAN)["layers.1.norm1_bias"], seed=1).any()


def test_a_bank_starts_by_its_tasks_whatever_their_order_and_the_other_banks() -> None:
    def start(*task_names: tuple[str, ...], layer: int = 1, seed: int = 1) -> torch.Tensor:
        table = Table("layers.1.up_weight", "layer1", layer, (2, 3), task_names)
        return initial_table(table, seed=seed)

    alone = start(("a", "b"))

    assert torch.equal(start(("c",), ("b", "a"))[1], alone[0])
    assert not torch.equal(start(("a",)), alone)
    assert not torch.equal(start(("a", "b"), layer=2), alone)
    assert not torch.equal(start(("a", "b"), seed=2), alone)


def test_a_head_starts_the_same_whatever_the_classes_of_the_others() -> None:
    few = initial_table(Table("head_weight", "heads", 0, (4, 2), (("a",),), (2,)), seed=1)
    many = initial_table(Table("head_weight", "heads", 0, (4, 5), (("b",), ("a",)), (5, 2)), seed=1)

    assert torch.equal(many[1, :, :2], few[0])
    assert not many[1, :, 2:].any()

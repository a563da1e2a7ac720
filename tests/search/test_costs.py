"""Costs from configuration and audit are those of the models that would be built."""

import subprocess
import sys

import pytest

from mtl_core.data.audit import audit
from mtl_core.data.config import DataConfig
from mtl_core.data.encode import encode
from mtl_core.data.readers import read_corpus
from mtl_core.training.config import TrialConfig
from mtl_core.training.models import build_model
from search.costs import cost_of, costs_of
from search.record import StudyRecord

ENCODER = {"n_layers": 2, "d_model": 16, "d_word": 12, "n_heads": 2, "d_ff": 32}


@pytest.fixture(scope="module")
def built() -> tuple[object, dict[str, object]]:
    data = DataConfig(source="builtin", max_words=64)
    corpus = read_corpus(data)
    encoded = encode(corpus, data)
    return encoded, audit(corpus, encoded, data).as_dict()


def config_of(structure: str, depth: int | None) -> TrialConfig:
    sharing = {"structure": structure, "divergence_depth": depth}
    return TrialConfig.from_dict({"encoder": ENCODER, "sharing": sharing})


@pytest.mark.parametrize(
    ("structure", "depth"),
    [("single_task", None), ("stack_pooling", 0), ("stack_cls", 1), ("layerwise_explicit", 1)],
)
def test_parameters_are_those_of_the_model(
    built: tuple[object, dict[str, object]], structure: str, depth: int | None
) -> None:
    encoded, about = built
    model = build_model(encoded, config_of(structure, depth), seed=0)  # type: ignore[arg-type]
    positions = sum(p.numel() for name, p in model.named_parameters() if "position" in name)
    expected = sum(p.numel() for p in model.parameters()) - positions

    found = cost_of(config_of(structure, depth), about["tasks"], about)  # type: ignore[arg-type]

    assert found.parameters == pytest.approx(expected, rel=0.02)  # a few words that are no words


def test_more_tokens_and_more_layers_take_more_operations(
    built: tuple[object, dict[str, object]],
) -> None:
    _, about = built

    def flops(structure: str, **encoder: int) -> float:
        config = {"encoder": {**ENCODER, **encoder}, "sharing": {"structure": structure}}
        return cost_of(TrialConfig.from_dict(config), about["tasks"], about).flops_per_text  # type: ignore[arg-type]

    assert flops("layerwise_explicit") > flops("layerwise_implicit")
    assert flops("stack_pooling", n_layers=4) > 1.9 * flops("stack_pooling")


def test_a_study_whose_audit_is_lost_has_no_costs() -> None:
    assert costs_of(StudyRecord(), {}) == {}


def test_costs_are_counted_without_torch() -> None:
    code = "import sys, search.costs, search.pareto; assert 'torch' not in sys.modules"

    subprocess.run([sys.executable, "-c", code], check=True)

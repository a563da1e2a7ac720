"""Configurations come out as they went in, whatever was kept before them."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mtl_core.training.config import TrialConfig
from search.kept_configs import KeptConfigs

LEAVES = st.none() | st.booleans() | st.integers(0, 1) | st.sampled_from([1.0, "a", [1], [1.0], {}])
CONFIGS = st.lists(
    st.dictionaries(
        st.sampled_from("ab"), LEAVES | st.dictionaries(st.sampled_from("cd"), LEAVES), max_size=2
    ),
    max_size=5,
)


@given(CONFIGS)
def test_whatever_is_kept_comes_out_as_it_was(configs: list[dict[str, Any]]) -> None:
    configs_kept = KeptConfigs()
    kept = [configs_kept.keep(config) for config in configs]

    for config, one in zip(configs, kept, strict=True):
        assert _sorted(one.whole()) == _sorted(config)


def _sorted(config: dict[str, Any]) -> str:
    return repr(
        sorted((k, sorted(v.items()) if isinstance(v, dict) else v) for k, v in config.items())
    )


def test_a_configuration_takes_what_differs_alone() -> None:
    configs = KeptConfigs()
    first, other = (
        TrialConfig.from_dict({"training": {"learning_rate": rate}}).as_dict()
        for rate in (0.1, 0.2)
    )

    configs.keep(first)
    kept = configs.keep(other)

    assert kept.differ == (("training", "learning_rate"), 0.2)
    assert kept.whole() == other
    assert kept.whole()["encoder"] is first["encoder"]

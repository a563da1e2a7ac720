import pytest

from mtl_core.errors import ConfigError
from search.space import Space, parse_space

SPACE = """name: x
search: {trials: 5}
encoder: {n_layers: 2}
sharing:
  structure: {choice: [single_task, stack_cls]}
  divergence_depth: {int: [0, n_layers], when: {structure: stack_cls}}
points:
- {structure: single_task}
- {structure: stack_cls, divergence_depth: 2}
"""


def changed(*overrides: str, data: str | None = None) -> Space:
    return parse_space(SPACE, source="x.yaml", overrides=overrides, data=data)


def test_a_setting_is_changed_by_its_dotted_or_its_short_name() -> None:
    assert changed("search.trials=3").search.trials == 3
    assert changed("trials=3", "trials=4").search.trials == 4  # the last one wins


def test_a_key_inside_a_section_that_the_file_leaves_out_can_be_set() -> None:
    space = changed("data.builtin.rows=7", "early_stopping.reduction_factor=4")

    assert space.data.builtin.rows == 7
    assert space.search.early_stopping is not None
    assert space.search.early_stopping.reduction_factor == 4


def test_a_key_inside_a_section_that_the_file_has_as_null_can_be_set() -> None:
    space = parse_space(
        "search: {early_stopping: null}", overrides=["early_stopping.grace_period_epochs=4"]
    )

    assert space.search.early_stopping is not None
    assert space.search.early_stopping.grace_period_epochs == 4


def test_a_domain_can_be_set() -> None:
    space = changed("learning_rate={float: [1e-4, 1e-2], log: true}")

    assert "training.learning_rate" in space.domains
    assert [point["training.learning_rate"] for point in space.points] == [5e-4, 5e-4]


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        ("learning_rat=1", "learning_rat: unknown key, did you mean 'learning_rate'?"),
        ("metric=f1", "metric: unknown key"),
        (
            "reduction_factor=2",
            "reduction_factor: unknown key, did you mean 'early_stopping.reduction_factor'?",
        ),
        ("trials", "found no key and value, key=value would be right"),
        ("=3", "found no key and value, key=value would be right"),
        ("trials=0", "search.trials: found 0, a whole number of at least 1 would be right"),
        (
            "encoder={n_layers: 3}",
            "encoder: found a section, a key of it would be right: encoder.KEY=VALUE",
        ),
        ("n_layers=[1", "not YAML: expected ',' or ']', but got '<stream end>'"),
        ("d_ff=four", "encoder.d_ff: found 'four', a whole number of at least 1 would be right"),
        ("d_ff={int: [9, 8]}", "encoder.d_ff: empty range: found low 9 above high 8"),
        (
            "divergence_depth={int: [0, 1], when: {structure: stack_pooling}}",
            "sharing.divergence_depth: when sharing.structure is 'stack_pooling', but it only "
            "takes single_task | stack_cls",
        ),
        (
            "points=[{structure: stack_pooling}]",
            "points.structure: found 'stack_pooling', single_task | stack_cls would be right",
        ),
    ],
)
def test_a_fault_of_an_override_names_it(override: str, fault: str) -> None:
    with pytest.raises(ConfigError) as caught:
        changed(override)

    label = override if len(override) <= 60 else f"{override[:57]}..."
    assert caught.value.faults == (f"--set {label}: {fault}",)


def test_faults_of_the_file_and_of_overrides_are_told_together() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_space("encoder:\n  n_layer: 2\n", source="x.yaml", overrides=["trials=0", "d_ff=x"])

    places = [fault.partition(": ")[0] for fault in caught.value.faults]
    assert places[0] == "x.yaml:2"
    assert set(places[1:]) == {"--set trials=0", "--set d_ff=x"}


def test_an_override_mends_a_fault_of_the_file() -> None:
    space = parse_space("encoder: {n_layers: x}", overrides=["n_layers=3"])

    assert space.configure({}).encoder.n_layers == 3


def test_narrowing_a_space_leaves_out_the_points_that_do_not_fit_and_says_so() -> None:
    space = changed("structure=stack_cls")

    assert space.points == ({"sharing.divergence_depth": 2},)
    assert all(fault.startswith("x.yaml:8: points") for fault in space.left_out)
    assert "fixed at 'stack_cls'" in str(space.left_out)
    assert space.size() == 3


def test_conditions_that_an_override_made_impossible_are_left_out() -> None:
    space = changed("structure=single_task")

    assert space.size() == 1
    assert "divergence_depth" not in str([entry.key for entry in space.conditional.entries])


def test_the_text_of_a_changed_space_gives_the_same_space_again() -> None:
    for override in ("structure=stack_cls", "structure=single_task", "seed=4", "n_layers=1"):
        space = changed(override, data="/some/folder")

        again = parse_space(space.text, source="results/x/space.yaml")

        assert again.digest() == space.digest()
        assert again.name == "x"
        assert again.data.source == "/some/folder"
        assert again.points == space.points


def test_the_data_folder_is_taken_as_it_is_and_not_as_yaml() -> None:
    assert changed(data="1e-4").data.source == "1e-4"

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import optuna
import pytest

from mtl_core.errors import ConfigError
from mtl_core.model.structures import build_plan
from search.space import Space, load_space, parse_space

SPACES = sorted((Path(__file__).parents[2] / "spaces").glob("*.yaml"))
SPACE = """name: x
encoder:
  n_layers: {choice: [2, 3]}
  dropout: {float: [0.0, 0.3], step: 0.1}
sharing:
  structure: {choice: [single_task, stack_cls, layerwise_implicit]}
  divergence_depth:
    - {int: [0, n_layers], when: {structure: stack_cls}}
    - {int: [0, n_layers - 1], when: {structure: layerwise_implicit}}
weighting:
  method: static
  weights: {choice: [{books: 2}, {books: 1, dvd: 3}]}
training:
  learning_rate: {float: [1e-4, 1e-2], log: true, when: {structure: [stack_cls]}}
  epochs: {int: [1, 100], log: true}
points:
  - {n_layers: 2, dropout: 0.1, structure: single_task, weights: {books: 2}, epochs: 30}
"""


@pytest.fixture
def space() -> Space:
    return parse_space(SPACE, source="x.yaml")


@pytest.fixture(autouse=True)
def _no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BRANCHPOINT_DATA", raising=False)


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_a_ready_made_space_is_right_and_each_configuration_has_a_plan(path: Path) -> None:
    space, rng = load_space(path), np.random.default_rng(0)

    for values in [*space.points, *(space.sample(rng) for _ in range(50))]:
        config = space.configure(values)
        build_plan(config.sharing, 16, config.encoder.n_layers)

    assert space.name == path.stem
    assert space.text.startswith("# ")  # says what it answers and how long it takes
    assert space.points


def test_the_published_table_has_nineteen_ways_to_share_under_four_weightings() -> None:
    space = load_space(next(path for path in SPACES if path.stem == "fdu_mtl"))

    assert space.size() == 19 * 4 == len({space.key(values) for values in space.enumerate()})


def test_values_are_plain_json_that_comes_back_equal(space: Space) -> None:
    for seed in range(50):
        values = space.sample(np.random.default_rng(seed))
        back = json.loads(json.dumps(values))

        assert back == values
        assert space.configure(back) == space.configure(values)
        assert space.key(back) == space.key(values)


def test_only_active_keys_have_values(space: Space) -> None:
    rng = np.random.default_rng(0)

    for values in (space.sample(rng) for _ in range(100)):
        structure = values["sharing.structure"]
        assert ("sharing.divergence_depth" in values) == (structure != "single_task")
        assert ("training.learning_rate" in values) == (structure == "stack_cls")


def test_a_configuration_holds_the_values_the_fixed_keys_and_the_defaults(space: Space) -> None:
    config = space.configure(space.points[0])

    assert config.encoder.n_layers == 2
    assert config.encoder.dropout == 0.1
    assert config.weighting.weights == {"books": 2.0}
    assert config.training.learning_rate == 5e-4  # the default, as the key does not apply
    assert config.sharing.divergence_depth is None


@pytest.mark.filterwarnings("ignore:Argument ``group``")  # experimental, and wanted
def test_optuna_is_asked_only_for_what_is_active_and_gives_the_values_back(space: Space) -> None:
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(
            seed=0, n_startup_trials=5, multivariate=True, group=True
        )
    )

    for i in range(40):
        trial = study.ask()
        values = space.suggest(trial)
        assert space.from_optuna(trial.params) == values
        assert space.to_optuna(values) == trial.params
        assert space.distributions_for(values) == trial.distributions
        space.configure(values)
        study.tell(trial, float(i % 7))


def test_every_value_can_be_told_to_optuna_as_a_finished_trial(space: Space) -> None:
    study, rng = optuna.create_study(), np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(30)]

    for values in drawn:
        params, distributions = space.to_optuna(values), space.distributions_for(values)
        study.add_trial(
            optuna.trial.create_trial(params=params, distributions=distributions, value=1.0)
        )

    assert [space.from_optuna(trial.params) for trial in study.trials] == drawn


def test_the_same_generator_draws_the_same_values(space: Space) -> None:
    first, second = (space.sample(np.random.default_rng(3)) for _ in range(2))

    assert first == second


def test_a_space_can_be_pickled_and_copied(space: Space) -> None:
    assert pickle.loads(pickle.dumps(space)) == space
    assert copy.deepcopy(space).digest() == space.digest()


def test_a_space_with_a_real_range_has_no_size_and_no_list(space: Space) -> None:
    assert space.size() is None
    with pytest.raises(ConfigError, match="cannot be listed"):
        space.enumerate()


def test_a_space_without_anything_to_search_has_one_configuration() -> None:
    space = parse_space("{}")

    assert space.size() == 1
    assert list(space.enumerate()) == [{}]


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"sharing.structure": "stack_pooling"}, "sharing.structure: found 'stack_pooling'"),
        (
            {"encoder.dropout": 0.15},
            "encoder.dropout: found 0.15, 0 .. 0.3, step 0.1 would be right",
        ),
        ({"encoder.n_layers": True}, "encoder.n_layers: found true, 2 | 3 would be right"),
        ({"encoder.n_layer": 2}, "encoder.n_layer: not a key .* did you mean 'encoder.n_layers'"),
        ({"sharing.divergence_depth": 1}, "sharing.divergence_depth: not a key that is searched"),
    ],
)
def test_values_that_are_not_of_the_space_are_refused(
    space: Space, values: dict[str, object], fault: str
) -> None:
    with pytest.raises(ConfigError, match=fault):
        space.configure({**space.points[0], **values})


def test_missing_values_are_all_told_at_once(space: Space) -> None:
    with pytest.raises(ConfigError) as caught:
        space.configure({"sharing.structure": "single_task", "encoder.n_layers": 2})

    missing = [fault.split(": ")[1] for fault in caught.value.faults]
    assert missing == ["encoder.dropout", "weighting.weights", "training.epochs"]


def test_the_digest_changes_with_what_is_searched_and_not_with_how_long() -> None:
    digest = parse_space(SPACE).digest()

    for same in ("trials=9", "minutes=3", "workers=2", "lanes=4", "retries=0"):
        assert parse_space(SPACE, overrides=[same]).digest() == digest
    assert parse_space(SPACE, data="/elsewhere").digest() == digest
    for other in ("seed=1", "n_layers=2", "max_words=9", "dropout_head=0.1", "points=[]"):
        assert parse_space(SPACE, overrides=[other]).digest() != digest


def test_settings_of_the_warm_up_count_where_some_trial_has_one() -> None:
    settings, switch = "data.mlm={steps: 7}", "mlm_warm_up={choice: [false, true]}"
    without, cold = (parse_space(SPACE, overrides=more) for more in ([], [settings]))
    warm, other = (parse_space(SPACE, overrides=[switch, *more]) for more in ([], [settings]))

    assert [space.warms_up for space in (without, cold, warm, other)] == [False, False, True, True]
    assert without.digest() == cold.digest()
    assert len({space.digest() for space in (without, warm, other)}) == 3


def test_weights_of_unknown_tasks_are_told_with_their_line(space: Space) -> None:
    space.validate_for(["books", "dvd"])

    with pytest.raises(ConfigError) as caught:
        space.validate_for(["book", "music"])
    assert caught.value.faults == (
        "x.yaml:12: weighting.weights: unknown task 'books', did you mean 'book'?",
        "x.yaml:12: weighting.weights: unknown task 'dvd'",
    )


def test_a_list_of_depths_must_have_one_for_each_task() -> None:
    space = parse_space("sharing:\n  divergence_depth: [1, 2]\n", source="x.yaml")
    space.validate_for(["a", "b"])

    with pytest.raises(ConfigError, match=r"x.yaml:2: .*found 2 depths \[1, 2\], one for each of"):
        space.validate_for(["a", "b", "c"])


def test_a_space_for_ones_own_data_says_how_to_give_it(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "data:\n  source: required\n"
    with pytest.raises(ConfigError, match=r"x.yaml:2: data.source: this space needs --data FOLDER"):
        _ = parse_space(text, source="x.yaml").data

    assert parse_space(text, data="/mine").data.source == "/mine"
    monkeypatch.setenv("BRANCHPOINT_DATA", "/from/environment")
    assert parse_space(text).data.source == "/from/environment"
    assert parse_space(text, data="/mine").data.source == "/mine"
    assert parse_space("{}").data.source == "builtin"  # the environment is for those that need it


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_space(tmp_path / "x.yaml")


def test_the_space_of_the_readme_is_right() -> None:
    text = (SPACES[0].parent / "README.md").read_text(encoding="utf-8")

    space = parse_space(text.split("```yaml\n")[1].split("```")[0])

    assert space.points[0]["training.learning_rate"] == 5e-4
    assert space.name == "mine"


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        ("task:book", "found no task 'book', did you mean 'books'?"),
        ("{books: 2, films: 1}", "found no task 'films'; the tasks are books, dvd"),
    ],
)
def test_an_objective_of_unknown_tasks_is_told_with_its_line(objective: str, message: str) -> None:
    space = parse_space(f"search:\n  objective: {objective}\n", source="x.yaml")

    with pytest.raises(ConfigError) as caught:
        space.validate_for(["books", "dvd"])

    assert any("x.yaml" in fault and message in fault for fault in caught.value.faults)
    assert all("search.objective" in fault for fault in caught.value.faults)


def test_weights_of_an_objective_are_numbers_of_at_least_0() -> None:
    with pytest.raises(ConfigError, match=r"x.yaml:2: search.objective"):
        parse_space("search:\n  objective: {books: -1}\n", source="x.yaml")

"""What a pretrained encoder decides in a space, and what a space must not say beside it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pretrained_folders import make_folder

from mtl_core.errors import ConfigError
from search.dry_run import show_plan
from search.end_to_end import run_search
from search.space import Space, parse_space

SPACE = """\
encoder:
  pretrained: {folder}
sharing:
  structure: {{choice: [stack_pooling, stack_cls]}}
  divergence_depth: {{int: [0, n_layers]}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("bert"), "bert")


def parse(folder: object, more: str = "", *overrides: str) -> Space:
    return parse_space(SPACE.format(folder=folder) + more, source="x.yaml", overrides=overrides)


def faults_of(folder: object, more: str = "", *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        assert parse(folder, more, *overrides).data
    return list(caught.value.faults)


def test_every_configuration_is_complete(folder: Path) -> None:
    space = parse(folder)
    depth = {"sharing.structure": "stack_cls", "sharing.divergence_depth": 3}

    encoder = space.configure(depth).encoder

    assert (encoder.n_layers, encoder.d_model, encoder.d_word, encoder.n_heads) == (3, 12, 12, 2)
    assert (encoder.norm, encoder.activation, encoder.norm_eps) == ("post", "gelu", 1e-12)
    assert space.size() == 2 * (3 + 1)


def test_texts_are_encoded_for_the_encoder(folder: Path) -> None:
    data = parse(folder).data

    assert (data.tokenizer, data.max_words) == (str(folder), 16)  # as many as it has positions


def test_a_stated_length_that_the_encoder_cannot_read_is_lowered_and_told(folder: Path) -> None:
    stated, fits = (parse(folder, f"data: {{max_words: {number}}}\n") for number in (20, 16))

    assert stated.data.max_words == 16
    assert stated.left_out == (
        f"x.yaml:6: data.max_words: found 20, but {folder} has positions for 16; texts are cut "
        "after 16 words",
    )
    assert fits.left_out == parse(folder).left_out == ()


def test_the_folder_is_absolute_in_a_configuration(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    values = {"sharing.structure": "stack_cls", "sharing.divergence_depth": 3}

    assert parse(folder.name).configure(values).encoder.pretrained == str(folder)


def test_the_kept_text_gives_the_same_space_and_names_every_size(folder: Path) -> None:
    space = parse(folder, "", "search.trials=3")

    again = parse_space(space.text)

    assert again.digest() == space.digest()
    assert "d_ff: 20" in space.text


def test_the_kept_text_can_be_read_without_the_folder(folder: Path) -> None:
    text = parse(folder).text.replace(str(folder), "/nowhere")

    assert parse_space(text).size() == parse(folder).size()


def test_fewer_layers_can_be_searched(folder: Path) -> None:
    assert parse(folder, "", "n_layers={choice: [1, 3]}").size() == 2 * (2 + 4)


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        (
            "n_layers={int: [2, 4]}",
            "encoder.n_layers: found 4, {} has 3; 1 to 3 or nothing would be right",
        ),
        ("d_model=300", "encoder.d_model: found 300, {} has 12; 12 or nothing would be right"),
        (
            "mean_over_padding=true",
            "encoder.mean_over_padding: found true, which is for the published encoder and not a "
            "pretrained one",
        ),
        (
            "mlm_warm_up=true",
            "encoder.mlm_warm_up: found true, which is for an encoder of our own and not a "
            "pretrained one",
        ),
        (
            "data.tokenizer=word",
            "data.tokenizer: found 'word', but encoder.pretrained brings its own; leave it out",
        ),
        (
            "data.vectors=glove.txt",
            "data.vectors: found 'glove.txt', but encoder.pretrained brings its own; leave it out",
        ),
    ],
)
def test_what_contradicts_the_encoder_is_refused(override: str, fault: str, folder: Path) -> None:
    assert faults_of(folder, "", override) == [f"--set {override}: {fault.format(folder)}"]


def test_one_encoder_serves_all_trials(folder: Path) -> None:
    assert faults_of(f"{{choice: [{folder}, {folder.parent}]}}") == [
        "x.yaml:2: encoder.pretrained: found several values, one folder or hub name would be "
        "right: all trials share one encoded corpus"
    ]


def test_a_folder_at_fault_is_named_with_the_line(folder: Path) -> None:
    (fault,) = faults_of(folder.parent)

    assert fault.startswith(f"x.yaml:2: encoder.pretrained: {folder.parent}/config.json: no such")


def test_a_space_can_ask_for_the_encoder() -> None:
    assert faults_of("required") == [
        "x.yaml:2: encoder.pretrained: this space needs the folder or hub name of a pretrained "
        "encoder, --set encoder.pretrained=DIR"
    ]


def test_null_is_no_pretrained_encoder() -> None:
    assert parse("null").data.tokenizer == "word"


def change(folder: Path, **values: object) -> None:
    """Change what `config.json` says."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def cut_off(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), r"safetensors: no such file"),
        (cut_off, r"safetensors: cannot be read as weights"),
        (lambda folder: change(folder, intermediate_size=24), r"\[20, 12\], \[24, 12\] would be"),
        (lambda folder: change(folder, vocab_size=9), r"has ids up to 23, .* has 9 rows"),
    ],
)
def test_an_encoder_that_no_model_can_start_from_is_refused_before_anything_is_written(
    spoil: Callable[[Path], object], fault: str, folder: Path, tmp_path: Path
) -> None:
    there, out, space = tmp_path / "encoder", tmp_path / "out", tmp_path / "space.yaml"
    shutil.copytree(folder, there)
    spoil(there)
    data = "data: {builtin: {n_tasks: 2, rows: 20, dev_rows: 10, test_rows: 10}, max_words: 8}\n"
    space.write_text(SPACE.format(folder=there) + data)

    for start in (run_search, show_plan):
        with pytest.raises(ConfigError, match=fault):
            start(str(space), out=str(out))

    assert not out.exists()

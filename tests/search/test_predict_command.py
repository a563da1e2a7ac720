from io import BytesIO
from pathlib import Path

import pytest
from mixed_corpus import mixed_corpus

from mtl_core.data.config import DataConfig
from mtl_core.data.encode import encode
from mtl_core.errors import ConfigError
from mtl_core.model.config import EncoderConfig, SharingConfig
from mtl_core.training.config import TrialConfig
from mtl_core.training.export import export, load
from mtl_core.training.models import build_model
from mtl_core.training.predictor import Prediction, Predictor
from search.predict_command import answers


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    mixed = encode(mixed_corpus(), DataConfig(), tmp_path)
    sizes = EncoderConfig(n_layers=1, d_model=8, d_word=8, n_heads=2, d_ff=8)
    config = TrialConfig(encoder=sizes, sharing=SharingConfig(structure="stack_pooling"))
    state = dict(build_model(mixed, config, seed=3).named_parameters())
    export(tmp_path / "model", state, config, mixed)
    return tmp_path / "model"


def said(folder: Path, task: str, given: bytes, *, probabilities: bool = False) -> list[str]:
    return list(answers(folder, task, BytesIO(given), probabilities=probabilities))


@pytest.mark.parametrize(
    ("given", "texts"),
    [
        (b"", []),
        (b"w0 w1\n\nw2", ["w0 w1", "", "w2"]),
        (b"\xef\xbb\xbfw0 w1\r\nw2\r\n", ["w0 w1", "w2"]),
        (b"\n\n", ["", ""]),
    ],
)
def test_lines_are_read_as_those_of_task_files(
    given: bytes, texts: list[str], folder: Path
) -> None:
    found = load(folder).predict("tags", texts)

    assert said(folder, "tags", given) == [of_text.label for of_text in found]


def test_lines_that_are_not_utf8_are_answered_and_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(said(folder, "tags", b"w0\ncaf\xe9 w1\n")) == 2

    message = "standard input, line 2: byte 0xe9 is not UTF-8; line read as Latin-1\n"
    assert capsys.readouterr().err == message
    with pytest.raises(ConfigError, match="standard input: the file is UTF-16"):
        said(folder, "tags", "w0\n".encode("utf-16"))


def test_a_label_stays_in_its_line_and_column(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = [Prediction(label="one\ttwo\nthree\\", of_answer=(0.5,))]
    monkeypatch.setattr(Predictor, "predict_lines", lambda *_: odd)

    assert said(folder, "topic", b"w0\n") == [r"one\ttwo\nthree" + "\\"]
    assert said(folder, "topic", b"w0\n", probabilities=True)[0].count("\t") == 1


def test_a_closed_standard_input_is_told(folder: Path) -> None:
    with pytest.raises(ConfigError, match="standard input: found closed; texts, one a line"):
        list(answers(folder, "topic", None, probabilities=False))


def test_probabilities_follow_the_answer_of_each_kind(folder: Path) -> None:
    (of_class,) = said(folder, "topic", b"w0 w1\n", probabilities=True)
    (of_labels,) = said(folder, "marks", b"w0 w1\n", probabilities=True)
    (of_tags,) = said(folder, "tags", b"w0 w1 w2\n", probabilities=True)

    assert len(of_class.split("\t")) == 2
    label, *shares = of_labels.split("\t")
    assert len(shares) == len([one for one in label.split("|") if one])
    tags, shares_of_tags = of_tags.split("\t")
    assert len(tags.split(" ")) == len(shares_of_tags.split(" ")) == 3
    with pytest.raises(ConfigError, match="--probabilities: task 'value' is of values"):
        said(folder, "value", b"w0\n", probabilities=True)

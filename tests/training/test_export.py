"""An exported folder predicts as the trainer did, and says what is wrong with another folder."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mixed_corpus import mixed_corpus

import mtl_core
from mtl_core.data.config import DataConfig
from mtl_core.data.encode import encode
from mtl_core.data.encoded import EncodedCorpus, TaskInfo
from mtl_core.errors import ConfigError
from mtl_core.model.structures import STRUCTURES
from mtl_core.training.config import TrialConfig
from mtl_core.training.evaluation import evaluate
from mtl_core.training.export import CONFIG, TOKENIZER, WEIGHTS, export
from mtl_core.training.models import build_model, copy_parameters, restore_model
from mtl_core.training.predictor import _prediction
from mtl_core.training.trainer import Trainer

Make = Callable[..., TrialConfig]


def texts_of(encoded: EncodedCorpus, task: int, split: str) -> list[str]:
    """Return the texts again, from the ids: every word of the corpus is one id."""
    words = {number: word for word, number in encoded.vocabulary().items()}
    rows = encoded.split(task, split)
    parts = zip(rows.offsets[:-1], rows.offsets[1:], strict=True)
    return [" ".join(words.get(int(i), "unheard-of") for i in rows.words[a:b]) for a, b in parts]


@pytest.fixture
def folder(encoded: EncodedCorpus, make_config: Make, tmp_path: Path) -> Path:
    config = make_config()
    model = build_model(encoded, config, seed=3)
    export(tmp_path / "model", copy_parameters(model), config, encoded, about={"seed": 3})
    return tmp_path / "model"


WIDE = {"wide": True, "wide_buckets": 32, "dropout_wide": 0.2}


@pytest.mark.parametrize("encoder", [{}, WIDE], ids=["deep", "wide"])
@pytest.mark.parametrize("structure", sorted(STRUCTURES))
def test_a_loaded_model_predicts_as_the_trainer_did(
    structure: str,
    encoder: dict[str, object],
    encoded: EncodedCorpus,
    make_config: Make,
    tmp_path: Path,
) -> None:
    config = make_config(sharing={"structure": structure}, encoder=encoder)
    trainer = Trainer(encoded, config, seed=3)
    list(trainer.epochs())
    best = trainer.best["average"]
    wanted = evaluate(restore_model(encoded, config, best.state), encoded, "test")

    export(tmp_path / "model", best.state, config, encoded)
    predictor = mtl_core.load(tmp_path / "model")

    for number, task in enumerate(encoded.tasks):
        predictions = predictor.predict(task.name, texts_of(encoded, number, "test"))
        found = [task.labels.index(prediction.label) for prediction in predictions]
        assert found == wanted[task.name].predicted.tolist()


def test_probabilities_are_over_the_labels_of_the_task(folder: Path) -> None:
    predictor = mtl_core.load(folder)

    (of_books,) = predictor.predict("books", ["so w1 w2"])
    (of_music,) = predictor.predict("music", ["so w1 w2"])

    assert set(of_books.probabilities) == {"bad", "good"}
    assert set(of_music.probabilities) == {"bad", "fine", "good"}
    assert sum(of_books.probabilities.values()) == pytest.approx(1.0)
    assert sum(of_music.probabilities.values()) == pytest.approx(1.0)
    assert of_books.label == max(of_books.probabilities, key=of_books.probabilities.__getitem__)


def test_a_text_is_predicted_alike_alone_and_among_others(folder: Path) -> None:
    predictor = mtl_core.load(folder)
    texts = ["so w1", "", "very-good " + "w3 " * 40, "never heard words"]

    together = predictor.predict("books", texts)

    for text, prediction in zip(texts, together, strict=True):
        (alone,) = predictor.predict("books", [text])
        assert alone.probabilities == pytest.approx(prediction.probabilities, abs=1e-5)
    assert predictor.predict("books", []) == []


def test_each_word_has_a_tag_whether_it_is_read_or_not(make_config: Make, tmp_path: Path) -> None:
    config = make_config()
    encoded = encode(mixed_corpus(), DataConfig(max_words=3), tmp_path)
    state = copy_parameters(build_model(encoded, config, seed=3))
    export(tmp_path / "model", state, config, encoded)
    predictor = mtl_core.load(tmp_path / "model")

    found, shown = predictor.predict("tags", ["w0 w1 w2 w3 w4", "w0 w1 w2"])

    assert found.label == f"{shown.label} O O"


def test_words_without_a_piece_move_no_tag() -> None:
    info = TaskInfo("ner", "tagging", "entity_f1", ("B-X", "O"))
    outputs = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])

    found = _prediction(outputs, info, starts=(-1, 0, -1, 3), n_words=4)

    assert found.label == "B-X O O B-X"


def test_the_folder_says_what_the_model_is(folder: Path) -> None:
    predictor = mtl_core.load(folder)

    values = json.loads((folder / CONFIG).read_text())

    assert predictor.tasks == ("books", "dvd", "music")
    assert predictor.about == {"seed": 3}
    assert values["plan"]["tokens"] == "none"
    assert values["config"]["encoder"]["d_model"] == 12
    assert values["versions"]["torch"]


def test_an_existing_folder_is_replaced_whole(
    folder: Path, encoded: EncodedCorpus, make_config: Make
) -> None:
    (folder / "stray").write_text("of the former model")
    config = make_config()

    export(folder, copy_parameters(build_model(encoded, config, seed=4)), config, encoded)

    assert sorted(file.name for file in folder.iterdir()) == [CONFIG, WEIGHTS, TOKENIZER]
    assert [file.name for file in folder.parent.iterdir()] == ["model"]


def test_an_unknown_task_is_named_with_its_nearest(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown 'book', did you mean 'books'\?"):
        mtl_core.load(folder).predict("book", ["so"])


def test_a_single_string_is_no_list_of_texts(folder: Path) -> None:
    with pytest.raises(ConfigError, match="must be a list of texts"):
        mtl_core.load(folder).predict("books", "so w1")


def test_a_missing_folder_and_a_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone: no such folder"):
        mtl_core.load(tmp_path / "gone")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"file: a file, must be a folder"):
        mtl_core.load(tmp_path / "file")


def test_missing_files_are_named_together(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / TOKENIZER).unlink()

    with pytest.raises(ConfigError, match=rf"it has no {WEIGHTS}, {TOKENIZER}$"):
        mtl_core.load(folder)


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG, TOKENIZER])
def test_a_damaged_file_is_a_clear_message(name: str, folder: Path) -> None:
    (folder / name).write_text('{"format": 1')

    with pytest.raises(ConfigError, match=r"not a (model|file) of branchpoint|is damaged"):
        mtl_core.load(folder)


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG, TOKENIZER])
def test_a_flipped_bit_anywhere_is_found_and_the_file_named(name: str, folder: Path) -> None:
    path = folder / name
    whole = path.read_bytes()
    for at in range(0, len(whole), max(1, len(whole) // 200)):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << at % 8
        path.write_bytes(damaged)

        with pytest.raises(ConfigError, match=re.escape(str(folder))):
            mtl_core.load(folder)
    path.write_bytes(whole)
    mtl_core.load(folder)

import sys
from pathlib import Path
from typing import Any

import pytest

from mtl_core.data.columns import Columns
from mtl_core.data.hub import read_from_disk, read_from_hub
from mtl_core.errors import ConfigError

datasets = pytest.importorskip("datasets", reason="the extra `hub` is not installed")


def save(folder: Path, columns: dict[str, Any], features: Any = None, **splits: str) -> Path:
    """Save the same rows under each of the names `splits`, or as one `Dataset` without any."""
    made = datasets.Dataset.from_dict(columns, features=features)
    if splits:
        made = datasets.DatasetDict(dict.fromkeys(splits.values(), made))
    made.save_to_disk(str(folder))
    return folder


def class_label(*names: str) -> Any:
    return datasets.ClassLabel(names=list(names))


def test_numbers_of_classes_become_their_names_and_hidden_ones_none(tmp_path: Path) -> None:
    text = datasets.Value("string")
    features = datasets.Features(text=text, label=class_label("no", "yes"))
    columns = {"text": ["a", "b", "c"], "label": [1, 0, -1]}
    folder = save(tmp_path / "saved", columns, features, a="train", b="validation", c="test")

    parts = read_from_disk(folder, Columns(keeps_unlabelled=True), {})

    assert {split: part.source for split, part in parts.items()} == {
        "train": f"{folder}/train",
        "dev": f"{folder}/validation",
        "test": f"{folder}/test",
    }
    assert [(row.line, row.label, row.text) for row in parts["dev"].rows] == [
        (1, "yes", "a"),
        (2, "no", "b"),
        (3, "", "c"),
    ]


def test_a_test_split_of_hidden_labels_names_the_splits_that_would_be_right(tmp_path: Path) -> None:
    rows = {"text": ["a", "b"], "label": [1, 0]}
    hidden = {"text": ["c"], "label": [-1]}
    text = datasets.Value("string")
    features = datasets.Features(text=text, label=class_label("no", "yes"))
    made = {
        name: datasets.Dataset.from_dict(hidden if name == "test" else rows, features=features)
        for name in ("train", "validation", "test")
    }
    datasets.DatasetDict(made).save_to_disk(str(tmp_path / "saved"))

    with pytest.raises(ConfigError) as caught:
        read_from_disk(tmp_path / "saved", Columns(keeps_unlabelled=True), {})

    assert caught.value.faults == (
        f"{tmp_path}/saved/test: no row of test has a label; `splits: {{train: train, test:"
        " validation}` would be right, what is missing is cut from train",
    )


def test_pairs_numbers_tags_and_several_labels_are_read(tmp_path: Path) -> None:
    text, words = datasets.Value("string"), datasets.Sequence(datasets.Value("string"))
    features = datasets.Features(
        one=text,
        two=text,
        words=words,
        score=datasets.Value("float64"),
        tags=datasets.Sequence(class_label("O", "B-X")),
        topics=datasets.Sequence(class_label("a", "b")),
    )
    columns = {
        "one": ["x y"],
        "two": ["z"],
        "words": [["x", "y z"]],
        "score": [2.5],
        "tags": [[1, 0]],
        "topics": [[1, 0]],
    }
    folder = save(tmp_path / "saved", columns, features)

    def read(**wanted: str) -> tuple[str, str, str | None]:
        (row,) = read_from_disk(folder, Columns(**wanted), {})["train"].rows
        return row.text, row.label, row.second

    assert read(text="one", second="two", label="score", kind="regression") == ("x y", "2.5", "z")
    assert read(text="words", label="tags", kind="tagging") == ("x y_z", "B-X O", None)
    assert read(text="one", label="topics", kind="multilabel") == ("x y", "b|a", None)


def test_splits_of_other_names_are_named(tmp_path: Path) -> None:
    folder = save(tmp_path / "saved", {"text": ["a"], "label": ["b"]}, a="first", b="second")

    parts = read_from_disk(folder, Columns(), {"train": "first", "test": "second"})

    assert set(parts) == {"train", "test"}
    with pytest.raises(ConfigError, match="no split 'frist', did you mean 'first'"):
        read_from_disk(folder, Columns(), {"train": "frist"})
    with pytest.raises(ConfigError, match=r"no split 'train' .splits: first, second.; `splits:"):
        read_from_disk(folder, Columns(), {})


def test_a_column_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    folder = save(tmp_path / "saved", {"sentence": ["a"], "label": ["b"]}, a="train")

    with pytest.raises(ConfigError, match=r"saved/train: no column 'text' .columns: 'sentence'"):
        read_from_disk(folder, Columns(), {})


def test_a_folder_that_was_not_saved_says_what_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a folder that `save_to_disk` of a Dataset"):
        read_from_disk(tmp_path, Columns(), {})


def test_a_hub_name_offline_says_what_to_run_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    with pytest.raises(ConfigError) as caught:
        read_from_hub("nobody/no-such-set", "small", Columns(), {})

    first, second, third = caught.value.faults
    assert first.startswith("nobody/no-such-set: the data set cannot be loaded here (")
    assert (
        "load_dataset('nobody/no-such-set', 'small').save_to_disk('nobody-no-such-set-small')"
        in second
    )
    assert (
        "write `disk: nobody-no-such-set-small` in place of `hub: nobody/no-such-set` and" in third
    )
    assert third.endswith(" and `config: small`")


@pytest.mark.parametrize("answers", [True, False])
def test_only_the_cache_is_looked_at_where_the_hub_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    offline = []

    def dataset_info(*_: object, **__: object) -> None:
        if not answers:
            raise OSError("no route to host")

    def load_dataset(*_: object) -> Any:
        offline.append(datasets.config.HF_HUB_OFFLINE)
        return datasets.Dataset.from_dict({"text": ["a"], "label": ["b"]})

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", dataset_info)
    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", False)

    parts = read_from_hub("some/set", None, Columns(), {})

    assert len(parts["train"].rows) == 1
    assert offline == [not answers]
    assert datasets.config.HF_HUB_OFFLINE is False


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)

    with pytest.raises(ConfigError, match=r"pip install 'branchpoint\[hub\]'"):
        read_from_disk(tmp_path, Columns(), {})

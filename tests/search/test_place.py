"""Where a study lies: what is refused, what is put aside, and what a failed start leaves."""

import os
from pathlib import Path

import pytest

from mtl_core.data.readers import read_corpus
from mtl_core.errors import ConfigError
from search.journal import JOURNAL
from search.place import SPACE, Existing, Place
from search.space import parse_space

TEXT = """\
name: small
data: {builtin: {n_tasks: 2, rows: 8, dev_rows: 4, test_rows: 4}}
encoder: {n_layers: 2, d_model: 16, n_heads: 2}
"""


def place(folder: Path, text: str = TEXT, existing: Existing = "continue") -> Place:
    space = parse_space(text)
    return Place(folder / space.name, existing, space, read_corpus(space.data))


def begin(folder: Path) -> None:
    """Leave a study with one trial in `folder`."""
    with place(folder).opened(print) as record:
        record.append(
            "proposed", trial="t0001", number=1, values={}, config={}, seed=0, source="random"
        )
    (folder / "small" / SPACE).write_text(parse_space(TEXT).text)


def test_the_same_question_continues_its_study(tmp_path: Path) -> None:
    begin(tmp_path)

    place(tmp_path).check()
    with place(tmp_path, TEXT + "search: {trials: 99}\n").opened(print) as record:
        assert list(record.trials) == ["t0001"]


def test_another_question_is_refused_and_told_apart(tmp_path: Path) -> None:
    begin(tmp_path)

    with pytest.raises(ConfigError, match=r"small: holds the study of another space .*n_layers.*3"):
        place(tmp_path, TEXT.replace("n_layers: 2", "n_layers: 3")).check()


def test_the_keys_that_differ_are_told_without_those_that_do_not_matter(tmp_path: Path) -> None:
    begin(tmp_path)
    changed = (
        "# a new comment\nsearch: {trials: 9}\nencoder: {n_heads: 2, d_model: 16, n_layers: 3}\n"
        "data: {builtin: {n_tasks: 2, rows: 9, dev_rows: 4, test_rows: 4}}\n"
        "training: {epochs: 7}\nname: small\n"
    )

    with pytest.raises(ConfigError) as caught:
        place(tmp_path, changed).check()

    told = (
        "another space (data.builtin.rows: was 8, is 9; encoder.n_layers: was 2, is 3; "
        "training.epochs: was nothing, is 7); --fresh"
    )
    assert told in str(caught.value)


def test_many_keys_that_differ_are_told_in_part(tmp_path: Path) -> None:
    begin(tmp_path)
    changed = TEXT.replace(": 2", ": 4").replace(": 8", ": 9") + "training: {epochs: 7}\n"

    with pytest.raises(ConfigError, match=r"n_heads: was 2, is 4; and 1 more\)"):
        place(tmp_path, changed).check()


def test_other_data_are_refused(tmp_path: Path) -> None:
    begin(tmp_path)
    other = place(tmp_path)
    other = Place(other.folder, "continue", other.space, other.corpus.select(["alba_1"]))

    with pytest.raises(ConfigError, match="a study of other data"):
        other.check()


def test_rows_that_another_version_has_encoded_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(tmp_path)
    monkeypatch.setattr("search.place.ENCODING", 99)

    with pytest.raises(ConfigError, match="encoded by another version of this program"):
        place(tmp_path).check()


def test_another_file_of_vectors_is_refused(tmp_path: Path) -> None:
    vectors = tmp_path / "v.txt"
    vectors.write_text("good 1 2\n")
    text = TEXT.replace("test_rows: 4}", f"test_rows: 4}}, vectors: {vectors}")
    with place(tmp_path, text).opened(print):
        pass

    place(tmp_path, text).check()
    vectors.write_text("good 1 3\n")

    with pytest.raises(ConfigError, match=r"a study with another data.vectors \(its files have ch"):
        place(tmp_path, text).check()


def test_a_study_that_kept_no_hashes_of_files_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = tmp_path / "v.txt"
    vectors.write_text("good 1 2\n")
    text = TEXT.replace("test_rows: 4}", f"test_rows: 4}}, vectors: {vectors}")
    with monkeypatch.context() as before:
        before.setattr("search.place.hashes_of_files", lambda _: {})
        with place(tmp_path, text).opened(print):
            pass

    place(tmp_path, text).check()


def test_a_fresh_start_puts_the_former_study_aside(tmp_path: Path) -> None:
    begin(tmp_path)
    said: list[str] = []

    with place(tmp_path, existing="fresh").opened(said.append) as record:
        assert not record.trials

    (aside,) = tmp_path.glob("small-until-*")
    assert str(aside) in said[0]
    assert b"t0001" in (aside / JOURNAL).read_bytes()


def test_a_fault_before_the_first_trial_leaves_everything_as_it_was(tmp_path: Path) -> None:
    begin(tmp_path)

    with (
        pytest.raises(ConfigError, match="no room"),
        place(tmp_path, existing="fresh").opened(print),
    ):
        raise ConfigError("no room")
    with pytest.raises(ConfigError, match="no room"), place(tmp_path / "new").opened(print):
        raise ConfigError("no room")

    assert sorted(path.name for path in tmp_path.glob("small*")) == ["small"]
    assert b"t0001" in (tmp_path / "small" / JOURNAL).read_bytes()
    assert not (tmp_path / "new" / "small").exists()


def test_a_fault_after_the_first_trial_loses_nothing(tmp_path: Path) -> None:
    begin(tmp_path)

    with pytest.raises(ConfigError), place(tmp_path).opened(print):
        raise ConfigError("the disk is full")

    assert b"t0001" in (tmp_path / "small" / JOURNAL).read_bytes()


def test_nothing_to_resume_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--resume found no study"):
        place(tmp_path, existing="resume").check()


def test_a_place_that_may_not_be_written_to_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # noqa: ARG005 - root may write all

    with pytest.raises(ConfigError, match="may not be written to"):
        place(tmp_path).check()

import os
from pathlib import Path

import pytest

from mtl_core.errors import ConfigError
from mtl_core.yaml_lines import MAX_BYTES, dump, parse, read_file


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("5E3", 5000.0),
        ("-.5", -0.5),
        (".inf", float("inf")),
        ("010", 10),
        ("1:30", "1:30"),
        ("2020-01-01", "2020-01-01"),
        ("yes", "yes"),
        ("true", True),
        ("~", None),
        ("", None),
        ("'1e-4'", "1e-4"),
        ("n_layers - 1", "n_layers - 1"),
    ],
)
def test_plain_values_are_read_by_the_rules_of_yaml_1_2(text: str, value: object) -> None:
    found = parse(f"key: {text}", "x.yaml").values["key"]

    assert found == value
    assert type(found) is type(value)


def test_each_key_and_item_has_its_line() -> None:
    document = parse("a:\n  b: 1\n  c:\n  - 2\n  - d: 3\n", "x.yaml")

    lines = {path: place.line for path, place in document.places.items()}

    assert lines[("a",)] == 1
    assert lines[("a", "b")] == 2
    assert lines[("a", "c", 0)] == 4
    assert lines[("a", "c", 1, "d")] == 5


def test_a_path_that_is_not_there_has_the_place_of_its_nearest_part() -> None:
    document = parse("a:\n  b: 1\n", "x.yaml")

    assert str(document.place(("a", "b", "c", 0))) == "x.yaml:2"
    assert str(document.place(("z",))) == "x.yaml"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: 1\nb: 2\na: 3\n", "x.yaml:3: a: found twice, first in line 1"),
        ("a: {b: 1, b: 2}\n", "x.yaml:1: b: found twice, first in line 1"),
        ("a: &n [1]\n", "x.yaml:1: found the anchor &n, plain values only would be right"),
        ("a: !!python/name:os.system x\n", "x.yaml:1: found the tag !!python/name:os.system"),
        ("? [1]\n: 2\n", "x.yaml:1: found a list or mapping as key"),
        ("a: 1\n---\nb: 2\n", "x.yaml:2: found a second document"),
        ("a: {b: 1\nc: [\n", "x.yaml:2: not YAML"),
        ("a:\n\tb: 1\n", "x.yaml:2: not YAML: found character '\\t'"),
        ("a: 1\nb: \x07\n", "x.yaml:2: not YAML: special characters"),
        ("a: " + "[" * 2000 + "]" * 2000, "x.yaml:1: nested more than 12 deep"),
        ("a: 123456789012345678901\n", "x.yaml:1: found a number of 21 digits"),
    ],
)
def test_what_is_not_plain_yaml_is_a_fault_with_its_line(text: str, fault: str) -> None:
    faults = [f"{place}: {message}" for place, message in parse(text, "x.yaml").faults]

    assert faults[0].startswith(fault)


def test_an_alias_bomb_is_refused_and_not_unfolded() -> None:
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60)]

    document = parse("\n".join(lines), "x.yaml")

    assert document.values is None
    assert any("found the alias *a0" in message for _, message in document.faults)


def test_dumped_values_are_read_back_as_they_were() -> None:
    values = {"a": ["1e-4", 1e-05, 3, "3", None, "null", "yes", True], "b": {"c": "n_layers - 1"}}

    assert parse(dump(values), "x.yaml").values == values


def test_a_missing_file_is_named_with_its_nearest_neighbour(tmp_path: Path) -> None:
    (tmp_path / "layerwise.yaml").write_text("")

    with pytest.raises(ConfigError, match=r"no such file, did you mean 'layerwise\.yaml'"):
        read_file(tmp_path / "layerwize.yaml")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file, nor a folder"):
        read_file(tmp_path / "nowhere" / "x.yaml")


def test_a_folder_is_no_space(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="found a folder, a YAML file would be right"):
        read_file(tmp_path)


def test_a_pipe_is_no_space(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.yaml")

    with pytest.raises(ConfigError, match="found no regular file"):
        read_file(tmp_path / "x.yaml")


def test_a_file_without_permission_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "x.yaml").write_text("name: x")
    monkeypatch.setattr(Path, "read_bytes", refuse)  # root may read a file of mode 0

    with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
        read_file(tmp_path / "x.yaml")


def test_a_name_with_a_zero_byte_is_told() -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_file("x\0.yaml")


def test_bytes_that_are_not_utf_8_are_told_with_their_line(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes("name: x\n# caf\xe9\n".encode("latin-1"))

    with pytest.raises(ConfigError, match=r"x\.yaml:2: found the byte 0xe9, text in UTF-8"):
        read_file(file)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(b"#" * (MAX_BYTES + 1))

    with pytest.raises(ConfigError, match="at most 262144 would be right"):
        read_file(file)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(b"\xef\xbb\xbfname: x\n")

    assert read_file(file) == "name: x\n"

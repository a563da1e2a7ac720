from pathlib import Path

import pytest

from mtl_core.data.lines import read_lines
from mtl_core.errors import ConfigError


def write(folder: Path, data: bytes) -> Path:
    path = folder / "some.tsv"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"a\nb\n", ["a", "b"]),
        (b"a\nb", ["a", "b"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\rb\r\r\nc", ["a\rb\r", "c"]),
        (b"a\n\nb\n\n \n\n", ["a", "", "b"]),
        (b"", []),
        (b"\n\n", []),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb", ["a", "\ufeffb"]),
    ],
)
def test_lines_end_at_newline_only(tmp_path: Path, data: bytes, lines: list[str]) -> None:
    assert read_lines(write(tmp_path, data)) == (lines, [])


@pytest.mark.parametrize("inside", ["\x85", "\u2028", "\x0b", "\x0c", "\x1c", "\x1e"])
def test_other_line_separators_stay_inside_a_line(tmp_path: Path, inside: str) -> None:
    path = write(tmp_path, f"a{inside}b\nc\n".encode())

    assert read_lines(path)[0] == [f"a{inside}b", "c"]


def test_a_line_that_is_not_utf8_is_read_as_latin1_and_noted_with_its_number(
    tmp_path: Path,
) -> None:
    path = write(tmp_path, "für\n".encode() + b"caf\xe9 \x85\r\n" + "naïve\n".encode())

    lines, notes = read_lines(path)

    assert lines == ["für", "caf\xe9 \x85", "naïve"]
    assert [(note.kind, note.source, note.line) for note in notes] == [
        ("undecodable", str(path), 2)
    ]
    assert "0xe9" in notes[0].message


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_is_refused_with_what_to_do(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path, "\ufefftext\tlabel\n".encode(encoding))

    with pytest.raises(ConfigError, match="is UTF-16; save it as UTF-8"):
        read_lines(path)


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder, a file is wanted"):
        read_lines(tmp_path)


def test_a_link_to_nothing_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "train.tsv"
    path.symlink_to(tmp_path / "gone.tsv")

    with pytest.raises(ConfigError, match=r"train\.tsv: cannot be read: No such file"):
        read_lines(path)


def test_a_closed_file_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, b"a\n")

    def closed(_: Path) -> bytes:  # file modes do not bind the root user, as tests may run
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", closed)
    with pytest.raises(ConfigError, match=r"some\.tsv: cannot be read: Permission denied"):
        read_lines(path)

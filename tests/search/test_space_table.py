from io import StringIO

from rich.console import Console

from search.space import parse_space

SPACE = """name: x
encoder: {n_layers: 2, d_ff: {choice: [8, 16]}}
sharing:
  structure: {choice: [single_task, stack_cls]}
  divergence_depth: {int: [0, n_layers], when: {structure: stack_cls}}
points: [{structure: single_task, d_ff: 8}]
"""


def lines_of(text: str) -> list[str]:
    console = Console(file=StringIO(), width=120)
    console.print(parse_space(text).table())
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_each_key_stands_with_its_values_and_its_condition() -> None:
    lines = lines_of(SPACE)

    row = next(line for line in lines if "divergence_depth" in line)
    assert "0 .. n_layers" in row
    assert "structure: stack_cls" in row
    assert any("null (default)" in line and "otherwise" in line for line in lines)


def test_the_size_and_the_points_are_said() -> None:
    text = "\n".join(lines_of(SPACE))

    assert "x: 8 configurations" in text
    assert "1 known-good" in text
    assert "infinitely many" in "\n".join(lines_of("training: {warmup: {float: [0, 0.5]}}"))


def test_searched_keys_stand_above_fixed_ones() -> None:
    lines = lines_of(SPACE)

    searched, fixed = (
        next(i for i, line in enumerate(lines) if name in line)
        for name in ("encoder.d_ff", "encoder.n_layers")
    )
    assert searched < fixed


def test_square_brackets_are_no_markup() -> None:
    assert any("[0, 1]" in line for line in lines_of("sharing: {divergence_depth: [0, 1]}"))

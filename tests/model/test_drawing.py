"""Pictures of plans: what stands where, how wide they are, and that names cannot break them."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from io import StringIO

import pytest
from rich.console import Console
from rich.table import Table

from mtl_core.model.drawing import plan_svg, plan_table
from mtl_core.model.plan import SharingPlan
from mtl_core.model.reads import OtherTokens, Readout, TokenAttention, Tokens
from mtl_core.model.structures import STRUCTURES, layerwise_explicit, single_task, stack_pooling

SVG = "{http://www.w3.org/2000/svg}"
LONG = [f"department of task {task}" for task in range(16)]


def lines_of(plan: SharingPlan, names: Sequence[str], *, width: int = 100) -> list[str]:
    console = Console(width=width, record=True, file=StringIO())
    console.print(plan_table(plan, names, width=width))
    return console.export_text().splitlines()


def cells_of(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("│").split("│")]


def test_rows_stand_top_layer_first_with_tokens_and_readout_marked() -> None:
    table = ((0, 0, 0), (0, 0, 1), (0, 1, 2))
    plan = SharingPlan(table, Tokens.OWN, Readout.TOKEN, (0, 1, 0), (2, 2, 1))

    lines = lines_of(plan, ["books", "dvd", "toys"])

    rows = [cells_of(line) for line in lines if line.startswith("│")]
    assert rows == [
        ["2", "0◆", "▸1◆", "·"],
        ["1", "▸0", "0", "▸1◆"],
        ["embedding", "0", "0", "0"],
    ]
    assert [head.strip() for head in lines[1].strip("┃").split("┃")] == [
        "layer",
        "books",
        "dvd",
        "toys",
    ]
    caption = " ".join(" ".join(lines[-2:]).split())
    assert caption.endswith("▸ the task's own token ◆ position of the token")


def test_the_cls_word_enters_with_the_words() -> None:
    rows = [cells_of(line) for line in lines_of(single_task(2, 1), ["a", "b"])]

    assert ["embedding", "▸0", "▸1"] in rows
    assert ["1", "0◆", "1◆"] in rows


def test_names_are_shown_as_they_are() -> None:
    lines = lines_of(stack_pooling(2, 1), ["[red]", "[/b]"])

    assert "[red]" in lines[1]
    assert "[/b]" in lines[1]


def test_a_bank_has_one_colour_and_another_bank_another() -> None:
    table = plan_table(stack_pooling(3, 1, [1, 1, 0]), ["a", "b", "c"], width=100).renderables[0]

    assert isinstance(table, Table)
    styles = [next(iter(column.cells)).style for column in table.columns[1:]]  # type: ignore[union-attr]

    assert styles[0] == styles[1] != styles[2]


@pytest.mark.parametrize("name", sorted(STRUCTURES))
def test_sixteen_tasks_and_twelve_layers_fit_a_narrow_terminal(name: str) -> None:
    plan = STRUCTURES[name](16, 12)

    lines = lines_of(plan, LONG)

    rows = [cells_of(line) for line in lines if line.startswith("│")]
    assert [row[0] for row in rows] == [*map(str, range(12, 0, -1)), "embedding"]
    shown = [cell.strip("▸◆") for cell in rows[0][1:]]
    assert shown == [str(bank) for bank in plan.groups[12]]
    assert "16 department of task 15" in " ".join(" ".join(lines).split())


@pytest.mark.parametrize("width", [60, 80, 100, 200])
@pytest.mark.parametrize("n_tasks", [3, 16, 40])
def test_every_task_and_name_is_shown_at_any_width(n_tasks: int, width: int) -> None:
    names = [f"department_{task}" for task in range(1, 1 + n_tasks)]

    lines = lines_of(single_task(n_tasks, 2), names, width=width)

    assert max(map(len, lines)) <= width
    rows = [cells_of(line) for line in lines]
    top = [cell for row in rows if row[0] == "2" for cell in row[1:]]
    assert top == [f"{bank}◆" for bank in range(n_tasks)]
    words = set(re.findall(r"\w+", " ".join(lines)))
    assert words >= {*names, "embedding"}


def test_the_svg_is_one_picture_with_every_cell_and_escaped_names() -> None:
    names = ["books & <dvd>", 'say "toys"', "]]>"]
    plan = layerwise_explicit(3, 2, 1)

    svg = plan_svg(plan, names)

    root = ElementTree.fromstring(svg)
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert set(names) <= set(texts)
    assert texts.count("▸0◆") == 3
    assert len(list(root.iter(f"{SVG}rect"))) == 1 + 3 * 3
    assert "href" not in svg


def test_the_caption_says_how_far_tokens_reach() -> None:
    plan = layerwise_explicit(
        3, 2, token_attention=TokenAttention.OWN, other_tokens=OtherTokens.GATED
    )

    svg = plan_svg(plan, ["a", "b", "c"])

    assert "the tokens of all tasks (words see own, others gated)" in svg


def test_the_svg_of_a_single_task_is_as_wide_as_its_caption() -> None:
    root = ElementTree.fromstring(plan_svg(layerwise_explicit(1, 1), ["a"]))

    caption = max((text.text or "" for text in root.iter(f"{SVG}text")), key=len)
    assert float(root.attrib["width"]) >= 6 * len(caption)


def test_the_svg_holds_all_it_draws() -> None:
    root = ElementTree.fromstring(plan_svg(STRUCTURES["stack_cls"](16, 12), LONG))

    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for box in list(root.iter(f"{SVG}rect"))[1:]:
        assert float(box.attrib["x"]) + float(box.attrib["width"]) <= width
        assert float(box.attrib["y"]) + float(box.attrib["height"]) <= height
    for text in root.iter(f"{SVG}text"):
        assert float(text.attrib.get("y", 0)) <= height


def test_a_long_name_is_cut_in_the_picture_and_whole_where_it_is_pointed_at() -> None:
    long = "日本語" * 20

    svg = plan_svg(stack_pooling(2, 2), ["books", long])

    assert f"<title>{long}</title>" in svg
    assert svg.count(long) == 1
    assert "…" in svg
    assert float(svg.split('height="')[1].split('"')[0]) < 320

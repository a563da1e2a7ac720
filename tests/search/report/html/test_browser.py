"""The page in a real Chromium: it loads by itself, and what can be clicked does what it says."""

import csv
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from search.report.findings import Findings
from search.report.html.material import Material
from search.report.html.page import page
from search.space import Space

EVIL = "<script>alert(1)</script>"
PHONE = {"width": 390, "height": 844}


class Opened:
    """A page in a browser without a network, and all that went wrong on it."""

    def __init__(self, browser: Any, path: Path, **settings: Any) -> None:
        self.context = browser.new_context(offline=True, reduced_motion="reduce", **settings)
        self.page = self.context.new_page()
        self.faults: list[str] = []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("dialog", lambda dialog: self.faults.append(f"dialog: {dialog.message}"))
        self.page.on("request", self._asked)
        self.address = path.as_uri()
        self.page.goto(self.address)
        self.page.wait_for_selector("html[data-ready]")

    def draw_all(self) -> "Opened":
        self.page.evaluate("drawAll()")
        drawn = "[...document.querySelectorAll('.plot')].every(p => p.querySelector('.main-svg'))"
        self.page.wait_for_function(drawn)
        return self

    def save(self, selector: str) -> str:
        with self.page.expect_download() as found:
            self.page.locator(selector).click()
        return Path(found.value.path()).read_text(encoding="utf-8")

    def column(self, table: str, at: int) -> list[str]:
        cells = self.page.locator(f"#table-{table} tbody tr > :nth-child({at})")
        return [text.strip() for text in cells.all_inner_texts()]

    def _heard(self, message: Any) -> None:
        if message.type == "error":
            self.faults.append(message.text)

    def _asked(self, request: Any) -> None:
        if request.url != self.address and not request.url.startswith(("blob:", "data:")):
            self.faults.append(f"request: {request.url}")


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Any:
    """Opens the page of a study; at the end nothing may have gone wrong on it."""
    found: list[Opened] = []

    def open_page(material: Material, **settings: Any) -> Opened:
        path = tmp_path / "report.html"
        path.write_text(page(material), encoding="utf-8")
        found.append(Opened(browser, path, **settings))
        return found[-1]

    yield open_page
    faults = [fault for one in found for fault in one.faults]
    for one in found:
        one.context.close()
    assert faults == []


@pytest.fixture(scope="module")
def drawn(browser: Any, related: Material, tmp_path_factory: Any) -> Iterator[Opened]:
    """The page of a study that has every figure, all of them drawn; shared by the tests below."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page(related), encoding="utf-8")
    found = Opened(browser, path).draw_all()
    yield found
    found.context.close()
    assert found.faults == []


def test_every_figure_is_drawn_without_an_error_or_a_request(drawn: Opened) -> None:
    plots = drawn.page.locator(".plot[data-figure]").count()

    assert plots == drawn.page.locator(".plot[data-figure]:has(.main-svg)").count() >= 12
    assert drawn.faults == []


@pytest.mark.parametrize("figure", ["curves", "affinity", "dendrogram"])
def test_every_view_of_a_figure_can_be_chosen(drawn: Opened, figure: str) -> None:
    select = drawn.page.locator(f'select[data-views="{figure}"]')

    for option in select.locator("option").all():
        select.select_option(option.get_attribute("value"))

    assert select.locator("option").count() >= 3
    assert drawn.faults == []


def test_a_click_on_a_head_sorts_and_a_second_turns_it_round(
    opened: Callable[..., Opened], material: Material
) -> None:
    found = opened(material)
    head = found.page.locator("#table-arms thead th").nth(3).locator("button")
    assert found.column("arms", 1) == ["books", "films"]

    head.click()  # L-I... of S-C: books 81.2, films 82.5; numbers begin with the largest
    assert found.column("arms", 1) == ["films", "books"]
    head.click()
    assert found.column("arms", 1) == ["books", "films"]
    assert found.page.locator("#table-arms tfoot th").inner_text() == "mean"


def test_a_click_on_a_number_shows_its_configuration_and_its_curve(
    opened: Callable[..., Opened], material: Material
) -> None:
    found = opened(material)

    found.page.locator(
        '#table-arms button.cell[data-arm="layerwise_implicit"][data-task="films"]'
    ).click()

    dialog = found.page.locator("dialog[open]")
    dialog.locator(".main-svg").first.wait_for()
    text = dialog.inner_text()
    assert "layerwise_implicit on films" in text
    assert "90.0 (95% interval 87.0–93.0) · t0003, epoch 1" in text
    assert re.search(r"training.learning_rate\s+0.001", text)
    found.page.keyboard.press("Escape")
    assert found.page.locator("dialog[open]").count() == 0


def test_a_baseline_s_number_says_what_it_is(
    opened: Callable[..., Opened], material: Material
) -> None:
    found = opened(material)

    found.page.locator('#table-arms button.cell[data-arm="tfidf"][data-task="books"]').click()

    assert "Logistic regression on TF-IDF" in found.page.locator("dialog[open]").inner_text()


def test_names_are_shown_and_not_run(
    opened: Callable[..., Opened], make_study: Any, space: Space, affinity_of: Any
) -> None:
    names = [EVIL, "</script>", "<b>bold</b>", "%{y} &amp;"]
    study = make_study(names).train("single_task", (0.5, 0.5, 0.5, 0.5))
    study.train("stack_cls", (0.7, 0.7, 0.7, 0.7), 1, **{EVIL: EVIL})
    study.test("average", "t0002", (300,) * 4).test("structure:single_task", "t0001", (200,) * 4)
    study.test("structure:stack_cls", "t0002", (300,) * 4)
    findings = Findings(study.record())
    found = opened(Material(findings, space, affinity=affinity_of(names))).draw_all()

    assert found.column("arms", 1) == names
    ticks = found.page.locator('[data-figure="gains"] .ytick').all_text_contents()
    assert sorted(ticks) == sorted(names)
    options = found.page.locator('select[data-views="curves"] option').all_text_contents()
    assert set(names) <= set(options)
    found.page.locator("button.cell[data-arm='stack_cls']").first.click()
    assert f"stack_cls on {EVIL}" in found.page.locator("dialog[open]").inner_text()
    assert EVIL in found.page.locator("dialog[open] table").first.inner_text()


def test_numbers_of_figures_and_tables_can_be_saved(drawn: Opened) -> None:
    depth = list(csv.DictReader(io.StringIO(drawn.save('[data-for="depth"] [data-save="csv"]'))))
    assert {row["divergence_depth"] for row in depth[:40]} == {"0", "1", "2", "3"}
    best = [row for row in depth if row["dev_mean_percent low"]]
    assert all(float(row["dev_mean_percent low"]) < float(row["dev_mean_percent"]) for row in best)
    table = list(csv.DictReader(io.StringIO(drawn.save('[data-csv="arms"]'))))
    assert [row["task"] for row in table] == ["books", "films", "mean"]
    assert float(table[0]["S-C low"]) < float(table[0]["S-C"]) == 0.775


def test_pictures_can_be_saved_as_svg_and_png(drawn: Opened) -> None:
    for of in ('[data-for="depth"]', '[data-for="affinity"]', "[data-picture]"):
        for kind, begin in (("svg", b"<svg"), ("png", b"\x89PNG")):
            with drawn.page.expect_download() as saved:
                drawn.page.locator(f'{of} [data-save="{kind}"]').first.click()
            assert Path(saved.value.path()).read_bytes().startswith(begin)
            assert saved.value.suggested_filename.startswith("hand_made-")


def test_an_axis_that_is_dragged_along_keeps_the_trials_that_pass_there(drawn: Opened) -> None:
    plot = drawn.page.locator('[data-figure="parallel"]')
    axis = plot.locator(".axis-brush .background").first
    axis.hover()  # waits until the page has come to rest: figures above are drawn late
    box = axis.bounding_box()
    assert box is not None
    x = box["x"] + box["width"] / 2

    drawn.page.mouse.move(x, box["y"] + 0.7 * box["height"])
    drawn.page.mouse.down()
    drawn.page.mouse.move(x, box["y"] + 0.35 * box["height"], steps=8)
    drawn.page.mouse.up()

    said = drawn.page.locator("#brushed")
    said.filter(has_text="trials are left").wait_for()
    kept, trials = map(int, re.findall(r"\d+", said.inner_text())[:2])
    assert 0 < kept < trials == 61
    assert drawn.faults == []


def test_dark_and_light_follow_the_reader_s_setting(
    opened: Callable[..., Opened], material: Material
) -> None:
    found = opened(material, color_scheme="dark").draw_all()
    colour = "getComputedStyle(document.body).backgroundColor"
    line = "document.querySelector('[data-figure=depth] .js-line').style.stroke"
    dark = [found.page.evaluate(colour), found.page.evaluate(line)]

    found.page.emulate_media(color_scheme="light")

    light = [found.page.evaluate(colour), found.page.evaluate(line)]
    assert light[0] == "rgb(255, 255, 255)"
    assert all(a != b for a, b in zip(dark, light, strict=True))


def test_on_a_phone_nothing_is_wider_than_the_screen(
    opened: Callable[..., Opened],
    related: Material,
    make_study: Any,
    space: Space,
    affinity_of: Any,
) -> None:
    names = [f"a_rather_long_name_of_a_task_without_any_space_{at}" for at in range(16)]
    study = make_study(names).train("single_task", (0.5,) * 16).train("stack_cls", (0.6,) * 16, 1)
    study.test("average", "t0002", (300,) * 16).test("structure:stack_cls", "t0002", (300,) * 16)
    study.test("structure:single_task", "t0001", (280,) * 16)

    for material in (
        related,
        Material(Findings(study.record()), space, affinity=affinity_of(names)),
    ):
        found = opened(material, viewport=PHONE, is_mobile=True, has_touch=True).draw_all()
        assert found.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_the_contents_are_folded_while_the_page_is_narrow(
    opened: Callable[..., Opened], material: Material
) -> None:
    page = opened(material, viewport=PHONE).page

    def is_open() -> bool:
        return page.evaluate("() => document.querySelector('.contents details').open")

    before = is_open()
    page.set_viewport_size({"width": 1300, "height": 900})  # as a frame that comes into sight

    page.wait_for_function("() => document.querySelector('.contents details').open")
    assert not before
    page.set_viewport_size(PHONE)
    page.wait_for_function("() => !document.querySelector('.contents details').open")


def test_on_paper_twelve_arms_have_room(opened: Callable[..., Opened], material: Material) -> None:
    found = opened(material, viewport={"width": 688, "height": 1000})  # A4 between its margins
    found.page.emulate_media(media="print")

    width = found.page.evaluate(
        """() => {
            const table = document.querySelector('table.arms');
            while (table.rows[0].cells.length <= 12)
                for (const row of table.rows) row.append(row.cells[1].cloneNode(true));
            return table.scrollWidth;
        }"""
    )

    assert width <= 688


def test_on_paper_all_figures_are_drawn_in_light_colours(
    opened: Callable[..., Opened], material: Material
) -> None:
    found = opened(material, color_scheme="dark")

    found.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")

    line = "document.querySelector('[data-figure=depth] .js-line').style.stroke"
    assert found.page.evaluate(line) == "rgb(0, 114, 178)"  # of the style sheet's light theme
    plots = found.page.locator(".plot[data-figure]").count()
    assert found.page.locator(".plot[data-figure] .main-svg:first-child").count() >= plots

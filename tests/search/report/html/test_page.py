"""The page as text: the answer first, whole, escaped, and of a size that can be sent."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from typing import Any

from search.report.findings import Findings
from search.report.html.material import Material
from search.report.html.page import page
from search.space import Space


class Tags(HTMLParser):
    """Counts the elements of a page, and keeps what they refer to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts = 0
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]


def text_of(text: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def test_the_answer_stands_first_in_two_sentences(material: Material) -> None:
    text = page(material)

    lead = re.search(r'<p class="lead">(.*?)</p>', text, re.DOTALL)
    assert lead is not None
    assert text_of(lead[1]).startswith(
        "Best on average: layerwise_implicit , task tokens enter after 1 of 4 layers, weighting "
        "equal . It gets 83.8% of the test rows right"
    )
    assert "<code>layerwise_implicit</code>" in lead[1]
    assert "Sharing helps on average" in lead[1]
    assert text.index('class="lead"') < text.index("<table")


def test_the_page_refers_to_nothing_outside_itself(material: Material) -> None:
    found = Tags(page(material))

    assert found.scripts == 3
    assert {address[:1] for address in found.addresses} == {"#", "d"}
    assert [a for a in found.addresses if a.startswith("d")] == ["data:,"]
    assert len(set(found.ids)) == len(found.ids)


def test_a_browser_is_told_to_fetch_nothing(material: Material) -> None:
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', page(material))

    assert policy.startswith("default-src 'none';")
    assert not re.search(r"https?:|\*|'self'", policy)


def test_what_is_heavy_is_imported_when_a_page_is_written_and_not_before() -> None:
    heavy = ["torch", "scipy", "sklearn", "optuna", "pandas", "plotly"]
    modules = "search.report.html.page, search.report.show, search.report.compare_studies"
    code = f"import sys, {modules}; print([m for m in {heavy} if m in sys.modules])"

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"


def test_a_small_study_is_a_page_of_two_megabytes(material: Material) -> None:
    assert len(page(material).encode()) < 2_500_000


def test_names_from_data_and_configuration_never_become_elements(
    make_study: Any, space: Space, affinity_of: Any
) -> None:
    evil = "<script>alert(1)</script>"
    study = make_study([evil, "</script>", '"><img src=x onerror=alert(1)>'])
    study.train("single_task", (0.5, 0.5, 0.5), **{f"{evil}.rate": evil})
    study.train("stack_cls", (0.6, 0.6, 0.6), 1, **{f"{evil}.rate": "b"})
    study.propose("stack_cls", 2)
    study.add("failed", trial="t0003", kind=evil, reason=evil, traceback=evil)
    study.test("average", "t0002", (300, 300, 300)).test(f"task:{evil}", "t0002", (300, 300, 300))
    study.test("structure:single_task", "t0001", (200, 200, 200))
    study.test("structure:stack_cls", "t0002", (300, 300, 300))
    study.events[0]["name"] = evil
    task = {
        "name": evil, "kind": evil, "metric": evil, "splits": {}, "undecodable": {evil: 3},
        "dropped": [], "cut_from_train": [evil],
    }  # fmt: skip
    environment = {"command": [evil], "versions": {evil: evil}, "git_commit": evil}
    audit = {"headline": evil, "unit": evil, "tasks": [task]}
    affinity = affinity_of(study.tasks) | {"fit": {"words": evil}, "trial": evil}
    affinity["examples"][0]["words"][0] = evil

    found = page(Material(Findings(study.record()), space, audit, environment, affinity))

    assert Tags(found).scripts == 3
    assert evil not in found
    assert "<img" not in found
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in found
    assert len(re.findall("</script>", found)) == 3


def test_before_the_first_trial_there_is_a_page_that_says_so(make_study: Any, space: Space) -> None:
    text = page(Material(Findings(make_study().record()), space))

    assert "No answer: no trial has a dev score yet." in text
    assert "The search has not ended: this is what is known so far." in text


def test_during_a_search_the_table_holds_dev_scores(make_study: Any, space: Space) -> None:
    study = make_study().train("stack_cls", (0.8, 0.7), 1).train("single_task", (0.6, 0.75))

    text = text_of(page(Material(Findings(study.record()), space)))

    assert "Not tested yet; best on dev so far: stack_cls , 75.0%" in text
    assert "Dev scores so far, times 100: nothing has been tested yet." in text
    assert "books 60.0 80.0 best" in text

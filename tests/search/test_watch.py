"""The live report over real connections: what is served, to whom, and that it follows the study."""

import json
import socket
import struct
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from mtl_core.data.readers import read_corpus
from mtl_core.errors import ConfigError
from mtl_core.training.config import TrialConfig
from search.journal import JOURNAL
from search.live_report import LEAST_SECONDS, LiveReport
from search.place import SPACE
from search.record import FORMAT, StudyRecord
from search.space import load_space
from search.watch import Watch

SANITY = Path(__file__).resolve().parents[2] / "spaces" / "sanity.yaml"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def begin(folder: Path) -> StudyRecord:
    folder.mkdir()
    space = load_space(SANITY)
    (folder / SPACE).write_text(space.text, encoding="utf-8")
    record = StudyRecord.open(folder / JOURNAL)
    tasks = list(read_corpus(space.data).names)
    record.append("study", format=FORMAT, name="sanity", seed=1, tasks=tasks)
    record.append("noted", text="Ray dashboard: http://127.0.0.1:8265")
    return record


def train(record: StudyRecord, number: int, score: float) -> None:
    name = f"t000{number}"
    scores = dict.fromkeys(record.tasks, score)
    record.append(
        "proposed", trial=name, number=number, values={}, seed=1, source="random",
        config=TrialConfig().as_dict(),
    )  # fmt: skip
    record.append("started", trial=name, attempt=1, worker="engine1")
    record.append(
        "reported", trial=name, epoch=1, average=score, scores=scores, loss=1.0,
        losses=scores, tokens_per_second=1.0, seconds=1.0,
    )  # fmt: skip


@contextmanager
def served(live: LiveReport, **options: Any) -> Iterator[Watch]:
    watch = Watch(live, **options)
    thread = threading.Thread(target=watch.serve, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        watch.close()
        thread.join(10)


def get(address: str, path: str = "", **headers: str) -> tuple[int, str, Any]:
    request = urllib.request.Request(address + path, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


def test_the_report_follows_a_study_from_before_it_begins(tmp_path: Path) -> None:
    clock = Clock()
    live = LiveReport(tmp_path / "sanity", clock=clock, sleep=clock.sleep)
    with served(live) as watch:
        state = json.loads(get(watch.address, "state.json")[1])
        assert (state["version"], state["words"]) == (None, "waiting for the study to begin")
        assert get(watch.address, "report.html")[0] == 503

        record = begin(tmp_path / "sanity")
        train(record, 1, 0.625)
        state = json.loads(get(watch.address, "state.json")[1])
        assert state["dashboard"] == "http://127.0.0.1:8265"
        assert "1 trial, 1 in training, best 62.5 on dev, under way" in state["words"]
        assert "t0001" in get(watch.address, "report.html")[1]

        train(record, 2, 0.75)
        assert "t0002" in get(watch.address, "report.html")[1]
        assert clock.now == LEAST_SECONDS  # it waited: the last one was made just before
        get(watch.address, "report.html")
        assert clock.now == LEAST_SECONDS  # nothing new

        record.append("ended", reason="trials")
        state = json.loads(get(watch.address, "state.json")[1])
        assert state["words"].endswith("2 cut off, best 75.0 on dev, the search has ended")
        assert state["dashboard"] is None


@pytest.mark.parametrize(
    "path", ["journal.jsonl", "../journal.jsonl", "%2e%2e/journal.jsonl", "report.html/..", "x?y=1"]
)
def test_nothing_else_is_served(path: str, tmp_path: Path) -> None:
    begin(tmp_path / "sanity")
    with served(LiveReport(tmp_path / "sanity")) as watch:
        assert get(watch.address, path)[0] == 404


def test_pages_may_be_neither_kept_nor_framed_nor_told_what_they_are(tmp_path: Path) -> None:
    begin(tmp_path / "sanity")
    with served(LiveReport(tmp_path / "sanity")) as watch:
        for path in ("", "watch.js", "watch.css", "state.json", "report.html"):
            status, _, headers = get(watch.address, path)
            assert status == 200
            assert headers["Cache-Control"] == "no-store"
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert "frame-ancestors" in headers["Content-Security-Policy"]


def test_a_page_of_elsewhere_that_calls_itself_this_machine_is_refused(tmp_path: Path) -> None:
    begin(tmp_path / "sanity")
    with served(LiveReport(tmp_path / "sanity")) as watch:
        assert get(watch.address, "state.json", Host="evil.example")[0] == 403
        assert get(watch.address, "state.json", Host="localhost:1")[0] == 200


def test_beyond_this_machine_a_token_is_asked_for_and_then_kept_in_a_cookie(tmp_path: Path) -> None:
    begin(tmp_path / "sanity")
    with served(LiveReport(tmp_path / "sanity"), host="0.0.0.0") as watch:
        port = urlsplit(watch.address).port
        bare = f"http://127.0.0.1:{port}/"
        assert watch.token is not None
        assert len(watch.token) >= 32
        assert watch.address == f"http://{socket.gethostname()}:{port}/?token={watch.token}"
        assert [get(bare, path)[0] for path in ("", "report.html", "?token=x")] == [403, 403, 403]
        assert get(bare, Cookie="branchpoint=x")[0] == 403

        jar = CookieJar()
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
        with browser.open(f"{bare}?token={watch.token}", timeout=60) as answer:
            assert answer.url == bare  # the token is no longer in it
        (cookie,) = jar
        assert cookie.has_nonstandard_attr("HttpOnly")
        with browser.open(f"{bare}state.json", timeout=60) as answer:
            assert json.loads(answer.read())["name"] == "sanity"


def test_a_port_that_is_taken_and_an_address_that_is_not_ours_are_said(tmp_path: Path) -> None:
    live = LiveReport(tmp_path)
    with served(live) as watch:
        port = urlsplit(watch.address).port
        with pytest.raises(ConfigError, match=f"--port {port}: cannot listen there"):
            Watch(live, port=port or 0)
    with pytest.raises(ConfigError, match=r"--host 203\.0\.113\.9"):
        Watch(live, host="203.0.113.9")
    with pytest.raises(ConfigError, match="--port 99999"):
        Watch(live, port=99999)


def test_a_browser_that_leaves_in_the_middle_of_an_answer_is_no_error(
    tmp_path: Path, capfd: Any
) -> None:
    begin(tmp_path / "s")

    with served(LiveReport(tmp_path / "s")) as server:
        url = urlsplit(server.address)
        for _ in range(5):
            with socket.create_connection((url.hostname, url.port)) as browser:
                browser.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                browser.sendall(b"GET /report.html HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(1)

    assert capfd.readouterr().err == ""


def test_the_page_in_a_browser_turns_to_the_next_report_by_itself(
    tmp_path: Path, browser: Any
) -> None:
    record = begin(tmp_path / "sanity")
    train(record, 1, 0.5)
    with served(LiveReport(tmp_path / "sanity")) as watch:
        page = browser.new_context().new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
        page.goto(watch.address)
        report = page.frame_locator("iframe.shown")
        report.locator("html[data-ready]").wait_for(state="attached", timeout=60_000)
        assert "1 in training" in page.locator("#state").inner_text()

        train(record, 2, 0.75)
        page.get_by_text("2 in training").wait_for(timeout=60_000)
        report.get_by_text("t0002").first.wait_for(state="attached", timeout=60_000)

        assert page.locator("#dashboard").get_attribute("href") == "http://127.0.0.1:8265"
        assert faults == []


def test_a_report_that_takes_longer_than_the_journal_to_grow_is_shown_all_the_same(
    tmp_path: Path, browser: Any
) -> None:
    record = begin(tmp_path / "sanity")
    train(record, 1, 0.5)
    live = LiveReport(tmp_path / "sanity")
    make = live._make

    def make_slowly() -> str:
        time.sleep(4)  # the page asks for the state every 3
        return make()

    live._make = make_slowly  # type: ignore[method-assign]
    with served(live) as watch:
        page = browser.new_context().new_page()
        page.goto(watch.address)
        report = page.frame_locator("iframe.shown").get_by_text("t0001").first
        deadline = time.monotonic() + 60
        while not report.count():
            assert time.monotonic() < deadline
            record.append("noted", text="the journal grows")
            page.wait_for_timeout(500)

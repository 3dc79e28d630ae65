"""What others wrote loads nothing: a beacon in every text of a dataset, a model and an address."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page

from cxr.films.synthetic.phantom import draw_phantom_set
from cxr.registry import registry
from tests.support.browser import settled
from tests.support.server import Server, serving

PLACES = (
    "",
    "evaluate",
    "train",
    "models",
    "data",
    "evaluate?show=Classes",
    "evaluate?show=Subgroups",
    "train?view=runs",
)


@dataclass
class Beacon:
    """A foreign server, and what it was asked for."""

    url: str = ""
    asked: list[str] = field(default_factory=list)

    def text(self, place: str) -> str:
        """A text that loads something where it is taken for Markdown; short enough for a name."""
        return f"![x]({self.url}/{place})"


@contextmanager
def listening() -> Iterator[Beacon]:
    beacon = Beacon()

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            beacon.asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Writes nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    beacon.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield beacon
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def beacon() -> Iterator[Beacon]:
    with listening() as running:
        yield running


RULES = (
    "threshold_rule",
    "temperature_rule",
    "unsure_rule",
    "starting_weights",
    "device",
    "precision",
    "run",
    "recipe",
)
SAID = ("intended_use", "not_for", "data", "split", "training", "failures")


def plant_in_model(folder: Path, beacon: Beacon) -> None:
    """The beacon in every free text of a stored model's card, and as the name of a class and of a source."""
    evaluation = folder / "evaluation.csv"
    evaluation.write_text(evaluation.read_text("utf-8").replace("viral", beacon.text("class")), "utf-8")
    card = json.loads((folder / "card.json").read_text("utf-8").replace("viral", beacon.text("class")))
    card |= {name: beacon.text(name) for name in RULES}
    card |= {"warnings": [beacon.text("warning")], "software": {beacon.text("package"): beacon.text("version")}}
    card["sources"] = {beacon.text("source"): labels for labels in card["sources"].values()}
    card["statement"] = {name: beacon.text(name) for name in SAID} | {"test_looks": 1}
    card["evaluation_sha256"] = hashlib.sha256(evaluation.read_bytes()).hexdigest()
    (folder / "card.json").write_text(json.dumps(card), "utf-8")


@pytest.fixture(scope="module")
def planted(beacon: Beacon, trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server over a home in which others wrote what they liked."""
    home = tmp_path_factory.mktemp("planted") / "home"
    shutil.copytree(trained_home, home)
    for folder in (home / "models").iterdir():
        if (folder / "card.json").exists():
            plant_in_model(folder, beacon)
    data = home / "data" / "foreign"
    draw_phantom_set(data, 8, size_px=64)
    manifest = data / "manifest.csv"
    head, *lines = manifest.read_text("utf-8").splitlines()
    columns = head.split(",")
    rows = [dict(zip(columns, line.split(","), strict=True)) for line in lines]
    for row in rows:
        for name in set(columns) - {"path", "split", "age", "label", "source"}:
            row[name] = beacon.text(name)
    manifest.write_text("\n".join([head, *(",".join(row[name] for name in columns) for row in rows)]), "utf-8")
    labeled = data.with_name("labeled")  # whose labels are refused, in a sentence
    shutil.copytree(data, labeled)
    text = manifest.read_text("utf-8")
    for row in rows:
        text = text.replace(f",{row['label']},", f",{beacon.text('label')},")
    (labeled / "manifest.csv").write_text(text, "utf-8")
    named = {beacon.text("name").replace("/", "|"): str(data), "labeled": str(labeled), "foreign": str(data)}
    (home / "data" / "datasets.json").write_text(json.dumps(named))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CXR_HOME", str(home))
        assert registry.list_models().damaged == {}
    with serving(home) as running:
        yield running


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    """A tab in which even the server's own policy lets everything through, so that escaping alone is tested."""
    context = browser.new_context(bypass_csp=True)
    page = context.new_page()
    # Else the first visit chooses the dark theme, and loads the page again.
    page.add_init_script("localStorage.setItem(`cxr-stActiveTheme-${location.pathname}-v2`, 'x')")
    yield page
    context.close()


def visit(tab: Page, server: Server, beacon: Beacon, place: str) -> None:
    join = "&" if "?" in place else "?"
    names = ("model", "show", "recipe", "datasets", "view", "other")
    tab.goto(f"{server.url}/{place}{join}{'&'.join(f'{name}={quote(beacon.text(name))}' for name in names)}")
    settled(tab)
    tab.evaluate("document.querySelectorAll('summary').forEach(summary => summary.click())")
    settled(tab)


@pytest.mark.parametrize("place", PLACES)
def test_no_page_loads_what_a_name_or_an_address_says(tab: Page, planted: Server, beacon: Beacon, place: str) -> None:
    visit(tab, planted, beacon, place)
    assert beacon.asked == []


def test_a_dataset_whose_labels_are_refused_loads_nothing_either(tab: Page, planted: Server, beacon: Beacon) -> None:
    tab.goto(f"{planted.url}/data")
    settled(tab)
    tab.get_by_test_id("stSelectbox").first.click()
    tab.get_by_role("option", name="labeled").click()
    tab.get_by_test_id("stAlertContentError").wait_for()
    settled(tab)
    assert beacon.asked == []


SCRIPT = """
import streamlit as st
from cxr.ui.plain_text import plain
text = st.query_params["text"]
st.warning(plain(text) if "plain" in st.query_params else text)
"""


@pytest.mark.parametrize(("query", "asks"), [("", True), ("&plain", False)])
def test_without_escaping_the_same_text_does_load(tab: Page, tmp_path: Path, query: str, asks: bool) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    with listening() as other, serving(tmp_path / "home", script=tmp_path / "script.py") as server:
        tab.goto(f"{server.url}/?text={quote(other.text('escaping-off'))}{query}")
        settled(tab)
        assert bool(other.asked) == asks


def test_without_escaping_the_policy_still_loads_nothing(browser: Browser, planted: Server, beacon: Beacon) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(planted.url)
    settled(page)
    before = len(beacon.asked)
    failed = page.evaluate(
        "url => new Promise(done => { const image = new Image();"
        " image.onerror = () => done(true); image.onload = () => done(false); image.src = url; })",
        f"{beacon.url}/policy",
    )
    assert failed
    assert len(beacon.asked) == before
    context.close()


def test_no_other_page_frames_this_one(browser: Browser, planted: Server, beacon: Beacon) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.route(
        "http://frame.example/",
        lambda route: route.fulfill(
            content_type="text/html", body=f'<iframe src="{planted.url}/models" width="900" height="900"></iframe>'
        ),
    )
    page.goto("http://frame.example/")
    page.wait_for_timeout(1000)
    (frame,) = page.frames[1:]
    assert frame.locator("[data-testid=stApp]").count() == 0
    context.close()

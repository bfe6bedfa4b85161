"""The whole story in a real browser, over the real service, engine and runtime."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, TimeoutError, expect

from builder.buildkit import BuildKit
from builder.embedded import embedded
from builder.settings import Settings
from builder.worker import ProcessRunner
from launcher.runtimes.docker import DockerRuntime
from launcher.serve import application, launching
from launcher.service import Launchers
from tests.browser.conftest import elsewhere
from tests.conftest import commit, write_repository
from tests.containers import docker
from tests.service import listening

pytestmark = [pytest.mark.engine, pytest.mark.browser]

BUILT = 300_000
"""Milliseconds in which a build ends; the first builds the images that all stand on."""

GONE = 60
"""Seconds in which a deleted launcher has left the runtime."""

STARTED = 90_000
"""Milliseconds in which a frontend is there."""


@dataclass(frozen=True)
class Served:
    address: str
    launchers: Launchers


@contextmanager
def served(directory: Path, settings: Settings, engine: BuildKit) -> Iterator[Served]:
    """The service over a directory; over the same one again, it is the same service started anew."""
    in_force = replace(settings, state_dir=str(directory / "state"), allow_local=True)
    with (
        embedded(in_force, engine, ProcessRunner()) as running,
        launching(running, in_force, engine, DockerRuntime()) as launchers,
        listening(application(running, launchers, frozenset({"127.0.0.1", "localhost"}))) as address,
    ):
        yield Served(address, launchers)


@pytest.fixture
def directory(tmp_path: Path, settings: Settings, engine: BuildKit) -> Iterator[Path]:
    """Where a service remembers. Its launchers are deleted at the end, and what they have in the runtime with them."""
    yield tmp_path
    with elsewhere(served(tmp_path, settings, engine)) as service:
        ids = [launcher.id for launcher in service.launchers.launchers().items]
        for id in ids:
            service.launchers.delete(id)
        deadline = time.monotonic() + GONE
        while any(left.startswith(id) for id in ids for left in work_directories()):
            assert time.monotonic() < deadline
            threading.Event().wait(0.2)


def work_directories() -> list[str]:
    listed = docker("volume", "ls", "--quiet", "--filter=name=launchyard-session-").split()
    return [name.removeprefix("launchyard-session-") for name in listed]


def opened(page: Page) -> None:
    """Wait until JupyterLab has opened; fails with what the page says instead."""
    try:
        page.wait_for_url(re.compile(r"http://localhost:\d+/sessions/[0-9a-f-]+/lab"), timeout=STARTED)
    except TimeoutError:
        pytest.fail(f"{page.url} says:\n{page.locator('body').inner_text()}", pytrace=False)


def run_cell(page: Page, code: str) -> str:
    """Type a cell into a new notebook of JupyterLab's launcher, run it, and give what it printed."""
    page.locator(".jp-LauncherCard[data-category=Notebook]").first.click()
    expect(page.get_by_text(re.compile(r"Python 3.*\| Idle"))).to_be_visible(timeout=STARTED)
    page.locator(".jp-Notebook .cm-content").first.click()
    page.keyboard.insert_text(code)
    page.keyboard.press("Shift+Enter")
    output = page.locator(".jp-Notebook .jp-OutputArea-output").first
    expect(output).to_be_visible(timeout=STARTED)
    return output.inner_text().strip()


def test_from_a_pasted_link_to_a_cell_a_rebuild_its_difference_and_back(
    directory: Path, settings: Settings, engine: BuildKit, browser_page: Page
) -> None:
    page = browser_page
    repository = write_repository(directory / "tides", {"requirements.txt": "six==1.16.0\n", "tides.py": "HIGH = 7\n"})
    with elsewhere(served(directory, settings, engine)) as service:
        page.goto(service.address)
        page.get_by_role("link", name="New launcher").first.click()
        page.get_by_label("Repository").fill(str(repository))
        card = page.get_by_role("region", name="What would be built")
        expect(card.get_by_role("listitem")).to_have_text("six==1.16.0")
        page.get_by_role("button", name="Create").click()

        expect(page.locator(".pill").first).to_have_text("succeeded", timeout=BUILT)
        page.get_by_role("button", name="Launch").click()
        opened(page)
        seen = run_cell(page, "import six, tides; print(six.__version__, tides.HIGH)")
        assert seen == "1.16.0 7"
        session = page.url
        asked = page.evaluate("fetch('/api/v1/launchers').then(answer => answer.status)")
        assert asked == 403, "what runs in a session asks nothing of the service"

    with elsewhere(served(directory, settings, engine)) as service:  # started anew, in the middle of it
        page.goto(service.address)
        expect(page.get_by_role("link", name="running").first).to_be_visible()
        page.get_by_role("link", name="running").first.click()
        page.get_by_role("link", name="Open").click()
        opened(page)
        assert session.split("/sessions/")[1][:36] in page.url

        (repository / "requirements.txt").write_text("six==1.17.0\n")
        commit(repository)
        page.goto(service.address)
        page.locator("#launchers h2 a").click()
        expect(page.get_by_text("The environment has changed")).to_be_visible()
        page.get_by_role("button", name="Rebuild").click()
        expect(page.locator(".pill").first).to_have_text("succeeded", timeout=BUILT)
        page.locator("a.button").last.click()
        page.get_by_role("link", name="All versions").click()
        page.get_by_role("button", name="Show the difference").click()
        expect(page.get_by_role("row", name="six")).to_contain_text("1.17.0")
        page.go_back()
        page.get_by_role("button", name="Use v1").click()
        expect(page.locator("li", has_text="v1").locator(".pill")).to_have_text("current")


DASHBOARDS = {
    "streamlit": "import streamlit\nhigh = streamlit.slider('high', 0, 9, 3)\nstreamlit.write(f'twice {high * 2}')\n",
    "dash": """\
import dash

app = dash.Dash()
app.layout = dash.html.Div([dash.dcc.Slider(0, 9, 1, value=3, id="high"), dash.html.Div(id="shown")])


@app.callback(dash.Output("shown", "children"), dash.Input("high", "value"))
def show(high):
    return f"twice {high * 2}"


app.run()
""",
    "panel": """\
import panel

high = panel.widgets.IntSlider(name="high", start=0, end=9, value=3)
panel.Column(high, panel.bind(lambda high: f"twice {high * 2}", high)).servable()
""",
    "gradio": """\
import gradio

with gradio.Blocks() as board:
    high = gradio.Slider(0, 9, 3, step=1, label="high")
    shown = gradio.Markdown("twice 6")
    high.change(lambda high: f"twice {high * 2}", high, shown)
board.launch()
""",
}
"""Programs with a slider at 3 that show twice its value."""


@pytest.mark.parametrize("kind", DASHBOARDS)
def test_dashboard_works_below_its_base_path(
    directory: Path, settings: Settings, engine: BuildKit, browser_page: Page, kind: str
) -> None:
    page = browser_page
    repository = write_repository(directory / "board", {"requirements.txt": f"{kind}\n", "app.py": DASHBOARDS[kind]})
    with elsewhere(served(directory, settings, engine)) as service:
        page.goto(f"{service.address}/launch?repo={repository}")
        page.get_by_label("Open in").select_option(kind)
        page.get_by_text("Options").click()
        page.get_by_label("Command").fill("app.py")
        page.get_by_role("button", name="Create").click()
        expect(page.locator(".pill").first).to_have_text("succeeded", timeout=BUILT)
        page.get_by_role("button", name="Launch").click()
        expect(page.get_by_text("twice 6")).to_be_visible(timeout=STARTED)
        page.get_by_role("slider").press("ArrowRight")
        expect(page.get_by_text("twice 8")).to_be_visible(timeout=STARTED)


def test_vscodium_opens_in_the_work_directory(
    directory: Path, settings: Settings, engine: BuildKit, browser_page: Page
) -> None:
    if not settings.vscodium.archive:
        pytest.skip("the setting vscodium.archive names no archive of VSCodium's server")
    page = browser_page
    repository = write_repository(directory / "code", {"requirements.txt": "six==1.16.0\n", "tides.py": "HIGH = 1\n"})
    with elsewhere(served(directory, settings, engine)) as service:
        page.goto(f"{service.address}/launch?repo={repository}")
        page.get_by_label("Open in").select_option("vscodium")
        page.get_by_role("button", name="Create").click()
        expect(page.locator(".pill").first).to_have_text("succeeded", timeout=BUILT)
        page.get_by_role("button", name="Launch").click()
        file = page.locator(".explorer-folders-view").get_by_role("treeitem", name=re.compile("tides.py"))
        expect(file).to_be_visible(timeout=STARTED)
        file.click()
        expect(page.locator(".monaco-editor .view-line").first).to_have_text("HIGH = 1", timeout=STARTED)


def test_two_people_at_once_have_a_launcher_and_a_session_each(
    directory: Path, settings: Settings, engine: BuildKit, browser_page: Page
) -> None:
    assert browser_page.context.browser
    repositories = [
        write_repository(directory / name, {"requirements.txt": "six==1.16.0\n", "whose.py": f"NAME = {name!r}\n"})
        for name in ("ada", "mary")
    ]
    contexts = [browser_page.context.browser.new_context() for _ in repositories]
    try:
        with elsewhere(served(directory, settings, engine)) as service:
            pages = [context.new_page() for context in contexts]
            for page, repository in zip(pages, repositories, strict=True):
                page.goto(f"{service.address}/launch?repo={repository}")
                page.get_by_role("button", name="Create").click()
            for page in pages:
                expect(page.locator(".pill").first).to_have_text("succeeded", timeout=BUILT)
                page.get_by_role("button", name="Launch").click()
            for page, name in zip(pages, ("ada", "mary"), strict=True):
                opened(page)
                assert run_cell(page, "import whose; print(whose.NAME)") == name
            answer = pages[1].goto(pages[0].url)
            assert answer and answer.status == 403, "who was given no token opens nobody's session"
            sessions = service.launchers.sessions().items
            assert len({session.launcher_id for session in sessions}) == 2
    finally:
        for context in contexts:
            context.close()


def test_failed_build_says_what_to_change_and_the_change_makes_it_succeed(
    directory: Path, settings: Settings, engine: BuildKit, browser_page: Page
) -> None:
    page = browser_page
    repository = write_repository(directory / "wrong", {"requirements.txt": "sixx-of-nobody\n"})
    with elsewhere(served(directory, settings, engine)) as service:
        page.goto(f"{service.address}/launch?repo={repository}")
        page.get_by_role("button", name="Create").click()
        expect(page.locator(".pill").first).to_have_text("failed", timeout=BUILT)
        failure = page.get_by_role("alert")
        expect(failure).to_contain_text("There is no package sixx-of-nobody")
        expect(failure).to_contain_text("requirements.txt")
        (repository / "requirements.txt").write_text("six==1.16.0\n")
        commit(repository)
        page.get_by_role("button", name="Rebuild").click()
        expect(page.locator(".pill").first).to_have_text("succeeded", timeout=BUILT)

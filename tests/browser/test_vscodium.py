"""VSCodium from a built image, in a real browser: its explorer, its terminal, its settings."""

from __future__ import annotations

import hashlib
import io
import json
import re
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from builder.buildkit import BuildKit
from builder.settings import Settings
from tests.conftest import build_image, write_repository
from tests.containers import BOUND, Container, answer, container, docker

pytestmark = [pytest.mark.engine, pytest.mark.browser]

BASE = "/deep/below/"
TOKEN = "letmein"
WORK = "/home/user/work"
LOADED = 60_000
"""Milliseconds in which the workbench has to show what it was asked for."""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, engine: BuildKit, settings: Settings) -> str:
    if not settings.vscodium.archive:
        pytest.skip("the setting vscodium.archive names no archive of VSCodium's server")
    directory = tmp_path_factory.mktemp("image")
    vsix = directory / "tides.vsix"
    vsix.write_bytes(extension("tides"))
    extensions = {str(vsix): hashlib.sha256(vsix.read_bytes()).hexdigest()}
    settings = replace(settings, vscodium=replace(settings.vscodium, extensions=extensions))
    repository = write_repository(directory / "vscodium", {"requirements.txt": "six==1.16.0\n"})
    return build_image(repository, engine, settings, frontend="vscodium").reference


def extension(name: str) -> bytes:
    """A .vsix that does nothing: https://code.visualstudio.com/api/working-with-extensions/publishing-extension"""
    about = {"name": name, "publisher": "ada", "version": "1.0.0", "engines": {"vscode": "*"}}
    identity = f'<Identity Language="en-US" Id="{name}" Version="1.0.0" Publisher="ada"/>'
    schema = "http://schemas.microsoft.com/developer/vsx-schema/2011"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("extension/package.json", json.dumps(about))
        archive.writestr(
            "extension.vsixmanifest",
            f'<PackageManifest Version="2.0.0" xmlns="{schema}"><Metadata>{identity}</Metadata></PackageManifest>',
        )
    return packed.getvalue()


@pytest.fixture
def session(image: str) -> Iterator[Container]:
    """One that has a file of the repository's in its work directory."""
    environ = {"LAUNCHYARD_BASE_PATH": BASE, "LAUNCHYARD_TOKEN": TOKEN}
    with container(image, environ=environ) as session:
        session.run("sh", "-c", f"echo 'HIGH = 1' > {WORK}/tides.py")
        yield session


def read_when_written(session: Container, path: str) -> str:
    """A file of a session, once a process in it has written all its lines."""
    wait = f"until test -e {path}; do sleep 0.1; done; cat {path}"
    return session.run("timeout", str(BOUND), "sh", "-c", wait)


def test_it_answers_below_its_base_path_to_the_token_alone(session: Container) -> None:
    assert answer(session, f"{BASE}?tkn={TOKEN}") == 302, "the token becomes a cookie"
    assert answer(session, BASE) == 403
    assert answer(session, f"{BASE}?tkn=guessed") == 403


def test_extensions_of_the_settings_are_there(session: Container) -> None:
    server = "/opt/launchyard/vscodium/bin/codium-server"
    listed = session.run(server, "--extensions-dir=/opt/launchyard/vscodium-extensions", "--list-extensions")
    assert listed.splitlines()[-1] == "ada.tides"


def test_it_shows_the_work_directory_and_opens_terminals_with_the_environments_python(
    session: Container, browser_page: Page
) -> None:
    answer(session, BASE)
    browser_page.goto(session.url(f"{BASE}?tkn={TOKEN}"))
    file = browser_page.locator(".explorer-folders-view").get_by_role("treeitem", name=re.compile("tides.py"))
    expect(file).to_be_visible(timeout=LOADED)
    file.click()
    expect(browser_page.locator(".monaco-editor .view-line").first).to_have_text("HIGH = 1", timeout=LOADED)
    browser_page.keyboard.press("F1")
    browser_page.locator(".quick-input-widget input[type=text]").fill(">Terminal: Create New Terminal")
    browser_page.locator(".quick-input-list .monaco-list-row", has_text="Create New Terminal").first.click()
    expect(browser_page.locator(".xterm-helper-textarea")).to_be_focused(timeout=LOADED)
    browser_page.keyboard.type(
        "python -c 'import sys, six; print(sys.executable, six.__version__)' > seen; mv seen said\n"
    )
    assert read_when_written(session, f"{WORK}/said") == f"{WORK}/.venv/bin/python 1.16.0\n"


def test_its_machine_settings_select_the_sessions_python(session: Container) -> None:
    answer(session, BASE)
    settings = json.loads(session.run("cat", "/home/user/.vscodium-server/data/Machine/settings.json"))
    assert settings["python.defaultInterpreterPath"] == f"{WORK}/.venv/bin/python"
    assert (
        session.run(settings["python.defaultInterpreterPath"], "-c", "import six; print(six.__version__)") == "1.16.0\n"
    )


def test_sigterm_ends_it_within_two_seconds(session: Container) -> None:
    answer(session, BASE)
    began = time.monotonic()
    docker("kill", "--signal=TERM", session.id)
    docker("wait", session.id)
    assert time.monotonic() - began < 2

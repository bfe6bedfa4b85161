"""Make the pictures again: `make pictures`. Needs an engine, Chromium and tmux.

docs/pictures/NAME.png      a terminal and a session
docs/pictures/page/         every page as PAGE-light-desktop.png, and the like for dark and phone
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal
from urllib.request import Request, urlopen

from playwright.sync_api import Page, expect, sync_playwright
from rich.console import Console
from rich.text import Text

from builder.settings import file_in_use

PICTURES = Path(__file__).parent / "pictures"
COLUMNS, ROWS = 104, 34
BOUND = 300  # seconds


def main() -> None:
    example = run("fixtures/example")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 880})
        page.set_default_timeout(60_000)
        terminal(page, Path(example), "launchyard plan . && launchyard build . --no-cache")
        session(page, example)
        with serving(Path(example)) as service:
            pages(page, service)
        browser.close()


def terminal(page: Page, directory: Path, command: str) -> None:
    """What a person's terminal shows after a command that went well: tmux is the terminal."""
    tmux = ["tmux", "-L", "launchyard-pictures"]
    done = "launchyard-picture-done"
    told = f"clear; printf '$ %s\\n' {shlex.quote(command)}"
    with tempfile.NamedTemporaryFile("r") as code:
        shown = f"{told}; {command}; echo $? >{code.name}; {shlex.join(tmux)} wait-for -S {done}; sleep {BOUND}"
        place = (
            "-x",
            str(COLUMNS),
            "-y",
            str(ROWS),
            "-c",
            str(directory),
            f"-eLAUNCHYARD_CONFIG={file_in_use() or ''}",
        )
        run(*tmux, "new-session", "-d", *place, "sh", "-c", shown)
        try:
            run(*tmux, "wait-for", done)
            screen = run(*tmux, "capture-pane", "-e", "-p")
        finally:
            run(*tmux, "kill-server")
        assert code.read() == "0\n", screen
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.from_ansi(screen.rstrip()))
    page.set_content(console.export_html(inline_styles=True, code_format=HTML))
    page.locator("pre").screenshot(path=PICTURES / "terminal.png")


HTML = (
    '<body style="margin:0">'
    '<pre style="display:inline-block;margin:0;padding:18px 22px;background:#ffffff;color:#1b1b1b;'
    "font:14px/1.4 'DejaVu Sans Mono',monospace\">{code}</pre></body>"
)


def session(page: Page, example: str) -> None:
    """The bundled example's notebook, opened and run."""
    opened = json.loads(run("launchyard", "run", example, "--detach", "--json"))
    try:
        page.goto(opened["address"].replace("/?", "/lab/tree/hello.ipynb?"))
        expect(page.get_by_text("Python 3 | Idle")).to_be_visible()
        page.locator(".lm-MenuBar-item", has_text=re.compile(r"^Run$")).click()
        page.locator(".lm-Menu-itemLabel", has_text=re.compile(r"^Run All Cells$")).locator("visible=true").click()
        expect(page.locator(".jp-OutputArea-output img")).to_be_visible()
        page.screenshot(path=PICTURES / "session.png")
    finally:
        run("launchyard", "stop", opened["name"])


@dataclass(frozen=True)
class Service:
    """A service with a launcher of the example, which has changed since, and a build of it that failed."""

    address: str
    repository: Path

    def ask(self, path: str, document: object = None) -> Any:
        """POST a document, or nothing, or GET; the answer's JSON."""
        data = None if document is None else json.dumps(document).encode()
        headers = {"Content-Type": "application/json"}
        with urlopen(Request(f"{self.address}/api/v1{path}", data, headers), timeout=BOUND) as answer:
            return json.load(answer)

    def change(self, file: str, text: str) -> None:
        (self.repository / file).write_text(text)
        git = ("git", "-C", str(self.repository), "-c", "user.name=Ada", "-c", "user.email=ada@localhost")
        run(*git, "commit", "--quiet", "--all", f"--message=Change {file}")

    def until(self, path: str, *states: str) -> Any:
        deadline = time.monotonic() + BOUND
        while (found := self.ask(path))["state"] not in states:
            assert time.monotonic() < deadline, found
            time.sleep(0.2)
        return found

    def build(self, environment_id: str) -> Any:
        made = self.ask(f"/environments/{environment_id}/builds", {})
        return self.until(f"/builds/{made['id']}", "succeeded", "failed")


@contextmanager
def serving(example: Path) -> Iterator[Service]:
    """`launchyard serve`, with a copy of the example that can change."""
    with tempfile.TemporaryDirectory(prefix="launchyard-pictures-") as directory:
        repository = Path(directory, "tides")
        run("git", "clone", "--quiet", str(example), str(repository))
        environ = {**os.environ, "LAUNCHYARD_ALLOW_LOCAL": "true", "LAUNCHYARD_IMAGE_PREFIX": "launchyard-pictures"}
        command = ["launchyard", "serve", "--port", "0", "--state", f"{directory}/state"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ)
        try:
            assert process.stdout
            yield Service(next(line.strip() for line in process.stdout if line.startswith("http")), repository)
        finally:
            process.terminate()
            process.wait(BOUND)


def pages(page: Page, service: Service) -> None:
    """Every page, with something on it."""
    shots(page, service, {"first-visit": "/", "create": f"/launch?repo={service.repository}"})
    launcher = service.ask("/launchers", {"name": "tides", "code": {"repository": str(service.repository)}})
    environment = launcher["environment_id"]
    first = service.ask(f"/environments/{environment}/builds")["items"][0]
    service.until(f"/builds/{first['id']}", "succeeded")
    opened = service.ask(f"/launchers/{launcher['id']}/sessions", {})
    service.until(f"/sessions/{opened['id']}", "running")
    try:
        requirements = (service.repository / "requirements.txt").read_text()
        service.change("requirements.txt", requirements.replace("2.2.3", "2.3.0") + "scipy==1.15.2\n")
        second = service.build(environment)
        service.change("requirements.txt", requirements.replace("matplotlib", "matplotlob"))
        failed = service.build(environment)
        service.change("requirements.txt", requirements + "scipy==1.15.2\n")
        base = "/launchers/tides"
        shots(
            page,
            service,
            {
                "home": "/",
                "launcher": base,
                "build": f"/builds/{second['id']}",
                "failed-build": f"/builds/{failed['id']}",
                "versions": f"{base}/versions",
                "version": f"{base}/versions/2",
                "difference": f"{base}/diff?from=1&to=2",
                "session": f"{base}/sessions/{opened['id']}",
                "operator": "/operator",
            },
        )
    finally:
        request = Request(f"{service.address}/api/v1/launchers/{launcher['id']}", method="DELETE")
        with urlopen(request, timeout=BOUND):
            gone(f"{launcher['id']}-1")


def gone(session: str) -> None:
    """Wait until nothing of a session is left in the engine."""
    deadline = time.monotonic() + BOUND
    while run("docker", "volume", "ls", "--quiet", f"--filter=name={session}"):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def shots(page: Page, service: Service, paths: Mapping[str, str]) -> None:
    (PICTURES / "page").mkdir(exist_ok=True)
    for scheme, (size, (width, height)) in product(SCHEMES, SIZES.items()):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": height})
        for name, path in paths.items():
            page.goto(service.address + path)
            page.wait_for_load_state("networkidle")
            page.screenshot(path=PICTURES / "page" / f"{name}-{scheme}-{size}.png")


SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
SIZES = {"desktop": (1120, 800), "phone": (390, 844)}


def run(*command: str) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=BOUND)
    return done.stdout.strip("\n")


if __name__ == "__main__":
    main()

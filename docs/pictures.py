"""Make the README's pictures again: `make pictures`. Needs an engine, Chromium and tmux."""

from __future__ import annotations

import io
import json
import re
import shlex
import subprocess
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright
from rich.console import Console
from rich.text import Text

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
        terminal(page, Path(example), "launchyard plan . && launchyard build . --rebuild")
        session(page, example)
        browser.close()


def terminal(page: Page, directory: Path, command: str) -> None:
    """What a person's terminal shows after a command: tmux is the terminal."""
    tmux = ["tmux", "-L", "launchyard-pictures"]
    done = "launchyard-picture-done"
    told = f"clear; printf '$ %s\\n' {shlex.quote(command)}"
    shown = f"{told}; {command}; {shlex.join(tmux)} wait-for -S {done}; sleep {BOUND}"
    run(*tmux, "new-session", "-d", "-x", str(COLUMNS), "-y", str(ROWS), "-c", str(directory), "sh", "-c", shown)
    try:
        run(*tmux, "wait-for", done)
        screen = run(*tmux, "capture-pane", "-e", "-p")
    finally:
        run(*tmux, "kill-server")
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


def run(*command: str) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=BOUND)
    return done.stdout.strip("\n")


if __name__ == "__main__":
    main()

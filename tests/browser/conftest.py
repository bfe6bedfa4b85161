"""The system's Chromium, by way of Playwright."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from playwright.sync_api import Page, expect, sync_playwright

CHROMIUM = Path(__file__).with_name("steady.py")
PATIENCE = 60_000
"""Milliseconds in which a page is as it is expected to be, on a machine that does much beside."""


@pytest.fixture(scope="package")
def browser_page() -> Iterator[Page]:
    """One page for all tests of the package; each opens what it needs in it.

    While it is there, Playwright's event loop runs in this thread, and nobody else's can.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                  "--disable-background-networking", "--disable-component-update", "--disable-sync"],
        )  # fmt: skip
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        yield page
        browser.close()


Made = TypeVar("Made")


@contextmanager
def elsewhere(context: AbstractContextManager[Made]) -> Iterator[Made]:
    """A context that is entered and left in another thread: a service, whose queue bears no event loop beside it."""
    with ThreadPoolExecutor(1) as thread:
        made = thread.submit(context.__enter__).result()
        try:
            yield made
        finally:
            thread.submit(context.__exit__, None, None, None).result()

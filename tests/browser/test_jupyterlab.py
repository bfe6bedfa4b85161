"""JupyterLab from a built image, in a real browser: a cell is run and its result seen."""

from __future__ import annotations

import json
import re
import urllib.request

import pytest
from playwright.sync_api import Page, expect

from builder.buildkit import BuildKit
from builder.settings import Settings
from tests.conftest import MakeRepository, build_image
from tests.containers import Container, answer, container
from tests.repositories import ROOT

pytestmark = [pytest.mark.engine, pytest.mark.browser]

STARTED = 60_000
"""Milliseconds in which a kernel has to start, and a cell to print."""


def run_notebook(page: Page, session: Container, base: str, token: str, code: str) -> str:
    """Open a notebook of one cell with the session's kernel, run it, and give what the cell printed."""
    cell: dict[str, object] = {
        "cell_type": "code",
        "metadata": {},
        "source": code,
        "outputs": [],
        "execution_count": None,
    }
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = {"nbformat": 4, "nbformat_minor": 4, "metadata": kernel, "cells": [cell]}
    put = urllib.request.Request(
        session.url(f"{base}api/contents/try.ipynb"),
        data=json.dumps({"type": "notebook", "content": notebook}).encode(),
        headers={"Authorization": f"token {token}"},
        method="PUT",
    )
    urllib.request.urlopen(put, timeout=30).close()
    page.goto(session.url(f"{base}lab/tree/try.ipynb?token={token}"))
    expect(page.get_by_text("Python 3 | Idle")).to_be_visible(timeout=STARTED)
    page.locator(".lm-MenuBar-item", has_text=re.compile(r"^Run$")).click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile(r"^Run All Cells$")).locator("visible=true").click()
    output = page.locator(".jp-Notebook .jp-OutputArea-output").first
    expect(output).to_be_visible(timeout=STARTED)
    return output.inner_text()


@pytest.mark.parametrize(
    ("fixture", "code", "expected"),
    [  # the session's JupyterLab; the environment's own, of 2023; a kernel of conda's
        ("pip_utf16", "import sys, six; print(six.__version__, sys.version_info[:2])", "1.16.0 (3, 10)"),
        (
            "pip_old_jupyterlab",
            "import sys, traitlets; print(traitlets.__version__, sys.version_info[:2])",
            "5.9.0 (3, 10)",
        ),
        (
            "conda_python_version",
            "import sys; print(sys.prefix.startswith('/home/user/work'), sys.version_info[:2])",
            "True (3, 9)",
        ),
    ],
)
def test_a_cell_runs_on_the_users_python(
    fixture: str,
    code: str,
    expected: str,
    make_repository: MakeRepository,
    engine: BuildKit,
    settings: Settings,
    browser_page: Page,
) -> None:
    repository = make_repository(ROOT / fixture / "repository", fixture)
    built = build_image(repository, engine, settings)
    environ = {"LAUNCHYARD_BASE_PATH": "/deep/below/", "LAUNCHYARD_TOKEN": "letmein"}
    with container(built.reference, environ=environ) as session:
        assert answer(session, "/deep/below/api/contents") == 403
        assert answer(session, "/deep/below/lab?token=letmein") == 200
        seen = run_notebook(browser_page, session, "/deep/below/", "letmein", code)
    assert seen.strip() == expected

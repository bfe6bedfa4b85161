"""What tests of several packages share: a git repository made of files, and images made of repositories."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from builder.address import Address
from builder.build import Wish, build, plan
from builder.buildkit import BuildKit
from builder.engine import Engine
from builder.identity import LABEL
from builder.records import Built
from builder.settings import Settings, load
from detectors.plan import Options

PREFIX = "launchyard-test"
"""Where images of tests are named, so that they are told from a person's own."""

MakeRepository = Callable[..., Path]


def git(directory: Path, *arguments: str) -> str:
    """Run git as nobody in particular; what it prints."""
    environ = {
        **os.environ,
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org", "GIT_AUTHOR_DATE": "2024-05-01T12:00:00Z",
        "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.org",
        "GIT_COMMITTER_DATE": "2024-05-01T12:00:00Z",
    }  # fmt: skip
    done = subprocess.run(["git", *arguments], cwd=directory, env=environ, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(directory: Path, message: str = "work") -> str:
    """Commit everything that lies in a directory; the commit's id."""
    if not (directory / ".git").exists():
        git(directory, "init", "--quiet", "--initial-branch=main")
    git(directory, "add", "--all", "--force")
    git(directory, "commit", "--quiet", "--allow-empty", f"--message={message}")
    return git(directory, "rev-parse", "HEAD")


def write_repository(directory: Path, files: Mapping[str, str] | Path) -> Path:
    """Commit files, or a copy of a directory, to a new git repository; its directory."""
    if isinstance(files, Path):
        shutil.copytree(files, directory, symlinks=True)
    else:
        for path, text in files.items():
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            (directory / path).write_text(text)
    commit(directory)
    return directory


@pytest.fixture
def make_repository(tmp_path: Path) -> MakeRepository:
    """A function from files, or a directory, to a committed git repository."""

    def make(files: Mapping[str, str] | Path, name: str = "repository") -> Path:
        return write_repository(tmp_path / name, files)

    return make


@pytest.fixture(scope="session")
def engine() -> Iterator[BuildKit]:
    """The real engine; images that tests have made are removed when the last who run tests end, what stands under
    them stays.

    Tests that need one fail where none answers: `make engine` starts one.
    """
    engine = BuildKit()
    engine.inspect("launchyard-nothing")
    with Path(tempfile.gettempdir(), f"{PREFIX}.lock").open("a") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        yield engine
        with suppress(BlockingIOError):
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            ours = [tag for image in engine.images(LABEL + "key") for tag in image.tags if tag.startswith(f"{PREFIX}/")]
            engine.remove(ours)


@pytest.fixture(scope="session")
def settings() -> Settings:
    """The settings in force, with images under a name of the tests' own."""
    return replace(load(), image_prefix=PREFIX)


def build_image(
    repository: Path,
    engine: Engine,
    settings: Settings,
    *,
    frontend: str = "jupyterlab",
    options: Options | None = None,
    wish: Wish | None = None,
) -> Built:
    """Build a local repository as `launchyard build` does."""
    planned = plan(Address(str(repository), repository), None, options or Options(), frontend, settings)
    return build(planned, wish or Wish(), engine, settings, lambda event: None)


EXPECTED_SKIPS = ("no registry here has the conda program",)
"""Beginnings of the reasons for which a test may skip where CI runs."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say each skip that CI's machine should not need; pytest_sessionfinish fails for it."""
    for reason in _unexpected(terminalreporter):
        terminalreporter.write_line(f"unexpected skip: {reason}", red=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter and _unexpected(reporter) and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _unexpected(reporter: pytest.TerminalReporter) -> list[str]:
    reasons = (str(report.longrepr[2]).removeprefix("Skipped: ") for report in reporter.stats.get("skipped", ()))
    return [reason for reason in reasons if not reason.startswith(EXPECTED_SKIPS)]

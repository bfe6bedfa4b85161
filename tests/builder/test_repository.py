"""Repositories are read as git objects: local ones where they lie, remote ones fetched without their blobs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from builder.address import parse
from builder.failures.asked import AddressInvalid, GitUnusable, HostUnreachable, RefAbsent, RepositoryUnavailable
from builder.git import GitFailed, run
from builder.locks import LockTimeout, held
from builder.repository import Commit, open_commit, refs
from builder.scratch import clear
from builder.settings import Settings
from detectors.failures import BuildError
from detectors.source import find, read, walk
from tests.conftest import MakeRepository, commit, git
from tests.forge import Backend, serving

PATIENCE = 20.0
"""Seconds after which something that should have happened has not."""


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[str]:
    """The address of a git host that serves what lies in tmp_path."""
    with serving(Backend, tmp_path) as address:
        yield address


class Stalling(Backend):
    """A host that sends half of a commit, once, as soon as there is a file `stall` beside its repositories.

    It makes a file `stalled` then, and sends the other half when `stall` is gone.
    """

    def send(self, status: int, headers: dict[str, str], content: bytes = b"") -> None:
        stall, stalled = self.root / "stall", self.root / "stalled"
        if b"packfile" not in content or not stall.exists() or stalled.exists():
            super().send(status, headers, content)
            return
        half = content.index(b"packfile") + 40
        assert half < len(content)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[:half])
        stalled.touch()
        until(lambda: not stall.exists(), 2 * PATIENCE)
        with suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(content[half:])


@pytest.fixture
def stalling(tmp_path: Path) -> Iterator[str]:
    """The address of such a host; it waits for nobody at the end."""
    with serving(Stalling, tmp_path) as address:
        yield address
        (tmp_path / "stall").unlink(missing_ok=True)


def until(what: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait for something that nobody tells of."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not what():
        assert time.monotonic() < deadline
        pause.wait(0.02)


def locks(tmp_path: Path) -> list[Path]:
    """Git's own, of what a fetch into the cache of a test changes."""
    return list((tmp_path / "cache" / "git").glob("*/shallow.lock"))


def fetching(tmp_path: Path) -> list[int]:
    """Ids of the git processes that fetch into the cache of a test."""
    place = f"--git-dir={tmp_path}/cache/".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if words[0] == b"git" and words[1].startswith(place) and b"fetch" in words:
                found.append(int(process.name))
    return found


FILES = {"requirements.txt": "six\n", "lib/deep/tides.py": "HIGH = 1\n", "README.md": "words\n"}


def opened(address: str, tmp_path: Path, ref: str | None = None, *, worktree: bool = False) -> Commit:
    host = "/".join(address.split("/", 3)[:3])
    settings = replace(Settings(), allowed_hosts=(host,), cache_dir=str(tmp_path / "cache"))
    return open_commit(parse(address, settings, allow_local=True), ref, settings, worktree=worktree)


def failure(address: str, tmp_path: Path, ref: str | None = None) -> object:
    with pytest.raises(BuildError) as caught:
        opened(address, tmp_path, ref)
    return caught.value.failure


def test_a_local_repository_is_read_at_its_commit_and_not_as_it_lies(
    make_repository: MakeRepository, tmp_path: Path
) -> None:
    repository = make_repository(FILES)
    (repository / "requirements.txt").write_text("changed\n")
    found = opened(str(repository), tmp_path)
    assert found.id == git(repository, "rev-parse", "HEAD")
    assert read(found.source, "requirements.txt") == "six\n"
    assert [entry.path for entry in walk(found.source)] == ["README.md", "lib/deep/tides.py", "requirements.txt"]
    assert found.time == 1714564800


def test_the_worktree_is_read_as_it_lies_and_leaves_nothing_in_the_repository(
    make_repository: MakeRepository, tmp_path: Path
) -> None:
    repository = make_repository(FILES)
    (repository / "requirements.txt").write_text("changed\n")
    (repository / "new.txt").write_text("new\n")
    before = sorted(path.name for path in (repository / ".git" / "objects").rglob("*"))
    found = opened(str(repository), tmp_path, worktree=True)
    assert found.id == git(repository, "rev-parse", "HEAD") + "+worktree"
    assert read(found.source, "requirements.txt") == "changed\n"
    assert read(found.source, "new.txt") == "new\n"
    assert sorted(path.name for path in (repository / ".git" / "objects").rglob("*")) == before
    assert git(repository, "status", "--porcelain") == "M requirements.txt\n?? new.txt"


def test_a_remote_repository_is_fetched_without_what_nobody_reads(
    make_repository: MakeRepository, forge: str, tmp_path: Path
) -> None:
    repository = make_repository({**FILES, "data.bin": "x" * 3_000_000})
    git(repository, "config", "uploadpack.allowFilter", "true")
    found = opened(f"{forge}/repository", tmp_path)
    assert read(found.source, "requirements.txt") == "six\n"
    fetched = sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*.pack"))
    assert fetched < 10_000
    assert read(found.source, "lib/deep/tides.py") == "HIGH = 1\n"


def test_a_host_that_cannot_filter_sends_everything_and_it_works_all_the_same(
    make_repository: MakeRepository, forge: str, tmp_path: Path
) -> None:
    make_repository(FILES)
    assert read(opened(f"{forge}/repository", tmp_path).source, "lib/deep/tides.py") == "HIGH = 1\n"


def test_all_of_a_commit_is_fetched_when_a_build_needs_it(
    make_repository: MakeRepository, forge: str, tmp_path: Path
) -> None:
    repository = make_repository(FILES)
    git(repository, "config", "uploadpack.allowFilter", "true")
    found = opened(f"{forge}/repository", tmp_path)
    found.source.fetch_all()
    (repository / ".git").rename(repository / "gone")  # the host can be asked for nothing more
    assert [found.source.content(entry) for entry in walk(found.source)]


def test_a_fetch_that_was_killed_keeps_nobody_from_fetching_again(
    make_repository: MakeRepository, stalling: str, tmp_path: Path
) -> None:
    make_repository({**FILES, "data.bin": "x" * 100_000})
    (tmp_path / "stall").touch()
    with ThreadPoolExecutor(1) as apart:
        failed = apart.submit(failure, f"{stalling}/repository", tmp_path)
        until((tmp_path / "stalled").exists)
        until(lambda: locks(tmp_path))
        (killed,) = fetching(tmp_path)
        os.killpg(killed, signal.SIGKILL)
        assert isinstance(failed.result(PATIENCE), HostUnreachable)
    assert locks(tmp_path)
    assert read(opened(f"{stalling}/repository", tmp_path).source, "requirements.txt") == "six\n"


OPENS = """
import sys
from pathlib import Path
from tests.builder.test_repository import opened
opened(sys.argv[1], Path(sys.argv[2]))
"""


def test_a_fetch_ends_with_what_else_a_killed_build_has_left(
    make_repository: MakeRepository, stalling: str, tmp_path: Path
) -> None:
    make_repository(FILES)
    (tmp_path / "stall").touch()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = [sys.executable, "-c", OPENS, f"{stalling}/repository", str(tmp_path)]
    with subprocess.Popen(command, env={**os.environ, "TMPDIR": str(scratch)}) as build:
        until((tmp_path / "stalled").exists)
        build.kill()
    assert fetching(tmp_path)
    clear(scratch)
    until(lambda: not fetching(tmp_path))


def test_all_of_a_commit_is_fetched_while_nobody_else_fetches(
    make_repository: MakeRepository, stalling: str, tmp_path: Path
) -> None:
    repository = make_repository(FILES)
    git(repository, "config", "uploadpack.allowFilter", "true")
    found = opened(f"{stalling}/repository", tmp_path)
    (repository / "more.txt").write_text("more")
    commit(repository)
    (tmp_path / "stall").touch()
    (cache,) = (path for path in (tmp_path / "cache" / "git").iterdir() if path.is_dir())
    with ThreadPoolExecutor(2) as apart:
        whole = apart.submit(found.source.fetch_all)
        until((tmp_path / "stalled").exists)
        with pytest.raises(LockTimeout), held(cache.with_suffix(".lock"), 0):
            pass
        other = apart.submit(opened, f"{stalling}/repository", tmp_path)
        (tmp_path / "stall").unlink()
        whole.result(PATIENCE)
        assert read(other.result(PATIENCE).source, "more.txt") == "more"


def test_a_branch_a_tag_and_a_commit_are_found_by_name(
    make_repository: MakeRepository, forge: str, tmp_path: Path
) -> None:
    repository = make_repository(FILES)
    first = git(repository, "rev-parse", "HEAD")
    git(repository, "-c", "user.name=Ada", "-c", "user.email=a@example.org", "tag", "--annotate", "-m", "x", "v1")
    git(repository, "switch", "--quiet", "--create", "feature/tides")
    (repository / "more").write_text("x")
    second = commit(repository)
    address = f"{forge}/repository"
    assert opened(address, tmp_path, "v1").id == first
    assert opened(address, tmp_path, "feature/tides").id == second
    assert opened(address, tmp_path, first).id == first


def test_what_cannot_be_found_is_said_apart(make_repository: MakeRepository, forge: str, tmp_path: Path) -> None:
    make_repository(FILES)
    assert failure(f"{forge}/repository", tmp_path, "mian") == RefAbsent("mian", ("main",), ("main",))
    assert isinstance(failure(f"{forge}/repository", tmp_path, "0" * 40), RefAbsent)
    assert isinstance(failure(f"{forge}/elsewhere", tmp_path), RepositoryUnavailable)
    assert isinstance(failure("http://127.0.0.1:9/o/r", tmp_path), HostUnreachable)
    assert isinstance(failure(str(tmp_path), tmp_path), AddressInvalid)
    assert isinstance(failure(str(tmp_path / "repository" / "lib"), tmp_path), AddressInvalid)


def test_git_that_is_not_there_is_no_fault_of_a_repository(
    make_repository: MakeRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = make_repository({"requirements.txt": "six"})
    monkeypatch.setenv("PATH", str(tmp_path))
    found = failure(str(repository), tmp_path)
    assert isinstance(found, GitUnusable) and "not found" in found.detail


def test_git_writes_no_file_larger_than_a_fetch_may_be(make_repository: MakeRepository, tmp_path: Path) -> None:
    repository = make_repository({"requirements.txt": "six"})
    environ = {**os.environ, "GIT_TRACE": str(tmp_path / "trace")}
    bounded = replace(Settings(), limits=replace(Settings().limits, fetch_size=1_024))
    with suppress(GitFailed):  # however it ends
        run("-C", str(repository), "rev-parse", *["HEAD"] * 400, settings=bounded, environ=environ)
    assert (tmp_path / "trace").stat().st_size == 1_024


def test_a_link_out_of_the_repository_leads_nowhere(make_repository: MakeRepository, tmp_path: Path) -> None:
    repository = make_repository(FILES)
    (repository / "out").symlink_to("/etc/passwd")
    (repository / "inside").symlink_to("lib/deep")
    commit(repository)
    source = opened(str(repository), tmp_path).source
    assert read(source, "inside/tides.py") == "HIGH = 1\n"
    with pytest.raises(BuildError):
        find(source, "out")


def test_branches_and_tags_are_listed_of_a_local_repository_and_of_a_remote_one(
    make_repository: MakeRepository, forge: str, tmp_path: Path
) -> None:
    repository = make_repository(FILES)
    git(repository, "branch", "work/in-progress")
    git(repository, "tag", "--annotate", "--message=one", "v1")
    host = "/".join(forge.split("/", 3)[:3])
    settings = replace(Settings(), allowed_hosts=(host,))
    for address in (str(repository), f"{forge}/repository"):
        assert refs(parse(address, settings, allow_local=True), settings) == ("main", "work/in-progress", "v1")
    with pytest.raises(BuildError) as caught:
        refs(parse(f"{forge}/absent", settings, allow_local=True), settings)
    assert isinstance(caught.value.failure, RepositoryUnavailable)

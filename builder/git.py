"""The git program, run with nothing of the person's or the host's configuration, and bounded.

A plan is a handful of plumbing commands on objects; importing a wrapper library for them would take
longer than the commands themselves.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import tempfile
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from builder.failures.asked import GitUnusable
from builder.locks import LockTimeout, held
from builder.settings import Settings
from detectors.failures import BuildError

MAX_OUTPUT = 20_000_000
"""Bytes of one command's output that are read."""

CHEAP = 1_000_000
"""Bytes of an object that is too large which cost less to read than to start the reader anew."""

BLOCK = 512
"""Bytes of the unit in which a shell bounds files.

Format: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/ulimit.html
"""

NOT_STARTED = (126, 127)
"""What a shell ends with where a program cannot be started, or is not there.

Format: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html
"""


class GitFailed(Exception):
    """A git command ended with an error; holds what it printed."""


class ObjectTooLarge(Exception):
    """An object over the size that was to be read; `size` in bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


class Git:
    """Git on one git directory."""

    def __init__(self, directory: Path, settings: Settings, environ: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        self._settings = settings
        self._environ = dict(environ or environment(settings))
        self._reader: subprocess.Popen[bytes] | None = None

    def run(self, *arguments: str, stdin: bytes = b"") -> str:
        """What a command prints. Raises GitFailed, also when it takes longer or writes more than the limits."""
        return run(
            f"--git-dir={self.directory}", *arguments, settings=self._settings, environ=self._environ, stdin=stdin
        )

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the one that fetches into it, past the locks of git's own that a fetch which was killed has left.

        Raises GitFailed where somebody else fetches for longer than a fetch may take.
        """
        try:
            with held(self.directory.with_suffix(".lock"), self._settings.limits.fetch_time):
                for lock in self.directory.glob("*.lock"):
                    lock.unlink(missing_ok=True)
                yield
        except LockTimeout:
            raise GitFailed(f"another fetch of it has taken {self._settings.limits.fetch_time} s") from None

    def read(self, name: str, limit: int) -> bytes:
        """The content of an object of at most `limit` bytes. Raises ObjectTooLarge or GitFailed."""
        reader = self._start_reader()
        assert reader.stdin and reader.stdout
        reader.stdin.write(name.encode() + b"\n")
        reader.stdin.flush()
        deadline = time.monotonic() + self._settings.limits.fetch_time
        answer = bytearray()
        while b"\n" not in answer:
            answer += self._receive(65_536, deadline)
        header, _, content = answer.partition(b"\n")
        words = header.split()
        if len(words) != 3:
            raise GitFailed(header.decode(errors="replace").strip())
        size = int(words[2])
        if size > max(limit, CHEAP):
            self.close()
            raise ObjectTooLarge(size)
        while len(content) < size + 1:
            content += self._receive(size + 1 - len(content), deadline)
        if size > limit:
            raise ObjectTooLarge(size)
        return bytes(content[:-1])

    def close(self) -> None:
        """End the process that reads objects, if there is one; it ends with this object at the latest."""
        if self._reader:
            self._ending()
            self._reader = None

    def _start_reader(self) -> subprocess.Popen[bytes]:
        if self._reader is None:
            self._reader = subprocess.Popen(
                [*_bounded(self._settings), f"--git-dir={self.directory}", "cat-file", "--batch"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                env=self._environ, bufsize=0, start_new_session=True,
            )  # fmt: skip
            self._ending = weakref.finalize(self, _end_reader, self._reader)
        return self._reader

    def _receive(self, size: int, deadline: float) -> bytes:
        assert self._reader and self._reader.stdout
        ready, _, _ = select.select([self._reader.stdout], [], [], max(0.0, deadline - time.monotonic()))
        part = os.read(self._reader.stdout.fileno(), size) if ready else b""
        if not part:
            self.close()
            raise GitFailed("reading an object took too long" if not ready else "an object could not be read")
        return part


def run(*arguments: str, settings: Settings, environ: Mapping[str, str] | None = None, stdin: bytes = b"") -> str:
    """What a git command prints. Raises GitFailed, or BuildError(GitUnusable)."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as given:
        given.write(stdin)
        given.seek(0)
        process = subprocess.Popen(
            [*_bounded(settings), *arguments], stdin=given, stdout=output, stderr=errors,
            env=dict(environ or environment(settings)), start_new_session=True,
        )  # fmt: skip
        try:
            code = process.wait(settings.limits.fetch_time)
        except subprocess.TimeoutExpired:
            raise GitFailed(f"timed out after {settings.limits.fetch_time} s") from None
        finally:
            _kill(process)
        output.seek(0)
        errors.seek(0)
        if code:
            said = errors.read(100_000).decode(errors="replace").strip()
            if code in NOT_STARTED:
                raise BuildError(GitUnusable(said))
            raise GitFailed(said or f"git ended with {code}")
        return output.read(MAX_OUTPUT).decode(errors="surrogateescape")


def environment(settings: Settings, resolution: str = "") -> dict[str, str]:
    """The whole environment of a git command; `resolution` is where a host is found, as Address has it."""
    configuration = {
        "http.followRedirects": "false",
        "http.curloptResolve": resolution,
        "core.fsmonitor": "false",
        "gc.auto": "0",
    }
    environ = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "/bin/false",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_ALLOW_PROTOCOL": "https:http",
        "GIT_CONFIG_COUNT": str(len(configuration)),
    }
    for number, (name, value) in enumerate(configuration.items()):
        environ |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    if settings.certificates:
        environ["GIT_SSL_CAINFO"] = settings.certificates
    if directory := os.environ.get("TMPDIR"):
        environ["TMPDIR"] = directory  # by which what a killed build has left running is known
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        if value := getattr(settings, name):
            environ[name] = value
    return environ


def _bounded(settings: Settings) -> tuple[str, ...]:
    """The git program, which writes no file larger than a fetch may be, or than is allowed as it is.

    A shell sets that limit, for what runs between fork and exec of this program has it copied whole: 20 ms of a
    service of 300 MB, several times as long as git takes, and its other threads' locks with it.
    """
    blocks = settings.limits.fetch_size // BLOCK
    return "/bin/sh", "-c", f'ulimit -f {blocks} 2>/dev/null; exec git "$@"', "git"


def _end_reader(reader: subprocess.Popen[bytes]) -> None:
    assert reader.stdin and reader.stdout
    reader.stdin.close()
    _kill(reader)
    reader.stdout.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a command and what it started; its session is its own."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

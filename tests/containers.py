"""Containers of images under test: started bare, as any platform would start them."""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

BOUND = 60
"""Seconds in which a container has to do what a test waits for."""


@dataclass(frozen=True, slots=True)
class Container:
    """A running container whose port 8888 is published."""

    id: str
    port: int

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def run(self, *command: str) -> str:
        """What a command prints inside, in the environment that the session's processes have."""
        return docker("exec", self.id, *command)

    def logs(self) -> str:
        done = subprocess.run(["docker", "logs", self.id], capture_output=True, text=True, check=True)
        return done.stdout + done.stderr


@contextmanager
def container(
    reference: str, *command: str, environ: Mapping[str, str] | None = None, options: tuple[str, ...] = ()
) -> Iterator[Container]:
    """A container of an image, removed at the end."""
    variables = [f"--env={name}={value}" for name, value in (environ or {}).items()]
    started = docker("run", "--detach", "--publish=127.0.0.1::8888", *variables, *options, reference, *command).strip()
    try:
        port = int(docker("port", started, "8888/tcp").rpartition(":")[2])
        yield Container(started, port)
    finally:
        docker("rm", "--force", "--volumes", started)


def of_builds() -> set[str]:
    """Containers that builds have for a moment, to read from an image and to watch the disk: anybody's."""
    listed = docker("container", "ls", "--all", "--no-trunc", "--format={{.ID}} {{.Command}}").splitlines()
    return {line.split()[0] for line in listed if "/none" in line or "df -B1" in line}


def answer(container: Container, path: str) -> int:
    """The status with which a path answers, once anything answers at all; redirections are not followed."""
    deadline = time.monotonic() + BOUND
    while True:
        try:
            with _OPENER.open(container.url(path), timeout=10) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except OSError:
            if (
                time.monotonic() > deadline
                or docker("inspect", "--format={{.State.Running}}", container.id).strip() != "true"
            ):
                raise AssertionError(f"nothing answers:\n{container.logs()}") from None
            time.sleep(0.1)


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: object) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)

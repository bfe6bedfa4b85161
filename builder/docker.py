"""The docker command: how everything that is asked of an engine, other than a build, reaches it.

The command rather than a library: docker-py has no BuildKit, and its import alone takes half of
the half second in which an identical request is to be answered. One way for all of it honours
contexts, credential helpers and remote engines as the user has set them up.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any, Literal

from builder.failures.asked import EngineUnavailable
from builder.identity import LABEL
from detectors.failures import BuildError

COMMAND_TIME = 60
"""Seconds that a docker command may take."""


READ = f"{LABEL}read"
"""The label of a container that was made for its image to be read, and never runs; says whose TMPDIR it was for."""


LOOKING = (
    "--rm", "--network=none", "--read-only", "--cap-drop=ALL", "--memory=64m", "--pids-limit=16", "--log-driver=none",
    "--entrypoint=sh",
)  # fmt: skip
"""Options of a container that only looks at the engine's machine."""


class DockerFailed(Exception):
    """A docker command ended with an error; holds what it said, and what it printed all the same."""

    def __init__(self, said: str, output: str = "") -> None:
        super().__init__(said)
        self.output = output


class TimedOut(DockerFailed):
    """A docker command took longer than its bound."""


def run(*arguments: str, timeout: float = COMMAND_TIME) -> subprocess.CompletedProcess[bytes]:
    """A docker command that ended well. Raises DockerFailed when it did not."""
    # A session of its own: Ctrl-C is for this process, which then ends what it started in order.
    try:
        done = subprocess.run(
            ["docker", *arguments],
            capture_output=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise DockerFailed("there is no docker command on this machine") from None
    except subprocess.TimeoutExpired:
        raise TimedOut(f"docker {arguments[0]} did not answer within {timeout:.0f} s") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip() or f"docker ended with {done.returncode}"
        raise DockerFailed(said, done.stdout.decode(errors="replace"))
    return done


def docker(*arguments: str, timeout: float = COMMAND_TIME) -> str:
    """What a docker command prints. Raises DockerFailed when it fails."""
    return run(*arguments, timeout=timeout).stdout.decode(errors="replace")


def ask(*arguments: str, timeout: float = COMMAND_TIME) -> str:
    """What a docker command prints. Raises BuildError(EngineUnavailable) when it fails."""
    try:
        return docker(*arguments, timeout=timeout)
    except DockerFailed as failed:
        raise unavailable(failed) from None


def unavailable(failed: DockerFailed) -> BuildError:
    return BuildError(EngineUnavailable(str(failed)[:500]))


def labelled(*labels: str) -> list[dict[str, Any]]:
    """The engine's images that have one of the labels, each once, as `inspected` has them."""
    listed = (ask("image", "ls", "--all", "--no-trunc", "--quiet", f"--filter=label={label}") for label in labels)
    return inspected("image", *dict.fromkeys(id for ids in listed for id in ids.split()))


def inspected(kind: Literal["image", "container"], *names: str) -> list[dict[str, Any]]:
    """What `docker inspect` says of them; what is not there, or went just now, is left out.

    Raises BuildError(EngineUnavailable).
    """
    if not names:
        return []
    try:
        found = docker(kind, "inspect", "--", *names)
    except DockerFailed as failed:
        if not is_absent(failed, kind):
            raise unavailable(failed) from None
        found = failed.output or "[]"
    return list(json.loads(found))


def remove_container(name: str) -> None:
    """End and remove a container, where it is there. Raises BuildError(EngineUnavailable)."""
    try:
        docker("container", "rm", "--force", "--", name)
    except DockerFailed as failed:
        if not is_absent(failed, "container"):
            raise unavailable(failed) from None


def forget_read(directory: Path) -> None:
    """Remove what a process with this TMPDIR made to read images, and did not come to remove. Raises DockerFailed."""
    docker("container", "prune", "--force", f"--filter=label={READ}={directory}")


def is_absent(failed: DockerFailed, kind: str) -> bool:
    """Whether all that is wrong is that something is not there."""
    lines = str(failed).splitlines()
    return all(re.search(rf"no such {kind}|reference does not exist", line, re.IGNORECASE) for line in lines)

"""The Runtime that the docker command talks to: a session is a container, its work directory a volume."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from builder.failures.asked import EngineUnavailable, ImageAbsent
from builder.failures.served import PortTaken, SessionExists
from builder.service import BuildError
from launcher.records import PORT, Instance, SessionRequest

COMMAND_TIME = 60
"""Seconds that a docker command may take."""

STOP_TIME = 10
"""Seconds that a session has to end by SIGTERM; its start script needs two at most."""

LABEL = "io.launchyard.session"
PREFIX = "launchyard-session-"
"""What names of containers and volumes start with."""

REPOSITORY = "/run/repository"
"""Where a session finds a repository of this machine, read-only."""

WORK = "/home/user/work"


class DockerRuntime:
    """Sessions in an engine that this machine's loopback address reaches."""

    def start(self, request: SessionRequest) -> Instance:
        container = PREFIX + request.name
        try:
            _docker("volume", "create", f"--label={LABEL}={request.name}", "--", container)
            with tempfile.TemporaryDirectory(prefix="launchyard-") as scratch:
                environment = Path(scratch, "environment")
                environment.touch(mode=0o600)
                environment.write_text("".join(f"{name}={value}\n" for name, value in _environment(request).items()))
                how = ("--detach", "--pull=never", f"--name={container}", f"--env-file={environment}")
                where = (*_limits(request), *_places(request), *_labels(request))
                _docker("run", *how, *where, "--", request.image, *request.command)
        except BaseException as error:
            failure = _failure(error, request) if isinstance(error, DockerFailed) else None
            if not isinstance(failure, SessionExists):
                self._remove(container)
                if not request.keeps_work:
                    self._delete_work(container)
            if failure:
                raise BuildError(failure) from None
            raise
        session = self.get(request.name)
        if session is None:
            raise BuildError(EngineUnavailable(f"the container {container} is gone at once"))
        return session

    def get(self, name: str) -> Instance | None:
        try:
            return _session(json.loads(_docker("container", "inspect", "--", PREFIX + name))[0])
        except DockerFailed as failed:
            if _is_absent(failed):
                return None
            raise BuildError(EngineUnavailable(str(failed)[:500])) from None

    def list(self) -> tuple[Instance, ...]:
        listed = _checked("container", "ls", "--all", f"--filter=label={LABEL}", f'--format={{{{.Label "{LABEL}"}}}}')
        found = (self.get(name) for name in listed.split())
        return tuple(sorted((s for s in found if s), key=lambda session: session.started, reverse=True))

    def wait(self, name: str, seconds: float) -> Instance | None:
        try:
            _docker("container", "wait", "--", PREFIX + name, timeout=seconds)
        except TimedOut:
            pass
        except DockerFailed as failed:
            if not _is_absent(failed):
                raise BuildError(EngineUnavailable(str(failed)[:500])) from None
        return self.get(name)

    def logs(self, name: str, lines: int) -> tuple[str, ...]:
        try:
            done = _run("container", "logs", f"--tail={lines}", "--", PREFIX + name)
        except DockerFailed:
            return ()
        return tuple((done.stdout + done.stderr).decode(errors="replace").splitlines())[-lines:]

    def stop(self, name: str, *, delete_work: bool = False) -> None:
        container = PREFIX + name
        keeps = self._keeps_work(container)
        if keeps is not None:
            try:
                _docker("container", "stop", f"--time={STOP_TIME}", "--", container)
            except DockerFailed as failed:
                if not _is_absent(failed):
                    raise BuildError(EngineUnavailable(str(failed)[:500])) from None
            self._remove(container)
        if delete_work or keeps is False:
            self._delete_work(container)

    def _keeps_work(self, container: str) -> bool | None:
        """What a container's session was asked; None where there is no container."""
        wanted = f'--format={{{{index .Config.Labels "{LABEL}.keeps-work"}}}}'
        try:
            return _docker("container", "inspect", wanted, "--", container).strip() == "true"
        except DockerFailed as failed:
            if _is_absent(failed):
                return None
            raise BuildError(EngineUnavailable(str(failed)[:500])) from None

    def _remove(self, container: str) -> None:
        _unless_absent("container", "rm", "--force", "--volumes", "--", container)

    def _delete_work(self, volume: str) -> None:
        _unless_absent("volume", "rm", "--force", "--", volume)


class DockerFailed(Exception):
    """A docker command ended with an error; holds what it printed."""


class TimedOut(DockerFailed):
    """A docker command took longer than its bound."""


def _environment(request: SessionRequest) -> dict[str, str]:
    """What the start script reads; templates/files/session/start says what each is for."""
    variables = {
        "LAUNCHYARD_BASE_PATH": request.base_path,
        "LAUNCHYARD_TOKEN": request.token,
        "LAUNCHYARD_PORT": str(PORT),
        "LAUNCHYARD_IP": "0.0.0.0",
        "LAUNCHYARD_WORK": WORK,
    }
    if repository := REPOSITORY if request.directory else request.repository:
        variables["LAUNCHYARD_REPOSITORY"] = repository
        variables["LAUNCHYARD_COMMIT"] = request.commit
        variables["LAUNCHYARD_REF"] = request.ref
    return variables


def _limits(request: SessionRequest) -> tuple[str, ...]:
    return (
        f"--memory={request.memory}",
        f"--memory-swap={request.memory}",
        f"--pids-limit={request.processes}",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        "--log-driver=local",  # of bounded size, unlike the default
    )


def _places(request: SessionRequest) -> tuple[str, ...]:
    published = f"--publish=127.0.0.1:{request.port or ''}:{PORT}"
    work = f"--mount=type=volume,src={PREFIX}{request.name},dst={WORK}"
    if not request.directory:
        return published, work
    source = str(request.directory).replace('"', '""')  # the option's value is a line of CSV
    return published, work, f'--mount=type=bind,"src={source}",dst={REPOSITORY},readonly'


def _labels(request: SessionRequest) -> tuple[str, ...]:
    labels = {
        LABEL: request.name,
        f"{LABEL}.frontend": "none" if request.command else request.frontend,
        f"{LABEL}.base-path": request.base_path,
        f"{LABEL}.image": request.image,
        f"{LABEL}.keeps-work": "true" if request.keeps_work else "false",
    }
    return tuple(f"--label={name}={value}" for name, value in labels.items())


def _session(found: Mapping[str, Any]) -> Instance:
    labels, state = found["Config"]["Labels"], found["State"]
    variables = dict(variable.partition("=")[::2] for variable in found["Config"]["Env"])
    published = (found["NetworkSettings"]["Ports"] or {}).get(f"{PORT}/tcp") or ()
    running = bool(state["Running"])
    return Instance(
        name=labels[LABEL],
        image=labels[f"{LABEL}.image"],
        frontend=labels[f"{LABEL}.frontend"],
        state="running" if running else "ended",
        started=_seconds(state["StartedAt"]),
        url=f"http://127.0.0.1:{published[0]['HostPort']}{labels[f'{LABEL}.base-path']}" if published else "",
        token=variables.get("LAUNCHYARD_TOKEN", ""),
        exit_code=None if running else state["ExitCode"],
    )


def _seconds(text: str) -> float:
    """Seconds since 1970 of a time in UTC with nanoseconds; now for a container that is only made."""
    found = re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", text)
    return datetime.fromisoformat(f"{found[0]}+00:00").timestamp() if found and text[0] != "0" else time.time()


def _failure(failed: DockerFailed, request: SessionRequest) -> object:
    said = str(failed)
    if "is already in use by container" in said:
        return SessionExists(request.name)
    if request.port and re.search(r"port is already allocated|address already in use", said):
        return PortTaken(request.port)
    if re.search(r"no such image|unable to find image|pull access denied", said, re.IGNORECASE):
        return ImageAbsent(request.image)
    return EngineUnavailable(said[:500])


def _is_absent(failed: DockerFailed) -> bool:
    return re.search(r"no such (container|volume)|is already in progress", str(failed), re.IGNORECASE) is not None


def _unless_absent(*arguments: str) -> None:
    try:
        _docker(*arguments)
    except DockerFailed as failed:
        if not _is_absent(failed):
            raise BuildError(EngineUnavailable(str(failed)[:500])) from None


def _checked(*arguments: str) -> str:
    try:
        return _docker(*arguments)
    except DockerFailed as failed:
        raise BuildError(EngineUnavailable(str(failed)[:500])) from None


def _docker(*arguments: str, timeout: float = COMMAND_TIME) -> str:
    return _run(*arguments, timeout=timeout).stdout.decode(errors="replace")


def _run(*arguments: str, timeout: float = COMMAND_TIME) -> subprocess.CompletedProcess[bytes]:
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
        raise DockerFailed(done.stderr.decode(errors="replace").strip() or f"docker ended with {done.returncode}")
    return done

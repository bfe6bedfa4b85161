"""The Runtime that the docker command talks to: a session is a container in a network of its own, its work directory a
volume. It may write to that, to its home directory and to /tmp, and to nothing else."""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from builder.docker import DockerFailed, TimedOut, ask, docker, inspected, run, unavailable
from builder.failures.asked import EngineUnavailable, ImageAbsent
from builder.failures.served import DataGone, GpusAbsent, PortTaken, SessionExists
from builder.service import BuildError
from launcher.records import PORT, Instance, Resources, SessionRequest, Usage
from launcher.sessions import DISK_TIME

STOP_TIME = 10
"""Seconds that a session has to end by SIGTERM; its start script needs two at most."""

LABEL = "io.launchyard.session"
PREFIX = "launchyard-session-"
"""What names of containers, volumes and networks start with."""

REPOSITORY = "/run/repository"
"""Where a session finds a repository of this machine, read-only."""

DATA = "/data"

HOME = "/home/user"
WORK = f"{HOME}/work"

USER = "1000:1000"
"""Whom a session runs as, whatever its image says."""


class DockerRuntime:
    """Sessions in an engine that this machine's loopback address reaches."""

    def start(self, request: SessionRequest) -> Instance:
        container = PREFIX + request.name
        try:
            docker("volume", "create", f"--label={LABEL}={request.name}", "--", container)
            self._connect(container, request.name)
            with tempfile.TemporaryDirectory(prefix="launchyard-") as scratch:
                environment = Path(scratch, "environment")
                environment.touch(mode=0o600)
                environment.write_text("".join(f"{name}={value}\n" for name, value in _environment(request).items()))
                how = ("--detach", "--pull=never", f"--name={container}", f"--env-file={environment}")
                where = (*_limits(request.resources), *_places(request), *_labels(request))
                docker("run", *how, *where, "--", request.image, *request.command)
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
        found = inspected("container", PREFIX + name)
        return _session(found[0]) if found else None

    def list(self) -> tuple[Instance, ...]:
        ids = ask("container", "ls", "--all", "--quiet", f"--filter=label={LABEL}").split()
        sessions = map(_session, inspected("container", *ids))
        return tuple(sorted(sessions, key=lambda session: session.started, reverse=True))

    def wait(self, name: str, seconds: float) -> Instance | None:
        try:
            docker("container", "wait", "--", PREFIX + name, timeout=seconds)
        except TimedOut:
            pass
        except DockerFailed as failed:
            if not _is_absent(failed):
                raise unavailable(failed) from None
        return self.get(name)

    def logs(self, name: str, lines: int) -> tuple[str, ...]:
        try:
            done = run("container", "logs", f"--tail={lines}", "--", PREFIX + name)
        except DockerFailed:
            return ()
        return tuple((done.stdout + done.stderr).decode(errors="replace").splitlines())[-lines:]

    def usage(self, name: str) -> Usage | None:
        try:
            said = json.loads(docker("container", "stats", "--no-stream", "--format=json", "--", PREFIX + name))
        except DockerFailed as failed:
            if _is_absent(failed):
                return None
            raise unavailable(failed) from None
        if said["PIDs"] in ("0", "--"):
            return None
        memory, limit = (_bytes(part) for part in said["MemUsage"].split("/"))
        return Usage(float(said["CPUPerc"].rstrip("%")) / 100, memory, limit, int(said["PIDs"]))

    def disk(self, name: str) -> int | None:
        count = ("timeout", str(DISK_TIME), "du", "--summarize", "--block-size=1", HOME)
        try:
            said = docker("container", "exec", f"--user={USER}", "--", PREFIX + name, *count)
        except DockerFailed as failed:  # du fails where a part was not to be read, and counts the rest
            said = failed.output
        found = re.match(r"(\d+)\t", said)
        return int(found[1]) if found else None

    def stop(self, name: str, *, delete_work: bool = False) -> None:
        container = PREFIX + name
        keeps = self._keeps_work(container)
        if keeps is not None:
            try:
                docker("container", "stop", f"--time={STOP_TIME}", "--", container)
            except DockerFailed as failed:
                if not _is_absent(failed):
                    raise unavailable(failed) from None
            self._remove(container)
        if delete_work or keeps is False:
            self._delete_work(container)

    def _keeps_work(self, container: str) -> bool | None:
        """What a container's session was asked; None where there is no container."""
        wanted = f'--format={{{{index .Config.Labels "{LABEL}.keeps-work"}}}}'
        try:
            return docker("container", "inspect", wanted, "--", container).strip() == "true"
        except DockerFailed as failed:
            if _is_absent(failed):
                return None
            raise unavailable(failed) from None

    def _connect(self, network: str, name: str) -> None:
        """Make a session's network, unless a start that was cut off has left it."""
        try:
            docker("network", "create", "--driver=bridge", f"--label={LABEL}={name}", network)
        except DockerFailed as failed:
            if "already exists" not in str(failed):
                raise

    def _remove(self, container: str) -> None:
        _unless_absent("container", "rm", "--force", "--volumes", "--", container)
        _unless_absent("network", "rm", container)

    def _delete_work(self, volume: str) -> None:
        _unless_absent("volume", "rm", "--force", "--", volume)


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
    return {**request.variables, **variables}


def _limits(resources: Resources) -> tuple[str, ...]:
    return (
        *((f"--cpus={resources.cpus}",) if resources.cpus else ()),
        f"--memory={resources.memory}",
        f"--memory-swap={resources.memory}",
        *((f"--gpus={resources.gpus}",) if resources.gpus else ()),
        f"--pids-limit={resources.processes}",
        f"--user={USER}",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        "--read-only",
        f"--tmpfs=/tmp:rw,exec,nosuid,nodev,mode=1777,size={resources.memory}",  # counts as the session's memory
        "--log-driver=local",  # of bounded size, unlike the default
    )


def _places(request: SessionRequest) -> tuple[str, ...]:
    places = (
        f"--network={PREFIX}{request.name}",
        f"--publish=127.0.0.1:{request.port or ''}:{PORT}",
        f"--mount=type=volume,dst={HOME}",  # starts with what the image has there, and goes with the container
        f"--mount=type=volume,src={PREFIX}{request.name},dst={WORK}",
    )
    data = (_bound(path, f"{DATA}/{name}") for name, path in request.data.items())
    return *places, *data, *((_bound(request.directory, REPOSITORY),) if request.directory else ())


def _bound(source: Path, place: str) -> str:
    quoted = str(source).replace('"', '""')  # the option's value is a line of CSV
    return f'--mount=type=bind,"src={quoted}",dst={place},readonly'


def _labels(request: SessionRequest) -> tuple[str, ...]:
    labels = {
        LABEL: request.name,
        f"{LABEL}.frontend": "none" if request.command else request.frontend,
        f"{LABEL}.base-path": request.base_path,
        f"{LABEL}.image": request.image,
        f"{LABEL}.keeps-work": "true" if request.keeps_work else "false",
        f"{LABEL}.owner": request.owner,
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
        exhausted=not running and bool(state["OOMKilled"]),
        owner=labels.get(f"{LABEL}.owner", ""),
        command=tuple(found["Config"]["Cmd"] or ()) if labels[f"{LABEL}.frontend"] == "none" else (),
    )


def _bytes(text: str) -> int:
    """Bytes of "11.88MiB"."""
    found = re.fullmatch(r"\s*([\d.]+)([KMGT]?)i?B\s*", text)
    return int(float(found[1]) * 1_024 ** " KMGT".index(found[2] or " ")) if found else 0


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
    if found := re.search(r"bind source path does not exist: (.+)", said):
        path = found[1].strip()
        same = (path, path.removesuffix("."))  # docker before 28 makes a sentence of it
        gone = next((DataGone(name, str(data)) for name, data in request.data.items() if str(data) in same), None)
        return gone or EngineUnavailable(said[:500])
    # Docker where it has no driver for GPUs; NVIDIA's where it has too few: https://github.com/NVIDIA/nvidia-docker/issues/1283
    if request.resources.gpus and re.search(r"capabilities: \[\[gpu|nvidia-container-cli: device error", said):
        return GpusAbsent(request.resources.gpus, said[:500])
    return EngineUnavailable(said[:500])


def _is_absent(failed: DockerFailed) -> bool:
    gone = r"no such (container|volume)|network \S+ not found|is already in progress"
    return re.search(gone, str(failed), re.IGNORECASE) is not None


def _unless_absent(*arguments: str) -> None:
    try:
        docker(*arguments)
    except DockerFailed as failed:
        if not _is_absent(failed):
            raise unavailable(failed) from None

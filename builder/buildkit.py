"""The Engine of Docker and BuildKit, by way of the docker command."""

from __future__ import annotations

import codecs
import contextlib
import io
import json
import os
import re
import signal
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from secrets import token_hex
from typing import Any

from builder import disk
from builder.docker import (
    COMMAND_TIME,
    READ,
    DockerFailed,
    ask,
    docker,
    inspected,
    labelled,
    remove_container,
    unavailable,
)
from builder.engine import BuildFailed, BuildRequest, BuildTimeout, DiskLow, Image, Log, Report, Step
from builder.failures.asked import PushFailed, RecordInvalid
from builder.quantities import size_of
from builder.settings import Limits
from builder.transcript import Transcript
from detectors.failures import BuildError

PULL_TIME = 600
"""Seconds that fetching an image from a registry may take: building it takes no longer."""

MAX_PROGRESS = 16_000_000
"""Characters that one message about a build's progress may have."""

KEPT_REST = 20_000
"""Characters that are kept of what is no such message: an error of buildx's own."""

MAX_READ = 50_000_000
"""Bytes that are read out of an image at the most."""

READ_TIME = 300
"""Seconds after which nobody reads from it any more: making it and copying out of it are commands of COMMAND_TIME."""


class BuildKit:
    """The Engine that the docker command talks to."""

    def inspect(self, reference: str) -> Image | None:
        found = inspected("image", reference)
        return _image(found[0]) if found else None

    def build(self, request: BuildRequest, report: Report) -> str:
        with tempfile.TemporaryDirectory(prefix="launchyard-") as scratch:
            image_id = Path(scratch, "id")
            command = ["docker", "buildx", "build", "--load", "--progress=rawjson", "--provenance=false",
                       "--sbom=false",
                       f"--iidfile={image_id}", "--build-arg=SOURCE_DATE_EPOCH=0"]  # fmt: skip
            command += [f"--label={name}={value}" for name, value in sorted(request.labels.items())]
            command += [f"--build-arg={name}={value}" for name, value in sorted(request.arguments.items())]
            command += confinement(request.owner, request.limits)
            for name, content in request.secrets.items():
                secret = Path(scratch, name)
                secret.touch(mode=0o600)
                secret.write_bytes(content)
                command.append(f"--secret=id={name},src={secret}")
            try:
                _Build(request, report).run([*command, "-"])
            except DiskLow:
                forget_caches(request.owner)
                raise
            return image_id.read_text().strip()

    def layers(self, reference: str) -> tuple[int, ...]:
        form = "--format={{.Size}} {{.CreatedBy}}"
        listed = ask("image", "history", "--no-trunc", "--human=false", form, "--", reference)
        made = re.findall(r"^(\d+) (?:COPY|RUN) ", listed, re.MULTILINE)
        return tuple(map(int, reversed(made)))

    def tag(self, image_id: str, *references: str) -> None:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(4) as several:  # most of a docker command's time is its start
            list(several.map(lambda reference: ask("image", "tag", "--", image_id, reference), references))

    def pull(self, reference: str) -> Image | None:
        try:
            docker("image", "pull", "--quiet", "--", reference, timeout=PULL_TIME)
        except DockerFailed:
            return None
        return self.inspect(reference)

    def push(self, reference: str) -> str:
        try:
            said = docker("image", "push", "--", reference, timeout=1_800)
        except DockerFailed as failed:
            raise BuildError(PushFailed(reference, str(failed)[-500:])) from None
        found = re.search(r"digest: (sha256:[0-9a-f]{64})", said)
        if not found:
            raise BuildError(PushFailed(reference, said[-500:]))
        return found[1]

    def read(self, reference: str, directory: str) -> Mapping[str, bytes]:
        container = f"launchyard-read-{token_hex(8)}"  # known before it is there, for who is interrupted meanwhile
        label = f"--label={READ}={os.environ.get('TMPDIR', '')}"
        try:
            ask("container", "create", f"--name={container}", label, "--entrypoint=/none", "--", reference)
            return _files(_copied(f"{container}:{directory}"))
        except DockerFailed as failed:
            if "Could not find the file" in str(failed):
                return {}
            raise unavailable(failed) from None
        except (tarfile.TarError, OverflowError) as error:
            raise BuildError(RecordInvalid(directory, str(error))) from None
        finally:
            remove_container(container)

    def images(self, label: str) -> Iterable[Image]:
        found = labelled(label)
        return tuple(_image(i) for i in sorted(found, key=lambda i: str(i.get("Created", "")), reverse=True))

    def usage(self) -> Mapping[str, int]:
        said = map(json.loads, ask("system", "df", "--format=json").splitlines())
        return {f"the engine's {part['Type'].lower()}": size_of(part["Size"]) for part in said}

    def tidy(self) -> None:
        ask("container", "prune", "--force", f"--filter=label={READ}", f"--filter=until={READ_TIME}s")

    def remove(self, references: Iterable[str]) -> None:
        for reference in references:
            try:
                docker("image", "rm", "--", reference)
            except DockerFailed as failed:
                if not re.search(r"conflict|no such image", str(failed), re.IGNORECASE):
                    raise unavailable(failed) from None


class _Build:
    """One run of `docker buildx build`: sends the context, reads the progress, keeps what explains a failure."""

    def __init__(self, request: BuildRequest, report: Report) -> None:
        self._request = request
        self._report = report
        self._names: dict[str, str] = {}
        self._transcript = Transcript(request.limits.build_log, request.hidden)
        self._failed: Step | None = None
        self._running: dict[str, str] = {}
        self._stopped: BuildFailed | None = None

    def run(self, command: list[str]) -> None:
        with tempfile.TemporaryFile() as context:
            self._request.write_context(context)
            context.seek(0)
            # A session of its own: Ctrl-C reaches this process, which then ends the build in order.
            process = subprocess.Popen(
                command, stdin=context, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
                env={**os.environ, "DOCKER_CLI_HINTS": "false"},
            )  # fmt: skip
        assert process.stderr
        rest = ""
        try:
            with self._bounded(process):
                rest = self._follow(process.stderr)
                process.wait()
        finally:
            _end(process)
            process.stderr.close()
        if self._stopped:
            raise self._stopped
        if process.returncode:
            raise self._failure(rest)

    @contextlib.contextmanager
    def _bounded(self, process: subprocess.Popen[bytes]) -> Iterator[None]:
        """End the build when its time is over, or the engine's disk runs low."""
        limits = self._request.limits

        def expire() -> None:
            step = self._current()  # asked first: what is cancelled runs no more
            self._stop(process, BuildTimeout(step, "timed out", self._transcript.last(step)))

        def low(free: int) -> None:
            self._stop(process, DiskLow(self._current(), free, limits.disk_free))

        watch = disk.watched(self._request.watch, limits.disk_free, low) if self._request.watch else None
        with _after(limits.build_time, expire), watch or contextlib.nullcontext():
            yield

    def _stop(self, process: subprocess.Popen[bytes], why: BuildFailed) -> None:
        if self._stopped is None:
            self._stopped = why
            _end(process)

    def _follow(self, stream: Any) -> str:
        rest = ""
        for value in _json_values(stream):
            if isinstance(value, str):
                rest = self._transcript.plain(value)
                continue
            for vertex in value.get("vertexes") or ():
                self._names.setdefault(vertex["digest"], vertex.get("name", ""))
            for log in value.get("logs") or ():
                self._log(log)
            for vertex in value.get("vertexes") or ():
                self._vertex(vertex)
        return rest

    def _vertex(self, vertex: Mapping[str, Any]) -> None:
        name = self._names[vertex["digest"]]
        step = Step(
            name,
            _seconds(vertex.get("started")),
            _seconds(vertex.get("completed")),
            bool(vertex.get("cached")),
            vertex.get("error", ""),
        )
        if step.started and not step.completed:
            self._running[vertex["digest"]] = name
        if step.completed:
            self._running.pop(vertex["digest"], None)
            self._say(name, self._transcript.end(name))
        if step.error and "context canceled" not in step.error and self._failed is None:
            self._failed = step
        self._report(step)

    def _log(self, log: Mapping[str, Any]) -> None:
        import base64

        name = self._names.get(log["vertex"], "")
        printed = base64.b64decode(log.get("data") or "")
        self._say(name, self._transcript.add(name, log.get("stream", 1), printed))

    def _say(self, name: str, text: str) -> None:
        if text:
            self._report(Log(name, text))

    def _current(self) -> str:
        return next(iter(list(self._running.values())), "")

    def _failure(self, rest: str) -> BuildFailed:
        if self._failed:
            return BuildFailed(self._failed.name, self._failed.error, self._transcript.last(self._failed.name))
        return BuildFailed(self._current(), rest.strip())


def confinement(owner: str, limits: Limits) -> list[str]:
    """The options by which a build is bounded and kept apart; BuildKit counts limits among what makes a step."""
    # A limit of processes would not hold: build steps are root, whom the kernel exempts from it.
    bounded = [f"--ulimit=data={limits.build_memory}", "--ulimit=core=0"]
    group = [f"--cgroup-parent={limits.cgroup_parent}"] if limits.cgroup_parent else []
    return [*(_apart(owner) if owner else ()), *bounded, *group]


def _apart(owner: str) -> list[str]:
    """Keep an owner's cache mounts apart, and by an argument of the templates' the steps that use them.

    BuildKit takes a step as done whatever cache it was done with, so the mounts alone are not enough:
    https://docs.docker.com/reference/dockerfile/#buildkit-built-in-build-args
    """
    return [f"--build-arg={name}={owner}" for name in ("BUILDKIT_CACHE_MOUNT_NS", "OWNER")]


def forget_caches(owner: str) -> None:
    """Remove an owner's cache mounts: the one thing that outlives a build which filled the disk."""
    records = ask("buildx", "du", "--verbose", "--filter=type=exec.cachemount").split("\n\n")
    for record in records:
        found = re.search(r'^ID:\s*(\S+).*with id "(.*?)/launchyard"$', record, re.MULTILINE | re.DOTALL)
        if found and found[2] == owner:
            ask("buildx", "prune", "--force", f"--filter=id={found[1]}")


def _copied(path: str) -> bytes:
    """A path of a container as a tar. Raises OverflowError where it is larger than MAX_READ."""
    with tempfile.TemporaryFile() as errors:
        command = ["docker", "container", "cp", path, "-"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors) as process:
            assert process.stdout
            try:
                with _after(COMMAND_TIME, process.kill):
                    archive = process.stdout.read(MAX_READ + 1)
                    if len(archive) > MAX_READ:
                        raise OverflowError(f"more than {MAX_READ:,} bytes")
                    process.wait()
            finally:
                process.kill()
        if process.returncode:
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip()
            raise DockerFailed(said or f"docker container cp did not end within {COMMAND_TIME} s")
    return archive


@contextlib.contextmanager
def _after(seconds: float, act: Callable[[], None]) -> Iterator[None]:
    """Act when the block takes longer."""
    timer = threading.Timer(seconds, act)
    timer.daemon = True  # a process that is interrupted does not wait for it
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _image(found: Mapping[str, Any]) -> Image:
    digests = [digest.partition("@")[2] for digest in found.get("RepoDigests") or ()]
    return Image(
        id=found["Id"],
        tags=tuple(found.get("RepoTags") or ()),
        labels=found["Config"].get("Labels") or {},
        size=found["Size"],
        digest=digests[0] if digests else None,
    )


def _files(archive: bytes) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isfile() else None
            if content:
                files[member.name.partition("/")[2] or member.name] = content.read()
    return files


def _json_values(stream: Any) -> Iterator[Any]:
    """JSON values of a stream, which older versions of buildx spread over lines; what is none comes last, as text."""
    decoder = json.JSONDecoder()
    characters = codecs.getincrementaldecoder("utf-8")(errors="replace")
    pending = ""
    while part := os.read(stream.fileno(), 65_536):
        pending += characters.decode(part)
        while b"}" in part and (pending := pending.lstrip()).startswith("{"):
            try:
                value, end = decoder.raw_decode(pending)
            except json.JSONDecodeError:
                break
            yield value
            pending = pending[end:]
        if len(pending) > MAX_PROGRESS:
            pending = pending[-KEPT_REST:]
    if pending.strip():
        yield pending[-KEPT_REST:]


def _seconds(time: str | None) -> float | None:
    if not time:
        return None
    from datetime import datetime

    # Nanoseconds are more than datetime reads.
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", time).replace("Z", "+00:00")).timestamp()


def _end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM lets BuildKit cancel and clean up; what does not end by it is killed."""
    if process.poll() is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

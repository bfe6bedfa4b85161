"""What BuildKit is asked for beside a build, and how its progress is read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import tracemalloc
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from builder import buildkit, prune
from builder import docker as docker_command
from builder.bounds import _SAY, Group, _limits, bounds, group, probe
from builder.buildkit import KEPT_REST, MAX_PROGRESS, BuildKit, _json_values, forget_caches
from builder.context import Context
from builder.engine import BuildFailed, BuildRequest, Log, Step
from builder.failures import explain
from builder.settings import Limits, Settings, load
from detectors.failures import BuildError
from tests.containers import docker
from tests.trouble import engine_gone


def request(dockerfile: str, owner: str = "", hidden: tuple[str, ...] = (), **limits: int) -> BuildRequest:
    context = Context(dockerfile, {})
    bounded = Limits(**{"build_time": 120, **limits})  # type: ignore[arg-type]
    return BuildRequest(lambda stream: context.write_tar(stream, None, 0), owner=owner, hidden=hidden, limits=bounded)


def said(engine: BuildKit, asked: BuildRequest) -> str:
    """What the steps of a build print; its image is removed."""
    printed: list[str] = []

    def report(event: Step | Log) -> None:
        if isinstance(event, Log):
            printed.append(event.text)

    engine.remove([engine.build(asked, report)])
    return "".join(printed)


@contextmanager
def piped(*parts: bytes) -> Iterator[object]:
    """A stream to which another thread writes."""
    reading, writing = os.pipe()

    def write() -> None:
        with open(writing, "wb", buffering=0) as stream:
            for part in parts:
                stream.write(part)

    thread = threading.Thread(target=write)
    thread.start()
    with open(reading, "rb") as stream:
        yield stream
    thread.join()


def test_values_are_read_however_they_are_spread_over_lines() -> None:
    with piped(b'{"a": 1}{"b":\n', b'{"c": "caf\xc3', b'\xa9"}}\n', b"ERROR: no builder\n") as stream:
        assert list(_json_values(stream)) == [{"a": 1}, {"b": {"c": "café"}}, "ERROR: no builder\n"]


def test_progress_without_an_end_takes_no_memory() -> None:
    with piped(b'{"logs": [{"data": "', *(b"x" * 1_000_000 for _ in range(100)), b"the end") as stream:
        tracemalloc.start()
        values = list(_json_values(stream))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 5 * MAX_PROGRESS
    assert [len(value) for value in values] == [KEPT_REST]
    assert values[-1].endswith("the end")


HANGING = """#!/bin/sh
[ $2 = cp ] || exit 0
exec 3>"$0.said"
echo reading >&3
exec sleep 60
"""

READING = """
import signal
from builder.buildkit import BuildKit
signal.signal(signal.SIGINT, signal.default_int_handler)  # which shells take from what runs in the background
BuildKit().read("image", "/")
"""


def test_a_process_that_is_interrupted_while_it_reads_from_an_image_ends_at_once(tmp_path: Path) -> None:
    docker, said = tmp_path / "docker", tmp_path / "docker.said"
    docker.write_text(HANGING)
    docker.chmod(0o755)
    os.mkfifo(said)
    process = subprocess.Popen(
        [sys.executable, "-c", READING],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    with said.open() as reading:
        assert reading.readline() == "reading\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == -signal.SIGINT
        assert reading.read() == "", "what it ran has ended as well"


@pytest.mark.engine
def test_steps_of_one_owner_take_neither_the_cache_nor_the_results_of_another() -> None:
    engine, word = BuildKit(), uuid.uuid4().hex
    base = load().bases.debian
    dockerfile = (
        f"FROM {base}\nARG OWNER\nRUN --mount=type=cache,id=launchyard,target=/cache"
        f" echo {word} found $(cat /cache/{word}); echo it > /cache/{word}\n"
    )
    owners = [f"test-{uuid.uuid4().hex[:12]}" for _ in range(2)]
    try:
        for owner in owners:
            # What stands in the cache is not seen; and it would print nothing, had its step been taken as done.
            assert f"{word} found\n" in said(engine, request(dockerfile, owner))
            assert "found" not in said(engine, request(dockerfile, owner))
    finally:
        for owner in owners:
            forget_caches(owner)
    assert not any(owner in docker("buildx", "du", "--verbose", "--filter=type=exec.cachemount") for owner in owners)


@pytest.mark.engine
def test_one_process_of_a_build_has_no_more_memory_than_it_may() -> None:
    dockerfile = (
        f"FROM {load().bases.python.replace('{version}', '3.10')}\n"
        f"RUN echo {uuid.uuid4().hex}; python3 -c 'bytes(400_000_000)'\n"
    )
    with pytest.raises(BuildFailed) as raised:
        BuildKit().build(request(dockerfile, build_memory=300_000_000), lambda event: None)
    assert raised.value.lines[-1] == "MemoryError"


@pytest.mark.engine
def test_a_password_that_a_step_prints_is_neither_reported_nor_in_the_failure() -> None:
    word = uuid.uuid4().hex
    events: list[Step | Log] = []
    with pytest.raises(BuildFailed) as raised:
        BuildKit().build(
            request(
                f"FROM {load().bases.debian}\nRUN echo 'it is {word}' | tr a-z A-Z; exit 1\n", hidden=(word.upper(),)
            ),
            events.append,
        )
    assert raised.value.lines == ("IT IS ***",)
    assert [event.text for event in events if isinstance(event, Log)] == ["IT IS ***\n"]


@pytest.mark.engine
def test_bounds_that_are_said_to_hold_are_those_a_step_finds() -> None:
    settings = load()
    image = settings.bases.python.replace("{version}", "3.10")
    found = {bound.name: bound for bound in bounds(settings, image)}
    assert list(found) == ["build time", "build log", "build disk", "build memory", "build processes", "build reach"]
    assert found["build time"].holds and found["build log"].holds
    assert all(bound.fix for bound in found.values() if not bound.holds)
    probed = probe(settings, image)
    assert probed.process_memory == settings.limits.build_memory
    shared = group(settings.limits.cgroup_parent, image)
    assert found["build memory"].holds == (shared.memory is not None)
    assert found["build processes"].holds == (shared.processes is not None)
    assert probed.memory in (shared.memory, None)  # version 2 shows a step its own group's only
    assert found["build reach"].holds == (not probed.link_local)


@pytest.mark.engine
def test_what_a_group_allows_is_asked_of_the_engines_machine_and_one_that_is_not_there_allows_all() -> None:
    image = load().bases.debian
    assert group("", image) == group("/no-such-group", image) == Group(None, None)
    assert group("/", "launchyard-test/no-such-image") == Group(None, None)


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"memory/g/memory.limit_in_bytes": "18000", "pids/g/pids.max": "4096"}, Group(18000, 4096)),
        ({"memory/g/memory.limit_in_bytes": "9223372036854771712", "pids/g/pids.max": "max"}, Group(None, None)),
        ({"g/memory.max": "18000", "g/pids.max": "4096"}, Group(18000, 4096)),
        ({"g/memory.max": "max", "g/pids.max": "max"}, Group(None, None)),
        ({"memory.max": "18000"}, Group(None, None)),
    ],
)
def test_limits_of_a_group_are_read_as_either_version_writes_them(
    files: dict[str, str], found: Group, tmp_path: Path
) -> None:
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(f"{text}\n")
    assert _limits(subprocess.check_output(["sh", "-c", _SAY, "sh", "g"], cwd=tmp_path, text=True)) == found


@pytest.mark.engine
def test_a_floor_above_what_is_free_is_a_bound_that_does_not_hold() -> None:
    settings = Settings(limits=replace(Limits(), disk_free=1 << 60))
    disk = next(bound for bound in bounds(settings, load().bases.debian) if bound.name == "build disk")
    assert not disk.holds
    assert "prune" in disk.fix


@pytest.mark.engine
def test_container_that_a_reader_could_not_remove_goes_when_nobody_reads_it_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = BuildKit()
    monkeypatch.setattr(buildkit, "READ", f"{docker_command.READ}-{uuid.uuid4().hex}")  # nobody else's are in the way
    image = engine.build(request(f"FROM {load().bases.debian}\nLABEL of={uuid.uuid4().hex}\n"), lambda event: None)
    with engine_gone("X-Docker-Container-Path-Stat", tmp_path), pytest.raises(BuildError):
        engine.read(image, "/etc")
    left = ("container", "ls", "--all", "--quiet", f"--filter=ancestor={image}")
    assert len(docker(*left).split()) == 1
    engine.tidy()
    assert len(docker(*left).split()) == 1, "somebody may still read it"
    monkeypatch.setattr(buildkit, "READ_TIME", -1)  # the engine compares whole seconds
    for other in ("_images", "_build_cache"):
        monkeypatch.setattr(prune, other, lambda *rest: ())
    settings = Settings(cache_dir=str(tmp_path / "cache"), state_dir=str(tmp_path / "state"))
    assert list(prune.prune(settings, older_than=1, keep=None, dry_run=False)) == []
    assert docker(*left) == ""
    engine.remove([image])
    assert engine.inspect(image) is None


@pytest.mark.engine
def test_an_image_that_goes_while_images_are_listed_and_removed_is_not_the_engine_that_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    engine, label, listing = BuildKit(), f"lytest.{uuid.uuid4().hex}", docker_command.ask
    stays, goes = (
        engine.build(
            request(f"FROM {load().bases.debian}\nLABEL {label}=yes io.launchyard.key={n}\n"), lambda event: None
        )
        for n in range(2)
    )

    def listed(*arguments: str) -> str:
        found = listing(*arguments)
        engine.remove([goes])
        return found

    assert {image["Id"] for image in docker_command.labelled(label, label)} == {stays, goes}
    kept = next(image for image in prune._listed() if image.id == goes)
    monkeypatch.setattr(docker_command, "ask", listed)
    assert [image.id for image in engine.images(label)] == [stays]
    assert prune._remove(kept, tmp_path / "lock", dry_run=False) is False
    engine.remove([stays])
    assert docker_command.labelled(label) == []


@pytest.mark.engine
def test_an_engine_that_answers_with_an_error_is_not_said_not_to_answer(tmp_path: Path) -> None:
    with pytest.raises(BuildError) as raised:
        BuildKit().layers("lytest-cli/no-such-image")
    assert explain(raised.value.failure).title == "The Docker engine answered with an error"
    with engine_gone("before", tmp_path), pytest.raises(BuildError) as raised:
        BuildKit().layers("lytest-cli/no-such-image")
    assert explain(raised.value.failure).title == "No Docker engine answers"

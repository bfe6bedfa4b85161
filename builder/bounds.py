"""Bounds: what holds builds in on an engine. Some are Launchyard's own and always there; the rest is tried."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from builder import disk
from builder.buildkit import BuildKit
from builder.context import Context, reference
from builder.docker import LOOKING, DockerFailed, docker
from builder.engine import BuildRequest, Log, Step
from builder.quantities import size_in_words
from builder.settings import Limits, Settings

PROBE_TIME = 60
"""Seconds that the probe may take."""

_SAY = """\
for file in memory/"$1"/memory.limit_in_bytes pids/"$1"/pids.max "$1"/memory.max "$1"/pids.max; do
    if [ -e "$file" ]; then echo "${file##*/} $(cat "$file")"; fi
done
"""
"""The files of both versions: https://docs.kernel.org/admin-guide/cgroup-v1/, …/cgroup-v2.html."""

_NONE = 1 << 60
"""Version 1 says for no bound of memory 2^63 less a page."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What a build step found of its own bounds; builder/probe.py describes them."""

    memory: int | None
    process_memory: int | None
    link_local: bool


@dataclass(frozen=True, slots=True)
class Group:
    """What a cgroup on the engine's machine leaves to all that is in it; None where it bounds nothing."""

    memory: int | None = None
    processes: int | None = None


@dataclass(frozen=True, slots=True)
class Bound:
    """One thing that builds could take too much of: whether it is bounded, by what, and what to do where it is not."""

    name: str
    holds: bool
    found: str
    fix: str = ""


def bounds(settings: Settings, image: str) -> Iterator[Bound]:
    """All of them. `image` is one with Python that the engine has. Raises BuildFailed or BuildError."""
    limits = settings.limits
    yield Bound("build time", True, f"{limits.build_time} s, then all its processes are ended: limits.build_time")
    yield Bound("build log", True, f"{size_in_words(limits.build_log)} are shown and kept: limits.build_log")
    yield _disk(limits, image)
    found = probe(settings, image)
    shared = group(limits.cgroup_parent, image)
    yield _memory(limits, found, shared)
    yield _processes(shared)
    yield _reach(found)


def probe(settings: Settings, image: str) -> Probed:
    """Ask a build step, which is built on `image` and bounded as all are, and is not kept."""
    context = Context(
        f"FROM {reference(image)}\nARG NOW\nRUN --mount=type=bind,source=probe.py,target=/probe.py python3 /probe.py\n",
        {"probe.py": Path(__file__).with_name("probe.py").read_bytes()},
    )
    printed: list[str] = []

    def report(event: Step | Log) -> None:
        if isinstance(event, Log):
            printed.append(event.text)

    engine = BuildKit()
    limits = Limits(
        build_time=PROBE_TIME, build_memory=settings.limits.build_memory, cgroup_parent=settings.limits.cgroup_parent
    )
    arguments = {"NOW": str(time.time_ns())}  # what was in force another time says nothing
    request = BuildRequest(lambda stream: context.write_tar(stream, None, 0), arguments=arguments, limits=limits)
    engine.remove([engine.build(request, report)])
    return Probed(**json.loads("".join(printed)))


def group(name: str, image: str) -> Group:
    """The cgroup that builds are in, as a container sees it: the engine may be on another machine.

    Nothing is tried. Whoever takes all processes of a group, to count them, takes them from the builds that run.
    Where the engine lets no container look, nothing is bounded as far as can be seen.
    """
    if not name:
        return Group()
    try:
        said = docker(
            "run", *LOOKING, "--pull=never", "--volume=/sys/fs/cgroup:/cgroup:ro", "--workdir=/cgroup",
            "--", image, "-c", _SAY, "sh", name.strip("/"),
        )  # fmt: skip
    except DockerFailed:
        return Group()
    return _limits(said)


def _limits(said: str) -> Group:
    limits = dict(line.split() for line in said.splitlines())
    numbers = {file: int(text) for file, text in limits.items() if text != "max" and int(text) < _NONE}
    return Group(numbers.get("memory.limit_in_bytes", numbers.get("memory.max")), numbers.get("pids.max"))


def _disk(limits: Limits, image: str) -> Bound:
    free = disk.free(image)
    floor = f"a build is ended under {size_in_words(limits.disk_free)}: limits.disk_free"
    if free is None:
        return Bound("build disk", False, "no container of the engine's says what is free: nothing is watched",
                     f"See why `docker run --rm {image} df /` fails.")  # fmt: skip
    fix = "`launchyard prune` removes what nobody used for a while."
    return Bound("build disk", free >= limits.disk_free, f"{size_in_words(free)} free; {floor}", fix)


_CGROUP = (
    "Make a cgroup with limits of memory and of processes on the engine's machine, and name it in "
    "limits.cgroup_parent; fixtures/bases/engine does so for an engine that it started."
)


def _memory(limits: Limits, found: Probed, shared: Group) -> Bound:
    each = "unbounded" if found.process_memory is None else size_in_words(found.process_memory)
    own = f"a process {each}: limits.build_memory"
    all_of_it = found.memory or shared.memory
    if all_of_it is None:
        return Bound("build memory", False, f"{own}; a build all that the engine has", _CGROUP)
    return Bound("build memory", True, f"{own}; builds together {size_in_words(all_of_it)}: their cgroup")


def _processes(shared: Group) -> Bound:
    if shared.processes is None:
        return Bound("build processes", False, "no bound", _CGROUP)
    return Bound("build processes", True, f"at most {shared.processes:,} at once, of all builds: their cgroup")


def _reach(found: Probed) -> Bound:
    fix = "Reject 169.254.0.0/16, but for port 53, in the chain DOCKER-USER of the engine's machine."
    if found.link_local:
        return Bound("build reach", False, "169.254.169.254 answers a build: a cloud's own credentials are there", fix)
    return Bound("build reach", True, "link-local addresses do not answer a build; other networks are not kept from it")

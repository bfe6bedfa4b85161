"""The images that builds stand on: one of tools, and one for each frontend. Built on first need."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

from builder.context import TEMPLATES, Content, Context, reference, render
from builder.engine import BuildRequest, Engine, Image, Report, Step
from builder.failures.asked import FrontendUnavailable, SettingsInvalid
from builder.identity import LABEL, digest_of
from builder.locks import held
from builder.settings import Settings
from builder.settings import secrets as passwords
from detectors.failures import BuildError


class Parent(NamedTuple):
    """An image that other images are built from; its reference names its content."""

    name: str
    context: Context
    reference: str
    fetches: Callable[[], dict[str, bytes]] = dict
    """Files too large to be part of an identity's reading, loaded when the image is built."""


def tools(settings: Settings) -> Parent:
    """Compilers and the tools that decide and install versions."""
    return _tools(settings.bases.debian, settings.image_prefix)


def session(frontend: str, settings: Settings) -> Parent:
    """What a session needs beside its environment, for one frontend.

    Raises BuildError(FrontendUnavailable).
    """
    check_frontend(frontend, settings)
    archives: tuple[tuple[str, str], ...] = ()
    if frontend == "vscodium":
        archives = (
            (settings.vscodium.archive, settings.vscodium.sha256),
            *sorted(settings.vscodium.extensions.items()),
        )
    return _session(frontend, settings.bases.debian, settings.image_prefix, tools(settings).reference, archives)


def check_frontend(frontend: str, settings: Settings) -> None:
    """Raises BuildError(FrontendUnavailable) when this installation was not told where its program is."""
    if frontend == "vscodium" and not (settings.vscodium.archive and settings.vscodium.sha256):
        raise BuildError(FrontendUnavailable(frontend, ("vscodium.archive", "vscodium.sha256")))


def ensure(
    needed: Sequence[Parent], engine: Engine, settings: Settings, secrets: Mapping[str, bytes], report: Report
) -> list[Image | None]:
    """The images of parents, each built in its turn unless the engine has it."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(needed)) as several:  # most of an answer's time is its command's start
        there = list(several.map(engine.inspect, (parent.reference for parent in needed)))
    return [
        image or _built(parent, engine, settings, secrets, report) for parent, image in zip(needed, there, strict=True)
    ]


def _built(
    parent: Parent, engine: Engine, settings: Settings, secrets: Mapping[str, bytes], report: Report
) -> Image | None:
    """Two who need it at once build it once."""
    lock = Path(settings.state_dir, "locks", f"parent-{parent.reference.rpartition(':')[2]}")
    with held(lock, settings.limits.build_time):
        if image := engine.inspect(parent.reference):
            return image
        context = Context(parent.context.dockerfile, {**parent.context.files, **parent.fetches()})
        image_id = engine.build(
            BuildRequest(
                write_context=lambda stream: context.write_tar(stream, None, 0),
                labels=labels(parent),
                secrets=secrets,
                hidden=passwords(settings),
                limits=settings.limits,
            ),
            lambda event: report(replace(event, parent=parent.name) if isinstance(event, Step) else event),
        )
        engine.tag(image_id, parent.reference)
        return engine.inspect(parent.reference)


def labels(parent: Parent) -> dict[str, str]:
    """The labels that a parent is built with."""
    return {LABEL + "parent": parent.name}


@cache
def _tools(debian: str, prefix: str) -> Parent:
    dockerfile = render(
        "parents/tools.Dockerfile.j2", bases={"debian": reference(debian)}, runtime_libraries=_runtime_libraries()
    )
    files: dict[str, Content] = {**_tree(TEMPLATES / "files/tools", "tools")}
    files |= {f"locks/{name}.txt": _lock(name) for name in ("uv", "pip", "rattler", "poetry", "jupyterlab")}
    return _parent("tools", prefix, Context(dockerfile, files))


@cache
def _session(frontend: str, debian: str, prefix: str, tools: str, archives: tuple[tuple[str, str], ...]) -> Parent:
    local = tuple((address, sha256) for address, sha256 in archives if not address.startswith("https://"))
    dockerfile = render(
        "parents/session.Dockerfile.j2",
        frontend=frontend,
        bases={"debian": reference(debian)},
        tools=tools,
        runtime_libraries=_runtime_libraries(),
        downloads=[
            (_address(address), _sha256(sha256)) for address, sha256 in archives if (address, sha256) not in local
        ],
    )
    files: dict[str, Content] = {**_tree(TEMPLATES / "files/session", "session")}
    files["tools/with-settings"] = (TEMPLATES / "files/tools/with-settings").read_bytes()
    if frontend == "jupyterlab":
        files["locks/jupyterlab.txt"] = _lock("jupyterlab")
    if frontend == "vscodium":
        sums = (f"{_sha256(sha256)}  {address.rpartition('/')[2]}\n" for address, sha256 in archives)
        files["vscodium/sums"] = "".join(sums).encode()

    def fetches() -> dict[str, bytes]:
        return {f"vscodium/{Path(address).name}": _archive(address) for address, _ in local}

    return _parent(frontend, prefix, Context(dockerfile, files), fetches)


def _parent(name: str, prefix: str, context: Context, fetches: Callable[[], dict[str, bytes]] = dict) -> Parent:
    return Parent(name, context, f"{prefix}/parent-{name}:{digest_of(context)[:12]}", fetches)


def _archive(path: str) -> bytes:
    try:
        return Path(path.removeprefix("file://")).read_bytes()
    except OSError as error:
        raise BuildError(SettingsInvalid((("vscodium.archive", str(error)),))) from None


def _address(address: str) -> str:
    if any(character in address for character in " \n\t\"'\\$") or not address.isprintable():
        raise BuildError(SettingsInvalid((("vscodium.archive", "not an address"),)))
    return address


def _sha256(text: str) -> str:
    if len(text) != hashlib.sha256().digest_size * 2 or not set(text) <= set("0123456789abcdef"):
        raise BuildError(SettingsInvalid((("vscodium.sha256", "64 hex digits in lower case are needed"),)))
    return text


def _tree(directory: Path, prefix: str) -> dict[str, bytes]:
    files = (path for path in sorted(directory.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
    return {f"{prefix}/{path.relative_to(directory).as_posix()}": path.read_bytes() for path in files}


def _lock(name: str) -> bytes:
    return (TEMPLATES / f"parents/locks/{name}.txt").read_bytes()


def _runtime_libraries() -> str:
    return " ".join((TEMPLATES / "parents/runtime-libraries.txt").read_text().split())

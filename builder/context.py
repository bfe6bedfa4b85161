"""Context: from a plan to a Dockerfile and the files beside it, byte for byte the same each time."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from builder.failures.asked import TooManyFiles
from builder.memory import Memory
from builder.settings import Settings
from detectors.failures import BuildError
from detectors.plan import Plan
from detectors.source import Entry, Source, find, walk

TEMPLATES = Path(__file__).parent.parent / "templates"

REFERENCE = re.compile(r"[a-z0-9][a-z0-9._/:-]*(@sha256:[0-9a-f]{64})?")
"""What may follow FROM; stricter than https://github.com/distribution/reference, which a setting has to pass."""

MAX_FILES = 100_000
"""Of a repository, in one context; Linux has some 90,000. A tree of a few objects can stand for endless ones."""

Content = bytes | Entry
"""Bytes made here, or an entry of the repository, which is read when the context is written."""


@dataclass(frozen=True, slots=True)
class Context:
    """A Dockerfile and what it copies."""

    dockerfile: str
    files: Mapping[str, Content]
    """By path in the context; a directory stands for all below it."""

    def write_tar(self, stream: BinaryIO, source: Source | None, limit: int) -> None:
        """Write it as a tar whose bytes depend on nothing else. `limit` bounds the repository's share, in bytes.

        Raises BuildError(TooLarge | TooManyFiles).
        """
        from builder import archive  # which a plan needs nothing of

        archive.write(self.dockerfile, self._expand(source), stream, source, limit)

    def write_directory(self, directory: Path, source: Source | None, limit: int) -> None:
        """Write it as files below a directory, for a person to look at or build by hand.

        Links are written as they are, wherever they lead: nothing here follows them.
        """
        from builder import archive

        with tempfile.TemporaryFile() as buffer:
            self.write_tar(buffer, source, limit)
            buffer.seek(0)
            archive.extract(buffer, directory)

    def _expand(self, source: Source | None) -> dict[str, Content]:
        """Directories as the files below them."""
        files: dict[str, Content] = {}
        for path, content in self.files.items():
            if isinstance(content, bytes) or content.kind != "directory":
                files[path] = content
                continue
            assert source is not None
            directory = find(source, content.path)
            assert directory is not None
            for entry in walk(source, directory.path):
                if len(files) >= MAX_FILES:
                    raise BuildError(TooManyFiles(content.path, MAX_FILES))
                files[posixpath.join(path, entry.path.removeprefix(directory.path).lstrip("/"))] = entry
        return files


def environment(plan: Plan, frontend: str, source: Source, settings: Settings) -> Context:
    """The context of an environment's image. Reads nothing of the repository; names what it needs.

    Raises BuildError(SettingsInvalid | FrontendUnavailable).
    """
    from builder.parents import session, tools

    tools_reference = tools(settings).reference
    dockerfile = render(
        f"{plan.strategy}.Dockerfile.j2",
        strategy=plan.strategy,
        python_version=plan.python.value,
        system_packages=bool(plan.system_packages),
        trees=bool(plan.trees),
        package=bool(plan.package),
        post_build=bool(plan.post_build),
        start=bool(plan.start),
        frontend=frontend,
        tools=tools_reference,
        session=session(frontend, settings).reference,
        python_base=_python_base(plan, settings),
        conda_base=reference(settings.bases.conda),
        as_of=_instant(plan.inputs.get("as_of")),
        cache_id="launchyard",
    )
    return Context(dockerfile, dict(_files(plan, frontend, source, settings)))


def _files(plan: Plan, frontend: str, source: Source, settings: Settings) -> Iterator[tuple[str, Content]]:
    yield "request/request.json", _json(_request(plan, frontend, settings))
    if plan.system_packages:
        yield "request/apt.txt", "".join(f"{name}\n" for name in plan.system_packages).encode()
    yield "source/.launchyard", b""  # a mount needs a directory that exists
    for file in plan.files:
        yield f"source/{file.path}", Entry(file.path, "file", file.blob)
    for tree in plan.trees:
        yield posixpath.join("source", tree.path), Entry(tree.path, "directory", tree.blob)
    if plan.package:
        yield "package", Entry(plan.package.path, "directory", plan.package.blob)
    if plan.post_build and (root := source.entry("")):
        yield "repository", root
    if plan.start:
        yield "start", Entry(plan.start.path, "file", plan.start.blob, executable=True)


def _request(plan: Plan, frontend: str, settings: Settings) -> dict[str, Any]:
    inputs = dict(plan.inputs)
    if plan.strategy == "conda":
        inputs["virtual_packages"] = dict(settings.conda.virtual_packages)
    return {
        "strategy": plan.strategy,
        "inputs": inputs,
        "kernel": frontend != "none",
        "conda_subdir": {"linux/amd64": "linux-64", "linux/arm64": "linux-aarch64"}[settings.platform],
        "requested_names": sorted({name for name in map(_name, plan.requested) if name}),
        "post_build": plan.post_build.path if plan.post_build else None,
        "directory": plan.package.path if plan.package else None,
    }


def _name(requirement: str) -> str:
    """The package's name in a requirement or a conda spec: "conda-forge::numpy=1.26" is "numpy".

    "" where an address or a path stands for one; what is installed says so itself.
    """
    found = re.match(r"(?:[\w./-]+::)?([A-Za-z0-9][A-Za-z0-9._-]*)(?=$|[\s\[=<>!~;,(@])", requirement.strip())
    return found[1].lower() if found else ""


def _python_base(plan: Plan, settings: Settings) -> str:
    version = plan.python.value
    if plan.strategy == "conda":
        return ""
    if not re.fullmatch(r"3\.\d{1,2}", version):
        raise ValueError(f"not a Python version: {version!r}")
    return reference(settings.bases.pythons.get(version) or settings.bases.python.replace("{version}", version))


def _instant(as_of: str | None) -> str | None:
    if as_of and not re.fullmatch(r"[0-9-]{10}T[0-9:]{8}Z", as_of):
        raise ValueError(f"not an instant in UTC: {as_of!r}")
    return as_of


def reference(text: str) -> str:
    """An image reference that may stand in a Dockerfile. Raises BuildError(SettingsInvalid)."""
    from builder.failures.asked import SettingsInvalid

    if not REFERENCE.fullmatch(text):
        raise BuildError(SettingsInvalid((("bases", f"not an image reference: {text[:100]!r}"),)))
    return text


def render(template: str, **values: Any) -> str:
    """A Dockerfile of a template. Values are JSON's, and checked by whoever passes them."""
    return _rendered(json.dumps([template, values]))


_RENDERED = Memory("dockerfiles", 32)
"""Jinja takes a sixth of the time of a plan, and a template that is given the same becomes the same."""


@lru_cache(256)
def _rendered(asked: str) -> str:
    key = hashlib.sha256(_templates_digest() + asked.encode()).hexdigest()
    if known := _RENDERED.recall(key):
        return str(known)
    template, values = json.loads(asked)
    text: str = _templates().get_template(template).render(**values)
    _RENDERED.keep(key, text)
    return text


@cache
def _templates_digest() -> bytes:
    texts = {path.relative_to(TEMPLATES).as_posix(): path.read_text() for path in sorted(TEMPLATES.rglob("*.j2"))}
    return hashlib.sha256(json.dumps(texts).encode()).digest()


@cache
def _templates() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, keep_trailing_newline=True)


def _json(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, indent=1).encode() + b"\n"

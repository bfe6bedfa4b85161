"""What an image's lock holds: the packages that were decided on, each with its hashes. Strictly read.

templates/files/tools/inventory.py and groups.py describe the document.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar


@dataclass(frozen=True, slots=True)
class PythonPackage:
    """A package that Python's tools install: of an index, or where it has an address or a path, of there."""

    name: str
    version: str | None
    """None where only building it tells."""
    hashes: tuple[str, ...]
    """"sha256:…", of each file that may be installed."""
    marker: str | None = None
    url: str | None = None
    """"git+https://…", or an archive's."""
    commit: str | None = None
    subdirectory: str | None = None
    path: str | None = None
    """In the repository."""


@dataclass(frozen=True, slots=True)
class CondaPackage:
    """A package of a conda channel."""

    name: str
    version: str
    build: str
    subdir: str
    md5: str | None = None
    sha256: str | None = None
    channel: str | None = None
    """Its name below the installation's channel alias, or else its address."""
    file: str | None = None


@dataclass(frozen=True, slots=True)
class Lock:
    """All of it."""

    python: tuple[PythonPackage, ...] = ()
    conda: tuple[CondaPackage, ...] = ()
    """Each after those it needs."""
    kernel: tuple[PythonPackage, ...] = ()
    """What the session's kernel needs; of these, the image has those that the environment lacks."""

    def to_json(self) -> dict[str, Any]:
        """The document as the image has it."""
        members: tuple[tuple[PythonPackage | CondaPackage, ...], ...] = (self.python, self.conda, self.kernel)
        return {name: [_given(p) for p in packages] for name, packages in zip(_MEMBERS, members, strict=True)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Lock:
        """Raises ValueError, TypeError, KeyError or AttributeError for what is no lock."""
        python, conda, kernel = (document.get(name, []) for name in _MEMBERS)
        return cls(
            tuple(_read(PythonPackage, package) for package in python),
            tuple(_read(CondaPackage, package) for package in conda),
            tuple(_read(PythonPackage, package) for package in kernel),
        )


_MEMBERS = ("pylock", "conda", "pylock.kernel")

_WORD = r"[A-Za-z0-9_][A-Za-z0-9._!+-]*"
_ENDING = r"\x00-\x1f\x7f-\x9f\u2028\u2029"  # what ends a line for some reader, and commands of terminals
_LINE = rf"[^{_ENDING}]+"
_PATTERNS = {
    "name": _WORD,
    "version": _WORD,
    "build": _WORD,
    "subdir": _WORD,
    "hashes": r"[a-z0-9_]+:[0-9a-f]+",
    "md5": r"[0-9a-f]{32}",
    "sha256": r"[0-9a-f]{64}",
    "url": rf"[^\s{_ENDING}]+",
    "commit": _WORD,
    "channel": rf"[^\s{_ENDING}#]+",
    "file": rf"[^\s{_ENDING}#/\\]+\.(?:conda|tar\.bz2)",
    "marker": _LINE,
    "subdirectory": _LINE,
    "path": _LINE,
}
"""What may stand in a line of another tool's format, without ending it or beginning something else in it."""

Package = TypeVar("Package", PythonPackage, CondaPackage)


def _read(kind: type[Package], document: Mapping[str, Any]) -> Package:
    known = {field.name for field in fields(kind)}
    values = {name: _checked(name, value) for name, value in document.items() if name in known and value is not None}
    return kind(**{"version": None, **values} if kind is PythonPackage else values)


def _checked(name: str, value: object) -> Any:
    if name == "hashes":
        if not isinstance(value, list):
            raise TypeError("hashes are no list")
        return tuple(_text(name, entry) for entry in value)
    text = _text(name, value)
    if name == "marker":
        from packaging.markers import InvalidMarker, Marker  # plans do without

        try:
            Marker(text)
        except InvalidMarker as error:
            raise ValueError(str(error)) from None
    return text


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(_PATTERNS[name], value):
        raise ValueError(f"{name}: {value!r}"[:200])
    return value


def _given(package: PythonPackage | CondaPackage) -> dict[str, Any]:
    values = {field.name: getattr(package, field.name) for field in fields(package)}
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in values.items() if value is not None
    }

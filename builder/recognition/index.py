"""What is known of a package's versions: from the question that a build asks its index, else from pip's words.

A build asks with templates/files/tools/why.py, which prints a line of JSON. A repository can print such a line as
well: what it says is text to show and nothing more, so it is checked and bounded here.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from builder.recognition.said import Said, canonical
from builder.transcript import OF_INDEX

_YANKED = "Ignored the following yanked versions: "
_OTHER_PYTHON = "Ignored the following versions that require a different python version: "

MAX_VERSIONS = 5
MAX_SERIES = 20

_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]{0,60}")
_MAX_TEXT = 200


@dataclass(frozen=True, slots=True)
class Other:
    """A version that cannot be had as things are: withdrawn, or made for other Pythons or systems."""

    version: str
    python: str = ""
    """What it needs of the Python, empty where this one would do."""
    yanked: str | None = None
    """Why it was withdrawn, perhaps without a word; None where it was not."""
    platforms: tuple[str, ...] = ()
    """Those that it is made for, where this one is none of them."""


@dataclass(frozen=True, slots=True)
class Built:
    """A version that had to be built, as it has no wheel for this Python here."""

    version: str
    pythons: tuple[str, ...]
    """Those for which it has one."""
    nearest: str
    """The next version with a wheel for this Python, or the last before; empty where there is none."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The versions of one package, newest first, at most five of each kind."""

    versions: tuple[str, ...]
    """Those that this Python could have."""
    others: tuple[Other, ...] = ()
    absent: bool = False
    built: Built | None = None
    series: tuple[str, ...] = ()
    """Of the versions that this Python could have, the newest of each 1.x, as far as they are known."""

    @property
    def needs(self) -> tuple[tuple[str, str], ...]:
        """(version, what it needs of the Python) of those for other Pythons."""
        return tuple((other.version, other.python) for other in self.others if other.python)


def facts(said: Said, name: str) -> Facts | None:
    """What the log says of a package's versions; None where it says nothing."""
    return _answered(said, name) or _pips(said, name)


def _answered(said: Said, name: str) -> Facts | None:
    # The last one: a build asks after everything that a repository could have printed.
    for line in reversed(said.asides):
        if not line.startswith(OF_INDEX):
            continue
        try:
            answer = json.loads(line.removeprefix(OF_INDEX))
        except (ValueError, RecursionError):
            continue
        if isinstance(answer, dict) and canonical(str(answer.get("name"))) == canonical(name):
            others = tuple(other for value in _list(answer.get("others")) if (other := _other(value)))
            absent = answer.get("absent") is True
            versions, series = _versions(answer.get("versions")), _versions(answer.get("series"), MAX_SERIES)
            return Facts(versions, others, absent, _built(answer.get("built")), series)
    return None


def _other(value: Any) -> Other | None:
    if not isinstance(value, dict) or not _VERSION.fullmatch(str(value.get("version"))):
        return None
    yanked = value.get("yanked")
    python = value.get("python")
    platforms = re.findall(r"\w+", str(value.get("platform") or "")[:_MAX_TEXT], re.ASCII)
    return Other(
        str(value["version"]),
        python[:_MAX_TEXT] if isinstance(python, str) else "",
        yanked[:_MAX_TEXT] if isinstance(yanked, str) else None,
        tuple(platforms[:MAX_VERSIONS]),
    )


def _built(value: Any) -> Built | None:
    if not isinstance(value, dict) or not _VERSION.fullmatch(str(value.get("version"))):
        return None
    pythons = tuple(v for v in _list(value.get("pythons")) if isinstance(v, str) and re.fullmatch(r"3\.\d{1,2}", v))
    return Built(str(value["version"]), pythons, next(iter(_versions([value.get("nearest")])), ""))


def _pips(said: Said, name: str) -> Facts | None:
    """pip lists the versions that it considered, oldest first, and says which it left out."""
    pattern = re.compile(rf"requirement {re.escape(name)}\b.* \(from versions: (.*)\)", re.IGNORECASE)
    found = next((match for line in said.lines if (match := pattern.search(line))), None)
    if found is None or found[1] == "none":
        return None
    versions = _versions(found[1].split(", ")[::-1])
    others = [Other(v, yanked="") for v in _left_out(said, _YANKED).split(", ")]
    for entry in _left_out(said, _OTHER_PYTHON).split("; "):
        version, _, need = entry.partition(" Requires-Python ")
        others.append(Other(version, need[:_MAX_TEXT]))
    left_out = tuple(o for o in reversed(others) if _VERSION.fullmatch(o.version))[:MAX_VERSIONS]
    return Facts(versions, left_out)


def _left_out(said: Said, words: str) -> str:
    return next((line.partition(words)[2] for line in said.lines if words in line), "")


def _versions(values: Any, most: int = MAX_VERSIONS) -> tuple[str, ...]:
    return tuple(v for v in _list(values) if isinstance(v, str) and _VERSION.fullmatch(v))[:most]


def _list(values: Any) -> list[Any]:
    return values[:100] if isinstance(values, list) else []

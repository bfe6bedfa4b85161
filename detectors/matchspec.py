"""What a line under `dependencies:` asks of conda's channels.

Format: https://docs.conda.io/projects/conda-build/en/latest/resources/package-spec.html#package-match-specifications
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from detectors.failures import Location, invalid

_OPERATOR = r"(?:==|!=|~=|>=|<=|=|>|<)"
_VERSION = r"[0-9A-Za-z_.*+!-]+"
_ONE = rf"(?:{_OPERATOR}[ \t]*)?{_VERSION}"

_SPEC = re.compile(
    rf"""
    (?:(?P<channel>[A-Za-z0-9][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_.-]+)*)::)?
    (?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]*)
    (?:
        [ \t]*={{1,2}}[ \t]*(?P<version>{_VERSION})[ \t]*=[ \t]*(?P<build>[A-Za-z0-9_.*+]+)
      | [ \t]*(?P<range>{_OPERATOR}[ \t]*{_VERSION}(?:[ \t]*[,|][ \t]*{_ONE})*)
      | [ \t]+(?P<bare>{_VERSION}(?:[ \t]*[,|][ \t]*{_ONE})*)(?:[ \t]+(?P<bare_build>[A-Za-z0-9_.*+]+))?
    )?
    """,
    re.VERBOSE,
)

_SINGLE = re.compile(r"={0,2}([0-9][0-9A-Za-z.]*?)(?:\.\*)?")


@dataclass(frozen=True, slots=True)
class MatchSpec:
    """A package of a channel, its version and build as far as they are given."""

    name: str
    text: str
    """The whole, its spaces normalised: "numpy=1.26", "python>=3.10,<3.12", "numpy 1.26.*"."""
    version: str
    """A version alone ("3.9" for `=3.9` and `=3.9.*`), a range in its own words, or "" for any."""


def parse(text: str, location: Location) -> MatchSpec:
    """Read one spec. Raises BuildError(FileInvalid) for whatever the strict pattern does not accept."""
    if len(text) > 300:
        raise invalid(location, "a conda package", text, "longer than 300 characters")
    match = _SPEC.fullmatch(text.strip())
    if match is None:
        forms = "not of the form name=version, name>=version or channel::name=version"
        brackets = "the form with brackets is not read; write name>=1.0,<2"
        raise invalid(location, "a conda package", text, brackets if "[" in text else forms)
    name = match["name"].lower()
    prefix = f"{match['channel']}::{name}" if match["channel"] else name
    if match["build"]:
        return MatchSpec(name, f"{prefix}={match['version']}={match['build']}", _plain(match["version"]))
    if match["bare"]:
        build = f" {match['bare_build']}" if match["bare_build"] else ""
        bare = _tight(match["bare"])
        return MatchSpec(name, f"{prefix} {bare}{build}", _plain(bare))
    version = _tight(match["range"] or "")
    return MatchSpec(name, f"{prefix}{version}", _plain(version))


def _plain(version: str) -> str:
    """The version alone where it is only one, "" where it is any."""
    if version in ("*", "=*", "==*"):
        return ""
    match = _SINGLE.fullmatch(version)
    return match[1] if match else version


def _tight(text: str) -> str:
    return re.sub(r"\s+", "", text)

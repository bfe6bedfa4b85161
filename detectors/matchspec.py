"""What a line under `dependencies:` asks of conda's channels.

Format: https://docs.conda.io/projects/conda-build/en/latest/resources/package-spec.html#package-match-specifications
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from detectors import slip
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
      | [ \t]+(?=\S*[0-9*])(?P<bare>{_VERSION}(?:[ \t]*[,|][ \t]*{_ONE})*)(?:[ \t]+(?P<bare_build>[A-Za-z0-9_.*+]+))?
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
    if match is None or not _reads(text.strip()):
        problem, instead = _slip(text.strip())
        raise invalid(location, "a conda package", text, problem, instead)
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


def _slip(text: str) -> tuple[str, tuple[str, ...]]:
    """The rule that is broken, and the specs that are meant where that is clear."""
    if slip.is_for_pip(text):
        return slip.OF_PIP, (slip.repository(text) or text,)
    if "[" in text:
        return "the form with brackets is not read; write name>=1.0,<2", ()
    folded = tuple(text.split(" - "))
    if len(folded) > 1 and folded[0] == "pip":
        return "a list below it, and no colon behind it", ("- pip:",)
    if len(folded) > 1 and all(map(_reads, folded)):
        return "lines that are indented further than the one above, and so one with it", folded
    if in_channel := re.fullmatch(r"([\w-]+)/([\w.=<>-]+)", text, re.ASCII):
        return "a single / where :: is meant", (f"{in_channel[1]}::{in_channel[2]}",)
    return slip.meant(text, _reads, "=") or ("not of the form name=version, name>=version or channel::name=version", ())


def _reads(text: str) -> bool:
    return _SPEC.fullmatch(text) is not None and not text.endswith((".x", ".X"))


def _plain(version: str) -> str:
    """The version alone where it is only one, "" where it is any."""
    if version in ("*", "=*", "==*"):
        return ""
    match = _SINGLE.fullmatch(version)
    return match[1] if match else version


def _tight(text: str) -> str:
    return re.sub(r"\s+", "", text)

"""One requirement: a name with what is asked of it, or an address.

Format: https://packaging.python.org/en/latest/specifications/dependency-specifiers/
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from detectors.failures import Location, invalid

if TYPE_CHECKING:
    from packaging.requirements import Requirement

MAX_REQUIREMENT = 2_000
"""Characters of one requirement without its hashes."""

MAX_PARENTHESES = 20
"""Of one requirement; each level costs its parser as much as a whole requirement."""

URL_SCHEMES = ("https", "http", "git+https")
"""What a build may reach: no other transport has a way in without a key or a host's file."""

_FORMAT = "a requirement"

_SINGLE_EQUALS = re.compile(r"[A-Za-z0-9._-]+\s*(?:\[[^\]]*\]\s*)?=([<>]?)(?!=)")
_AUTHORITY = re.compile(r"[A-Za-z0-9.-]+(?::[0-9]+)?|\[[0-9a-fA-F:.]+\](?::[0-9]+)?")


def check_url(url: str, location: Location, schemes: tuple[str, ...] = URL_SCHEMES) -> None:
    """Raises BuildError(FileInvalid) for a URL that a build cannot reach, or that holds credentials."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower() not in schemes:
        of_repository = scheme.lower().startswith("file")
        instead = "a path of the repository is written as ./path"
        raise invalid(location, "a URL", url, instead if of_repository else f"none of {', '.join(schemes)}")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in authority:
        raise invalid(location, "a URL", url, "it holds credentials, and everyone can read them")
    if not _AUTHORITY.fullmatch(authority):
        raise invalid(location, "a URL", url, "it names no host")


def requirement(text: str, location: Location) -> Requirement:
    """A requirement as packaging reads it, its URL checked. Raises BuildError(FileInvalid)."""
    if len(text) > MAX_REQUIREMENT:
        raise invalid(location, _FORMAT, text, f"longer than {MAX_REQUIREMENT} characters")
    if text.count("(") > MAX_PARENTHESES:
        raise invalid(location, _FORMAT, text, f"more than {MAX_PARENTHESES} parentheses")
    # Late: it is slow to import, and where only addresses are checked it is not needed.
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        parsed = Requirement(text)
    except InvalidRequirement as error:
        slip = _SINGLE_EQUALS.match(text)
        meant = f"={slip[1]} where {slip[1]}= is meant" if slip and slip[1] else "a single = where == is meant"
        problem = meant if slip else str(error)
        raise invalid(location, _FORMAT, text, problem) from None
    except RecursionError:
        raise invalid(location, _FORMAT, text, "nested too deep") from None
    if parsed.url:
        check_url(parsed.url, location)
    return parsed

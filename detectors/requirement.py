"""One requirement: a name with what is asked of it, or an address.

Format: https://packaging.python.org/en/latest/specifications/dependency-specifiers/
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from detectors import slip
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


def check_page(url: str, location: Location, before: str = "") -> None:
    """Raises BuildError(FileInvalid) for the page of a repository, where its address for git is meant."""
    if instead := slip.repository(url):
        problem = "the page of a repository, where the address that git takes is meant"
        raise invalid(location, "a URL", url, problem, (before + instead,))


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
        problem, instead = slip.meant(text, _reads) or (str(error), ())
        raise invalid(location, _FORMAT, text, problem, instead) from None
    except RecursionError:
        raise invalid(location, _FORMAT, text, "nested too deep") from None
    if parsed.name.lower().endswith(".txt"):
        raise invalid(location, _FORMAT, text, "a file without -r before it", (f"-r {text}",))
    if parsed.url:
        if re.fullmatch(r"v?\d[\w.]*", parsed.url) and (found := slip.meant(text, _reads)):
            raise invalid(location, _FORMAT, text, *found)
        check_page(parsed.url, location, f"{parsed.name} @ ")
        check_url(parsed.url, location)
    return parsed


def _reads(text: str) -> bool:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return Requirement(text).url is None
    except (InvalidRequirement, RecursionError):
        return False

"""All the words for failures: title, what was seen, what to do, and who can; in modules by what they are about."""

from __future__ import annotations

import re

from builder.failures import Blame
from builder.failures.words.address import of_address
from builder.failures.words.common import Words
from builder.failures.words.conda import of_conda
from builder.failures.words.image import of_image
from builder.failures.words.launcher import of_launcher
from builder.failures.words.machine import of_machine
from builder.failures.words.packages import of_packages
from builder.failures.words.repository import of_repository
from builder.failures.words.service import of_service


def words(failure: object) -> Words:
    for of in (of_repository, of_address, of_packages, of_conda, of_machine, of_image, of_service, of_launcher):
        found = of(failure)
        if found is not None:
            return found
    return (
        "Launchyard met something it does not expect",
        repr(failure)[:500],
        ("Please report this, with the command that was run.",),
        Blame.LAUNCHYARD,
    )


MEMBERS = {
    "ref": "ref",
    "subdir": "subdir",
    "strategy": "options.strategy",
    "python": "options.python",
    "frontend": "options.frontend",
    "as-of": "options.as_of",
}
"""Members of a request to the service, by the command line's options, which words speak of."""

_OPTION = re.compile(rf"--({'|'.join(MEMBERS)})(?![\w-])")
_ORIGIN = re.compile(rf"\boption {_OPTION.pattern}")


def over_http(words: Words) -> Words:
    """Words for who has asked the service, and not a command."""

    def member(found: re.Match[str]) -> str:
        return MEMBERS[found[1]]

    title, seen, fix, blame = words
    seen = _ORIGIN.sub(member, seen)  # the rest of it may be a log
    return title, seen, tuple(_OPTION.sub(member, line) for line in fix), blame

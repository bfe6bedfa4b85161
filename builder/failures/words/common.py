"""What words of several kinds are made with."""

from __future__ import annotations

import re

from builder.failures import Blame
from builder.recognition.said import release

Words = tuple[str, str, tuple[str, ...], Blame]


def for_python(python: str) -> str:
    """A Python, where it is known: a log alone does not say."""
    return f" for Python {python}" if python else ""


def joined(*parts: str) -> str:
    return "\n".join(filter(None, parts))


def nearest(asked: str, versions: tuple[str, ...]) -> str:
    """Of versions, the newest first, the one that shares the most leading numbers with what was asked for."""
    wanted = release(asked)

    def distance(version: str) -> tuple[int, int]:
        pairs = list(zip(wanted, release(version), strict=False))
        shared = next((n for n, (one, other) in enumerate(pairs) if one != other), len(pairs))
        return -shared, abs(pairs[shared][0] - pairs[shared][1]) if shared < len(pairs) else 0

    return min(versions, key=distance)


def with_conda(asked: str) -> tuple[str, ...]:
    python = of_conda_alone(asked)
    return (
        (f"Or let conda bring it: an environment.yml with python={python} among its dependencies.",) if python else ()
    )


def of_conda_alone(asked: str) -> str:
    """The newest Python in a text that is older than those that are built with, and that conda has; else empty."""
    return max(re.findall(r"\b3\.[678]\b", asked), default="")

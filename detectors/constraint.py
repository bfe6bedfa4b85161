"""Poetry's version constraints, as far as they speak of Python.

Format: https://python-poetry.org/docs/1.8/dependency-specification/#version-constraints
"""

from __future__ import annotations

import re
from collections.abc import Callable

Version = tuple[int, int, int]
Admits = Callable[[Version], bool]

_PIECE = re.compile(
    r"(?P<operator>\^|~=|~|>=|<=|===|==|!=|>|<|=)?\s*"
    r"(?:v?(?P<version>\d{1,4}(?:\.\d{1,4}){0,2})(?P<star>\.[*x])?(?:[.-]?(?:a|b|rc|dev)\.?\d{0,4})?|(?P<any>\*))"
    r"(?=[\s,]|$)[\s,]*",
    re.ASCII,
)


def parse(text: str) -> Admits:
    """Whether a version fits the constraint, as a function. Raises ValueError for another syntax."""
    alternatives = [_all(alternative.strip()) for alternative in re.split(r"\|\|?", text[:1000])]
    return lambda version: any(all(admits(version) for admits in pieces) for pieces in alternatives)


def _all(text: str) -> list[Admits]:
    pieces: list[Admits] = []
    position = 0
    while position < len(text) or not pieces:
        match = _PIECE.match(text, position)
        if match is None:
            raise ValueError(f"{text[position:]!r} is no version constraint")
        pieces.append(_one(match["operator"] or "", match["version"], bool(match["star"])))
        position = match.end()
    return pieces


def _one(operator: str, text: str | None, star: bool) -> Admits:
    if text is None:
        return lambda version: True
    parts = [int(part) for part in text.split(".")]
    low = _padded(parts)
    if operator == "^":
        return _between(low, (low[0] + 1, 0, 0))
    if operator == "~":
        return _between(low, _after(parts[:2]))
    if operator == "~=":
        return _between(low, _after(parts[:-1] or parts))
    if star and operator in ("", "=", "=="):
        return _between(low, _after(parts))
    if star and operator == "!=":
        inside = _between(low, _after(parts))
        return lambda version: not inside(version)
    return {
        ">=": lambda version: version >= low,
        "<=": lambda version: version <= low,
        ">": lambda version: version > low,
        "<": lambda version: version < low,
        "!=": lambda version: version != low,
    }.get(operator, lambda version: version == low)


def _between(low: Version, high: Version) -> Admits:
    return lambda version: low <= version < high


def _after(parts: list[int]) -> Version:
    """The first version beyond all that begin with the parts."""
    return _padded([*parts[:-1], parts[-1] + 1])


def _padded(parts: list[int]) -> Version:
    major, minor, patch = [*parts, 0, 0][:3]
    return major, minor, patch

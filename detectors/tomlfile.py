"""TOML documents that know where in their file a key stands."""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property
from itertools import accumulate
from typing import Any

import tomli

from detectors import slip
from detectors.failures import BuildError, Location, invalid

MAX_TABLES = 20_000
"""Lines that open a table; a lock of 2,000 packages has some 8,000. Each costs the parser 5 kB and 10 microseconds."""

MAX_MARKS = 300_000
"""Signs between values, which bound their number; a uv.lock of 1,000 packages has some 100,000."""

MAX_DEPTH = 50
"""Levels of tables and lists; people write some eight."""

LIST_OPEN = "the list that begins here does not end"

_TABLE = re.compile(r"^[ \t]*\[", re.MULTILINE)


class Document:
    """A parsed TOML file. Keys are given as a path: `("tool", "poetry", "dependencies")`."""

    def __init__(self, path: str, text: str) -> None:
        """Parse the text of the file at a path. Raises BuildError(FileInvalid) with line and column."""
        self.path = path
        self.text = text
        if sum(map(text.count, "=,[{")) > MAX_MARKS or sum(1 for _ in _TABLE.finditer(text)) > MAX_TABLES:
            raise invalid(Location(path), "TOML", "", f"more than {MAX_TABLES:,} tables or {MAX_MARKS:,} values")
        try:
            self.values: dict[str, Any] = tomli.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._failure(error) from None
        if _is_deep(self.values):
            raise invalid(Location(path), "TOML", "", f"nested more than {MAX_DEPTH} levels deep")

    def has(self, *keys: str) -> bool:
        """Whether there is a value, of whatever type."""
        return keys[-1] in self.table(*keys[:-1])

    def table(self, *keys: str) -> dict[str, Any]:
        """The table at the keys, empty where there is none. Raises BuildError(FileInvalid) for another type."""
        table = self.values
        for depth, key in enumerate(keys, 1):
            table = table.get(key, {})
            if not isinstance(table, dict):
                raise self.invalid(keys[:depth], "a table", str(table), "another type")
        return table

    def string(self, *keys: str) -> str | None:
        """The text at the keys, or None. Raises BuildError(FileInvalid) for another type."""
        value = self.table(*keys[:-1]).get(keys[-1])
        if value is not None and not isinstance(value, str):
            raise self.invalid(keys, "a string", str(value), "another type")
        return value

    def strings(self, *keys: str) -> list[str]:
        """The list of texts at the keys, empty where there is none. Raises BuildError(FileInvalid)."""
        value = self.table(*keys[:-1]).get(keys[-1], [])
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise self.invalid(keys, "a list of strings", str(value), "another type", instead=_as_list(keys[-1], value))
        return value

    def tables(self, *keys: str) -> list[dict[str, Any]]:
        """The array of tables at the keys, empty where there is none. Raises BuildError(FileInvalid)."""
        value = self.table(*keys[:-1]).get(keys[-1], [])
        if not isinstance(value, list) or not all(isinstance(table, dict) for table in value):
            raise self.invalid(keys, "an array of tables", str(value), "another type")
        return value

    def location(self, *keys: str, holding: str = "") -> Location:
        """Where a key stands, or the first of its parents that can be found; line 0 where none can.

        With `holding`, the first line from there on that holds the text.
        """
        for end in range(len(keys), 0, -1):
            if line := self._lines.get(keys[:end]):
                break
        else:
            return Location(self.path)
        if holding and (found := self.text.find(holding, self._starts[line - 1])) >= 0:
            line = bisect_right(self._starts, found)
        return Location(self.path, line)

    def line(self, location: Location) -> str:
        """What is written there, without a comment; "" where the line is not known."""
        return self._text_lines[location.line - 1].partition("#")[0].strip() if location.line else ""

    def invalid(
        self,
        keys: tuple[str, ...],
        format: str,
        found: str,
        problem: str,
        holding: str = "",
        instead: tuple[str, ...] = (),
    ) -> BuildError:
        """A BuildError(FileInvalid) at a key."""
        return invalid(self.location(*keys, holding=holding), format, found, problem, instead)

    @cached_property
    def _text_lines(self) -> list[str]:
        return self.text.split("\n")

    @cached_property
    def _starts(self) -> list[int]:
        """Where in the text each line begins."""
        return list(accumulate((len(line) + 1 for line in self._text_lines), initial=0))

    @cached_property
    def _lines(self) -> dict[tuple[str, ...], int]:
        # The parser keeps no positions. Reading line by line errs only inside multi-line strings,
        # and then only in the line that a message names.
        lines: dict[tuple[str, ...], int] = {}
        header: tuple[str, ...] = ()
        for number, line in enumerate(self._text_lines, 1):
            if line.lstrip().startswith("["):
                header = _keys(line.partition("#")[0].strip(" \t[]"))
                for end in range(1, len(header) + 1):
                    lines.setdefault(header[:end], number)
            elif "=" in line:
                lines.setdefault(header + _keys(line.partition("=")[0]), number)
        return lines

    def _failure(self, error: Exception) -> BuildError:
        line: int = getattr(error, "lineno", 0)
        found = self._text_lines[line - 1] if line else ""
        problem: str = getattr(error, "msg", None) or str(error)
        before = next((n for n in range(line - 1, 0, -1) if self._text_lines[n - 1].strip()), 0)
        if problem == "Unclosed array" and before and re.match(r"\s*[\"']", found):
            above = self._text_lines[before - 1].strip()
            if above[-1] in "\"'":
                return invalid(Location(self.path, before), "TOML", above, "no comma behind it", (f"{above},",))
        instead = _mended(found)
        if problem == "Unclosed array" and not instead:
            opened = next((n for n in range(line, 0, -1) if _opens_a_list(self._text_lines[n - 1])), line)
            return invalid(Location(self.path, opened), "TOML", self._text_lines[opened - 1], LIST_OPEN)
        return invalid(Location(self.path, line, getattr(error, "colno", 0)), "TOML", found, problem, instead)


_MENDS = (
    (r"[“”„]", '"'),
    (r"[‘’]", "'"),
    (r"^([\w-]+)\s*:\s*(?=[\[\"'{])", r"\1 = "),
    (r"([\"'])\s+(?=[\"'])", r"\1, "),
    (r"(?<=.[\[,])\s*([A-Za-z][\w.<>=~!-]*)\s*(?=[,\]])", r'"\1"'),
    (r"^([A-Za-z][\w.-]*)\s*([<>~!=]=?\s*[\d.]+(?:\s*,\s*[<>]=?\s*[\d.]+)*)$", r'\1 = "\2"'),
    (r"^([A-Za-z][\w-]*)$", r'\1 = "*"'),
    (r"^([A-Za-z][\w.-]*(?:[<>=~!]=[\w.*]+)?)(\s*[,\]]+)$", r'"\1"\2'),
)
"""What people write in place of TOML, and what they mean."""


def _mended(line: str) -> tuple[str, ...]:
    """A line as TOML, where that is clear; it may be one of a list."""
    reads, mended = slip.read_by(tomli.loads), line.strip()
    for pattern, meant in _MENDS if len(line) <= slip.MAX_LENGTH else ():
        mended = re.sub(pattern, meant, mended)
        if mended != line.strip() and any(map(reads, (mended, f"x = [{mended}", f"x = [{mended}]"))):
            return (mended,)
    return ()


def _opens_a_list(line: str) -> bool:
    value = line.partition("=")[2].lstrip()
    return value.startswith("[") and "]" not in value


def _as_list(key: str, value: object) -> tuple[str, ...]:
    """The list that is meant by one text, or by a table such as Poetry's."""
    texts = {value: ""} if isinstance(value, str) else value
    if not (isinstance(texts, dict) and all(isinstance(bound, str) for bound in texts.values())):
        return ()
    if len(texts) > slip.MAX_PACKAGES or sum(map(len, (*texts, *texts.values()))) > slip.MAX_LENGTH:
        return ()
    quoted = (f'"{slip.with_version(name, bound)}"' for name, bound in texts.items() if name != "python")
    return (f"{key} = [{', '.join(quoted)}]",)


def _is_deep(values: dict[str, Any]) -> bool:
    level: list[Any] = [values]
    for _ in range(MAX_DEPTH):
        below = (value for holder in level for value in (holder.values() if isinstance(holder, dict) else holder))
        level = [value for value in below if isinstance(value, dict | list)]
        if not level:
            return False
    return True


def _keys(dotted: str) -> tuple[str, ...]:
    return tuple(key.strip(" \t\"'") for key in dotted.split(".", 6)[:6])

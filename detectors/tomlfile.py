"""TOML documents that know where in their file a key stands."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import tomli

from detectors.failures import BuildError, Location, invalid


class Document:
    """A parsed TOML file. Keys are given as a path: `("tool", "poetry", "dependencies")`."""

    def __init__(self, path: str, text: str) -> None:
        """Parse the text of the file at a path. Raises BuildError(FileInvalid) with line and column."""
        self.path = path
        self.text = text
        try:
            self.values: dict[str, Any] = tomli.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._failure(error) from None

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
            raise self.invalid(keys, "a list of strings", str(value), "another type")
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
        if holding:
            below = range(line, len(self._text_lines) + 1)
            line = next((n for n in below if holding in self._text_lines[n - 1]), line)
        return Location(self.path, line)

    def invalid(self, keys: tuple[str, ...], format: str, found: str, problem: str, holding: str = "") -> BuildError:
        """A BuildError(FileInvalid) at a key."""
        return invalid(self.location(*keys, holding=holding), format, found, problem)

    @cached_property
    def _text_lines(self) -> list[str]:
        return self.text.split("\n")

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
        return invalid(Location(self.path, line, getattr(error, "colno", 0)), "TOML", found, problem)


def _keys(dotted: str) -> tuple[str, ...]:
    return tuple(key.strip(" \t\"'") for key in dotted.split(".", 6)[:6])

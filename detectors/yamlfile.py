"""YAML with positions: scalars stay the text that was written, and nothing in it can explode."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import yaml

from detectors.failures import BuildError, Location, invalid

MAX_NODES = 20_000
"""Values after aliases are expanded; an exported environment has some 500."""

MAX_DEPTH = 20

LOADER: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# Tabs that separate a comment or end a line, as whole runs: tried only where a run starts, so it stays linear.
_BLANKS = re.compile(r"(?<![ \t])[ \t]+(?=#|$)", re.MULTILINE)

_NULLS = ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it begins.

    A scalar is its text as written ("3.10", "yes"), or None for null; a list holds nodes; a mapping
    maps texts to nodes.
    """

    value: str | list[Node] | dict[str, Node] | None
    location: Location
    size: int = 1
    """How many nodes it holds, itself included, aliases expanded."""
    key: Location | None = None
    """Where its key begins, for a value of a mapping."""


QUOTE_OPEN = "a quote that begins here and does not end"


def parse(path: str, text: str) -> Node:
    """The one document of a YAML text. An empty one is null.

    Tabs before a comment or at the end of a line are accepted, as researchers' files have them.
    Raises BuildError(FileInvalid) with line and column, also for duplicate keys, tags, and nesting
    or aliases without measure.
    """
    try:
        return _Composer(path, text).document()
    except yaml.YAMLError:
        pass
    try:
        return _Composer(path, _BLANKS.sub(lambda blanks: " " * len(blanks[0]), text)).document()
    except yaml.YAMLError as error:
        raise _failure(path, text, error) from None


class _Composer:
    """Builds nodes from the parser's events, so that no depth and no alias goes uncounted."""

    def __init__(self, path: str, text: str) -> None:
        self._path = path
        self._text = text
        self._events: Iterator[Any] = yaml.parse(text, Loader=LOADER)
        self._anchors: dict[str, Node] = {}
        self._nodes = 0

    def document(self) -> Node:
        documents = [self._node(event, 0) for event in self._events if isinstance(event, yaml.NodeEvent)]
        if len(documents) > 1:
            raise self._invalid(documents[1].location, "more than one document")
        return documents[0] if documents else Node(None, Location(self._path, 1, 1))

    def _node(self, event: Any, depth: int) -> Node:
        location = Location(self._path, event.start_mark.line + 1, event.start_mark.column + 1)
        if depth > MAX_DEPTH:
            raise self._invalid(location, f"nested more than {MAX_DEPTH} levels deep")
        if getattr(event, "tag", None) not in (None, "!"):
            raise self._invalid(location, "a tag; only plain values are read")
        if isinstance(event, yaml.AliasEvent):
            node = self._alias(event, location)
        else:
            before = self._nodes
            node = Node(self._value(event, depth), location, self._nodes - before + 1)
            self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._invalid(location, f"more than {MAX_NODES} values")
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: Any, location: Location) -> Node:
        node = self._anchors.get(event.anchor)
        if node is None:
            raise self._invalid(location, "an alias without its anchor")
        self._nodes += node.size
        return node

    def _value(self, event: Any, depth: int) -> str | list[Node] | dict[str, Node] | None:
        match event:
            case yaml.ScalarEvent():
                plain: bool = event.implicit[0]
                return None if plain and event.value in _NULLS else str(event.value)
            case yaml.SequenceStartEvent():
                return [self._node(e, depth + 1) for e in self._until(yaml.SequenceEndEvent)]
            case _:
                return self._mapping(depth)

    def _mapping(self, depth: int) -> dict[str, Node]:
        mapping: dict[str, Node] = {}
        for event in self._until(yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            if not isinstance(key.value, str):
                raise self._invalid(key.location, "a key that is not text")
            if key.value in mapping:
                raise self._invalid(key.location, f"the key {key.value} for the second time")
            mapping[key.value] = replace(self._node(next(self._events), depth + 1), key=key.location)
        return mapping

    def _until(self, end: type) -> Iterator[Any]:
        while not isinstance(event := next(self._events), end):
            yield event

    def _invalid(self, location: Location, problem: str) -> BuildError:
        return invalid(location, "YAML", _line(self._text, location.line), problem)


def _failure(path: str, text: str, error: yaml.YAMLError) -> BuildError:
    mark = getattr(error, "problem_mark", None)
    if mark is None:  # A character that YAML does not have: the parser knows no line.
        return invalid(Location(path), "YAML", "", str(getattr(error, "reason", None) or error))
    problem = getattr(error, "problem", None) or str(error)
    if "quoted scalar" in str(getattr(error, "context", None)) and (begins := getattr(error, "context_mark", None)):
        mark, problem = begins, QUOTE_OPEN
    location = Location(path, mark.line + 1, mark.column + 1)
    found = _line(text, location.line)
    if found.strip() == "pip:" and "'-' indicator" in problem:
        return invalid(location, "YAML", found, problem, ("- pip:",))
    for number, line in enumerate(text.splitlines()[: mark.line + 1], 1):
        if slip := re.fullmatch(r"\s*-([A-Za-z][\w.=<>-]*)\s*", line):
            return invalid(Location(path, number), "YAML", line, "no space behind the dash", (f"- {slip[1]}",))
    return invalid(location, "YAML", found, problem)


def _line(text: str, number: int) -> str:
    return "".join(text.splitlines()[number - 1 : number])

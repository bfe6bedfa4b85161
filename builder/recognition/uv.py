"""uv's reports of a resolution without an answer. Forms: uv 0.13, and the framed one of earlier releases."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from builder.recognition.resolution import MAX_EDGES, YOU, Edge, Report, failure
from builder.recognition.said import Said

MAX_REPORT = 50_000
"""Characters of a report that are read; those of real repositories have up to 10,000."""

_BEGINS = re.compile(r"No solution found when resolving")
_FRAME = re.compile(r"^\s*(?:cause:|╰─▶|├─▶|×)?\s*│?\s*")
_ENDS = re.compile(r"^(?:\S.*|hint:.*)")

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_REQUIREMENT = re.compile(rf"({_NAME})(?:\[[^\]]*\])?(?:\{{[^}}]*\}})?((?:[<>=!~]=?=?[^\s,<>=!~]+,?)*)")
_SUBJECT = re.compile(rf"(?:all versions of )?({_NAME})(?:\[[^\]]*\])?(?:\{{[^}}]*\}})?([<>=!~]\S*)?\s+(.*)")
_AND = re.compile(
    rf",? and (?=all versions of |only |there (?:is|are) no |the (?:current|requested) |you require |your project"
    rf"|we know |because |{_NAME}(?:\[[^\]]*\])?(?:\{{[^}}]*\}})?(?:[<>=!~]\S*)? (?:depends?|was|has|have|could) )"
)


def recognise(said: Said) -> object | None:
    """The failure behind uv's report, None where it printed none."""
    sentences = tuple(_sentences(_block(said.lines)))
    if not sentences:
        return None
    report = Report(sentences)
    for sentence in sentences:
        premises = re.sub(r"^(?:Because|And because|So,? because) ", "", sentence)
        premises = re.split(r",? we can conclude that", premises, maxsplit=1)[0]
        for clause in _AND.split(premises):
            _clause(clause.strip(), report)
    report.root()
    return failure(report, said)


def _block(lines: Iterable[str]) -> Iterator[str]:
    """The lines of the report, without their frame."""
    inside = False
    for line in lines:
        if not inside:
            inside = bool(_BEGINS.search(line))
            continue
        if _ENDS.match(line) and not line.startswith(("╰", "│", "├", "×")):
            return
        yield _FRAME.sub("", line)


def _sentences(lines: Iterable[str]) -> Iterator[str]:
    words = " ".join(" ".join(lines).split())[:MAX_REPORT]
    for sentence in re.split(r"(?<=\.)(?: \(\d+\))? (?=And because |Because |So,? because )", words):
        if sentence.startswith(("Because ", "And because ", "So")):
            yield sentence


def _clause(clause: str, report: Report) -> None:
    if found := re.match(r"you require (.*)|your project(?:'s requirements)? (?:requires?|depends on) (.*)", clause):
        _needs(YOU, found[1] or found[2], report)
    elif found := re.match(rf"there (?:is|are) no versions? of ({_NAME})(\S*)", clause):
        report.unavailable.append(found[1])
        report.edges += [Edge(YOU, found[1], found[2])] if found[2] and not report.edges else []
    elif found := re.match(rf"only (?:the following versions of )?({_NAME})\S* (?:is|are) available", clause):
        report.unavailable.append(found[1])
    elif found := _SUBJECT.match(clause):
        _subject(found[1], found[2] or "", found[3], report)


def _subject(name: str, specifier: str, predicate: str, report: Report) -> None:
    if re.match(r"(?:was|were) not found in ", predicate):
        report.absent.append(name)
    elif found := re.match(r"(?:was|were) yanked(?: \(reason: (.*?)\))?", predicate):
        report.yanked.append((name, specifier.removeprefix("=="), (found[1] or "")[:200]))
    elif found := re.match(r"depends? on Python(\S+)", predicate):
        report.pythons.append((name, _versions(specifier), found[1]))
    elif found := re.match(
        r"(?:has|have) no (?:wheels with a matching Python|wheels with a matching platform|.*wheels)", predicate
    ):
        report.tags.append((name, specifier, "platform" if "platform" in found[0] else "python"))
    elif found := re.match(r"depends? on (?:one of: )?(.*)", predicate):
        _needs(name, found[1], report)


def _needs(parent: str, requirements: str, report: Report) -> None:
    for requirement in requirements.split(" and "):
        found = _REQUIREMENT.match(requirement)
        if found and len(report.edges) < MAX_EDGES:
            report.edges.append(Edge(parent, found[1], found[2].rstrip(",")))


def _versions(specifier: str) -> str:
    """ "3.0" of "==3.0", "2.1 to 2.2" of ">=2.1,<=2.2"."""
    between = re.fullmatch(r">=?([^,]+),<=?([^,]+)", specifier)
    return f"{between[1]} to {between[2]}" if between else specifier.removeprefix("==")

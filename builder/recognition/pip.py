"""What pip says where uv was not asked, or said nothing that is known. Forms: pip 25 and 26."""

from __future__ import annotations

import re
from itertools import islice, takewhile

from builder.failures.built import Conflict, HashesIncomplete, HashMismatch, Line, Side
from builder.recognition.resolution import Edge, Report, failure, in_order
from builder.recognition.said import Said

MAX_HASHLESS = 10
"""Requirements without a hash that are named."""

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_UNSATISFIED = re.compile(rf"satisfies the requirement ({_NAME})(?:\[[^\]]*\])?(\S*).* \(from versions: (.*)\)")
_CAUSE = re.compile(rf"^\s+({_NAME})(?:\[[^\]]*\])? (\S+) depends on ({_NAME})(?:\[[^\]]*\])?(\S*)")
_ASKED = re.compile(rf"^\s+The user requested (?:\(constraint\) )?({_NAME})(?:\[[^\]]*\])?(\S*)")


def recognise(said: Said) -> object | None:
    """The failure behind pip's last words, None where they are none of these."""
    if of_hashes := _hash_mismatch(said) or _hashes_incomplete(said):
        return of_hashes
    for line in said.lines:
        if found := _UNSATISFIED.search(line):
            report = Report((line.strip(),), [Edge("", found[1], found[2])])
            (report.absent if found[3] == "none" else report.unavailable).append(found[1])
            return failure(report, said)
    for line in said.lines:
        if found := re.search(rf"No matching distribution found for ({_NAME})", line):
            return failure(Report((), absent=[found[1]]), said)
    return _conflict(said)


def _hash_mismatch(said: Said) -> HashMismatch | None:
    """ "    six==1.16.0 from https://… (from -r … (line 1)):", below it what was expected, and what came."""
    start = next((n for n, line in enumerate(said.lines) if "DO NOT MATCH THE HASHES" in line), len(said.lines))
    for number, line in enumerate(said.lines[start + 1 : start + 6], start + 2):
        if found := re.match(rf"\s+({_NAME})(?:==(\S+))? from ", line):
            hashes = tuple(text.strip() for text in said.lines[number : number + 6] if re.search("sha|md5|Got", text))
            return HashMismatch(found[1], found[2] or "", hashes, said.asked.lines(found[1]))
    return None


_OF_HASHES = {
    "absent": re.compile(r"Hashes are required in --require-hashes mode, but they are missing"),
    "unpinned": re.compile(r"In --require-hashes mode, all requirements must have their versions pinned"),
    "impossible": re.compile(r"Can't verify hashes for these|cannot be installed when requiring hashes"),
}


def _hashes_incomplete(said: Said) -> HashesIncomplete | None:
    for number, line in enumerate(said.lines):
        kind = next((kind for kind, words in _OF_HASHES.items() if words.search(line)), "")
        if kind:
            below = takewhile(lambda line: line.startswith("    "), said.lines[number + 1 :])
            texts = [text.strip() for text in islice(below, MAX_HASHLESS)] or [line]
            path = said.asked.plan.files[0].path if said.asked.plan else "requirements.txt"
            return HashesIncomplete(kind, tuple(_hashless(text, said) for text in texts), path)
    return None


def _hashless(text: str, said: Said) -> tuple[str, tuple[Line, ...]]:
    """What pip lists: "attrs==23.2.0 --hash=sha256:…", "six>=1.5 from https://… (from tides==1.0->-r … (line 1))"."""
    requirement = re.match(r"(?:ERROR: )?(?:The editable requirement )?(.+?)(?: from | \(from |$)", text)
    shown = (requirement[1] if requirement else text).replace("file:///work/", "./")
    place = re.search(r"\(from -r /work/(\S+) \(line (\d{1,9})\)\)", text)
    if place and said.asked.plan and place[1] in (file.path for file in said.asked.plan.files):
        return shown, (said.asked.at(place[1], int(place[2])),)
    name = re.match(_NAME, shown)
    return shown, said.asked.lines(name[0]) if name else ()


def _conflict(said: Said) -> object | None:
    if not re.search(r"ResolutionImpossible|conflicting dependencies", said.text):
        return None
    report = Report(tuple(line.strip() for line in said.lines if "onflict" in line)[:10])
    for line in said.lines:
        if found := _CAUSE.match(line):
            report.edges.append(Edge(found[1], found[3], found[4]))
        elif found := _ASKED.match(line):
            report.edges.append(Edge("", found[1], found[2]))
    known = {edge.name for edge in report.edges} | {""}
    report.edges += [Edge("", edge.parent, "") for edge in report.edges if edge.parent not in known]
    named = _named(said, report)
    conflict = failure(report, said) if report.edges else named
    if not isinstance(conflict, Conflict):
        return conflict
    # pip's causes begin at the last link of each chain; the one line that is left over asks for the one chain.
    told = {side.line for side in conflict.sides}
    left = [side.line for side in named.sides if side.line not in told]
    if len(left) == 1 and None in told:
        sides = (side._replace(line=side.line or left[0]) for side in conflict.sides)
        conflict = conflict._replace(sides=in_order(sides))
    return conflict


def _named(said: Said, report: Report) -> Conflict:
    """pip's one line, where it says no more: "Cannot install -r …/requirements.txt (line 1) and orbits because …"."""
    found = re.search(r"Cannot install (.*) because these package versions", said.text)
    sides = []
    for text in re.split(r", | and ", found[1]) if found else ():
        name = re.match(rf"({_NAME})(\S*)$", text)
        place = re.match(r"-r /work/(\S+) \(line (\d+)\)$", text)
        lines = said.asked.lines(name[1], name[2]) if name else ()
        if place and said.asked.plan and place[1] in (file.path for file in said.asked.plan.files):
            lines = (said.asked.at(place[1], int(place[2])),)
        sides += [Side((lines[0].text,), "", lines[0])] if lines else []
    return Conflict(report.sentences, sides=tuple(sides))

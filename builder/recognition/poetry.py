"""What Poetry 1.8 says of versions that it cannot decide, and of a lock that does not belong to its project."""

from __future__ import annotations

import re
from collections.abc import Iterator

from builder.failures.built import Line, LockStale, NoneForPython, PoetryUnreadable, PythonsTooWide
from builder.recognition.resolution import MAX_EDGES, Edge, Report, failure, pythons
from builder.recognition.said import Said, release

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_PACKAGE = rf"({_NAME})(?:\[[^\]]*\])?(?: \(([^()]*)\))?"
_NEEDS = re.compile(rf"{_PACKAGE} depends on (?:both )?(.*)")
_AND = re.compile(r" and (?=no versions of |[\w.-]+ \([^()]*\) (?:depends|requires)|[\w.-]+ depends on )")
_BEGINS = re.compile(r"(?:Because|So, because|And because)\b")
_INVALID = re.compile(
    r"^The Poetry configuration is invalid|^\s*Could not parse version constraint: |^\s*Unexpected (?:token|character)"
)
_PYTHON = re.compile(rf"({_NAME})(?: \(([^()]*)\))? (?:which )?requires Python ([^,]+(?:,[^a-z\s]+)*)")


def recognise(said: Said) -> object | None:
    """The failure behind Poetry's report, None where it printed none."""
    if "changed significantly since poetry.lock" in said.text or "is not up-to-date with pyproject.toml" in said.text:
        return LockStale(tuple(said.lines[-5:]))
    if "version solving failed" not in said.text:
        return _unreadable(said)
    sentences = tuple(_sentences(said))
    report = Report(sentences)
    for sentence in sentences:
        for clause in re.split(
            r" and (?=(?:no versions of |[\w.-]+ \([^()]*\) (?:depends|requires)|[\w.-]+ depends on ))", sentence
        ):
            _clause(clause, report)
    report.root()
    found = failure(report, said)
    return (_too_wide(found, report, said) if isinstance(found, NoneForPython) else None) or found


def _too_wide(found: NoneForPython, report: Report, said: Said) -> PythonsTooWide | None:
    """Poetry decides for all Pythons that a project allows: what it says of one may be true of another alone."""
    mends = re.findall(
        rf"For {re.escape(found.name)}, .{{1,100}} set the `python` property to \"([0-9.,<>=!]+)\"", said.text
    )
    mend = next((mend for mend in mends if not said.minor or said.minor in pythons([mend])), None)
    if mend is None:
        return None
    needs = {need: version for name, version, need in report.pythons if name == found.name}
    # Poetry tells of them in any order.
    newest_first = sorted(((v, need) for need, v in needs.items()), key=lambda pair: release(pair[0]), reverse=True)
    stated, allowed = next(iter(_stated(said)), (None, ""))
    return PythonsTooWide(
        found.name, found.specifier, said.minor, tuple(newest_first[:5]), mend,
        asked=found.asked, stated=stated, allowed=allowed,
    )  # fmt: skip


def _stated(said: Said) -> Iterator[tuple[Line, str]]:
    """The line that says which Pythons a project allows, and which those are."""
    for path, text in said.asked.files():
        for number, line in enumerate(text.split("\n") if path.endswith("pyproject.toml") else (), 1):
            if written := re.match(r"\s*python\s*=\s*([\"'])([^\"']+)\1", line):
                yield said.asked.at(path, number), written[2]


_UNREADABLE = (
    ("unknown", re.compile(r"^\s+- (.*\('([^']+)' (?:was|were) unexpected\).*)")),
    ("type", re.compile(r"^\s+- (data\.(?:[\w-]+\.)*([\w-]+)\S* must .*)")),
    ("constraint", re.compile(r"^\s*(Could not parse version constraint: (.+))")),
    ("", re.compile(r"^\s*(Unexpected (?:token|character)s? .*?()at line.*)")),
    ("", re.compile(r"^\s+- (.+)()$")),
)


def _unreadable(said: Said) -> PoetryUnreadable | None:
    """The Poetry configuration that is invalid, a constraint or a marker that is none."""
    start = next((n for n, line in enumerate(said.lines) if _INVALID.search(line)), None)
    if start is None:
        return None
    problems: dict[tuple[str, str], None] = {}
    asked: dict[Line, None] = {}
    for line in said.lines[start:][:20]:
        for kind, pattern in _UNREADABLE:
            if found := pattern.match(line):
                problems[kind, found[1][:200]] = None
                asked |= dict.fromkeys(said.asked.holding(found[2]) if found[2] else ())
                break
    return PoetryUnreadable(tuple(problems)[:5], tuple(asked)[:5]) if problems else None


def _sentences(said: Said) -> Iterator[str]:
    """From "Because" or "So," to the full stop; lines that go on are indented."""
    start = next(
        (n for n, line in enumerate(said.lines) if re.match(r"(?:Because|So, because|And because)\b", line)), None
    )
    if start is None:
        return
    sentence = ""
    for line in said.lines[start:]:
        sentence = f"{sentence} {line.strip()}".strip()
        if sentence.endswith("."):
            yield sentence
            if sentence.endswith("version solving failed."):
                return
            sentence = ""


def _clause(clause: str, report: Report) -> None:
    clause = re.sub(r"^(?:So, because|And because|Because) ", "", clause)
    if (found := _PYTHON.search(clause)) and (found[2] is not None or "which" in found[0]):
        depends = _NEEDS.search(clause[: found.start()] + clause[found.start() : found.end()])
        report.pythons.append((found[1], found[2] or "", found[3].strip(" ,")))
        if depends and len(report.edges) < MAX_EDGES:
            report.edges.append(Edge(depends[1], found[1], found[2] or ""))
        return
    found = _NEEDS.search(clause)
    if found is None:
        return
    targets = re.split(
        r", (?=every version|version solving|[\w.-]+ (?:is|requires|cannot))| which ", found[3], maxsplit=1
    )
    for target in re.split(r" and ", targets[0]):
        needed = re.match(_PACKAGE, target)
        if needed and len(report.edges) < MAX_EDGES:
            report.edges.append(Edge(found[1], needed[1], needed[2] or ""))
            if "doesn't match any versions" in clause:
                report.unavailable.append(needed[1])

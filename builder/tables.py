"""Plans and packages as lines that a person reads: aligned, most important first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from builder.transcript import printable

if TYPE_CHECKING:
    from builder.build import Planned
    from builder.records import Built, Difference, Inventory, MissingLibrary, Package

SHOWN = 40
"""Lines of one list that are shown; `--json` has all."""


def plan_lines(planned: Planned) -> Iterator[str]:
    """A plan: what was chosen and why, what was asked for, what was left out, and the key."""
    plan = planned.plan
    strategy, *others = (f"{evidence.path}: {evidence.seen}" for evidence in plan.evidence)
    yield from columns(
        [
            ("Repository", planned.commit.url, ""),
            ("Commit", planned.commit.id, ""),
            ("Strategy", plan.strategy, strategy),
            *(("", "", other) for other in others),
            ("Python", plan.python.value, plan.python.origin),
            ("Frontend", planned.frontend, ""),
        ],
        bold=0,
    )
    yield from _section("Asked for", [(requested,) for requested in plan.requested])
    pinned = (*plan.files, *plan.trees, *(ref for ref in (plan.package, plan.post_build, plan.start) if ref))
    yield from _section("Files", [(ref.path or ".", ref.blob[:12]) for ref in pinned])
    yield from _section("System packages", [(name,) for name in plan.system_packages])
    yield from _section("Ignored", [(ignored.path, ignored.reason) for ignored in plan.ignored])
    yield from _section("Warnings", [(warned.message,) for warned in plan.warnings])
    yield ""
    yield f"{click.style('Key', bold=True)}  {planned.key}"


def outcome(built: Built) -> str:
    """One line on an image: how it came to be, how long that took, and its size."""
    from builder.quantities import duration_in_words, size_in_words

    how = "Reused" if built.reused else "Built"
    return f"{how} in {duration_in_words(built.seconds)}: {built.reason}; {size_in_words(built.size)}"


def package_lines(inventory: Inventory, requested_only: bool) -> Iterator[str]:
    """Packages, one a line: name, version, where from, and whether it was asked for."""
    shown = [package for package in inventory.packages if package.requested or not requested_only]
    return columns((p.name, p.version, p.source, "asked for" if p.requested else "pulled in") for p in shown)


def library_lines(inventory: Inventory) -> Iterator[str]:
    """Shared libraries that nothing provides: name, who needs it, and what to add to apt.txt where that is known."""
    return _section(
        "Missing libraries",
        [
            (missing.library, f"needed by {', '.join(missing.packages or missing.files)}", _remedy(missing))
            for missing in inventory.missing_libraries
        ],
    )


def difference_lines(difference: Difference) -> Iterator[str]:
    """What came with "+", what went with "-", what changed with "~"."""
    rows = [("+", p.name, _version(p)) for p in difference.added]
    rows += [("-", p.name, _version(p)) for p in difference.removed]
    rows += [("~", a.name, f"{_version(a, b)} -> {_version(b, a)}") for a, b in difference.changed]
    yield from columns(rows) if rows else ["The same packages in both."]


def columns(rows: Iterable[Sequence[str]], *, bold: int | None = None, indent: str = "") -> Iterator[str]:
    """Rows as lines whose columns are aligned; the column `bold` stands out on a terminal."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        if bold is not None:
            cells[bold] = click.style(cells[bold], bold=True)
        yield (indent + "  ".join(cells)).rstrip()


def _section(title: str, rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if not rows:
        return
    yield ""
    yield click.style(title, bold=True)
    yield from columns(rows[:SHOWN], indent="  ")
    if len(rows) > SHOWN:
        yield f"  … and {len(rows) - SHOWN} more"


def _remedy(missing: MissingLibrary) -> str:
    return f"apt.txt: {missing.debian}" if missing.debian else ""


def _version(package: Package, other: Package | None = None) -> str:
    moved = other is not None and other.source != package.source
    return f"{package.version} ({package.source})" if moved else package.version

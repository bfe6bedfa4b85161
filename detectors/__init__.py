"""Detectors: what does this repository need? Pure: no Docker, no network, no clock, no file system."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import replace

from detectors import conda, hooks, near, pip, poetry, project, pyproject, python
from detectors.failures import BuildError, NoEnvironment, StrategyAbsent, one_line
from detectors.layout import BINDER, Layout, is_directory, locate, submodules
from detectors.plan import Ignored, Options, Plan, Warned
from detectors.source import Entry, Source, normalise

CHAIN: dict[str, Callable[[Source, Options], Plan | None]] = {
    "conda": conda.detect,
    "pip": pip.detect,
    "poetry": poetry.detect,
    "project": project.detect,
}
"""Every strategy by its name, in the order in which they are tried."""

WANTS = {
    "conda": conda.FILES,
    "pip": (pip.FILE,),
    "poetry": ("pyproject.toml with [tool.poetry]",),
    "project": ("pyproject.toml with [project]",),
}
"""What each strategy looks for, in words."""

NOT_READ = {
    "Pipfile": "pipenv is no strategy; `pipenv requirements` writes a requirements.txt",
    "Dockerfile": "Launchyard writes a Dockerfile of its own",
    "install.R": "only Python environments are built",
    "Project.toml": "only Python environments are built",
    "default.nix": "only Python environments are built",
}

MAX_SEEN = 40
"""How many names a failure lists, and"""
MAX_SEEN_BELOW = 8
"""how many of each directory in it."""


def detect(source: Source, options: Options) -> Plan:
    """Plan the environment of a repository: the first strategy of the chain that finds its file.

    What else was there is in the plan's `ignored`, with the option that would choose it.
    Raises BuildError with NoEnvironment, StrategyAbsent, DirectoryAbsent, or what a strategy raises.
    """
    layout = locate(source, options)
    plan = _strategy(source, options, layout)
    found = hooks.find(source, layout)
    used = {file.path for file in plan.files} | {posixpath.join(tree.path, pyproject.FILE) for tree in plan.trees}
    ignored = (*_lost(source, layout, plan), *plan.ignored, *_unread(source, layout))
    return replace(
        plan,
        system_packages=found.system_packages,
        post_build=found.post_build,
        start=found.start,
        ignored=tuple(file for file in ignored if file.path not in used),
        warnings=(*plan.warnings, *_unused(options, plan), *_of_today(options, found)),
    )


def check(options: Options) -> None:
    """Refuse what no repository can be built with. Raises BuildError with PathOutside or PythonUnavailable."""
    normalise(options.subdir)
    if options.python is not None:
        # Where the strategy is the repository's to say, what conda takes may be right: the others take less.
        (conda.by_option if options.strategy in (None, "conda") else python.by_option)(options.python)


def _strategy(source: Source, options: Options, layout: Layout) -> Plan:
    if options.strategy is not None:
        chosen = CHAIN.get(options.strategy)
        plan = chosen(source, options) if chosen else None
        if plan is None:
            wants = WANTS.get(options.strategy, tuple(CHAIN))
            raise BuildError(StrategyAbsent(options.strategy, wants, layout.config))
        return plan
    for name in CHAIN:
        if plan := CHAIN[name](source, options):
            return plan
    raise BuildError(NoEnvironment(layout.config, _seen(source, layout.config), near.misses(source, layout)))


def _seen(source: Source, directory: str) -> tuple[str, ...]:
    """What is in a directory and one level below, by paths from it; what was left out is counted."""
    lines: list[str] = []
    entries = source.list(directory)
    for number, entry in enumerate(entries):
        if len(lines) >= MAX_SEEN:
            return (*lines, f"… {len(entries) - number:,} more")
        name = one_line(posixpath.basename(entry.path))
        if entry.kind != "directory":
            lines.append(name)
            continue
        below = source.list(entry.path)
        lines.append(f"{name}/")
        lines += [f"{name}/{_shown(entry)}" for entry in below[:MAX_SEEN_BELOW]]
        if len(below) > MAX_SEEN_BELOW:
            lines.append(f"{name}/… {len(below) - MAX_SEEN_BELOW:,} more")
    return tuple(lines)


def _shown(entry: Entry) -> str:
    return one_line(posixpath.basename(entry.path)) + "/" * (entry.kind == "directory")


def _lost(source: Source, layout: Layout, plan: Plan) -> tuple[Ignored, ...]:
    """The files of the strategies that did not win."""
    winner = posixpath.basename(plan.evidence[0].path)
    return tuple(
        Ignored(path, f"{winner} decides; --strategy {name} chooses this file")
        for name, path in _candidates(source, layout)
        if name != plan.strategy
    )


def _candidates(source: Source, layout: Layout) -> list[tuple[str, str]]:
    candidates = [("conda", layout.path(name)) for name in conda.FILES] + [("pip", layout.path(pip.FILE))]
    candidates = [(name, path) for name, path in candidates if source.entry(path)]
    path = layout.path(pyproject.FILE)
    try:
        document = pyproject.load(source, path)
        name = pyproject.strategy(document) if document else None
    except BuildError:  # It was not chosen, so what is wrong with it harms nobody.
        name = None
    return [*candidates, (name, path)] if name else candidates


def _unread(source: Source, layout: Layout) -> tuple[Ignored, ...]:
    """Files that people expect to matter: beside a binder directory, in a submodule, and of other tools."""
    ignored = [
        Ignored(layout.path(name), reason) for name, reason in NOT_READ.items() if source.entry(layout.path(name))
    ]
    ignored += [Ignored(path, "a submodule is not read") for path in submodules(source, layout)]
    if layout.config == layout.project:
        return tuple(ignored)
    configuration = (*near.WANTED, *hooks.NAMES, "runtime.txt", ".python-version")
    beside = [posixpath.join(layout.project, name) for name in configuration]
    reason = f"{layout.config}/ exists, so configuration is read from there only"
    ignored += [Ignored(path, reason) for path in beside if source.entry(path)]
    others = [posixpath.join(layout.project, name) for name in BINDER]
    ignored += [
        Ignored(path, f"{layout.config}/ comes first")
        for path in others
        if path != layout.config and is_directory(source, path)
    ]
    return tuple(ignored)


def _of_today(options: Options, found: hooks.Hooks) -> tuple[Warned, ...]:
    if not (options.as_of and found.system_packages):
        return ()
    return (Warned("as-of-apt", "the Debian packages of apt.txt are those of today"),)


def _unused(options: Options, plan: Plan) -> tuple[Warned, ...]:
    if plan.strategy in ("poetry", "project") or not (options.groups or options.extras):
        return ()
    return (Warned("groups-unused", f"a {plan.strategy} environment has no groups and no extras"),)

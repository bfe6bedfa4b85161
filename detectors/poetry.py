"""The poetry strategy: a pyproject.toml with a `[tool.poetry]` that Poetry 1.8 can read.

Format: https://python-poetry.org/docs/1.8/pyproject/
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from detectors import constraint, gpu, pyproject, python
from detectors.failures import BuildError, Location, LockNewer
from detectors.gpu import Named
from detectors.layout import Layout, locate, ref
from detectors.plan import Evidence, Options, Plan, Warned
from detectors.source import MAX_FILE, Source, read

if TYPE_CHECKING:
    from detectors.tomlfile import Document

POETRY = ("tool", "poetry")

CPU_SOURCE = f'add a [[tool.poetry.source]] with url = "{gpu.CPU_INDEX}" and priority = "explicit", and name it there'


def detect(source: Source, options: Options) -> Plan | None:
    """Plan a poetry environment, from the lock where there is one.

    Returns None when the repository has no pyproject.toml, or one that is not Poetry's (see
    `pyproject.strategy`). Raises BuildError with FileInvalid, GroupAbsent, PythonUnavailable,
    PathOutside or PathAbsent.
    """
    layout = locate(source, options)
    document = pyproject.load(source, layout.path(pyproject.FILE))
    if document is None or pyproject.strategy(document) != "poetry":
        return None
    package_mode = document.table(*POETRY).get("package-mode", True) is not False
    if package_mode:
        _check_package(document)
    dependencies = list(_dependencies(document))
    groups = pyproject.choose("group", options.groups, _groups(document), document.path)
    extras = pyproject.choose("extra", options.extras, list(document.table(*POETRY, "extras")), document.path)
    wanted = [d for d in dependencies if d.group in ("main", *groups) and not d.is_optional]
    in_extras = {pyproject.canonical(name) for extra in extras for name in document.strings(*POETRY, "extras", extra)}
    wanted += [d for d in dependencies if d.is_optional and pyproject.canonical(d.name) in in_extras]
    files, trees = pyproject.local_packages(source, document, _local_paths)
    chosen = python.choose(source, layout, options, _required(document))
    lock, lock_warnings = _lock(source, layout, document)
    indexes, index_warnings = _sources(document)
    lock_path = layout.path("poetry.lock")
    locked = () if lock == "absent" else (ref(source, lock_path),)
    return Plan(
        strategy="poetry",
        python=chosen.choice,
        evidence=(Evidence(document.path, "[tool.poetry]"), *(Evidence(f.path, lock) for f in locked)),
        files=(ref(source, document.path), *locked, *files),
        trees=trees,
        package=ref(source, layout.config) if package_mode else None,
        requested=tuple(d.text for d in wanted),
        inputs={
            "directory": layout.config,
            "lock": lock,
            "groups": groups,
            "extras": extras,
            "as_of": options.as_of,
        },
        ignored=chosen.ignored,
        warnings=(
            *chosen.warnings,
            *lock_warnings,
            *index_warnings,
            *gpu.warn([d.named for d in wanted if d.named], indexes, CPU_SOURCE),
            *_as_of(options, lock),
        ),
    )


def content_hash(document: Document) -> str:
    """What Poetry 1.8 writes into a lock as the hash of what decided it."""
    poetry = document.table(*POETRY)
    relevant = {key: poetry.get(key) for key in ("dependencies", "source", "extras", "dev-dependencies")}
    if poetry.get("group") is not None:
        relevant["group"] = poetry["group"]
    return hashlib.sha256(json.dumps(relevant, sort_keys=True, default=str).encode()).hexdigest()


def asked(source: Source, plan: Plan) -> tuple[Named, ...]:
    """The packages that a plan's pyproject.toml names, and where. Raises as `detect` does."""
    document = pyproject.load(source, plan.files[0].path)
    return tuple(d.named for d in _dependencies(document) if d.named) if document else ()


class _Dependency(NamedTuple):
    group: str
    name: str
    constraint: dict[str, Any]
    location: Location

    @property
    def is_optional(self) -> bool:
        """Whether only an extra brings it."""
        return self.group == "main" and self.constraint.get("optional") is True

    @property
    def text(self) -> str:
        """In the words of its file, on one line."""
        extras = self.constraint.get("extras")
        name = f"{self.name}[{','.join(map(str, extras))}]" if isinstance(extras, list) and extras else self.name
        for kind in ("git", "path", "file", "url"):
            if kind in self.constraint:
                return f"{name} @ {self.constraint[kind]}"
        return f"{name} {self.constraint.get('version', '*')}"

    @property
    def named(self) -> Named | None:
        """Itself, where the default index is asked for it."""
        if not {"git", "path", "file", "url", "source"}.isdisjoint(self.constraint):
            return None
        extras = self.constraint.get("extras")
        names = frozenset(map(str, extras)) if isinstance(extras, list) else frozenset()
        return Named(self.name, names, str(self.constraint.get("version", "")), self.location)


def _dependencies(document: Document) -> Iterator[_Dependency]:
    from detectors.requirement import check_url

    count = 0
    for group, keys in _tables(document):
        for name, value in document.table(*keys).items():
            if group == "main" and pyproject.canonical(name) == "python":
                continue
            location = document.location(*keys, name)
            for entry in value if isinstance(value, list) else [value]:
                count += 1
                if count > pyproject.MAX_REQUIREMENTS:
                    problem = f"more than {pyproject.MAX_REQUIREMENTS} dependencies"
                    raise document.invalid((*keys, name), "a project", name, problem)
                stated = {"version": entry} if isinstance(entry, str) else entry
                if not isinstance(stated, dict):
                    quoted = re.sub(r"=\s*([\w.]+)\s*$", r'= "\1"', document.line(location))
                    raise document.invalid(
                        (*keys, name), "a dependency", f"{name} = {value}", "neither text nor table",
                        instead=(quoted,) if '"' in quoted else (),
                    )  # fmt: skip
                if "git" in stated:
                    check_url(str(stated["git"]), location, ("https",))
                if "url" in stated:
                    check_url(str(stated["url"]), location)
                yield _Dependency(group, name, stated, location)


def _local_paths(document: Document) -> Iterator[tuple[str, Location]]:
    for dependency in _dependencies(document):
        for kind in ("path", "file"):
            if kind in dependency.constraint:
                yield str(dependency.constraint[kind]), dependency.location


def _tables(document: Document) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each group with the keys of its table of dependencies."""
    yield "main", (*POETRY, "dependencies")
    yield "dev", (*POETRY, "dev-dependencies")
    for group in document.table(*POETRY, "group"):
        yield group, (*POETRY, "group", group, "dependencies")


def _groups(document: Document) -> list[str]:
    groups = list(document.table(*POETRY, "group"))
    return ["dev", *groups] if document.has(*POETRY, "dev-dependencies") and "dev" not in groups else groups


def _check_package(document: Document) -> None:
    missing = [key for key in ("name", "version", "description", "authors") if not document.has(*POETRY, key)]
    if missing:
        problem = f"without {', '.join(missing)} Poetry takes it only with package-mode = false"
        raise document.invalid(POETRY, "a Poetry package", "[tool.poetry]", problem)


def _required(document: Document) -> python.Required | None:
    keys = (*POETRY, "dependencies", "python")
    text = document.string(*keys)
    if text is None:
        return None
    try:
        return python.Required(text, document.location(*keys), constraint.parse(text))
    except ValueError as error:
        instead = python.meant("python", text, constraint.parse)
        raise document.invalid(keys, "a constraint on Python", text, str(error), instead=instead) from None


def _lock(source: Source, layout: Layout, document: Document) -> tuple[str, tuple[Warned, ...]]:
    """ "fresh", "stale" or "absent"."""
    path = layout.path("poetry.lock")
    text = read(source, path, MAX_FILE)
    if text is None:
        return "absent", ()
    from detectors.tomlfile import Document

    lock = Document(path, text)
    version = lock.string("metadata", "lock-version") or "none"
    major, _, minor = version.partition(".")
    if major.isdecimal() and minor.isdecimal() and int(major) > 2:
        raise BuildError(LockNewer(lock.location("metadata", "lock-version"), version[:20]))
    if major not in ("1", "2") or not minor.isdecimal():
        raise lock.invalid(("metadata", "lock-version"), "a poetry.lock", version, "its version is not 1.x or 2.x")
    warnings: tuple[Warned, ...] = ()
    if major == "2" and minor != "0":
        warnings += (Warned("poetry-lock-newer", f"{path} has version {version}; Poetry 1.8 reads it as 2.0"),)
    stale = f"{path} is older than {document.path}; it is brought up to date, and keeps what still fits"
    if lock.string("metadata", "content-hash") == content_hash(document):
        locked = {pyproject.canonical(str(package.get("name"))) for package in lock.tables("package")}
        missing = [d.name for d in _dependencies(document) if pyproject.canonical(d.name) not in locked]
        if not missing:
            return "fresh", warnings
        # As after a conflict of a merge: Poetry's export would leave them out without a word.
        stale = f"{path} lacks {', '.join(missing[:5])}, which {document.path} asks for; it is brought up to date"
    return "stale", (*warnings, Warned("poetry-lock-stale", stale))


def _sources(document: Document) -> tuple[list[str], tuple[Warned, ...]]:
    from detectors.requirement import check_url

    urls: list[str] = []
    for table in document.tables(*POETRY, "source"):
        if len(urls) == pyproject.MAX_INDEXES:
            raise document.invalid((*POETRY, "source"), "a project", "", f"more than {pyproject.MAX_INDEXES} sources")
        if "url" in table:
            check_url(str(table["url"]), document.location(*POETRY, "source", holding=str(table["url"])))
            urls.append(str(table["url"]))
    location = document.location(*POETRY, "source")
    return urls, tuple(
        Warned("index-from-repository", f"{location} chooses where packages come from: {url}") for url in urls
    )


def _as_of(options: Options, lock: str) -> tuple[Warned, ...]:
    if not options.as_of:
        return ()
    instead = "the newest versions are taken" if lock == "absent" else "the lock decides"
    return (Warned("as-of-poetry", f"Poetry 1.8 cannot resolve as of a date; {instead}"),)

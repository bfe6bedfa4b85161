"""The project strategy: a pyproject.toml with a `[project]`, for uv.

Format: https://packaging.python.org/en/latest/specifications/pyproject-toml/
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from detectors import gpu, near, pyproject, python
from detectors.failures import Location, invalid
from detectors.gpu import Named
from detectors.layout import Layout, locate, ref
from detectors.plan import Evidence, FileRef, Ignored, Options, Plan, Warned
from detectors.source import MAX_FILE, Source, read

if TYPE_CHECKING:
    from detectors.tomlfile import Document

UV = ("tool", "uv")

MISSPELT = ("dependencies", "optional-dependencies", "requires-python")
"""Keys that are nothing to a tool when they are misspelt: what they ask for would be lost."""

CPU_INDEX = (
    f'add a [[tool.uv.index]] with url = "{gpu.CPU_INDEX}" and explicit = true, and name it in [tool.uv.sources]'
)


def detect(source: Source, options: Options) -> Plan | None:
    """Plan an environment for a standard project, from uv.lock where there is one.

    Returns None when the repository has no pyproject.toml, or one without a `[project]`.
    Raises BuildError with FileInvalid, GroupAbsent, PythonUnavailable, PathOutside or PathAbsent.
    """
    layout = locate(source, options)
    document = pyproject.load(source, layout.path(pyproject.FILE))
    if document is None or not document.has("project"):
        return None
    _check(document)
    groups = pyproject.choose("group", options.groups, list(document.table("dependency-groups")), document.path)
    optional = list(document.table("project", "optional-dependencies"))
    extras = pyproject.choose("extra", options.extras, optional, document.path)
    named, requested = _dependencies(document, groups, extras)
    files, trees = pyproject.local_packages(source, document, _local_paths)
    chosen = python.choose(source, layout, options, _required(document))
    locked = _lock(source, layout)
    indexes, index_warnings = _indexes(document)
    package = _is_package(document)
    if _reads_source(document, package and bool(trees)):
        trees = (ref(source, layout.config), *trees)
    return Plan(
        strategy="project",
        python=chosen.choice,
        evidence=(Evidence(document.path, "[project]"), *(Evidence(f.path, "honoured") for f in locked)),
        files=(ref(source, document.path), *locked, *files),
        trees=trees,
        package=ref(source, layout.config) if package else None,
        requested=tuple(requested),
        inputs={
            "directory": layout.config,
            "lock": bool(locked),
            "groups": groups,
            "extras": extras,
            "as_of": options.as_of,
        },
        ignored=(*chosen.ignored, *_foreign_lock(source, layout)),
        warnings=(
            *_two_layout(document),
            *_not_installed(source, layout, document),
            *chosen.warnings,
            *index_warnings,
            *_as_of(options, locked),
            *gpu.warn(named, indexes, CPU_INDEX),
        ),
    )


def asked(source: Source, plan: Plan) -> tuple[Named, ...]:
    """The packages that a plan's pyproject.toml names, and where. Raises as `detect` does."""
    document = pyproject.load(source, plan.files[0].path)
    return tuple(_dependencies(document, plan.inputs["groups"], plan.inputs["extras"])[0]) if document else ()


def _check(document: Document) -> None:
    if document.string("project", "name") is None:
        raise document.invalid(("project",), "a project", "[project]", "it has no name")
    for key in document.table("project"):
        meant = next((known for known in MISSPELT if key != known and near.close(key, known)), None)
        if meant and not document.has("project", meant):
            problem = f"[project] has no such key, and one that is called {meant}"
            line = document.line(document.location("project", key))
            raise document.invalid(("project", key), "a project", line, problem, instead=(line.replace(key, meant, 1),))
    if document.string("project", "version") is None and "version" not in document.strings("project", "dynamic"):
        raise document.invalid(("project",), "a project", "[project]", "its version is neither given nor dynamic")


def _dependencies(document: Document, groups: list[str], extras: list[str]) -> tuple[list[Named], list[str]]:
    from detectors.requirement import requirement

    elsewhere = document.table(*UV, "sources")
    named: list[Named] = []
    requested: list[str] = []
    for text, location in _texts(document, groups, extras):
        if len(requested) == pyproject.MAX_REQUIREMENTS:
            raise invalid(location, "a project", text, f"more than {pyproject.MAX_REQUIREMENTS} requirements")
        parsed = requirement(text, location)
        requested.append(text)
        if not parsed.url and parsed.name not in elsewhere:
            named.append(Named(parsed.name, frozenset(parsed.extras), str(parsed.specifier), location))
    return named, requested


def _texts(document: Document, groups: list[str], extras: list[str]) -> Iterator[tuple[str, Location]]:
    """Every requirement of the project, of the extras, and of the groups with those they include."""
    for keys in (("project", "dependencies"), *(("project", "optional-dependencies", extra) for extra in extras)):
        for text in document.strings(*keys):
            yield text, document.location(*keys, holding=text)
    waiting = list(groups)
    for group in waiting:
        keys = ("dependency-groups", group)
        entries = document.table(keys[0]).get(group)
        if not isinstance(entries, list):
            raise document.invalid(keys, "a dependency group", group, "not a list that is there")
        for entry in entries:
            match entry:
                case str(text):
                    yield text, document.location(*keys, holding=text)
                case {"include-group": str(name)}:
                    waiting += [name] if name not in waiting else []
                case _:
                    raise document.invalid(keys, "a dependency group", str(entry), "neither text nor include-group")


def _local_paths(document: Document) -> Iterator[tuple[str, Location]]:
    """Where `[tool.uv.sources]` point into the repository. Raises for a git source that is not https."""
    from detectors.requirement import check_url

    for name, value in document.table(*UV, "sources").items():
        location = document.location(*UV, "sources", name)
        for source in value if isinstance(value, list) else [value]:
            if not isinstance(source, dict):
                raise document.invalid((*UV, "sources", name), "a source", str(source), "not a table")
            if "git" in source:
                check_url(str(source["git"]), location, ("https",))
            if "url" in source:
                check_url(str(source["url"]), location)
            if "path" in source:
                yield str(source["path"]), location


def _is_package(document: Document) -> bool:
    stated = document.table(*UV).get("package")
    is_none = document.table("tool", "poetry").get("package-mode") is False  # of Poetry 2, whose build would refuse
    return stated if isinstance(stated, bool) else document.has("build-system") and not is_none


def _not_installed(source: Source, layout: Layout, document: Document) -> tuple[Warned, ...]:
    """Of a project that looks like a package, and that uv takes for none, as nothing says how it is built."""
    if document.has("build-system") or "package" in document.table(*UV):
        return ()
    name = re.sub("[-.]+", "_", document.string("project", "name") or "").lower()
    places = (layout.path(f"{above}{name}/__init__.py") for above in ("src/", ""))
    found = next((place for place in places if name and source.entry(place)), None)
    if found is None:
        return ()
    message = (
        f"{posixpath.dirname(found)} is not installed, only what it depends on is: {document.path} has no "
        '[build-system]; with requires = ["hatchling"] and build-backend = "hatchling.build" in one, it is'
    )
    return (Warned("project-not-installed", message),)


def _reads_source(document: Document, has_local: bool) -> bool:
    """Whether uv needs the project's directory to decide versions: it builds it, or looks for its workspace."""
    return has_local or "dependencies" in document.strings("project", "dynamic") or document.has(*UV, "workspace")


def _required(document: Document) -> python.Required | None:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    keys = ("project", "requires-python")
    text = document.string(*keys)
    if text is None:
        return None
    try:
        specifiers = SpecifierSet(text[:1000])
    except InvalidSpecifier as error:
        instead = python.meant("requires-python", text, SpecifierSet)
        raise document.invalid(keys, "a constraint on Python", text, str(error), instead=instead) from None
    return python.Required(
        text, document.location(*keys), lambda version: specifiers.contains(".".join(map(str, version)), True)
    )


def _lock(source: Source, layout: Layout) -> tuple[FileRef, ...]:
    path = layout.path("uv.lock")
    text = read(source, path, MAX_FILE)
    if text is None:
        return ()
    from detectors.tomlfile import Document

    Document(path, text)
    return (ref(source, path),)


def _indexes(document: Document) -> tuple[list[str], tuple[Warned, ...]]:
    from detectors.requirement import check_url

    urls = [str(table.get("url", "")) for table in document.tables(*UV, "index")]
    urls += [url for url in [document.string(*UV, "index-url")] if url]
    urls += document.strings(*UV, "extra-index-url")
    if len(urls) > pyproject.MAX_INDEXES:
        raise document.invalid(UV, "a project", urls[0], f"more than {pyproject.MAX_INDEXES} indexes")
    warnings = []
    for url in urls:
        location = document.location(*UV, holding=url)
        check_url(url, location)
        warnings.append(Warned("index-from-repository", f"{location} chooses where packages come from: {url}"))
    return urls, tuple(warnings)


def _two_layout(document: Document) -> tuple[Warned, ...]:
    if not document.has("tool", "poetry"):
        return ()
    message = f"{document.path} is laid out for Poetry 2; uv installs what [project] says, without [tool.poetry]"
    return (Warned("poetry-two-layout", message),)


def _as_of(options: Options, locked: tuple[FileRef, ...]) -> tuple[Warned, ...]:
    if not (options.as_of and locked):
        return ()
    return (Warned("as-of-locked", f"{locked[0].path} decides the versions, of whatever day they are"),)


def _foreign_lock(source: Source, layout: Layout) -> tuple[Ignored, ...]:
    path = layout.path("poetry.lock")
    reason = f"uv installs {posixpath.basename(pyproject.FILE)}, and does not read it"
    return (Ignored(path, reason),) if source.entry(path) else ()

"""Requirements files: pip's own format, read strictly, with everything they point at.

Format: https://pip.pypa.io/en/stable/reference/requirements-file-format/
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from detectors import slip
from detectors.failures import BuildError, FileInvalid, Location, PathAbsent, invalid, of_another
from detectors.gpu import Named
from detectors.layout import is_directory, local_directory, local_file, local_package, local_path
from detectors.plan import FileRef, Warned
from detectors.requirement import check_page, check_url, requirement
from detectors.source import Source, read

MAX_FILES = 50
MAX_LINES = 10_000
"""Requirements and options, over all files; the largest compiled files seen have some 2,000 packages."""

MAX_CHARACTERS = 300_000
"""Of all requirements, without their options: a lock of 2,000 packages with markers has some 200,000."""

MAX_LOCAL = 200
"""Packages of the repository that requirements may install."""

MAX_QUOTED = 10_000
"""Characters of a line with quotes: splitting those takes time by the square of their number."""

ARCHIVES = (".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar")

_ALIASES = {
    "-r": "--requirement",
    "-c": "--constraint",
    "-e": "--editable",
    "-i": "--index-url",
    "--pypi-url": "--index-url",
    "-f": "--find-links",
    "-C": "--config-settings",
    "--config-setting": "--config-settings",
}
_INDEXES = {"--index-url", "--extra-index-url", "--find-links", "--no-index", "--trusted-host"}
_WITH_VALUE = {
    *("--requirement", "--constraint", "--editable", "--index-url", "--extra-index-url", "--find-links"),
    *("--no-binary", "--only-binary", "--trusted-host", "--use-feature"),
}
_WITHOUT_VALUE = {"--no-index", "--pre", "--prefer-binary", "--require-hashes"}
_PER_REQUIREMENT = {"--hash", "--config-settings", "--global-option"}

_COMMENT = re.compile(r"(?:^|(?<=\s))#.*$")
_OPTION = re.compile(r"(?:^|(?<=\s))-(?=\S)")
_VARIABLE = re.compile(r"\$\{[A-Za-z0-9_]+\}")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(?!\s*\d)")
_SSH = re.compile(r"(?:git\+)?[\w.-]+@[\w.-]+:(?!//)")
_DIRECT = re.compile(r"[A-Za-z0-9._-]+\s*(?:\[[^\]]*\]\s*)?@")
_HASH = re.compile(r"(?:md5|sha1|sha224|sha256|sha384|sha512):[0-9a-fA-F]+")
_LISTS = {
    "conda list --export": re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*=[^=\s]+=[^=\s]+$"),
    "conda list --explicit": re.compile(r"@EXPLICIT$"),
    "conda env export": re.compile(r"(?:name|channels|dependencies): *[\w-]*$"),
    "pip list": re.compile(r"Package +Version"),
    "pip freeze": re.compile(r"[A-Za-z0-9_.-]+ @ file:///"),
}
"""What a line looks like of the lists that commands print."""


class Requirements(NamedTuple):
    """What a requirements file asks for, the files it includes counted in."""

    lines: tuple[str, ...]
    """The lines of the first file, one a line, without comments; local paths from the project's directory."""
    requested: tuple[str, ...]
    """Every requirement in its own words, without hashes; constraints are none."""
    named: tuple[Named, ...]
    """The requirements that name a package of an index."""
    files: tuple[FileRef, ...]
    """The files that were read, and archives of the repository that they install."""
    trees: tuple[FileRef, ...]
    indexes: tuple[str, ...]
    """The options that choose an index, as written."""
    warnings: tuple[Warned, ...]
    hashed: bool
    """Whether a requirement says by its hash which file it is."""


def parse(source: Source, path: str, directory: str) -> Requirements:
    """Read the requirements file at a path; `-e .` and its like are relative to the directory.

    Raises BuildError with FileInvalid, PathOutside, PathAbsent, or what `source.read` raises.
    """
    reader = _Reader(source, directory)
    reader.include(path, Location(path))
    return reader.result()


def parse_lines(source: Source, path: str, directory: str, lines: Iterable[tuple[int, str]]) -> Requirements:
    """Read numbered lines that stand in another file, as in the `pip:` list of an environment.yml.

    Raises as `parse` does.
    """
    reader = _Reader(source, directory)
    reader.lines(path, lines)
    return reader.result()


class _Reader:
    """Collects what one requirements file and the files below it say."""

    def __init__(self, source: Source, directory: str) -> None:
        self._source = source
        self._directory = directory
        self._lines: list[str] = []
        self._requested: list[str] = []
        self._named: list[Named] = []
        self._files: dict[str, FileRef] = {}
        self._trees: dict[str, FileRef] = {}
        self._read: set[tuple[str, bool]] = set()
        self._indexes: list[str] = []
        self._warnings: list[Warned] = []
        self._hashed = False
        self._count = 0
        self._characters = 0

    def result(self) -> Requirements:
        return Requirements(
            lines=tuple(self._lines),
            requested=tuple(self._requested),
            named=tuple(self._named),
            files=tuple(self._files.values()),
            trees=tuple(self._trees.values()),
            indexes=tuple(self._indexes),
            warnings=tuple(self._warnings),
            hashed=self._hashed,
        )

    def include(self, path: str, origin: Location, constraint: bool = False, depth: int = 0) -> None:
        if (path, constraint) in self._read:  # Twice, or in a circle: it says the same again.
            return
        if len(self._read) >= MAX_FILES:
            raise invalid(origin, "requirements", path, f"more than {MAX_FILES} files")
        self._read.add((path, constraint))
        self._files[path] = local_file(self._source, path, origin)
        text = read(self._source, path)
        if text is None:
            raise BuildError(PathAbsent(path, origin))
        try:
            self.lines(path, enumerate(text.split("\n"), 1), constraint, depth)
        except BuildError as error:
            if isinstance(error.failure, FileInvalid) and error.failure.location.path == path:
                _refuse_lists_of_others(path, text)
            raise

    def lines(self, path: str, lines: Iterable[tuple[int, str]], constraint: bool = False, depth: int = 0) -> None:
        for number, line in _logical(lines):
            self._count += 1
            location = Location(path, number)
            if self._count > MAX_LINES:
                raise invalid(location, "requirements", line, f"more than {MAX_LINES} lines")
            if _VARIABLE.search(line):
                raise invalid(location, "a requirement", line, "variables of the environment are not filled in")
            start = None if slip.is_command(line) else _OPTION.search(line)
            text, options = (line[: start.start()].rstrip(), line[start.start() :]) if start else (line, "")
            if text:
                written = self._requirement(text, options, location, constraint)
            else:
                written = self._options(options, location, constraint, depth)
            if depth == 0:
                self._lines.append(written)

    def _requirement(self, text: str, options: str, location: Location, constraint: bool) -> str:
        written = [self._per_requirement(name, value, location) for name, value in _options(options, location)]
        read = self._specified(text, location, constraint)
        return " ".join([read, *written])

    def _per_requirement(self, name: str, value: str, location: Location) -> str:
        if name not in _PER_REQUIREMENT:
            raise invalid(location, "an option of a requirement", name, "not one that stands behind a requirement")
        if name == "--hash" and not _HASH.fullmatch(value):
            raise invalid(location, "a hash", value, "not an algorithm, a colon and a hexadecimal digest")
        self._hashed |= name == "--hash"
        return f"{name}={shlex.quote(value)}"

    def _specified(self, text: str, location: Location, constraint: bool, editable: bool = False) -> str:
        self._characters += len(text)
        if self._characters > MAX_CHARACTERS:
            raise invalid(location, "requirements", text, f"more than {MAX_CHARACTERS:,} characters")
        head, _, marker = text.partition(";")
        head = head.strip()
        if _SSH.match(head):
            raise invalid(location, "a URL", head, "ssh is for who has a key")
        check_page(head, location)
        if _URL.match(head):
            url, _, marker = text.partition(" ;")
            check_url(url.strip(), location)
            read = text
        elif not _DIRECT.match(head) and not slip.is_command(head) and (editable or _looks_local(head)):
            read = self._local(head, location) + (f"; {marker.strip()}" if marker else "")
        else:
            parsed = requirement(text, location)
            read, marker = " ".join(text.split()), ""
            if not constraint and not parsed.url:
                self._named.append(Named(parsed.name, frozenset(parsed.extras), str(parsed.specifier), location))
        if marker:
            requirement(f"local;{marker}", location)
        if not constraint:
            self._requested.append(f"-e {read}" if editable else read)
        return read

    def _local(self, text: str, location: Location) -> str:
        target, extras = _without_extras(text)
        path = local_path(self._directory, target, location)
        ref, is_tree = local_package(self._source, path, location)
        (self._trees if is_tree else self._files)[path] = ref
        if len(self._trees) + len(self._files) > MAX_LOCAL + MAX_FILES:
            raise invalid(location, "requirements", text, f"more than {MAX_LOCAL} packages of the repository")
        # pip takes a name without a slash for a package of an index.
        relative = self._relative(path)
        return (relative if relative.startswith(".") else f"./{relative}") + extras

    def _options(self, text: str, location: Location, constraint: bool, depth: int) -> str:
        written = []
        for name, value in _options(text, location):
            if name in _PER_REQUIREMENT:
                raise invalid(location, "an option", name, "it stands behind a requirement")
            if name in _INDEXES:
                self._indexes.append(f"{name} {value}".rstrip())
                message = f"{location} chooses where packages come from: {self._indexes[-1]}"
                self._warnings.append(Warned("index-from-repository", message))
            written += self._option(name, value, location, constraint, depth)
        return " ".join(written)

    def _option(self, name: str, value: str, location: Location, constraint: bool, depth: int) -> list[str]:
        match name:
            case "--requirement" | "--constraint":
                if _URL.match(value):
                    raise invalid(location, "a file of the repository", value, "files at a URL are not read")
                path = local_path(posixpath.dirname(location.path), value, location)
                self.include(path, location, constraint or name == "--constraint", depth + 1)
                return ["-r" if name == "--requirement" else "-c", shlex.quote(self._relative(path))]
            case "--editable":
                return ["-e", self._specified(value, location, constraint, editable=True)]
            case "--index-url" | "--extra-index-url":
                check_url(value, location)
            case "--find-links":
                return [name, shlex.quote(self._links(value, location))]
        return [name, shlex.quote(value)] if value else [name]

    def _links(self, value: str, location: Location) -> str:
        if _URL.match(value):
            check_url(value, location)
            return value
        path = local_path(posixpath.dirname(location.path), value, location)
        if not is_directory(self._source, path):
            path = local_path(self._directory, value, location)
        self._trees[path] = local_directory(self._source, path, location)
        return self._relative(path)

    def _relative(self, path: str) -> str:
        return posixpath.relpath(path or ".", self._directory or ".")


def _refuse_lists_of_others(path: str, text: str) -> None:
    """Raises BuildError(ListOfAnother) for what another command prints, which a line alone does not show."""
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n")[:MAX_LINES], 1)]
    for command, form in _LISTS.items():
        found = [(number, line) for number, line in lines if form.match(line)]
        if found:
            number, line = found[0]
            raise of_another(Location(path, number), line, command, len(found))


def _logical(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Lines without comments, those that end in a backslash joined with the next; a comment ends a joined line."""
    pending: list[str] = []
    first = 0
    for number, line in lines:
        first = first if pending else number
        comment = line.lstrip().startswith("#")
        if line.endswith("\\") and not comment:
            pending.append(line.rstrip("\\"))
            continue
        text = _COMMENT.sub("", "".join([*pending, " " + line if comment else line])).strip()
        pending = []
        if text:
            yield first, text
    if text := _COMMENT.sub("", "".join(pending)).strip():
        yield first, text


def _options(text: str, location: Location) -> Iterator[tuple[str, str]]:
    """Options by their long names, each with its value, "" for one that takes none."""
    tokens = iter(_tokens(text, location))
    for token in tokens:
        name, separator, value = token.partition("=") if token.startswith("--") else (token[:2], "", token[2:])
        name = _ALIASES.get(name, name)
        if name in _WITHOUT_VALUE and not separator and not value:
            yield name, ""
        elif name in _WITH_VALUE | _PER_REQUIREMENT:
            value = value or ("" if separator else next(tokens, ""))
            if not value:
                raise invalid(location, "an option", token, "its value is missing")
            yield name, value
        else:
            raise invalid(location, "an option", token, "not an option of a requirements file")


def _tokens(text: str, location: Location) -> list[str]:
    if not {"'", '"', "\\"} & set(text):
        return text.split()
    if len(text) > MAX_QUOTED:
        raise invalid(location, "an option", text, f"quotes in more than {MAX_QUOTED} characters")
    try:
        return shlex.split(text)
    except ValueError as error:
        raise invalid(location, "an option", text, str(error)) from None


def _looks_local(text: str) -> bool:
    return "/" in text or text.startswith(".") or text.lower().endswith(ARCHIVES)


def _without_extras(text: str) -> tuple[str, str]:
    if text.endswith("]") and "[" in text:
        target, _, extras = text.rpartition("[")
        return target.strip(), f"[{extras}"
    return text, ""

"""Find the shared libraries that an environment needs and nothing provides.

Needs count where an import or a command meets them: in extension modules, in programs of ROOT/bin, in libraries that
the Python code of their own package names (lightgbm's), and in all that these need in turn. Anything else is a plugin
that its program goes without: Qt's for databases, NVSHMEM's for networks, torchcodec's for each version of FFmpeg.

A library is provided where the loader looks (ld.so(8)), and where any file below the roots has its name or says that
it is it (DT_SONAME): packages load libraries of their own, or of other packages, before what needs them. Libraries
of a GPU's driver are never missing: they come into a session with the machine's driver. Files for another machine or
another C library are no part of the environment.

Files are whatever a package has put there, so every read and every count is bounded.
"""

from __future__ import annotations

import json
import os
import platform
import re
import stat
from itertools import islice

from elf import MAX_NAME, Elf, head, kind_of, read_elf

SHOWN_FILES = 3
SHOWN_NAMES = 3
MAX_MISSING = 100
MAX_ENTRIES = 1_000_000  # files and directories that are looked at
MAX_NAMES = 200_000  # that all files together need
# Bytes, of one file and of all together; a file that is read counts as FILE_COST at the least.
MAX_STRINGS, ALL_STRINGS = 32_000_000, 500_000_000
MAX_CACHE = 16_000_000
MAX_RECORD, ALL_RECORDS = 16_000_000, 200_000_000
MAX_RECORDED = 500_000  # files that one record names
MAX_CODE, ALL_CODE = 2_000_000, 100_000_000
FILE_COST = 1_000

NEVER_LOADED = (".py", ".pyc", ".pyi", ".js", ".json", ".txt", ".dat")
"""Ends of names that files have by the thousand; what they are is not asked of the disk."""

LIBRARY = re.compile(r"\.so(\.|$)")
NAME = re.compile(r"[\w.+-]{1,200}", re.ASCII)
LOADER = re.compile(r"ld-linux|ld-musl|ld64\.so|ld\.so|linux-vdso|linux-gate")
FOREIGN_LIBC = re.compile(r"libc\.(?!so\.6)")  # musl's, Android's, a BSD's
# https://github.com/NVIDIA/libnvidia-container/blob/main/src/nvc_info.c lists what a driver brings
DRIVER = re.compile(r"lib(cuda|cudadebugger|nvcuvid|nvoptix|nvidia-[a-z0-9-]+)\.so(\.|$)")
# Threading layers that numba tries in turn and goes without:
# https://numba.readthedocs.io/en/stable/user/threading-layer.html
OPTIONAL = {"numba": ("libtbb.so.", "libgomp.so.")}


class Environment:
    """The shared objects and programs below some roots."""

    def __init__(self, roots: list[str], kind: tuple | None) -> None:
        self.roots = [os.path.realpath(root) for root in roots]
        self.objects: dict[str, Elf] = {}
        self.providers: dict[str, list[str]] = {}
        """By name, the objects that are found under it."""
        self.records: list[str] = []
        """Files that say which package owns what."""
        self._scan(kind)

    def below(self, path: str) -> bool:
        return any(path.startswith(root + "/") for root in self.roots)

    def _scan(self, kind: tuple | None) -> None:
        known: dict[tuple[int, int], str] = {}
        links = []
        left = MAX_NAMES
        for entry in entries_below(self.roots):
            if entry.is_symlink():
                links += [entry.path] if LIBRARY.search(entry.name) else []
            elif is_record(entry.path):
                self.records.append(entry.path)
            elif left > 0 and (inode := candidate(entry)):
                path = known.setdefault(inode, entry.path)
                elf = self.objects.get(path) or (read_elf(path, kind) if path == entry.path else None)
                if elf and not any(FOREIGN_LIBC.match(name) for name in elf.needed):
                    left -= 1 + len(elf.needed) + sum(map(len, elf.search)) // MAX_NAME
                    self.objects[path] = elf
                    self._provide(path, entry.name, elf.soname)
        for link in links:
            self._provide_link(link, known)

    def _provide_link(self, link: str, known: dict[tuple[int, int], str]) -> None:
        try:
            status = os.stat(link)
        except OSError:
            return
        path = known.get((status.st_dev, status.st_ino))
        if path in self.objects:
            self._provide(path, os.path.basename(link))
        elif not self.below(os.path.realpath(link)):
            self.providers.setdefault(os.path.basename(link), [])

    def _provide(self, path: str, *names: str) -> None:
        for name in names:
            self.providers.setdefault(name, []).append(path)


class System:
    """The libraries of the system that an environment runs on."""

    def __init__(self, root: str, also: tuple[str, ...]) -> None:
        self._root = root
        self._listings: dict[str, frozenset[str]] = {}
        multiarch = f"{platform.machine()}-linux-gnu"
        standard = ("/lib", "/usr/lib", f"/lib/{multiarch}", f"/usr/lib/{multiarch}", "/lib64", "/usr/lib64")
        self._names = self._cached().union(*map(self._listing, (*map(self._place, standard), *also)))

    def lacks(self, names: list[str], directories: list[str]) -> list[str]:
        """Those that the loader finds neither by itself nor in directories that a file names."""
        listings = [self._names, *(self._listing(self._place(directory)) for directory in directories)]
        return [name for name in names if not any(name in listing for listing in listings)]

    def _cached(self) -> set[str]:
        """Names in the loader's cache whose files are there."""
        paths = re.findall(rb"/[^\0]+", head(self._place("/etc/ld.so.cache"), MAX_CACHE))
        return {os.path.basename(path) for path in map(os.fsdecode, paths) if os.path.lexists(self._place(path))}

    def _listing(self, directory: str) -> frozenset[str]:
        if directory not in self._listings:
            try:
                self._listings[directory] = frozenset(filter(LIBRARY.search, os.listdir(directory)))
            except OSError:
                self._listings[directory] = frozenset()
        return self._listings[directory]

    def _place(self, path: str) -> str:
        return os.path.join(self._root, os.path.normpath(path).lstrip("/"))


def missing(roots: list[str], sysroot: str = "/", also: tuple[str, ...] = (), kind: tuple | None = None) -> list[dict]:
    """Libraries that nobody provides, by name:

    [{"library": "libGL.so.1", "packages": ["opencv-python"], "files": [at most 3], "debian": "libgl1" or None}]

    Roots are prefixes: /opt/env. The sysroot is the system under which they will run; what `also` names is searched
    for libraries as the system's own directories are. `kind` is what machine's files count, by default those of the
    Python that runs this.
    """
    environment = Environment(roots, kind or kind_of(head("/proc/self/exe", 64)))
    system = System(sysroot, also)
    lacking: dict[str, list[str]] = {}
    for path, elf in environment.objects.items():
        directories = [place for place in searched(path, elf) if not environment.below(place)]
        names = [name for name in elf.needed if is_library(name) and name not in environment.providers]
        absent = system.lacks(names, directories)
        if absent:
            lacking[path] = absent
    if not lacking:
        return []
    return listed(environment, lacking)


def problems(entries: list[dict]) -> list[list[str]]:
    """What a person is told of missing libraries, those of one Debian package together: [[code, message], ...]."""
    together: dict[str, list[dict]] = {}
    for entry in entries:
        together.setdefault(entry["debian"] or entry["library"], []).append(entry)
    return [["library-missing", sentence(same)] for same in together.values()]


def sentence(same: list[dict]) -> str:
    who = sorted({name for e in same for name in e["packages"] or map(os.path.basename, e["files"])})
    debian = same[0]["debian"]
    line = f"the line {debian}" if debian else "the Debian package that has it, if there is one,"
    verb, it = ("is", "it") if len(same) == 1 else ("are", "them")
    needed = f"{some([e['library'] for e in same])} {verb} needed by {some(who)}"
    return f"{needed} and nothing provides {it}: add {line} to apt.txt"


def some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(names[:SHOWN_NAMES]) + more


def listed(environment: Environment, lacking: dict[str, list[str]]) -> list[dict]:
    debian = debian_packages()
    about = {path for path in concerned(environment, lacking) if not of_python(path)}
    owners, modules = ownership(environment, about)
    loaded = reached_from(starts(environment, about, lacking), environment)
    # A library whose name alone speaks for it may be one of several for other machines, or for a framework that is
    # not installed: it is believed where there is something to do about it.
    perhaps = reached_from(named_in_code(about - loaded, owners, modules), environment)
    found: dict[str, list[str]] = {}
    for path, names in lacking.items():
        optional = OPTIONAL.get(owners.get(path, ""), ())
        for name in names:
            if (path in loaded or (path in perhaps and name in debian)) and not name.startswith(optional):
                found.setdefault(name, []).append(path)
    return [
        {
            "library": name,
            "packages": sorted({owners[path] for path in paths if path in owners}),
            "files": [printable(path) for path in sorted(paths)[:SHOWN_FILES]],
            "debian": debian.get(name),
        }
        for name, paths in sorted(found.items())[:MAX_MISSING]
    ]


# What is loaded


def concerned(environment: Environment, lacking: dict[str, list[str]]) -> set[str]:
    """Objects that lack a library, or need one that does."""
    names: dict[str, list[str]] = {}
    for name, paths in environment.providers.items():
        for path in paths:
            names.setdefault(path, []).append(name)
    needing: dict[str, list[str]] = {}
    for path, elf in environment.objects.items():
        for name in elf.needed:
            needing.setdefault(name, []).append(path)
    return reached(list(lacking), lambda path: names.get(path, ()), needing)


def starts(environment: Environment, about: set[str], lacking: dict[str, list[str]]) -> set[str]:
    """Those of the objects that an import or a command begins with."""
    programs = {os.path.join(root, "bin") for root in environment.roots}
    # A module is there once for each MPI, or each Python, that it was built for: one that lacks nothing will do.
    complete = {build_of(path) for path in environment.objects if path not in lacking}
    found = set()
    left = ALL_STRINGS
    for path in sorted(about):
        if os.path.dirname(path) in programs:
            found.add(path)
        elif LIBRARY.search(path) and not (path in lacking and build_of(path) in complete):
            offset, size = environment.objects[path].strings
            strings = head(path, min(size, MAX_STRINGS, left), offset)
            left -= len(strings) + FILE_COST
            # An extension module exports a function that is named for it (PEP 489).
            if b"\0PyInit_" + os.fsencode(stem(path)) + b"\0" in strings:
                found.add(path)
    return found


def reached_from(starts: set[str], environment: Environment) -> set[str]:
    """What some objects need in turn, and themselves."""
    return reached(list(starts), lambda path: environment.objects[path].needed, environment.providers)


def reached(starts: list[str], names_of, paths_by_name: dict[str, list[str]]) -> set[str]:
    """Paths that names lead to, from some paths on; each name is followed once."""
    seen, names = set(starts), set()
    waiting = list(starts)
    while waiting:
        for name in names_of(waiting.pop()):
            if name in names:
                continue
            names.add(name)
            new = set(paths_by_name.get(name, ())) - seen
            seen |= new
            waiting += new
    return seen


def named_in_code(about: set[str], owners: dict[str, str], modules: dict[str, list[str]]) -> set[str]:
    """Libraries whose name stands in the Python code of the package that has them."""
    found = set()
    left = ALL_CODE
    candidates: dict[str, dict[bytes, str]] = {}
    for path in sorted(about & owners.keys()):
        candidates.setdefault(owners[path], {})[os.fsencode(stem(path))] = path
    for package, names in sorted(candidates.items()):
        for module in modules[package]:
            code = head(module, min(MAX_CODE, left))
            left -= len(code) + FILE_COST
            found |= {names[word] for word in names.keys() & set(re.findall(rb"[\w-]+", code))}
    return found


def of_python(path: str) -> bool:
    """Modules of the standard library: a Python is shipped with some that it goes without, such as tkinter."""
    return os.path.basename(os.path.dirname(path)) == "lib-dynload"


def build_of(path: str) -> tuple[str, str]:
    return os.path.dirname(path), stem(path)


def stem(path: str) -> str:
    return os.path.basename(path).split(".")[0]


# Where libraries are


def is_library(name: str) -> bool:
    return bool(NAME.fullmatch(name)) and not LOADER.match(name) and not DRIVER.match(name)


def searched(path: str, elf: Elf) -> list[str]:
    """Directories that a file itself names (ld.so(8), "Dynamic string tokens")."""
    origin = os.path.dirname(path)
    expanded = (place.replace("${ORIGIN}", origin).replace("$ORIGIN", origin) for place in elf.search)
    return [os.path.normpath(place) for place in expanded if place.startswith("/")]


# Files


def entries_below(roots: list[str]):
    """Directory entries that are no directories, in the same order each time. No link is followed."""
    waiting = sorted(roots, reverse=True)
    left = MAX_ENTRIES
    while waiting and left > 0:
        try:
            with os.scandir(waiting.pop()) as listing:
                entries = sorted(islice(listing, left), key=lambda entry: entry.name)
            directories = [entry.path for entry in reversed(entries) if entry.is_dir(follow_symlinks=False)]
        except OSError:
            continue
        left -= len(entries)
        waiting += directories
        yield from (entry for entry in entries if not entry.is_dir(follow_symlinks=False))


def candidate(entry: os.DirEntry) -> tuple[int, int] | None:
    """The inode of a regular file that may be an ELF, by its name or mode."""
    if entry.name.endswith(NEVER_LOADED):
        return None
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return None
    may_be = stat.S_ISREG(status.st_mode) and (LIBRARY.search(entry.name) or status.st_mode & 0o111)
    return (status.st_dev, status.st_ino) if may_be else None


def printable(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "replace")


# Packages


def is_record(path: str) -> bool:
    return path.endswith(".dist-info/RECORD") or (path.endswith(".json") and "/conda-meta/" in path)


def ownership(environment: Environment, wanted: set[str]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The package that each of the files is of, and the Python files of these packages."""
    owners: dict[str, str] = {}
    modules: dict[str, list[str]] = {}
    left = ALL_RECORDS
    for record in sorted(environment.records, key=lambda path: (not path.endswith(".json"), path)):
        content = head(record, min(MAX_RECORD, left))
        left -= len(content) + FILE_COST
        package, files = (conda_files if record.endswith(".json") else index_files)(record, content)
        top = os.path.dirname(os.path.dirname(record))
        paths = [os.path.normpath(os.path.join(top, file)) for file in islice(files, MAX_RECORDED)]
        mine = wanted.intersection(paths) - owners.keys()
        if mine and package:
            owners.update(dict.fromkeys(mine, package))
            modules[package] = [path for path in paths if path.endswith(".py") and environment.below(path)]
    return owners, modules


def conda_files(record: str, content: bytes) -> tuple[str, list[str]]:
    """https://docs.conda.io/projects/conda/en/stable/dev-guide/deep-dives/install.html"""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return "", []
    if not isinstance(document, dict) or not isinstance(document.get("files"), list):
        return "", []
    return canonical(str(document.get("name"))), [file for file in document["files"] if isinstance(file, str)]


def index_files(record: str, content: bytes) -> tuple[str, list[str]]:
    """https://packaging.python.org/en/latest/specifications/recording-installed-packages/"""
    lines = os.fsdecode(content).split("\n", MAX_RECORDED)[:MAX_RECORDED]
    files = [line.rsplit(",", 2)[0].strip('"') for line in lines]
    return canonical(os.path.basename(os.path.dirname(record)).split("-")[0]), files


def canonical(name: str) -> str:
    """https://packaging.python.org/en/latest/specifications/name-normalization/"""
    return re.sub(r"[-_.]+", "-", name).lower() if NAME.fullmatch(name) else ""


def debian_packages() -> dict[str, str]:
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "libraries.txt")
    with open(path, encoding="ascii") as file:
        rows = (line.split() for line in file if not line.startswith("#"))
        return {row[0]: row[1] for row in rows if row}

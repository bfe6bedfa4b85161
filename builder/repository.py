"""A repository at one commit, read as git objects: nothing of it is ever checked out.

A remote repository is fetched without its blobs into a bare cache, and blobs are asked for as they
are read; a local one is read where it lies.
"""

from __future__ import annotations

import hashlib
import re
import shlex
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import NamedTuple

from builder.address import Address, check_ref
from builder.failures.asked import (
    AddressInvalid,
    AddressMoved,
    CertificateUntrusted,
    HostUnreachable,
    NotGit,
    ObjectsUnread,
    RefAbsent,
    RepositoryUnavailable,
    TooLarge,
)
from builder.git import MAX_OUTPUT, Git, GitFailed, ObjectTooLarge, environment, run
from builder.settings import Settings
from detectors.failures import BuildError, DirectoryTooLarge, FileTooLarge, Location, invalid
from detectors.plan import Warned
from detectors.source import MAX_FILE, Entry, Kind

MAX_TREE = 5_000_000
"""Bytes of git's list of one directory that are read: some 130,000 names."""

MAX_REFS = 1_000

_COMMIT = re.compile(r"[0-9a-f]{40}")
_KINDS: dict[bytes, Kind] = {b"40000": "directory", b"120000": "symlink", b"160000": "submodule"}
_TREE_ENTRY = re.compile(rb"([0-7]{5,6}) ([^/\0]+)\0(.{20})", re.DOTALL)
_USUALLY_READ = re.compile(
    r"(\.?binder/)?([^/]*requirements[^/]*\.(txt|in)|environment\.ya?ml|pyproject\.toml|poetry\.lock|uv\.lock"
    r"|apt\.txt|runtime\.txt|start|postBuild|\.python-version)"
)


class Commit(NamedTuple):
    """One commit of a repository, and the Source that reads it."""

    url: str
    """Where it came from: an https address, or a local path."""
    id: str
    """40 hex digits; "+worktree" behind them for what lies uncommitted on top."""
    source: GitSource
    warnings: tuple[Warned, ...] = ()

    @property
    def time(self) -> int:
        """When it was committed: seconds since 1970, UTC."""
        return self.source.committed(self.id[:40])


class GitSource:
    """A Source over one tree of a git directory."""

    def __init__(
        self,
        git: Git,
        tree: str,
        trouble: Callable[[str], object],
        *,
        remote: str = "",
        scratch: tempfile.TemporaryDirectory[str] | None = None,
    ) -> None:
        """`trouble` makes a failure of what git says when an object cannot be had; `remote` is the commit to fetch."""
        self._git = git
        self._tree = tree
        self._trouble = trouble
        self._remote = remote
        if scratch:  # lives as long as what reads it
            weakref.finalize(self, scratch.cleanup)
        self._directories: dict[str, dict[str, Entry]] = {}

    def entry(self, path: str) -> Entry | None:
        if path == "":
            return Entry("", "directory", self._tree)
        directory, _, name = path.rpartition("/")
        return self._directory(directory).get(name)

    def list(self, path: str = "") -> tuple[Entry, ...]:
        return tuple(self._directory(path).values())

    def content(self, entry: Entry, limit: int = MAX_FILE) -> bytes:
        try:
            return self._read(entry.blob, limit)
        except ObjectTooLarge as large:
            raise BuildError(FileTooLarge(entry.path, large.size, limit)) from None

    def committed(self, commit: str) -> int:
        """When a commit was made: seconds since 1970, 0 where that cannot be told."""
        try:
            found = re.search(rb"^committer .* (\d{1,10}) [+-]\d{4}$", self._read(commit, MAX_FILE), re.MULTILINE)
        except ObjectTooLarge:
            found = None
        return int(found[1]) if found else 0

    def fetch_all(self) -> None:
        """Fetch everything of the commit in one request, where it is not here already."""
        complete = self._git.directory / "complete" / self._remote
        if not self._remote or complete.exists():
            return
        try:
            with self._git.alone():
                if not complete.exists():
                    _fetch(self._git, self._remote, "--refetch", filters=("",))
                    complete.parent.mkdir(exist_ok=True)
                    complete.touch()
        except GitFailed as failed:
            raise BuildError(self._trouble(str(failed))) from None

    def _read(self, name: str, limit: int) -> bytes:
        try:
            return self._git.read(name, limit)
        except GitFailed as failed:
            raise BuildError(self._trouble(str(failed))) from None

    def _directory(self, path: str) -> dict[str, Entry]:
        if path not in self._directories:
            above = self.entry(path)
            tree = above.blob if above and above.kind == "directory" else None
            self._directories[path] = dict(self._entries(path, tree)) if tree else {}
        return self._directories[path]

    def _entries(self, path: str, tree: str) -> Iterator[tuple[str, Entry]]:
        try:
            content = self._read(tree, MAX_TREE)
        except ObjectTooLarge as large:
            raise BuildError(DirectoryTooLarge(path, large.size, MAX_TREE)) from None
        for mode, name, blob in parse_tree(content, path):
            text = name.decode("utf-8", "surrogateescape")
            full = f"{path}/{text}" if path else text
            yield text, Entry(full, _KINDS.get(mode, "file"), blob, executable=mode == b"100755")


def open_commit(address: Address, ref: str | None, settings: Settings, *, worktree: bool = False) -> Commit:
    """Resolve a ref (by default HEAD) to a commit, once, and fetch what a plan needs of it.

    `worktree` takes what lies uncommitted in a local repository.
    A branch comes before a tag of its name, as in `git switch`. Raises BuildError with RefInvalid,
    RefAbsent, AddressInvalid, AddressMoved, RepositoryUnavailable, ObjectsUnread, HostUnreachable,
    CertificateUntrusted or TooLarge.
    """
    if ref is not None:
        check_ref(ref)
    if address.local:
        return _open_local(address.local, ref, settings, worktree)
    return _open_remote(address, ref, settings)


def refs(address: Address, settings: Settings) -> tuple[str, ...]:
    """Branches and then tags, MAX_REFS at the most. Raises what `open_commit` raises of an address."""
    environ = _without_network(settings) if address.local else environment(settings, address.resolution)
    asked: tuple[str, ...] = ("ls-remote", "--heads", "--tags", "--refs", "--", address.url)
    if address.local:
        form = "--format=%(objectname)\t%(refname)"  # as ls-remote has it
        asked = ("-C", str(address.local), "for-each-ref", form, "--", "refs/heads", "refs/tags")
    try:
        found = _listed(run(*asked, settings=settings, environ=environ))
    except GitFailed as failed:
        if address.local:
            raise BuildError(_local_failure(address.local, "HEAD", str(failed), settings)) from None
        raise BuildError(_remote_failure(address.url, None, str(failed), settings)) from None
    return tuple(name.split("/", 2)[2] for name in sorted(found))[:MAX_REFS]


def _open_local(path: Path, ref: str | None, settings: Settings, worktree: bool) -> Commit:
    environ = _without_network(settings)
    try:
        wanted, warnings = _local_name(path, ref, settings, environ) if ref else ("HEAD", ())
        found = run(
            "-C", str(path), "rev-parse", "--path-format=absolute", "--git-path", "objects", "--show-prefix",
            "--end-of-options", f"{wanted}^{{commit}}", f"{wanted}^{{tree}}", settings=settings, environ=environ,
        )  # fmt: skip
    except GitFailed as failed:
        raise BuildError(_local_failure(path, ref or "HEAD", str(failed), settings)) from None
    *place, prefix, commit, tree = found.replace("\n--end-of-options\n", "\n").removesuffix("\n").split("\n")
    objects = Path("\n".join(place))
    if prefix:
        raise BuildError(
            AddressInvalid(
                str(path),
                "lies inside a repository",
                advice=f"Give its root and --subdir {shlex.quote(prefix.rstrip('/'))}.",
            )
        )
    if not _COMMIT.fullmatch(commit):
        raise BuildError(ObjectsUnread(str(path), "SHA-256"))
    scratch = tempfile.TemporaryDirectory(prefix="launchyard-")
    git = _beside(objects, Path(scratch.name), settings, environ)
    if worktree:
        tree, commit = _worktree(git, path, objects.parent / "info" / "exclude", commit), f"{commit}+worktree"
    source = GitSource(git, tree, partial(_local_trouble, path), scratch=scratch)
    return Commit(str(path), commit, source, warnings)


def _local_name(path: Path, ref: str, settings: Settings, environ: Mapping[str, str]) -> tuple[str, tuple[Warned, ...]]:
    """What to ask git for. It would take a tag before a branch of the same name, and say so to nobody."""
    listed = run(
        "-C", str(path), "for-each-ref", "--format=%(refname) %(objectname) %(*objectname)",
        "--", f"refs/heads/{ref}", f"refs/tags/{ref}", settings=settings, environ=environ,
    )  # fmt: skip
    lines = (line.split(" ") for line in listed.splitlines())
    found = {name: peeled or commit for name, commit, peeled in lines}
    return f"refs/heads/{ref}" if f"refs/heads/{ref}" in found else ref, _ambiguity(ref, found)


def _beside(objects: Path, directory: Path, settings: Settings, environ: Mapping[str, str]) -> Git:
    """Git on the objects of a repository and nothing else of it.

    Its configuration, hooks and attributes name programs to run, and are not necessarily those of
    whoever asks: repositories are handed on as archives, too.
    """
    for name in ("objects", "refs"):
        (directory / name).mkdir()
    (directory / "HEAD").write_text("ref: refs/heads/main\n")
    quoted = str(objects).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return Git(directory, settings, {**environ, "GIT_ALTERNATE_OBJECT_DIRECTORIES": f'"{quoted}"'})


def _worktree(git: Git, path: Path, exclude: Path, commit: str) -> str:
    """The work tree as a tree object, written beside the repository's own objects and never into them."""
    try:
        git.run("read-tree", commit)
        # Git would run `git status` in a submodule that it knows, by that one's own configuration.
        git.run("update-index", "-z", "--force-remove", "--stdin", stdin=_submodules(git, commit))
        git.run("-c", f"core.excludesFile={exclude}", f"--work-tree={path}", "add", "--all", "--", str(path))
        return git.run("write-tree").strip()
    except GitFailed as failed:
        raise BuildError(AddressInvalid(str(path), str(failed)[:300])) from None


def _submodules(git: Git, commit: str) -> bytes:
    """The paths of a commit's submodules, each with a NUL behind it."""
    listed = git.run("ls-tree", "-r", "-d", "-z", commit)
    if len(listed.encode(errors="surrogateescape")) >= MAX_OUTPUT:
        raise GitFailed("it has too many directories for its work tree to be read")
    found = (line.partition("\t")[2] for line in listed.split("\0") if line.startswith("160000 "))
    return "".join(f"{path}\0" for path in found).encode(errors="surrogateescape")


def _without_network(settings: Settings) -> Mapping[str, str]:
    """For a local repository: where it lacks an object, its own configuration says which program is to fetch it."""
    return {**environment(settings), "GIT_ALLOW_PROTOCOL": ""}


def _open_remote(address: Address, ref: str | None, settings: Settings) -> Commit:
    url = address.url
    environ = environment(settings, address.resolution)
    try:
        named = (ref, ()) if ref and _COMMIT.fullmatch(ref) else _resolve(url, ref, settings, environ)
        commit, warnings = named
        git = _cached(url, commit, settings, environ)
        tree = git.run("rev-parse", "--verify", "--end-of-options", f"{commit}^{{tree}}").strip()
    except GitFailed as failed:
        raise BuildError(_remote_failure(url, ref, str(failed), settings)) from None
    source = GitSource(git, tree, lambda said: _remote_failure(url, ref, said, settings), remote=commit)
    return Commit(url, commit, source, warnings)


def _resolve(
    url: str, ref: str | None, settings: Settings, environ: Mapping[str, str]
) -> tuple[str, tuple[Warned, ...]]:
    names: tuple[str, ...] = ("HEAD",)
    if ref is not None:
        names = tuple(name for full in _full_names(ref) for name in (f"{full}^{{}}", full))
    found = _listed(run("ls-remote", "--", url, *names, settings=settings, environ=environ))
    commit = next((found[name] for name in names if name in found), None)
    if commit is None and ref is None:
        raise BuildError(RepositoryUnavailable(url, "it has no commits"))
    if commit is None:
        every = run("ls-remote", "--heads", "--tags", "--refs", "--", url, settings=settings, environ=environ)
        known = [name.split("/", 2)[2] for name in _listed(every)]
        raise BuildError(_absent(str(ref), known))
    if not _COMMIT.fullmatch(commit):
        raise BuildError(ObjectsUnread(url, "SHA-256"))
    peeled = {name: found.get(f"{name}^{{}}", commit) for name, commit in found.items()}
    return commit, _ambiguity(ref or "", peeled)


def _listed(text: str) -> dict[str, str]:
    """Object ids by ref of what ls-remote prints; a host may send names that are none."""
    lines = (re.fullmatch(r"([0-9a-f]{40,64})\t(HEAD|refs/(?:heads|tags)/.+)", line) for line in text.splitlines())
    return {line[2]: line[1] for line in lines if line}


def _full_names(ref: str) -> tuple[str, ...]:
    return (ref,) if ref.startswith(("refs/heads/", "refs/tags/")) else (f"refs/heads/{ref}", f"refs/tags/{ref}")


def _ambiguity(ref: str, found: Mapping[str, str]) -> tuple[Warned, ...]:
    """A warning where a branch and a tag of one name are two commits."""
    branch, tag = found.get(f"refs/heads/{ref}"), found.get(f"refs/tags/{ref}")
    if branch is None or tag is None or branch == tag:
        return ()
    message = f"{ref} is a branch and a tag; the branch is taken, --ref refs/tags/{ref} takes the tag"
    return (Warned("ref-ambiguous", message),)


def _cached(url: str, commit: str, settings: Settings, environ: Mapping[str, str]) -> Git:
    directory = Path(settings.cache_dir, "git", hashlib.sha256(url.encode()).hexdigest()[:24])
    git = Git(directory, settings, environ)
    with git.alone():
        if not (directory / "ready").exists():
            shutil.rmtree(directory, ignore_errors=True)
            run("init", "--quiet", "--bare", "--", str(directory), settings=settings)
            for name, value in (
                ("core.repositoryformatversion", "1"),
                ("extensions.partialClone", "origin"),
                ("remote.origin.url", url),
                ("remote.origin.promisor", "true"),
                ("fetch.recurseSubmodules", "false"),
            ):
                git.run("config", name, value)
        (directory / "ready").touch()  # each time: `prune` goes by when it was last used
        if not (directory / "commits" / commit).exists():
            _fetch(git, commit, filters=("combine:tree:2+blob:none", "blob:none", ""))
            _fetch_usually_read(git, commit)
            (directory / "commits").mkdir(exist_ok=True)
            (directory / "commits" / commit).touch()
    return git


def _fetch(git: Git, commit: str, *options: str, filters: tuple[str, ...]) -> None:
    """Fetch one commit by the first of the filters that the server takes."""
    for filter_ in filters:
        # Said outright: without it git takes the filter that it was given first.
        chosen = f"--filter={filter_}" if filter_ else "--no-filter"
        try:
            git.run("fetch", "--quiet", "--depth=1", "--no-tags", *options, chosen, "origin", commit)
            return
        except GitFailed as failed:
            if not filter_ or "filter" not in str(failed):
                raise


def _fetch_usually_read(git: Git, commit: str) -> None:
    """One request for the small files at the root that detectors ask for, instead of one for each."""
    listed = git.run("ls-tree", "-z", commit).split("\0")
    names = (line.partition("\t") for line in listed if line)
    blobs = [meta.split()[2] for meta, _, name in names if _USUALLY_READ.fullmatch(name) and meta.split()[1] == "blob"]
    if blobs:
        git.run(
            "-c", "fetch.negotiationAlgorithm=noop", "fetch", "--quiet", "--no-tags", "--no-write-fetch-head",
            "--recurse-submodules=no", "--filter=blob:none", "--stdin", "origin", 
            stdin="".join(f"{blob}\n" for blob in blobs).encode(),
        )  # fmt: skip


def parse_tree(content: bytes, path: str) -> Iterator[tuple[bytes, bytes, str]]:
    """(mode, name, object id) of a raw tree object: "MODE NAME\\0" and 20 bytes, again and again.

    Raises BuildError(FileInvalid) for what git itself would not check out: it fetches such trees all the same.
    """
    at = 0
    while at < len(content):
        found = _TREE_ENTRY.match(content, at)
        if found is None or found[2] in (b".", b"..", b".git"):
            problem = "git's list of what it holds is broken; `git fsck` names the fault"
            raise invalid(Location(path or "The root of the repository"), "a directory", "", problem)
        yield found[1], found[2], found[3].hex()
        at = found.end()


def _local_failure(path: Path, ref: str, said: str, settings: Settings) -> object:
    if "not a git repository" in said:
        advice = "Run `git init` there, and commit what is to be built."
        return AddressInvalid(str(path), "not a git repository", advice=advice)
    if "dubious ownership" in said:
        return AddressInvalid(str(path), "belongs to another user of this machine")
    if ref == "HEAD":
        return AddressInvalid(str(path), "the repository has no commits", advice="Commit what is to be built.")
    known = run(
        "-C", str(path), "for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags", settings=settings
    )
    return _absent(ref, known.split())


def _absent(ref: str, known: list[str]) -> RefAbsent:
    """A ref that is not there, with some that are. Names are compared without regard to case."""
    by_case = {name.lower(): name for name in reversed(known)}
    near = get_close_matches(ref.lower(), by_case, n=3, cutoff=0.5)
    return RefAbsent(ref, tuple(by_case[name] for name in near), tuple(known[:5]))


def _local_trouble(path: Path, said: str) -> object:
    """The failure of an object that cannot be had."""
    missing = "lacks an object of that commit; it is a partial clone, or damaged: `git fetch --refetch` gets all of it"
    return AddressInvalid(str(path), missing if said.endswith(" missing") else said[:300])


def _remote_failure(url: str, ref: str | None, said: str, settings: Settings) -> object:
    last = said.splitlines()[-1] if said else ""
    detail = re.sub(r"^(fatal|error): (unable to access|repository) '[^']*':? *", "", last)[:300]
    if re.search(r"not our ref|no such remote ref|couldn't find remote ref", said) and ref:
        return RefAbsent(ref, ())
    if re.search(r"returned error: 30[12378]", said):
        return AddressMoved(url)
    if "mismatched algorithms" in said:
        return ObjectsUnread(url, "SHA-256")
    if re.search(r"SSL certificate|certificate verify", said):
        return CertificateUntrusted(f"{url}: {detail}")
    if re.search(r"not valid: is this a git repository", said):
        return NotGit(url)
    if re.search(r"could not read Username|Authentication failed|returned error: 401", said):
        return RepositoryUnavailable(url, "")
    if re.search(r"File too large|file size limit|signal 25", said):
        return TooLarge("The repository", settings.limits.fetch_size, settings.limits.fetch_size, "limits.fetch_size")
    if re.search(r"not found|returned error: 4(?:0[34]|10|51)|not a git", said):
        return RepositoryUnavailable(url, detail)
    return HostUnreachable(url, detail)

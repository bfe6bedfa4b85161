"""A repository at one commit, read as git objects: nothing of it is ever checked out.

A remote repository is fetched without its blobs into a bare cache, and blobs are asked for as they
are read; a local one is read where it lies.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path

from builder.address import Address, check_ref
from builder.failures import (
    AddressInvalid,
    CertificateUntrusted,
    HostUnreachable,
    RefAbsent,
    RepositoryUnavailable,
    TooLarge,
)
from builder.git import Git, GitFailed, run
from builder.locks import held
from builder.settings import Settings
from detectors.failures import BuildError
from detectors.source import MAX_FILE, Entry, Kind

_COMMIT = re.compile(r"[0-9a-f]{40}")
_KINDS: dict[bytes, Kind] = {b"40000": "directory", b"120000": "symlink", b"160000": "submodule"}
_USUALLY_READ = re.compile(
    r"(\.?binder/)?([^/]*requirements[^/]*\.(txt|in)|environment\.ya?ml|pyproject\.toml|poetry\.lock|uv\.lock"
    r"|apt\.txt|runtime\.txt|start|postBuild|\.python-version)"
)


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of a repository, and the Source that reads it."""

    url: str
    """Where it came from: an https address, or a local path."""
    id: str
    """40 hex digits; "+worktree" behind them for what lies uncommitted on top."""
    source: GitSource

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
        return self._read(entry.blob, limit, entry.path)

    def committed(self, commit: str) -> int:
        """When a commit was made: seconds since 1970."""
        found = re.search(rb"^committer .* (\d+) [+-]\d{4}$", self._read(commit, MAX_FILE, "the commit"), re.MULTILINE)
        return int(found[1]) if found else 0

    def fetch_all(self) -> None:
        """Fetch everything of the commit in one request, where it is not here already."""
        complete = self._git.directory / "complete" / self._remote
        if not self._remote or complete.exists():
            return
        try:
            _fetch(self._git, self._remote, "--refetch", filters=("",))
        except GitFailed as failed:
            raise BuildError(self._trouble(str(failed))) from None
        complete.parent.mkdir(exist_ok=True)
        complete.touch()

    def _read(self, name: str, limit: int, path: str) -> bytes:
        try:
            return self._git.read(name, limit, path)
        except GitFailed as failed:
            raise BuildError(self._trouble(str(failed))) from None

    def _directory(self, path: str) -> dict[str, Entry]:
        if path not in self._directories:
            above = self.entry(path)
            tree = above.blob if above and above.kind == "directory" else None
            self._directories[path] = dict(self._entries(path, tree)) if tree else {}
        return self._directories[path]

    def _entries(self, path: str, tree: str) -> Iterator[tuple[str, Entry]]:
        for mode, name, blob in _parse_tree(self._read(tree, 5 * MAX_FILE, path or "the root directory")):
            text = name.decode("utf-8", "surrogateescape")
            full = f"{path}/{text}" if path else text
            yield text, Entry(full, _KINDS.get(mode, "file"), blob, executable=mode == b"100755")


def open_commit(address: Address, ref: str | None, settings: Settings, *, worktree: bool = False) -> Commit:
    """Resolve a ref (by default HEAD) to a commit, once, and fetch what a plan needs of it.

    `worktree` takes what lies uncommitted in a local repository.
    Raises BuildError with RefInvalid, RefAbsent, AddressInvalid, RepositoryUnavailable,
    HostUnreachable, CertificateUntrusted or TooLarge.
    """
    if ref is not None:
        check_ref(ref)
    if address.local:
        return _open_local(address.local, ref, settings, worktree)
    return _open_remote(address.url, ref, settings)


def _open_local(path: Path, ref: str | None, settings: Settings, worktree: bool) -> Commit:
    wanted = ref or "HEAD"
    try:
        found = run(
            "-C", str(path), "rev-parse", "--absolute-git-dir", "--show-prefix",
            "--end-of-options", f"{wanted}^{{commit}}", f"{wanted}^{{tree}}", settings=settings,
        )  # fmt: skip
    except GitFailed as failed:
        raise BuildError(_local_failure(path, wanted, str(failed), settings)) from None
    lines = found.splitlines()
    directory, prefix, commit, tree = lines[0], lines[1], lines[-2], lines[-1]
    if prefix:
        raise BuildError(
            AddressInvalid(str(path), f"lies inside a repository; give its root and --subdir {prefix.rstrip('/')}")
        )
    if worktree:
        return _open_worktree(path, Path(directory), commit, settings)
    return Commit(
        str(path), commit, GitSource(Git(Path(directory), settings), tree, partial(AddressInvalid, str(path)))
    )


def _open_worktree(path: Path, directory: Path, commit: str, settings: Settings) -> Commit:
    """The work tree as a tree object, written beside the repository's own objects and never into them."""
    scratch = tempfile.TemporaryDirectory(prefix="launchyard-")
    objects = Path(scratch.name, "objects")
    objects.mkdir()
    shared = run(
        "-C", str(path), "rev-parse", "--path-format=absolute", "--git-path", "objects", settings=settings
    ).strip()
    git = Git(
        directory,
        settings,
        {
            "GIT_INDEX_FILE": str(Path(scratch.name, "index")),
            "GIT_OBJECT_DIRECTORY": str(objects),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": shared,
        },
    )
    try:
        git.run("read-tree", commit)
        git.run(f"--work-tree={path}", "add", "--all", "--", str(path))
        tree = git.run("write-tree").strip()
    except GitFailed as failed:
        raise BuildError(AddressInvalid(str(path), str(failed)[:300])) from None
    return Commit(
        str(path), f"{commit}+worktree", GitSource(git, tree, partial(AddressInvalid, str(path)), scratch=scratch)
    )


def _open_remote(url: str, ref: str | None, settings: Settings) -> Commit:
    try:
        commit = ref if ref and _COMMIT.fullmatch(ref) else _resolve(url, ref, settings)
        git = _cached(url, commit, settings)
        tree = git.run("rev-parse", "--verify", "--end-of-options", f"{commit}^{{tree}}").strip()
    except GitFailed as failed:
        raise BuildError(_remote_failure(url, ref, str(failed), settings)) from None
    return Commit(
        url, commit, GitSource(git, tree, lambda said: _remote_failure(url, ref, said, settings), remote=commit)
    )


def _resolve(url: str, ref: str | None, settings: Settings) -> str:
    names = ("HEAD",) if ref is None else (f"refs/heads/{ref}", f"refs/tags/{ref}^{{}}", f"refs/tags/{ref}")
    listed = run("ls-remote", "--", url, *names, settings=settings)
    found = {name: commit for commit, name in (line.split("\t", 1) for line in listed.splitlines())}
    for name in names:
        if name in found:
            return found[name]
    if ref is None:
        raise BuildError(RepositoryUnavailable(url, "it has no commits"))
    every = run("ls-remote", "--heads", "--tags", "--refs", "--", url, settings=settings)
    known = [line.split("\t", 1)[1].split("/", 2)[2] for line in every.splitlines()]
    raise BuildError(RefAbsent(ref, tuple(get_close_matches(ref, known, n=3, cutoff=0.5))))


def _cached(url: str, commit: str, settings: Settings) -> Git:
    directory = Path(settings.cache_dir, "git", hashlib.sha256(url.encode()).hexdigest()[:24])
    git = Git(directory, settings)
    with held(directory.with_suffix(".lock"), settings.limits.fetch_time):
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
            (directory / "ready").touch()
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


def _parse_tree(content: bytes) -> Iterator[tuple[bytes, bytes, str]]:
    """(mode, name, object id) of a raw tree object: "MODE NAME\\0" and 20 bytes, again and again."""
    at = 0
    while at < len(content):
        space = content.index(b" ", at)
        end = content.index(b"\0", space)
        yield content[at:space], content[space + 1 : end], content[end + 1 : end + 21].hex()
        at = end + 21


def _local_failure(path: Path, ref: str, said: str, settings: Settings) -> object:
    if "not a git repository" in said:
        return AddressInvalid(
            str(path), "not a git repository; run `git init` there and commit, or give --worktree after that"
        )
    if "dubious ownership" in said:
        return AddressInvalid(str(path), "belongs to another user of this machine")
    if ref == "HEAD":
        return AddressInvalid(str(path), "the repository has no commits")
    known = run(
        "-C", str(path), "for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags", settings=settings
    )
    return RefAbsent(ref, tuple(get_close_matches(ref, known.split(), n=3, cutoff=0.5)))


def _remote_failure(url: str, ref: str | None, said: str, settings: Settings) -> object:
    detail = said.splitlines()[-1][:300] if said else ""
    if re.search(r"not our ref|no such remote ref|couldn't find remote ref", said) and ref:
        return RefAbsent(ref, ())
    if re.search(r"SSL certificate|certificate verify", said):
        return CertificateUntrusted(f"{url}: {detail}")
    if re.search(r"File too large|file size limit|signal 25", said):
        return TooLarge("The repository", settings.limits.fetch_size, settings.limits.fetch_size, "limits.fetch_size")
    if re.search(
        r"not found|could not read Username|Authentication failed|returned error: 40[134]|not a git"
        r"|not valid: is this a git",
        said,
    ):
        return RepositoryUnavailable(url, detail)
    return HostUnreachable(url, detail)

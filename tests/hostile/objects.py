"""Repositories made of raw objects, as no git program would make them."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.conftest import git

TreeEntry = tuple[str, str | bytes, str]
"""Mode, name and object id."""

FILE, SCRIPT, DIRECTORY, LINK, SUBMODULE = "100644", "100755", "40000", "120000", "160000"


class Objects:
    """Writes objects into a repository, whatever is in them."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self.six = self.blob(b"six\n")

    def blob(self, content: bytes) -> str:
        return self._write("blob", content)

    def tree(self, *entries: TreeEntry) -> str:
        return self.raw_tree(b"".join(_entry(*entry) for entry in entries))

    def raw_tree(self, content: bytes) -> str:
        return self._write("tree", content)

    def files(self, mode: str, names: Iterable[str], blob: str, *entries: TreeEntry) -> str:
        """A tree of many names for one object, and some more."""
        return self.tree(*((mode, name, blob) for name in names), *entries)

    def commit(self, tree: str) -> str:
        person = "Ada <ada@example.org> 1714564800 +0000"
        return self._write("commit", f"tree {tree}\nauthor {person}\ncommitter {person}\n\nwork\n".encode())

    def _write(self, kind: str, content: bytes) -> str:
        raw = f"{kind} {len(content)}\0".encode() + content
        name = hashlib.sha1(raw).hexdigest()
        path = self._repository / ".git" / "objects" / name[:2] / name[2:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(zlib.compress(raw, 1))
        return name


def repository_of(directory: Path, tree: Callable[[Objects], str]) -> Path:
    """A repository whose one commit is of the tree that a function writes; its directory."""
    directory.mkdir()
    git(directory, "init", "--quiet", "--initial-branch=main")
    objects = Objects(directory)
    (directory / ".git" / "refs" / "heads" / "main").write_text(f"{objects.commit(tree(objects))}\n")
    return directory


def _entry(mode: str, name: str | bytes, blob: str) -> bytes:
    raw = name.encode() if isinstance(name, str) else name
    return mode.encode() + b" " + raw + b"\0" + bytes.fromhex(blob)

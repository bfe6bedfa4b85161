"""What commands have worked out and would work out again: the last few results, each by all that it follows from.

Nothing depends on it. A file that cannot be read or written costs the next command a tenth of a second, no more.
"""

from __future__ import annotations

import json
import os
import threading
from functools import cache, lru_cache
from pathlib import Path
from typing import Any


class Memory:
    """JSON values by name, in one file of the user's cache directory."""

    def __init__(self, name: str, last: int) -> None:
        """`last` is how many are kept: those that came last."""
        self._name = name
        self._last = last

    def recall(self, key: str) -> Any:
        """A value; None where it is not known, or not any more."""
        return self._known().get(key)

    def keep(self, key: str, value: Any) -> None:
        known = dict([*self._known().items(), (key, value)][-self._last :])
        path = self._path()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
            part.write_text(json.dumps(known))
            part.replace(path)
        except OSError as error:
            _say_once(str(error))

    def _known(self) -> dict[str, Any]:
        try:
            written = self._path().stat()
            return _read(self._path(), written.st_mtime_ns, written.st_ino)
        except (OSError, ValueError):
            return {}

    def _path(self) -> Path:
        return xdg("XDG_CACHE_HOME", ".cache") / f"{self._name}.json"


@lru_cache(4)
def _read(path: Path, changed: int, file: int) -> dict[str, Any]:
    """What a file holds; one that is another by its time or its inode is read again."""
    document = json.loads(path.read_bytes())
    return document if isinstance(document, dict) else {}


@cache
def _say_once(problem: str) -> None:
    import logging  # which a command that can write does not load

    logging.getLogger("launchyard").warning("Warning: cannot remember what was worked out: %s", problem)


def xdg(variable: str, below_home: str) -> Path:
    """Launchyard's directory of a kind: https://specifications.freedesktop.org/basedir-spec/latest/"""
    return Path(os.environ.get(variable) or Path.home() / below_home) / "launchyard"

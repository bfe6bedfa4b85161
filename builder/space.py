"""Space: what an installation keeps on disk, for its operator."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path

from builder.engine import Engine
from builder.failures.built import DiskFull
from builder.records import Space
from builder.settings import Settings


def space(settings: Settings, engine: Engine) -> Space:
    """Looks at every file of the service's, and asks the engine. Raises BuildError(EngineUnavailable)."""
    state = Path(settings.state_dir)
    disk = shutil.disk_usage(state)
    kept = {"records, logs and locks": _size(state), "repositories and other caches": _size(Path(settings.cache_dir))}
    return Space(disk.free, disk.total, {**kept, **engine.usage()})


def no_room(error: Exception, own: str) -> DiskFull | None:
    """The failure that an error of the machine's is where there was no room for something of Launchyard's own."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull("", said=os.strerror(error.errno), own=own)
    return None


def _size(directory: Path) -> int:
    """Bytes of the files below a directory, as far as they stay while they are counted."""
    found = 0
    for place, _, names in os.walk(directory):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                found += os.lstat(os.path.join(place, name)).st_blocks * 512
    return found

"""Prune: give back what Launchyard keeps and nobody used for a while. Never what is in use.

An image's age is the time since it was last tagged, which each build and each reuse does: its
creation is the epoch, for the sake of equal ids.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from builder import parents
from builder.buildkit import BuildKit
from builder.docker import DockerFailed, ask, docker, is_absent, labelled, unavailable
from builder.identity import LABEL
from builder.locks import LockTimeout, held
from builder.quantities import duration_in_words, size_of
from builder.settings import Settings
from detectors.failures import BuildError
from detectors.plan import FRONTENDS

BASE = "org.opencontainers.image.base.name"

CACHE_TIME = 600
"""Seconds that the removal of build cache may take."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An image of Launchyard's that the engine keeps."""

    id: str
    tags: tuple[str, ...]
    size: int
    """Bytes, without what it shares with the image it stands on."""
    used: float
    """When it was last tagged: seconds since 1970, 0 for never."""
    key: str
    """The key of an environment's image; empty for a parent."""
    base: str
    """The reference it stands on."""

    @property
    def name(self) -> str:
        return self.tags[0] if self.tags else self.id[:19]


@dataclass(frozen=True, slots=True)
class Removed:
    """Something that was removed, or would be. Bytes; what images share is not counted twice."""

    kind: str
    """ "image", "parent", "build cache", "git cache", "build log", "lock" or "traceback"."""
    name: str
    size: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def prune(settings: Settings, *, older_than: int, keep: int | None, dry_run: bool) -> Iterator[Removed]:
    """Remove what was not used for `older_than` seconds, then the oldest images until theirs is at most `keep` bytes.

    Yields each thing as it goes. Sessions keep their images, running or ended, and so do the environments of a build
    service that remembers in these settings' database or state directory. The build cache is the
    engine's, for all its users: only what is older goes from it, and down to `keep` where that is given.
    """
    before = time.time() - older_than
    if not dry_run:
        BuildKit().tidy()
    yield from _images(settings, before, keep, dry_run)
    yield from _build_cache(older_than, keep, dry_run)
    yield from _git_caches(Path(settings.cache_dir, "git"), before, dry_run)
    yield from _files("lock", Path(settings.state_dir, "locks"), before, dry_run)
    # What builds of a service said: no build takes so long that its log is still being written.
    yield from _files("build log", Path(settings.state_dir, "service", "builds"), before, dry_run)
    yield from _files("traceback", Path(settings.state_dir, "tracebacks"), before, dry_run)


def _images(settings: Settings, before: float, keep: int | None, dry_run: bool) -> Iterator[Removed]:
    images = [image for image in _listed() if _is_own(image, settings)]
    current = _current(settings)
    environments = sorted((image for image in images if image.key), key=lambda image: image.used)
    left = list(environments)
    environments = [image for image in environments if not current.intersection(image.tags)]
    for image in chosen(environments, before, keep):
        if _remove(image, Path(settings.state_dir, "locks", image.key), dry_run):
            left.remove(image)
            yield Removed("image", image.name, image.size)
    needed = {image.base for image in left} | (_current_parents(settings) if left else set())
    for image in images:
        if image.key or image.used >= before or needed.intersection(image.tags) or _building(settings):
            continue
        if _remove(image, Path(settings.state_dir, "locks", f"parent-{image.name.rpartition(':')[2]}"), dry_run):
            yield Removed("parent", image.name, image.size)


def _current(settings: Settings) -> frozenset[str]:
    """What environments of a build service would be launched from now."""
    if not settings.database and not Path(settings.state_dir, "service", "records.db").exists():
        return frozenset()
    from builder.database import url_of
    from builder.store import Store

    store = Store(url_of(settings))
    try:
        return store.references_in_use()
    finally:
        store.close()


def chosen(images: Iterable[Kept], before: float, keep: int | None) -> list[Kept]:
    """Of images, the longest unused first, those to remove: unused since `before`, or over `keep` bytes together."""
    images = list(images)
    total = sum(image.size for image in images)
    found = []
    for image in images:
        if image.used >= before and (keep is None or total <= keep):
            break
        found.append(image)
        total -= image.size
    return found


def _is_own(image: Kept, settings: Settings) -> bool:
    """Whether an image is this installation's and not another's on the same engine, or nobody's any more."""
    return not image.tags or any(tag.startswith(f"{settings.image_prefix}/") for tag in image.tags)


def _listed() -> Iterator[Kept]:
    found = labelled(LABEL + "key", LABEL + "parent")
    sizes = {tag: image["Size"] for image in found for tag in image["RepoTags"] or ()}
    for image in found:
        labels = image["Config"]["Labels"] or {}
        base = labels.get(BASE, "")
        yield Kept(
            id=image["Id"],
            tags=tuple(image["RepoTags"] or ()),
            size=max(0, image["Size"] - sizes.get(base, 0)),
            used=_time(image["Metadata"]["LastTagTime"]),
            key=labels.get(LABEL + "key", ""),
            base=base,
        )


def _remove(image: Kept, lock: Path, dry_run: bool) -> bool:
    """Whether an image was removed: one that a container was made from, or that is being built, stays."""
    if ask("container", "ls", "--all", "--quiet", f"--filter=ancestor={image.id}").strip():
        return False
    try:
        return _locked(lock, dry_run, lambda: _untag(image))
    except DockerFailed as failed:
        if (
            is_absent(failed, "image") or "conflict" in str(failed).lower()
        ):  # Somebody removed it, or made a container of it.
            return False
        raise unavailable(failed) from None


def _untag(image: Kept) -> None:
    docker("image", "rm", "--", *(image.tags or (image.id,)))


def _current_parents(settings: Settings) -> set[str]:
    """The parents that the next build would stand on."""
    found = {parents.tools(settings).reference}
    for frontend in FRONTENDS:
        try:
            found.add(parents.session(frontend, settings).reference)
        except BuildError:  # A frontend that this installation has not has no parent.
            continue
    return found


def _building(settings: Settings) -> bool:
    """Whether a build is under way here, which may stand on any parent."""
    return any(_busy(lock) for lock in Path(settings.state_dir, "locks").glob("*") if lock.is_file())


def _busy(lock: Path) -> bool:
    try:
        with held(lock, 0):
            return False
    except LockTimeout:
        return True


def _build_cache(older_than: int, keep: int | None, dry_run: bool) -> Iterator[Removed]:
    if dry_run:
        size = sum(
            _cache_sizes(
                ask("system", "df", "--verbose", "--format={{json .BuildCache}}", timeout=CACHE_TIME), older_than
            )
        )
        size = max(0, size - (keep or 0))
    else:
        kept = (f"--keep-storage={keep}",) if keep is not None else ()
        said = ask("builder", "prune", "--force", f"--filter=until={older_than}s", *kept, timeout=CACHE_TIME)
        total = re.search(r"^Total[^:]*:\s*(\S+)", said, re.MULTILINE)
        size = size_of(total[1]) if total else 0
    if size:
        yield Removed("build cache", f"unused for {duration_in_words(older_than)}", size)


def _cache_sizes(listed: str, older_than: int) -> Iterator[int]:
    for entry in json.loads(listed):
        if (
            entry["InUse"] == "false"
            and entry["Shared"] == "false"
            and time.time() - _time(entry["LastUsedAt"] or entry["CreatedAt"]) > older_than
        ):
            yield size_of(entry["Size"])


def _git_caches(directory: Path, before: float, dry_run: bool) -> Iterator[Removed]:
    for cache in sorted(path for path in directory.glob("*") if path.is_dir()):
        unused = partial(_unused, cache, before)
        if unused():
            size = sum(path.lstat().st_size for path in cache.rglob("*"))
            if _locked(cache.with_suffix(".lock"), dry_run, partial(_remove_cache, cache), unused):
                yield Removed("git cache", cache.name, size)


def _unused(cache: Path, before: float) -> bool:
    """Whether no plan has opened it since."""
    return all(path.stat().st_mtime < before for path in (cache, cache / "ready") if path.exists())


def _remove_cache(cache: Path) -> None:
    (cache / "ready").unlink(missing_ok=True)  # first: what is gone in part is fetched anew
    shutil.rmtree(cache)


def _files(kind: str, directory: Path, before: float, dry_run: bool) -> Iterator[Removed]:
    for path in sorted(path for path in directory.glob("*") if path.is_file()):
        status = path.stat()
        if status.st_mtime < before and _locked(path, dry_run, lambda: None):
            yield Removed(kind, path.name, status.st_size)


def _locked(lock: Path, dry_run: bool, remove: Callable[[], None], still: Callable[[], bool] = lambda: True) -> bool:
    """Whether something was removed, under a lock that nobody else held; the lock file goes with it.

    `still` says whether it may be, once nobody else can use it.
    """
    if dry_run:
        return True
    try:
        with held(lock, 0):
            if not still():
                return False
            remove()
            lock.unlink(missing_ok=True)
    except LockTimeout:
        return False
    return True


def _time(text: str) -> float:
    """Seconds since 1970 of a time as docker writes it: with nanoseconds, or with a zone's name behind it."""
    found = re.match(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.\d+)? ?(Z|[+-]\d\d:?\d\d)", text)
    return datetime.fromisoformat(f"{found[1]}T{found[2]}{found[3]}").timestamp() if found else 0.0

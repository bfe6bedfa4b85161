"""Doctor: what a build needs of this machine and its network, one check at a time."""

from __future__ import annotations

import re
import shutil
import ssl
import subprocess
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from builder import disk, parents
from builder.bounds import PROBE_TIME, bounds
from builder.build import secrets
from builder.buildkit import BuildKit
from builder.context import Context
from builder.docker import ask
from builder.engine import BuildFailed, BuildRequest
from builder.failures import explain
from builder.failures.asked import EngineUnavailable
from builder.quantities import size_in_words
from builder.recognise import recognise
from builder.settings import Limits, Settings, file_in_use
from detectors.failures import BuildError
from detectors.python import DEFAULT

NETWORK_TIME = 30
"""Seconds that one question to the network may take."""

MIN_DISK = 5_000_000_000
"""Bytes: the images that builds stand on, and a first environment of the usual size."""

MIN_GIT = (2, 31)
"""The first git with GIT_CONFIG_COUNT: https://git-scm.com/docs/git-config."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line: what was looked at, what was found, and what to do where that is not enough."""

    name: str
    ok: bool
    found: str
    fix: str = ""
    needed: bool = True
    """Whether no build works without it."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def doctor(settings: Settings) -> Iterator[Check]:
    """Every check, as each is done. What stands on a thing that fails is left out."""
    yield _settings_file()
    if settings.certificates:
        yield _certificates(settings)
    yield _git()
    engine = _engine()
    yield engine
    python = settings.bases.pythons.get(DEFAULT) or settings.bases.python.replace("{version}", DEFAULT)
    if engine.ok:
        yield _checked("buildx", _buildx, "`docker buildx use default` chooses the engine's own; unset BUILDX_BUILDER.")
        yield _checked("BuildKit", _buildkit)
        yield _engine_disk(settings, python)
    yield _records_disk(settings)
    if engine.ok:
        yield _base("Debian base", settings.bases.debian)
        yield _base(f"Python {DEFAULT} base", python)
        yield _base("conda base", settings.bases.conda, needed=False)
        yield _index(settings, python)
        yield from _bounds(settings, python)
    yield _channels(settings)


def _checked(name: str, find: Callable[[], str], fix: str = "", needed: bool = True) -> Check:
    """A check whose finder returns what it found, or raises BuildError."""
    try:
        return Check(name, True, find())
    except BuildError as error:
        words = explain(error.failure)
        return Check(name, False, words.seen.strip().rpartition("\n")[2], fix or words.fix[0], needed)


def _settings_file() -> Check:
    file = file_in_use()
    return Check("settings", True, str(file) if file else "no launchyard.toml: the defaults, and LAUNCHYARD_ variables")


def _certificates(settings: Settings) -> Check:
    try:
        ssl.create_default_context(cafile=settings.certificates)
    except (OSError, ssl.SSLError) as error:
        fix = "Set `certificates` to a file of certificate authorities in PEM form."
        return Check("certificates", False, f"{settings.certificates}: {error}", fix)
    return Check("certificates", True, settings.certificates)


def _git() -> Check:
    wanted = ".".join(map(str, MIN_GIT))
    fix = f"Install git {wanted} or later."
    try:
        said = subprocess.run(
            ["git", "--version"], capture_output=True, text=True, timeout=NETWORK_TIME, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return Check("git", False, str(error), fix)
    found = re.search(r"(\d+)\.(\d+)", said)
    return Check("git", bool(found) and (int(found[1]), int(found[2])) >= MIN_GIT, said.strip(), fix)  # type: ignore[index]


def _engine() -> Check:
    return _checked("engine", lambda: "Docker " + ask("version", "--format={{.Server.Version}}").strip())


def _buildx() -> str:
    """Its version. Raises BuildError(EngineUnavailable) for a builder that does not know the engine's own images."""
    driver = re.search(r"^Driver:\s*(\S+)", ask("buildx", "inspect"), re.MULTILINE)
    if not driver or driver[1] != "docker":
        found = driver[1] if driver else "none"
        raise BuildError(EngineUnavailable(f"its builder's driver is {found}, which sees no image of the engine's"))
    return ask("buildx", "version").strip()


def _buildkit() -> str:
    """Builds an image of one empty layer, and removes it."""
    context = Context("FROM scratch\nCOPY doctor /\n", {"doctor": b""})
    engine = BuildKit()
    try:
        image = engine.build(
            BuildRequest(lambda stream: context.write_tar(stream, None, 0), limits=Limits(build_time=NETWORK_TIME)),
            lambda event: None,
        )
    except BuildFailed as failed:
        raise BuildError(recognise(failed, python="", timeout=NETWORK_TIME)) from None
    engine.remove([image])
    return "builds an image"


def _engine_disk(settings: Settings, python: str) -> Check:
    """The engine may be on another machine, and a path of its own is none of this one's: a container looks."""
    name = "disk for images"
    image = _here(settings, python)
    if image is None:
        return Check(name, True, f"not asked: {NOT_HERE}", needed=False)
    free = disk.free(image)
    if free is None:
        return Check(name, True, "not known: no container of the engine's says what is free", needed=False)
    return _free(name, free, "on the engine's disk")


def _records_disk(settings: Settings) -> Check:
    place = Path(settings.state_dir)
    there = next((p for p in (place, *place.parents) if p.exists()), Path("/"))
    return _free("disk for records", shutil.disk_usage(there).free, f"for {place}")


def _free(name: str, free: int, where: str) -> Check:
    fix = f"Free at least {size_in_words(MIN_DISK)}; `launchyard prune` removes what nobody used for a while."
    return Check(name, free >= MIN_DISK, f"{size_in_words(free)} free {where}", fix)


def _base(name: str, reference: str, needed: bool = True) -> Check:
    def find() -> str:
        if BuildKit().inspect(reference):
            return f"{reference}, here"
        ask("manifest", "inspect", "--", reference, timeout=NETWORK_TIME)
        return f"{reference}, in its registry"

    fix = f"{reference} is neither here nor can it be pulled: check the network, or name another under [bases]."
    return _checked(name, find, fix, needed)


def _bounds(settings: Settings, python: str) -> Iterator[Check]:
    """What holds builds in. None is needed for a build to work; all are for builds of strangers' repositories."""
    image = _here(settings, python)
    if image is None:
        yield Check("build bounds", True, f"not tried: {NOT_HERE}", needed=False)
        return
    try:
        for bound in bounds(settings, image):
            yield Check(bound.name, bound.holds, bound.found, bound.fix, needed=False)
    except BuildFailed as failed:
        words = explain(recognise(failed, python=DEFAULT, timeout=PROBE_TIME))
        yield Check("build bounds", False, f"{words.title}: {words.seen}"[:300], words.fix[0], needed=False)


def _here(settings: Settings, python: str) -> str | None:
    """An image with Python that the engine has."""
    images = (parents.tools(settings).reference, python)
    return next((reference for reference in images if BuildKit().inspect(reference)), None)


NOT_HERE = "neither the tools image nor the Python base is here yet"


def _index(settings: Settings, python: str) -> Check:
    """Asks as a build does: pip in a container, with the installation's own settings and pip's own default."""
    name = "Python index"
    image = _here(settings, python)
    if image is None:
        return Check(name, True, f"not asked: {NOT_HERE}", needed=False)
    with tempfile.TemporaryDirectory(prefix="launchyard-") as scratch:
        for secret, content in secrets(settings).items():
            file = Path(scratch, secret)
            file.touch(mode=0o600)
            file.write_bytes(content)
        return _asked(name, image, scratch, bool(settings.certificates))


def _asked(name: str, image: str, secrets_directory: str, certificates: bool) -> Check:
    command = "set -a; . /run/secrets/settings; PYTHONPATH=/tools/pip exec python3 -m pip index versions pip"
    trust = ("--env=PIP_CERT=/run/secrets/certificates",) if certificates else ()
    try:
        ask("run", "--rm", f"--volume={secrets_directory}:/run/secrets:ro", "--env=PIP_RETRIES=1", *trust,
               "--entrypoint=sh", "--", image, "-c", command, timeout=NETWORK_TIME)  # fmt: skip
    except BuildError as error:
        said = explain(error.failure).seen
        broken = re.search(r"connection broken by '(.*)'", said)
        fix = "Check index.url, the proxies and certificates in the settings."
        return Check(name, False, broken[1] if broken else said.strip().rpartition("\n")[2], fix)
    return Check(name, True, "answers a build's question")


def _channels(settings: Settings) -> Check:
    name, alias = "conda channels", settings.conda.channel_alias
    if not alias.startswith(("https://", "http://")):
        return Check(name, True, f"{alias}, inside the conda base", needed=False)
    shown = re.sub(r"//[^/@]*@", "//***@", alias)
    try:
        _head(f"{alias.rstrip('/')}/conda-forge/noarch/repodata.json.zst", settings)
    except (OSError, ValueError) as error:
        return Check(
            name, False, f"{shown}: {error}", "Check conda.channel_alias, the proxies and certificates.", needed=False
        )
    return Check(name, True, shown, needed=False)


def _head(url: str, settings: Settings) -> None:
    proxies = {scheme: value for scheme in ("http", "https") if (value := getattr(settings, f"{scheme}_proxy"))}
    trust = ssl.create_default_context(cafile=settings.certificates or None)
    handlers = [
        urllib.request.HTTPSHandler(context=trust),
        *([urllib.request.ProxyHandler(proxies)] if proxies else []),
    ]
    try:
        with urllib.request.build_opener(*handlers).open(
            urllib.request.Request(url, method="HEAD"), timeout=NETWORK_TIME
        ):
            pass
    except HTTPError as error:
        if error.code >= 500:
            raise

"""A version's lock in the formats of other tools."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Literal, get_args

from builder.failures.served import KindAbsent, RecordAbsent
from builder.inventory import canonical
from builder.locked import CondaPackage, PythonPackage
from builder.records import Version
from builder.transcript import printable
from detectors.failures import BuildError

Format = Literal["json", "requirements", "conda", "cyclonedx"]


@dataclass(frozen=True, slots=True)
class Exported:
    """A file for another tool."""

    name: str
    media_type: str
    text: str


def export(version: Version, environment: str, format: Format, channel_alias: str) -> Exported:
    """The lock of an environment's version in a format; "json" is as it is kept.

    Raises BuildError(KindAbsent) where the version has no package that the format is for.
    """
    stem = f"{environment}-v{version.number}"
    if format == "requirements":
        return Exported(f"{stem}-requirements.txt", "text/plain", requirements(version, stem))
    if format == "conda":
        return Exported(f"{stem}-explicit.txt", "text/plain", explicit(version, stem, channel_alias))
    if format == "cyclonedx":
        from builder.bill import MEDIA_TYPE, bill

        return Exported(f"{stem}.cdx.json", MEDIA_TYPE, bill(version, environment))
    return Exported(f"{stem}-lock.json", "application/json", json.dumps(version.locked.to_json(), indent=1) + "\n")


def dockerfile(version: Version, environment: str) -> Exported:
    """What a version was built by. Raises BuildError(RecordAbsent) for one of before that was kept."""
    made = version.provenance
    if made is None or not made.dockerfile:
        raise BuildError(RecordAbsent("Dockerfile", f"v{version.number}"))
    return Exported(f"{environment}-v{version.number}-Dockerfile", "text/plain", made.dockerfile)


def formats_of(version: Version) -> tuple[Format, ...]:
    """The formats that a version has something for."""
    empty = {"requirements": not version.locked.python, "conda": not version.locked.conda}
    return tuple(format for format in get_args(Format) if not empty.get(format))


def requirements(version: Version, title: str) -> str:
    """A requirements.txt for `pip install --require-hashes --no-deps`, of whichever index pip is told to use.

    A package of an index is a line with the hashes of its files; an archive is one with its address. pip can hold
    neither git nor a directory to a hash: what comes from there, or is in the repository, is a comment that says so.
    https://pip.pypa.io/en/stable/topics/secure-installs/
    """
    lock = version.locked
    if not lock.python:
        raise BuildError(KindAbsent(f"v{version.number}", "Python", _others("conda", lock.conda)))
    made = version.provenance
    lines = [_comment(f"{title}: pip install --require-hashes --no-deps -r FILE")]
    if made:
        lines += [_comment(f"{made.repository} at {made.commit}, Python {made.python}, {made.platform}")]
    lines += [_requirement(package) for package in lock.python]
    names = {canonical(package.name) for package in lock.python}
    own = (p for p in version.inventory.packages if p.source == "repository" and canonical(p.name) not in names)
    lines += [_comment(f"{package.name} {package.version}: the repository itself") for package in own]
    return "".join(f"{line}\n" for line in lines)


def explicit(version: Version, title: str, channel_alias: str) -> str:
    """conda's explicit list, which conda, mamba and rattler install without a solve.

    The hash is a SHA-256 with its prefix, as conda's own exporter and CEP 23 have it and rattler reads it, or the MD5
    where a channel gave no other: https://conda.org/learn/ceps/cep-0023. Packages stand after what they need.
    """
    lock = version.locked
    if not lock.conda:
        raise BuildError(KindAbsent(f"v{version.number}", "conda", _others("requirements", lock.python)))
    alias = without_credentials(channel_alias).rstrip("/")
    subdirs = sorted({package.subdir for package in lock.conda} - {"noarch"})
    lines = [_comment(f"{title}: conda create --name NAME --file FILE")]
    lines += [f"# platform: {subdir}" for subdir in subdirs[:1]]
    lines += ["@EXPLICIT", *(_line(package, alias) for package in lock.conda)]
    return "".join(f"{line}\n" for line in lines)


def without_credentials(address: str) -> str:
    """A channel's address without user name, password, and token: https://host/t/TOKEN/channel."""
    return re.sub(r"/t/[^/]+", "", re.sub(r"//[^/@]*@", "//", address, count=1))


def address_of(package: CondaPackage, alias: str) -> str | None:
    """Where a conda package is; None where its channel is not known, as of one that postBuild has made."""
    if not (package.channel and package.file):
        return None
    channel = package.channel if "://" in package.channel else f"{alias}/{package.channel}"
    return f"{channel}/{package.subdir}/{package.file}"


def reference_of(package: PythonPackage) -> str | None:
    """The address of a package that is on no index, as pip reads it: "git+https://…@COMMIT#subdirectory=…"."""
    if package.url is None:
        return None
    address, _, _ = package.url.partition("#")
    commit = f"@{package.commit}" if package.commit else ""
    subdirectory = f"#subdirectory={package.subdirectory}" if package.subdirectory else ""
    # pip puts variables of its environment where ${NAME} stands.
    return (address + commit + subdirectory).replace("$", "%24").replace(" ", "%20")


def _requirement(package: PythonPackage) -> str:
    if package.path is not None:
        return _comment(f"{package.name}: {package.path} in the repository")
    reference = reference_of(package)
    place = f" @ {reference}" if reference else f"=={package.version}" if package.version else ""
    pinned = package.name + place + (f" ; {package.marker}" if package.marker else "")
    if package.commit or not package.hashes:
        return _comment(f"{pinned}: pip can hold it to no hash")
    return " \\\n    ".join((pinned, *(f"--hash={digest}" for digest in package.hashes)))


def _line(package: CondaPackage, alias: str) -> str:
    address = address_of(package, alias)
    if address is None:
        return _comment(f"{package.name} {package.version} {package.build}: of no channel that is known")
    digest = f"sha256:{package.sha256}" if package.sha256 else package.md5
    return f"{address}#{digest}" if digest else address


def _comment(text: str) -> str:
    return printable("# " + " ".join(text.split()))


def _others(format: str, packages: tuple[object, ...]) -> tuple[str, ...]:
    return (*([format] if packages else []), "cyclonedx", "json")

"""A version's software bill of materials, in the form of CycloneDX.

The library is imported where it is needed: a quarter of a second, and memory that few services will use.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from builder.formats import reference_of
from builder.inventory import canonical
from builder.locked import CondaPackage, Lock, PythonPackage
from builder.records import Package, Version

if TYPE_CHECKING:
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component
    from packageurl import PackageURL

MEDIA_TYPE = "application/vnd.cyclonedx+json"
"""https://www.iana.org/assignments/media-types/application/vnd.cyclonedx+json"""


def bill(version: Version, environment: str) -> str:
    """CycloneDX 1.6 in JSON: what is installed in the environment, with its lock's hashes, and the session's kernel.

    The component it is of depends on what was asked for; that a package was, or was pulled in, is also said by its
    property "launchyard:requested". A package of an index has the hashes of each file that its lock allows.
    What the session image holds, Debian and the frontend, is not in it.
    https://cyclonedx.org/docs/1.6/json/
    """
    from cyclonedx.output.json import JsonV1Dot6

    bom = _described(version, environment)
    packages = version.inventory.packages
    components = list(_installed(packages, version.locked))
    asked = [component for component, package in zip(components, packages, strict=True) if package.requested]
    components += [_python(package, "kernel") for package in _kernel(version)]
    bom.components.update(components)
    root = bom.metadata.component
    assert root
    bom.register_dependency(root, asked or components)
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"


def _described(version: Version, environment: str) -> Bom:
    from cyclonedx.model import Property
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.tool import ToolRepository

    said = {"image": version.reference, "image-id": version.image_id, "key": version.key, "lock": version.lock}
    root = Component(
        name=environment,
        version=f"v{version.number}",
        type=ComponentType.CONTAINER,
        bom_ref="environment",
        properties=[Property(name=f"launchyard:{name}", value=value) for name, value in said.items()],
    )
    made = version.provenance
    tool = Component(name="launchyard", version=made.launchyard if made else None, type=ComponentType.APPLICATION)
    return Bom(
        # The same each time it is asked for.
        serial_number=uuid.uuid5(uuid.UUID(version.environment_id), str(version.number)),
        metadata=BomMetaData(timestamp=version.created_at, component=root, tools=ToolRepository(components=[tool])),
    )


def _kernel(version: Version) -> Iterator[PythonPackage]:
    """What the image has beside the environment so that its kernel starts."""
    there = {canonical(package.name) for package in version.inventory.packages}
    return (package for package in version.locked.kernel if canonical(package.name) not in there)


def _installed(packages: Iterable[Package], lock: Lock) -> Iterator[Component]:
    conda = {locked.name: locked for locked in lock.conda}
    python = {(canonical(locked.name), locked.version): locked for locked in lock.python}
    for package in packages:
        if package.source == "conda":
            yield _conda(package, conda.get(package.name))
            continue
        # Not in the lock: the repository's own, and what postBuild has installed.
        other = PythonPackage(package.name, package.version, (), path="." if package.source == "repository" else None)
        name = canonical(package.name)
        locked = python.get((name, package.version)) or python.get((name, None)) or other
        yield _python(replace(locked, version=package.version), package.source, package.requested)


def _conda(package: Package, locked: CondaPackage | None) -> Component:
    from packageurl import PackageURL

    about = locked or CondaPackage(package.name, package.version, "", "")
    # https://github.com/package-url/purl-spec/blob/main/types/conda-definition.json
    kind = (about.file or "").removeprefix(f"{about.name}-{about.version}-{about.build}.")
    qualifiers = {"build": about.build, "channel": about.channel, "subdir": about.subdir, "type": kind}
    purl = PackageURL("conda", None, about.name, package.version, {k: v for k, v in qualifiers.items() if v})
    hashes = [f"{name}:{value}" for name, value in (("sha256", about.sha256), ("md5", about.md5)) if value]
    return _library(package.name, package.version, purl, hashes, "conda", package.requested)


def _python(package: PythonPackage, source: str, requested: bool = False) -> Component:
    """What is in the repository has no purl: one of the index would name another's package."""
    from packageurl import PackageURL

    reference = reference_of(package)
    qualifiers = {("vcs_url" if package.commit else "download_url"): reference} if reference else {}
    purl = None if package.path else PackageURL("pypi", None, package.name, package.version, qualifiers)
    return _library(package.name, package.version, purl, package.hashes, source, requested)


def _library(
    name: str, version: str | None, purl: PackageURL | None, hashes: Iterable[str], source: str, requested: bool
) -> Component:
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.component import Component, ComponentType

    known = {a.value.lower().replace("-", ""): a for a in HashAlgorithm}
    pairs = (digest.split(":", 1) for digest in hashes)
    said = {"source": source, "requested": "true" if requested else "false"}
    return Component(
        name=name,
        version=version,
        type=ComponentType.LIBRARY,
        bom_ref=str(purl) if purl else f"{source}/{name}@{version}",
        purl=purl,
        hashes=[HashType(alg=known[kind], content=digest) for kind, digest in pairs if kind in known],
        properties=[Property(name=f"launchyard:{name}", value=value) for name, value in said.items()],
    )

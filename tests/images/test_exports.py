"""A lock that was exported is installed by the tools that it is for, and comes to what the image has."""

from __future__ import annotations

import asyncio
import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
import rattler
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from rattler.explicit_environment import ExplicitEnvironmentSpec

from builder.buildkit import BuildKit
from builder.formats import Format, export
from builder.records import Built, Version
from builder.service import Builder, Request, Wish
from builder.settings import Settings
from tests.conftest import MakeRepository
from tests.containers import docker
from tests.images.conftest import ImageOf

pytestmark = pytest.mark.engine

TIDE = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "tide"
version = "1.0"
"""
PIP = {
    "requirements.txt": "requests[socks]==2.32.3\n./lib/tide\n",
    "lib/tide/pyproject.toml": TIDE,
    "lib/tide/tide.py": "",
}
CONDA = {
    "environment.yml": "channels: [conda-forge, nodefaults]\n"
    "dependencies: [python=3.10, requests=2.32.3, pip, {pip: [toolz==1.0.0]}]\n"
}


def exported(built: Built, format: Format, engine: BuildKit, settings: Settings, alias: str = "") -> str:
    """A lock as the service gives it."""
    inventory, lock = Builder(settings, engine, allow_local=True).contents(built.reference)
    version = Version(
        "01996f2e-7a52-7000-8cf1-3b6a0d4a1c2e", 1, "b", built.reference, built.image_id, None, built.size, built.key,
        built.lock, built.commit, datetime(2026, 1, 1, tzinfo=UTC), inventory, lock,
    )  # fmt: skip
    return export(version, "tides", format, alias or settings.conda.channel_alias).text


def installed(reference: str) -> dict[str, str]:
    """What an image's own pip lists."""
    listed = json.loads(docker("run", "--rm", "--network=none", reference, "pip", "list", "--format=json"))
    return {package["name"].lower(): package["version"] for package in listed}


def test_pip_takes_exported_requirements_with_their_hashes_and_finds_what_the_image_has(
    image_of: ImageOf, engine: BuildKit, settings: Settings, tmp_path: Path
) -> None:
    built = image_of(PIP, frontend="none")
    written = exported(built, "requirements", engine, settings)
    assert "# tide: lib/tide in the repository\n" in written
    (tmp_path / "requirements.txt").write_text(written)
    options = ["--user=0", f"--volume={tmp_path}:/wanted:ro", "--env=PIP_DISABLE_PIP_VERSION_CHECK=1"]
    if settings.certificates:
        options += [f"--volume={settings.certificates}:/authority.pem:ro", "--env=PIP_CERT=/authority.pem"]
    if settings.index.url:
        options += [f"--env=PIP_INDEX_URL={settings.index.url}"]
    install = ["pip", "install", "--quiet", "--dry-run", "--require-hashes", "--ignore-installed", "--report=-"]
    said = docker("run", "--rm", *options, built.reference, *install, "--requirement=/wanted/requirements.txt")
    found = {p["metadata"]["name"].lower(): p["metadata"]["version"] for p in json.loads(said)["install"]}
    assert found.keys() >= {"requests", "pysocks", "urllib3"}
    has = installed(built.reference)
    assert found == {name: version for name, version in has.items() if name not in ("pip", "tide")}


def test_rattler_installs_an_exported_list_without_a_solve_and_comes_to_what_the_image_has(
    image_of: ImageOf, engine: BuildKit, settings: Settings, tmp_path: Path
) -> None:
    built = image_of(CONDA, frontend="none")
    written = exported(built, "conda", engine, settings, alias_here(settings, tmp_path))
    entries = ExplicitEnvironmentSpec.from_str(written).packages
    prefix = tmp_path / "prefix"
    asyncio.run(rattler.install([record(entry.url) for entry in entries], prefix, cache_dir=tmp_path / "cache"))
    assert conda_meta(prefix) == conda_meta_of(built.reference)
    code = "import requests; print(requests.__version__)"
    done = subprocess.run([prefix / "bin/python", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "2.32.3", done.stderr
    assert "toolz==1.0.0" in exported(built, "requirements", engine, settings)


def alias_here(settings: Settings, directory: Path) -> str:
    """Where this machine finds the channels; those of a stand-in for Miniconda lie inside it."""
    alias = settings.conda.channel_alias
    if not alias.startswith("file://"):
        return alias
    held = docker("create", settings.bases.conda).strip()
    docker("cp", f"{held}:{alias.removeprefix('file://')}", str(directory / "channels"))
    docker("rm", held)
    return (directory / "channels").as_uri()


def record(url: str) -> rattler.RepoDataRecord:
    """What rattler is told of a package: nothing but a line of the list."""
    address, _, digest = url.partition("#")
    channel, subdir, file = address.rsplit("/", 2)
    name, version, build = file.removesuffix(".conda").rsplit("-", 2)
    package = rattler.PackageRecord(
        name, version, rattler.package.build_string.BuildString(build), 0, subdir,
        noarch="python" if subdir == "noarch" else None, sha256=bytes.fromhex(digest.removeprefix("sha256:")),
    )  # fmt: skip
    return rattler.RepoDataRecord(package, file, address, channel)


def conda_meta(prefix: Path) -> set[str]:
    return {file.name for file in (prefix / "conda-meta").glob("*.json")}


def conda_meta_of(reference: str) -> set[str]:
    listed = docker("run", "--rm", "--network=none", reference, "ls", "/opt/conda/envs/env/conda-meta").split()
    return {name for name in listed if name.endswith(".json")}


@pytest.mark.parametrize("files", [PIP, CONDA], ids=["pip", "conda"])
def test_a_bill_of_an_image_is_valid_and_names_what_is_in_it(
    files: dict[str, str], image_of: ImageOf, engine: BuildKit, settings: Settings
) -> None:
    built = image_of(files, frontend="none")
    written = exported(built, "cyclonedx", engine, settings)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(written) is None
    components = {component["name"]: component for component in json.loads(written)["components"]}
    inventory = Builder(settings, engine, allow_local=True).packages(built.reference)
    assert components.keys() == {package.name for package in inventory.packages}
    assert [name for name, component in components.items() if not component.get("hashes")] == (
        ["tide"] if files is PIP else []
    )


def test_provenance_of_a_build_has_the_ids_of_its_bases(
    engine: BuildKit, settings: Settings, make_repository: MakeRepository
) -> None:
    repository = make_repository({"requirements.txt": "six==1.16.0\n# for its provenance\n"})
    builder = Builder(settings, engine, allow_local=True)
    planned = builder.plan(Request(str(repository), frontend="none"))
    built = builder.build(planned, Wish(rebuild=True), lambda event: None)
    found = builder.provenance(planned, "", built)
    assert len(found.bases) == 3 and not found.reused
    for base in found.bases:
        image = engine.inspect(base.name)
        assert base.digest or (image and base.image_id == image.id)
    again = builder.build(planned, Wish(), lambda event: None)
    assert builder.provenance(planned, "", again).reused

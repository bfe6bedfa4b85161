"""The service's own image, and a git host that its containers reach."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builder.build import secrets
from builder.settings import Settings
from tests import failing, forge
from tests.conftest import PREFIX, write_repository
from tests.containers import docker
from tests.trouble import ENGINE

ROOT = Path(__file__).parent.parent.parent
BUILD_TIME = 600
"""Seconds in which an image is built, with nothing in the cache."""

PASSWORD = "s3cret-of-this-test"
"""What the image's build is given to use, and must not keep."""


@pytest.fixture(scope="session")
def base(settings: Settings) -> str:
    """The Debian that the image stands on, from where the settings have the other one."""
    return settings.bases.debian.replace("bookworm", "trixie")


@pytest.fixture(scope="session")
def image(base: str, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The service's image, built as docs/deploy.md says."""
    given = secrets(settings)
    given["settings"] += f"PASSWORD={PASSWORD}\n".encode()
    scratch = tmp_path_factory.mktemp("secrets")
    for name, content in given.items():
        (scratch / name).write_bytes(content)
    with built("service", ROOT, base, *(f"--secret=id={name},src={scratch / name}" for name in given)) as reference:
        yield reference


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of a git host, and the directory whose repositories it has."""
    root = tmp_path_factory.mktemp("forge")
    with forge.serving(forge.Backend, root, failing.gateway()) as address:
        yield address, root


@pytest.fixture(scope="session")
def tides(host: tuple[str, Path]) -> str:
    """The address of a small repository."""
    address, root = host
    write_repository(root / "tides", {"requirements.txt": "six\n"})
    return f"{address}/tides"


@pytest.fixture(scope="session")
def configuration(settings: Settings, host: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory /etc/launchyard of an installation that builds as this machine does."""
    directory = tmp_path_factory.mktemp("configuration")
    lines = [f'allowed_hosts = ["{host[0]}"]', f'image_prefix = "{PREFIX}"']
    if settings.certificates:
        shutil.copy(settings.certificates, directory / "certificates.pem")
        lines.append('certificates = "/etc/launchyard/certificates.pem"')
    lines += ["[bases]", f'debian = "{settings.bases.debian}"', f'python = "{settings.bases.python}"']
    lines += ["[limits]", f'cgroup_parent = "{settings.limits.cgroup_parent}"']
    (directory / "launchyard.toml").write_text("\n".join(lines) + "\n")
    directory.chmod(0o755)
    return directory


@pytest.fixture(scope="session")
def socket() -> str:
    """The engine's socket."""
    return os.environ.get("DOCKER_HOST", f"unix://{ENGINE}").removeprefix("unix://")


@contextmanager
def built(name: str, directory: Path, base: str, *options: str) -> Iterator[str]:
    """An image under a name of the tests' own, for as long as the block lasts."""
    reference = f"{PREFIX}/{name}"
    command = ["docker", "build", "--quiet", "--provenance=false", f"--tag={reference}", f"--build-arg=DEBIAN={base}"]
    done = subprocess.run([*command, *options, str(directory)], capture_output=True, text=True, timeout=BUILD_TIME)
    assert done.returncode == 0, done.stderr
    try:
        yield reference
    finally:
        docker("image", "rm", reference)

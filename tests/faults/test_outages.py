"""What a service works with goes away and comes back: builds fail with the right words, a later Rebuild succeeds."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builder.backup import back_up, restore
from builder.buildkit import BuildKit
from builder.client import ServiceProblem
from builder.documents import AskedBuild, Build, Explanation
from builder.failures import Blame
from builder.failures.built import DiskFull
from builder.identity import LABEL
from builder.service import BuildError
from builder.settings import Settings
from tests import servers
from tests.faults.conftest import Process, Start, until
from tests.faults.test_kills import COUNTED, STAGES, seen_until
from tests.remembered import BACKUPS, remember
from tests.servers import Server
from tests.trouble import proxied

pytestmark = pytest.mark.engine

NEVER = b"\0never said\0"

TALKATIVE = "for n in $(seq 200); do printf 'counted %s\\n%0500d\\n' $n 0; sleep 0.1; done"


def ended(served: Process, build: Build) -> Build:
    list(served.client.events(build.id))
    return served.client.build(build.id)


def why(build: Build) -> Explanation:
    assert build.state == "failed" and build.explanation
    return build.explanation


def test_an_engine_that_is_stopped_in_a_build_and_started_again(
    start: Start, slow: Callable[[str], Path], tmp_path: Path
) -> None:
    socket = str(tmp_path / "engine.sock")
    with proxied(socket, NEVER):
        served = start(DOCKER_HOST=f"unix://{socket}")
        created = served.create(slow(COUNTED))
        seen_until(served, created.build.id, STAGES["printing"])
    explanation = why(ended(served, created.build))
    assert (explanation.code, explanation.blame) == ("engine-unavailable", "outside")
    assert explanation.title == "The Docker engine went away during the build"
    assert why(ended(served, served.client.rebuild(created.id))).title == "No Docker engine answers"
    with proxied(socket, NEVER):
        assert ended(served, served.client.rebuild(created.id)).version == 1


@pytest.fixture
def registry(engine: BuildKit) -> Iterator[Server]:
    """A registry; what was named after it is removed from the engine at the end."""
    with servers.registry() as server:
        yield server
    for label in (LABEL + "key", LABEL + "parent"):
        names = [tag for image in engine.images(label) for tag in image.tags]
        engine.remove([name for name in names if name.startswith(f"{server.address}/")])


def test_a_registry_that_is_away_for_a_while(start: Start, slow: Callable[[str], Path], registry: Server) -> None:
    served = start(LAUNCHYARD_IMAGE_PREFIX=f"{registry.address}/team")
    created = served.create(slow("echo ready"))
    assert ended(served, created.build).version == 1
    digest = served.client.image(created.id).digest
    assert digest and digest.startswith("sha256:")
    registry.stop()
    other = served.create(slow("echo other"))
    explanation = why(ended(served, other.build))
    assert (explanation.code, explanation.blame) == ("push-failed", "outside")
    assert served.client.image(created.id).digest == digest
    registry.start()
    assert ended(served, served.client.rebuild(other.id)).version == 1
    assert served.client.image(other.id).digest


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A function that makes a file system of a size for the service's state."""
    place = tmp_path / "state"
    place.mkdir()

    def make(size: str) -> Path:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "launchyard-test", str(place)], check=True)
        return place

    yield make
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_disk_that_is_full_in_a_build_and_has_room_again(
    small_disk: Callable[[str], Path], start: Start, slow: Callable[[str], Path]
) -> None:
    disk = small_disk("48m")
    served = start()
    created = served.create(slow(TALKATIVE))
    seen_until(served, created.build.id, STAGES["printing"])
    filling = disk / "filling"
    assert subprocess.run(["dd", "if=/dev/zero", f"of={filling}", "bs=64k"], stderr=subprocess.DEVNULL).returncode
    with pytest.raises(ServiceProblem) as raised:
        served.client.rebuild(created.id, AskedBuild(fresh=True))
    assert (raised.value.status, raised.value.explanation.code) == (503, "disk-full")
    assert raised.value.explanation.title == "The disk is full: there is no room for the service's records"
    until(lambda: not served.workers())
    filling.unlink()
    explanation = why(ended(served, created.build))
    assert (explanation.code, explanation.blame) == ("disk-full", "outside")
    assert ended(served, served.client.rebuild(created.id)).version == 1


@pytest.mark.parametrize("size", ["12k", "40k", "200k", "340k"], ids=["log", "records", "queue", "tables-of-the-queue"])
def test_a_service_that_starts_on_a_full_disk_says_so(
    small_disk: Callable[[str], Path], start: Start, tmp_path: Path, size: str
) -> None:
    small_disk(size)
    served = start()
    assert served.process and served.process.wait(30) == Blame.OUTSIDE.exit_code
    served.end()
    assert "The disk is full: there is no room for the service's records" in (tmp_path / "errors").read_text()


@pytest.mark.parametrize("size", ["40k", "108k"], ids=["tables", "journals"])
def test_a_backup_that_is_restored_to_a_full_disk_is_not_said_to_be_none(
    small_disk: Callable[[str], Path], size: str
) -> None:
    settings = Settings(state_dir=str(small_disk(size)))
    with pytest.raises(BuildError) as raised:
        restore(settings, BACKUPS / "v2.tar.gz")
    assert isinstance(raised.value.failure, DiskFull)


def test_a_backup_for_which_there_is_no_room_says_so_and_leaves_nothing(
    small_disk: Callable[[str], Path], tmp_path: Path
) -> None:
    settings = Settings(state_dir=str(tmp_path / "kept"))
    remember(settings)
    filling = small_disk("4k") / "filling"
    filling.write_bytes(bytes(4_096))
    file = filling.with_name("backup.tar.gz")
    with pytest.raises(BuildError) as raised:
        back_up(settings, file)
    assert isinstance(raised.value.failure, DiskFull) and raised.value.failure.own == str(file)
    assert list(file.parent.iterdir()) == [filling]

"""How Docker's runtime confines a session."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder.settings import load
from launcher.records import SessionRequest
from launcher.runtimes.docker import DockerRuntime

pytestmark = pytest.mark.engine

NAME = "lytest-confined"


def inspected(*arguments: str) -> Any:
    done = subprocess.run(["docker", *arguments], capture_output=True, timeout=30, check=True)
    return json.loads(done.stdout)[0]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("repositories") / 'a, "b":c'
    directory.mkdir()
    return directory


@pytest.fixture(scope="module")
def container(directory: Path) -> Iterator[Any]:
    runtime = DockerRuntime()
    image = load().bases.python.replace("{version}", "3.10")
    runtime.stop(NAME, delete_work=True)
    command = ("sh", "-c", "trap exit TERM; sleep 600 & wait")
    request = SessionRequest(
        NAME, image, "jupyterlab", command, token="open-sesame", directory=directory, commit="0" * 40
    )
    request = replace(request, memory=300_000_000, processes=50)
    runtime.start(request)
    yield inspected("container", "inspect", f"launchyard-session-{NAME}")
    runtime.stop(NAME, delete_work=True)


def test_session_is_reached_from_this_machine_only(container: Any) -> None:
    assert [place["HostIp"] for place in container["NetworkSettings"]["Ports"]["8888/tcp"]] == ["127.0.0.1"]


def test_session_has_limits_and_no_privileges(container: Any) -> None:
    host = container["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["PidsLimit"]) == (300_000_000, 300_000_000, 50)
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["LogConfig"]["Type"] == "local"


def test_token_is_in_the_sessions_environment_and_in_no_label_or_command(container: Any) -> None:
    assert "LAUNCHYARD_TOKEN=open-sesame" in container["Config"]["Env"]
    assert "open-sesame" not in json.dumps(
        [container["Config"]["Labels"], container["Config"]["Cmd"], container["Args"]]
    )


def test_repository_of_this_machine_is_read_only_whatever_its_path_is(container: Any, directory: Path) -> None:
    mounts = {mount["Destination"]: mount for mount in container["Mounts"]}
    assert mounts["/run/repository"]["Source"] == str(directory)
    assert mounts["/run/repository"]["RW"] is False
    assert mounts["/home/user/work"]["Type"] == "volume"
    assert "LAUNCHYARD_REPOSITORY=/run/repository" in container["Config"]["Env"]


def test_work_directory_is_a_volume_known_as_launchyards(container: Any) -> None:
    volume = inspected("volume", "inspect", f"launchyard-session-{NAME}")
    assert volume["Labels"] == {"io.launchyard.session": NAME}

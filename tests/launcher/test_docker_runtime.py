"""How Docker's runtime confines a session: as the engine has it, and as a program inside it meets it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder.failures.served import DataGone, GpusAbsent
from builder.service import BuildError
from builder.settings import load
from launcher.records import Resources, SessionRequest
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
    directory.parent.chmod(0o777)  # it is also the data that a session reads, and must not write
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
    data = {"tides": directory.parent}
    resources = Resources(cpus=0.5, memory=300_000_000, processes=50)
    variables = {"API_KEY": "s3cret with spaces", "LAUNCHYARD_TOKEN": "of the user's own"}
    runtime.start(replace(request, resources=resources, variables=variables, data=data))
    yield inspected("container", "inspect", f"launchyard-session-{NAME}")
    runtime.stop(NAME, delete_work=True)


def test_session_is_reached_from_this_machine_only(container: Any) -> None:
    assert [place["HostIp"] for place in container["NetworkSettings"]["Ports"]["8888/tcp"]] == ["127.0.0.1"]


def test_session_has_limits_and_no_privileges(container: Any) -> None:
    host = container["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["PidsLimit"]) == (300_000_000, 300_000_000, 50)
    assert host["NanoCpus"] == 500_000_000
    assert container["Config"]["User"] == "1000:1000"
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["LogConfig"]["Type"] == "local"


def test_token_is_in_the_sessions_environment_and_in_no_label_or_command(container: Any) -> None:
    assert "LAUNCHYARD_TOKEN=open-sesame" in container["Config"]["Env"]
    assert "open-sesame" not in json.dumps(
        [container["Config"]["Labels"], container["Config"]["Cmd"], container["Args"]]
    )


def test_variables_of_the_users_own_come_in_and_take_no_place_of_the_sessions(container: Any) -> None:
    assert "API_KEY=s3cret with spaces" in container["Config"]["Env"]
    assert [v for v in container["Config"]["Env"] if v.startswith("LAUNCHYARD_TOKEN=")] == [
        "LAUNCHYARD_TOKEN=open-sesame"
    ]
    assert "s3cret" not in json.dumps([container["Config"]["Labels"], container["Config"]["Cmd"], container["Args"]])


def inside(command: str) -> str:
    """What a shell command in the session prints, of what it says on both streams."""
    done = subprocess.run(
        ["docker", "exec", f"launchyard-session-{NAME}", "sh", "-c", f"exec 2>&1; {command}"],
        capture_output=True,
        timeout=30,
    )
    return done.stdout.decode()


@pytest.mark.parametrize("place", ["/", "/etc", "/usr/local/bin", "/opt", "/run/repository", "/data/tides"])
def test_nothing_of_the_image_can_be_written_to(container: Any, place: str) -> None:
    assert "Read-only file system" in inside(f"echo x > {place}/written")


@pytest.mark.parametrize("place", ["/tmp", "/dev/shm"])
def test_temporary_space_can_be_written_to(container: Any, place: str) -> None:
    assert inside(f"echo kept > {place}/written && cat {place}/written") == "kept\n"


def test_nobody_in_it_becomes_root(container: Any) -> None:
    assert inside("id -u; grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status").split() == [
        "1000", "CapEff:", "0000000000000000", "CapBnd:", "0000000000000000", "NoNewPrivs:", "1",
    ]  # fmt: skip


def test_two_sessions_do_not_reach_each_other(container: Any) -> None:
    runtime, other = DockerRuntime(), f"{NAME}-2"
    image = load().bases.python.replace("{version}", "3.10")
    serve = ("python3", "-m", "http.server", "8888", "--directory", "/tmp")
    try:
        runtime.start(SessionRequest(other, image, "none", serve))
        found = inspected("container", "inspect", f"launchyard-session-{other}")
        address = found["NetworkSettings"]["Networks"][f"launchyard-session-{other}"]["IPAddress"]
        assert address
        reach = "import socket,sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)"
        said = inside(f'python3 -c "{reach}" {address} 8888')
        assert re.search("timed out|unreachable|refused", said), said
    finally:
        runtime.stop(other, delete_work=True)
    listed = subprocess.run(
        ["docker", "network", "ls", "--format={{.Name}}"], capture_output=True, text=True, check=True
    )
    assert f"launchyard-session-{other}" not in listed.stdout.split()


def test_repository_of_this_machine_is_read_only_whatever_its_path_is(container: Any, directory: Path) -> None:
    mounts = {mount["Destination"]: mount for mount in container["Mounts"]}
    assert mounts["/run/repository"]["Source"] == str(directory)
    assert mounts["/run/repository"]["RW"] is False
    assert mounts["/home/user/work"]["Type"] == "volume"
    assert "LAUNCHYARD_REPOSITORY=/run/repository" in container["Config"]["Env"]


def test_data_of_the_operators_is_read_where_it_was_mounted(container: Any, directory: Path) -> None:
    assert inside("ls /data/tides").strip() == directory.name


def test_data_whose_directory_is_gone_is_named(directory: Path) -> None:
    runtime, name = DockerRuntime(), f"{NAME}-3"
    gone = directory / "gone"
    request = SessionRequest(name, load().bases.python.replace("{version}", "3.10"), "none", ("sleep", "9"))
    with pytest.raises(BuildError) as raised:
        runtime.start(replace(request, data={"tides": gone}))
    assert raised.value.failure == DataGone("tides", str(gone))
    assert runtime.get(name) is None


def test_gpus_that_an_engine_cannot_give_are_named(directory: Path) -> None:
    runtime, name = DockerRuntime(), f"{NAME}-4"
    request = SessionRequest(name, load().bases.python.replace("{version}", "3.10"), "none", ("sleep", "9"))
    more = 64  # than any machine has
    with pytest.raises(BuildError) as raised:
        runtime.start(replace(request, resources=replace(request.resources, gpus=more)))
    assert isinstance(raised.value.failure, GpusAbsent)
    assert raised.value.failure.asked == more
    assert runtime.get(name) is None


def test_work_directory_is_a_volume_known_as_launchyards(container: Any) -> None:
    volume = inspected("volume", "inspect", f"launchyard-session-{NAME}")
    assert volume["Labels"] == {"io.launchyard.session": NAME}

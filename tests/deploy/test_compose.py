"""deploy/compose.yaml, brought up whole: an API, a worker, their database and a registry."""

from __future__ import annotations

import json
import os
import socket as sockets
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from builder.buildkit import BuildKit
from builder.client import Client
from builder.documents import Choices, NewEnvironment
from tests.conftest import PREFIX
from tests.containers import docker
from tests.deploy.conftest import ROOT, built
from tests.images.test_images import digest_in

pytestmark = pytest.mark.engine

HERE = Path(__file__).parent
PROJECT = f"{PREFIX}-compose"
UP_TIME = 90
"""Seconds in which every part is healthy."""

Compose = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def compose(base: str, socket: str) -> Iterator[Compose]:
    """`docker compose` on the file, in a container: this machine need not have the command."""

    def run(*arguments: str, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        command = ["docker", "run", "--rm", "--interactive", f"--volume={socket}:/var/run/docker.sock"]
        command += [f"--env={name}={value}" for name, value in environ.items()]
        return subprocess.run(
            [*command, image, f"--project-name={PROJECT}", "--file=-", *arguments],
            input=(ROOT / "deploy" / "compose.yaml").read_text(), capture_output=True, text=True, timeout=UP_TIME + 60,
        )  # fmt: skip

    with built("docker-compose", HERE, base, f"--file={HERE / 'compose.Dockerfile'}") as image:
        yield run


@pytest.fixture(scope="module")
def environ(socket: str) -> dict[str, str]:
    """What deploy/.env has to hold."""
    return {"POSTGRES_PASSWORD": "tides", "DOCKER_GID": str(os.stat(socket).st_gid)}


@pytest.fixture(scope="module")
def services(compose: Compose, environ: Mapping[str, str]) -> dict[str, Any]:
    """The services of the file as compose understands them, by name."""
    said = compose("config", "--format=json", environ=environ)
    assert said.returncode == 0, said.stderr
    found: dict[str, Any] = json.loads(said.stdout)["services"]
    return found


@pytest.mark.parametrize("name", ["POSTGRES_PASSWORD", "DOCKER_GID"])
def test_what_has_no_default_is_asked_for_by_name(compose: Compose, environ: Mapping[str, str], name: str) -> None:
    said = compose("config", "--quiet", environ={**environ, name: ""})
    assert said.returncode != 0 and name in said.stderr


def test_the_worker_alone_has_the_engines_socket(services: Mapping[str, Any]) -> None:
    holders = [name for name, service in services.items() if "docker.sock" in json.dumps(service.get("volumes"))]
    assert holders == ["worker"]


def test_every_part_is_confined_and_answers_on_this_machine_only(services: Mapping[str, Any]) -> None:
    assert services.keys() == {"api", "worker", "postgres", "registry"}
    for name, service in services.items():
        assert service["read_only"] and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"] and service["pids_limit"] and service["restart"] == "unless-stopped", name
        assert {port["host_ip"] for port in service.get("ports", ())} <= {"127.0.0.1"}, name


def test_what_is_asked_of_the_api_the_worker_builds_and_the_registry_has(
    compose: Compose, environ: Mapping[str, str], image: str, base: str, socket: str,
    configuration: Path, tides: str, engine: BuildKit,
) -> None:  # fmt: skip
    registry = f"127.0.0.1:{free_port()}"
    with (
        built("deployed-postgres", HERE / "postgres", base) as postgres_image,
        built("deployed-registry", HERE.parent / "servers" / "registry", base) as registry_image,
    ):
        environ = {
            **environ, "SERVICE_IMAGE": image, "POSTGRES_IMAGE": postgres_image, "REGISTRY_IMAGE": registry_image,
            "SETTINGS": str(configuration), "DOCKER_SOCKET": socket,
            "API_PORT": "0", "REGISTRY_PORT": registry.rpartition(":")[2],
        }  # fmt: skip
        try:
            up = compose("up", "--detach", "--wait", f"--wait-timeout={UP_TIME}", environ=environ)
            assert up.returncode == 0, f"{up.stderr}\n{compose('logs', environ=environ).stdout}"
            address = compose("port", "api", "8700", environ=environ).stdout.strip()
            with Client(f"http://{address}") as client:
                environment = client.create(NewEnvironment(repository=tides, options=Choices(frontend="none")))
                list(client.events(environment.build.id))
                build = client.build(environment.build.id)
                assert build.state == "succeeded", build.explanation
                version = client.image(environment.id)
            name, _, tag = version.reference.removeprefix(f"{registry}/").partition(":")
            assert version.digest == digest_in(registry, name, tag)
        finally:
            compose("down", "--volumes", "--timeout=20", environ=environ)
            engine.remove(tag for tag in tags() if tag.startswith(f"{registry}/"))


def free_port() -> int:
    with sockets.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def tags() -> list[str]:
    return docker("image", "ls", "--format={{.Repository}}:{{.Tag}}").split()

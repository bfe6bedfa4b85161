"""The command `launchyard` as a process, on a real engine: from a repository to an image and a session."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from builder import prune
from builder.settings import load
from tests.conftest import MakeRepository, commit
from tests.containers import of_builds

pytestmark = pytest.mark.engine

PREFIX = "lytest-cli"
BOUND = 300
"""Seconds in which a command has to end, and what a test waits for has to happen."""


@dataclass
class Launchyard:
    """The command, with state and temporary files of its own."""

    directory: Path
    environ: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.temporary.mkdir()
        self.environ = {
            **os.environ,
            "LAUNCHYARD_IMAGE_PREFIX": PREFIX,
            "LAUNCHYARD_STATE_DIR": str(self.directory / "state"),
            "TMPDIR": str(self.temporary),
        }

    @property
    def temporary(self) -> Path:
        return self.directory / "temporary"

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        # A shell starts what it puts in the background with SIGINT ignored, and so would these be.
        command = ["env", "--default-signal=INT", sys.executable, "-m", "launcher.cli", *map(str, arguments)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environ)

    def __call__(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return ended(self.start(*arguments))

    def ok(self, *arguments: object) -> str:
        done = self(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def build(self, repository: Path, *arguments: object) -> Any:
        """The document of a build without a frontend."""
        return json.loads(self.ok("build", repository, "--frontend", "none", "--json", *arguments))


@pytest.fixture
def launchyard(tmp_path: Path) -> Iterator[Launchyard]:
    yield Launchyard(tmp_path)
    images = docker(
        "image",
        "ls",
        "--format={{.Repository}}:{{.Tag}}",
        f"--filter=reference={PREFIX}/*{tmp_path.name.replace('_', '-')}*",
    )
    if images:
        docker("image", "rm", *images.split())


@pytest.fixture
def six(make_repository: MakeRepository) -> Path:
    """A small repository that nobody has built an image of."""
    return make_repository({"requirements.txt": f"# {uuid.uuid4()}\nsix==1.16.0\n", "README.md": "Tides.\n"})


def docker(*arguments: str) -> str:
    return subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, timeout=BOUND, check=True
    ).stdout.strip()


def ended(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    try:
        stdout, stderr = process.communicate(timeout=BOUND)
    finally:
        process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def eventually(happened: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + BOUND
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def tags(repository: Path) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", "-".join(repository.parts[-2:]).lower())
    return docker("image", "ls", "--quiet", f"{PREFIX}/{name}")


def test_build_ends_with_the_reference_and_is_reused_in_no_time(
    launchyard: Launchyard, six: Path, tmp_path: Path
) -> None:
    metadata = tmp_path / "built.json"
    first = launchyard("build", six, "--frontend", "none", "--metadata-file", metadata)
    assert first.returncode == 0, first.stderr
    built = json.loads(metadata.read_text())
    assert first.stdout == built["reference"] + "\n"
    assert docker("image", "inspect", "--format={{.Id}}", built["reference"]) == built["image_id"]
    assert built["reused"] is False
    assert any("lock" in step["name"] for step in built["steps"])

    again = launchyard("build", six, "--frontend", "none", "--metadata-file", metadata)
    assert again.stdout == first.stdout
    assert "Reused in 0." in again.stderr
    assert "nothing that matters changed" in again.stderr

    (six / "README.md").write_text("More tides.\n")
    commit(six, "more")
    after = launchyard.build(six)
    assert (after["reference"], after["reused"]) == (built["reference"], True)
    assert after["seconds"] < 1

    fresh = launchyard.build(six, "--rebuild")
    assert (fresh["image_id"], fresh["reason"]) == (built["image_id"], "asked for afresh: nothing new")


def test_two_processes_at_once_share_one_build(launchyard: Launchyard, six: Path) -> None:
    processes = [launchyard.start("build", six, "--frontend", "none", "--json") for _ in range(2)]
    outcomes = [ended(process) for process in processes]
    assert [done.returncode for done in outcomes] == [0, 0], outcomes
    built = [json.loads(done.stdout) for done in outcomes]
    assert built[0]["image_id"] == built[1]["image_id"]
    assert sorted(each["reused"] for each in built) == [False, True]
    assert {each["reason"] for each in built} == {
        "nothing like it was built before",
        "built just now by a request for the same",
    }


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_build_that_is_stopped_leaves_nothing_half_made(
    launchyard: Launchyard, make_repository: MakeRepository, number: signal.Signals
) -> None:
    marker = str(7_000_000 + uuid.uuid4().int % 1_000_000)
    repository = make_repository(
        {"requirements.txt": "six==1.16.0\n", "postBuild": f"#!/bin/sh\nexec sleep {marker}\n"}
    )
    containers, others = own_containers(), of_builds()
    process = launchyard.start("build", repository, "--frontend", "none")
    assert eventually(lambda: sleeping(marker) or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    process.send_signal(number)
    done = ended(process)
    assert done.returncode == 130, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert eventually(lambda: not sleeping(marker))
    assert list(launchyard.temporary.iterdir()) == []
    assert tags(repository) == ""
    assert own_containers() <= containers
    left = of_builds() - others  # of these some may be of who tests beside us, and go in their time
    assert eventually(lambda: not left & of_builds())


def own_containers() -> set[str]:
    """Those of images that are named as these tests name them."""
    listed = docker("container", "ls", "--all", "--format={{.ID}} {{.Image}}").splitlines()
    return {id for id, _, image in (line.partition(" ") for line in listed) if image.startswith(f"{PREFIX}/")}


def sleeping(marker: str) -> bool:
    """Whether the build's own step runs, on an engine of this machine."""
    wanted = f"sleep\0{marker}\0".encode()
    return any(_command_line(process) == wanted for process in Path("/proc").glob("[0-9]*/cmdline"))


def _command_line(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # It has ended meanwhile.
        return b""


def test_failed_rebuild_leaves_the_last_good_image_in_use(
    launchyard: Launchyard, make_repository: MakeRepository
) -> None:
    repository = make_repository({"requirements.txt": f"# {uuid.uuid4()}\nsix\n"})
    built = launchyard.build(repository)
    launchyard.environ = {**launchyard.environ, "LAUNCHYARD_INDEX__URL": "https://127.0.0.1:1/simple"}
    failed = launchyard("build", repository, "--frontend", "none", "--rebuild", "--json")
    assert failed.returncode == 75, failed.stdout
    assert json.loads(failed.stdout)["error"]["code"] == "index-unreachable"
    assert launchyard.build(repository)["image_id"] == built["image_id"]


def test_packages_and_diff_show_what_is_in_images(launchyard: Launchyard, make_repository: MakeRepository) -> None:
    repository = make_repository({"requirements.txt": "six==1.16.0\n"})
    before = launchyard.build(repository)["reference"]
    assert launchyard.ok("packages", before) == "six  1.16.0  index  asked for\n"
    (repository / "requirements.txt").write_text("six==1.17.0\n")
    commit(repository, "more")
    after = launchyard.build(repository)["reference"]
    assert launchyard.ok("diff", before, after) == "~  six  1.16.0 -> 1.17.0\n"


def test_printed_commands_make_the_same_image(
    launchyard: Launchyard, make_repository: MakeRepository, tmp_path: Path
) -> None:
    repository = make_repository({"requirements.txt": "six==1.16.0\n"})
    built = launchyard.build(repository)
    said = launchyard.ok("dockerfile", repository, "--frontend", "none", "--output", tmp_path / "context")
    lines = said.splitlines()
    variables = [line.removeprefix("#   ") for line in lines if line.startswith("#   ")]
    (tmp_path / "settings.env").write_text("\n".join(variables) + "\n")
    commands = [shlex.split(line) for line in lines if not line.startswith("#")]
    assert len(commands) == 3
    commands[-1].insert(3, f"--iidfile={tmp_path / 'id'}")
    for command in commands:
        subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=BOUND, check=True)
    assert (tmp_path / "id").read_text() == built["image_id"]


def test_session_runs_until_it_is_stopped(launchyard: Launchyard, six: Path) -> None:
    name = f"lytest-{uuid.uuid4().hex[:8]}"
    serve = ("python", "-m", "http.server", "{port}", "--directory", "/home/user/work")
    address = launchyard.ok("run", six, "--frontend", "none", "--detach", "--name", name, "--", *serve).strip()
    try:
        with urllib.request.urlopen(address + "README.md", timeout=10) as response:
            assert response.read() == b"Tides.\n"
        listed = {session["name"]: session for session in json.loads(launchyard.ok("sessions", "--json"))["sessions"]}
        assert listed[name]["state"] == "running"
    finally:
        launchyard("stop", name, "--delete-work")
    assert launchyard("stop", name).returncode == 2
    assert docker("volume", "ls", "--quiet", f"--filter=name={name}") == ""


def test_ctrl_c_ends_a_session(launchyard: Launchyard, six: Path) -> None:
    serve = ("python", "-m", "http.server", "{port}")
    process = launchyard.start("run", six, "--frontend", "none", "--", *serve)
    assert process.stdout
    address = process.stdout.readline().strip()
    assert address.startswith("http://127.0.0.1:")
    process.send_signal(signal.SIGINT)
    assert ended(process).returncode == 130
    sessions = json.loads(launchyard.ok("sessions", "--json"))["sessions"]
    assert address not in [session["address"] for session in sessions]


def test_session_whose_command_fails_says_why(launchyard: Launchyard, six: Path) -> None:
    failed = launchyard("run", six, "--frontend", "none", "--", "python", "-c", "import absent_module")
    assert failed.returncode == 65
    assert failed.stdout == ""
    assert "ended with exit code 1" in failed.stderr
    assert "No module named 'absent_module'" in failed.stderr


def test_prune_takes_what_is_old_and_not_in_use(launchyard: Launchyard, six: Path) -> None:
    built = launchyard.build(six)
    removed = [
        (thing["kind"], thing["name"])
        for thing in json.loads(launchyard.ok("prune", "--older-than", "0s", "--dry-run", "--json"))["removed"]
    ]
    assert any(
        kind == "image" and name.startswith(built["reference"].rpartition(":")[0] + ":") for kind, name in removed
    )
    assert docker("image", "inspect", "--format={{.Id}}", built["reference"]) == built["image_id"]
    used = docker("container", "create", built["reference"])
    try:
        listed = json.loads(launchyard.ok("prune", "--older-than", "0s", "--dry-run", "--json"))["removed"]
    finally:
        docker("container", "rm", used)
    assert built["reference"].rpartition(":")[0] not in str(listed)
    assert built["reference"].rpartition(":")[0] not in launchyard.ok("prune", "--older-than", "1h", "--dry-run")


def test_old_image_is_removed_with_all_its_tags(
    launchyard: Launchyard, six: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    built = launchyard.build(six)
    own = [image for image in prune._listed() if image.id == built["image_id"]]
    assert len(own[0].tags) == 4
    assert 0 < own[0].size < built["size"]
    assert abs(own[0].used - time.time()) < BOUND
    monkeypatch.setattr(prune, "_listed", lambda: iter(own))
    settings = replace(load(), image_prefix=PREFIX, state_dir=str(tmp_path / "state"))
    assert [thing.name for thing in prune._images(settings, time.time(), None, dry_run=False)] == [own[0].name]
    assert tags(six) == ""


def test_doctor_finds_everything_a_build_needs(launchyard: Launchyard) -> None:
    document = json.loads(launchyard.ok("doctor", "--json"))
    assert document["ok"] is True
    names = {check["name"] for check in document["checks"]}
    assert {"engine", "buildx", "BuildKit", "git", "Python index", "build disk", "build memory", "build reach"} <= names


def test_doctor_says_what_to_do_where_no_engine_answers(launchyard: Launchyard, tmp_path: Path) -> None:
    launchyard.environ = {**launchyard.environ, "DOCKER_HOST": f"unix://{tmp_path}/absent.sock"}
    done = launchyard("doctor")
    assert done.returncode == 75
    assert re.search(r"^no  engine: .*\n    Start Docker, or set DOCKER_HOST", done.stdout, re.MULTILINE)
    assert "ok  git: " in done.stdout
    assert load().bases.debian not in done.stdout

"""The commands of sessions, over an engine and a runtime in memory."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result

from builder.settings import Limits
from launcher.records import branch_of
from tests.command import Launchyard, foreign
from tests.conftest import MakeRepository

BOUND = 20
"""Seconds in which what a test waits for has to happen."""


@pytest.fixture
def launchyard(tmp_path: Path) -> Launchyard:
    return Launchyard(tmp_path)


@pytest.fixture
def six(make_repository: MakeRepository) -> Path:
    return make_repository({"requirements.txt": "six==1.16.0\n"}, "tides")


def while_running(launchyard: Launchyard, act: Callable[[str], None], *arguments: object) -> Result:
    """The outcome of a `run` that stays, with what happens once its session runs."""

    def watch() -> None:
        with launchyard.runtime.changed:
            assert launchyard.runtime.changed.wait_for(launchyard.runtime.list, BOUND)
        act(launchyard.runtime.list()[0].name)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        return launchyard("run", *arguments)
    finally:
        watcher.join(BOUND)


def test_run_builds_and_prints_an_address_with_its_token(launchyard: Launchyard, six: Path) -> None:
    result = launchyard("run", six, "--detach", "--base-path", "lab/tides")
    assert result.exit_code == 0, result.stderr
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/lab/tides/\?token=[\w-]{32}\n", result.stdout)
    session = launchyard.runtime.list()[0]
    assert session.name in result.stderr
    assert f"launchyard stop {session.name}" in result.stderr
    request = launchyard.runtime.requests[0]
    assert request.image == launchyard.ok("build", six).strip()
    assert (request.directory, request.repository) == (six, "")
    assert re.fullmatch("[0-9a-f]{40}", request.commit)
    assert (request.resources.memory, request.resources.processes) == (
        Limits().session_memory,
        Limits().session_processes,
    )


def test_run_takes_an_image_that_launchyard_built(launchyard: Launchyard, six: Path) -> None:
    image = launchyard.ok("build", six).strip()
    done = launchyard("run", image, "--detach", "--port", 9000, "--token", "open-sesame", "--memory", "2g")
    assert done.stdout == "http://127.0.0.1:9000/?token=open-sesame\n"
    assert "give the repository instead, to have its files" in done.stderr
    request = launchyard.runtime.requests[0]
    assert (request.image, request.resources.memory, request.directory) == (image, 2_000_000_000, None)


def test_run_refuses_an_image_of_somebody_elses(launchyard: Launchyard) -> None:
    assert launchyard.error("run", "lab/tides", "--detach")["code"] == "image-absent"
    foreign(launchyard.engine)
    assert launchyard.error("run", "lab/tides", "--detach")["code"] == "image-foreign"


@pytest.mark.parametrize("target", ["./absent", "git@github.com:lab/tides.git", "/absent"])
def test_what_no_image_can_be_called_is_taken_for_a_repository(launchyard: Launchyard, target: str) -> None:
    assert launchyard.error("run", target, "--detach")["code"] == "address-invalid"


def test_command_gets_the_place_where_it_is_to_listen(launchyard: Launchyard, six: Path) -> None:
    command = (
        "streamlit",
        "run",
        "app.py",
        "--server.port",
        "{port}",
        "--server.baseUrlPath={base_path}",
        "--x",
        "{ip}",
    )
    said = launchyard.ok("run", six, "--frontend", "none", "--base-path", "/app/", "--detach", "--", *command)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/app/\n", said)
    assert launchyard.runtime.requests[0].command == (
        "streamlit", "run", "app.py", "--server.port", "8888", "--server.baseUrlPath=/app/", "--x", "0.0.0.0",
    )  # fmt: skip


def test_command_that_says_nothing_of_it_finds_in_variables_where_to_listen(launchyard: Launchyard, six: Path) -> None:
    for base_path, below in (("/", None), ("/x/y", "x/y")):
        launchyard.ok("run", six, "--frontend", "none", "--base-path", base_path, "--detach", "--", "streamlit", "run")
        variables = launchyard.runtime.requests[-1].variables
        assert (variables["HOST"], variables["PORT"]) == ("0.0.0.0", "8888")
        assert variables.get("STREAMLIT_SERVER_BASE_URL_PATH") == below
        assert variables.get("DASH_URL_BASE_PATHNAME") == (f"/{below}/" if below else None)
    launchyard.ok("run", six, "--detach")
    assert launchyard.runtime.requests[-1].variables == {}


def test_no_frontend_and_no_command_is_refused_before_anything_is_built(launchyard: Launchyard, six: Path) -> None:
    assert launchyard("run", six, "--frontend", "none").exit_code == 2
    assert launchyard.engine.requests == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("--base-path", "a b"),
        ("--token", "a\nb"),
        ("--name", "Tides!"),
        ("--port", "0"),
        ("--memory", "much"),
        ("--memory", "100k"),
    ],
)
def test_options_that_no_session_can_have_are_refused_before_anything_is_built(
    launchyard: Launchyard, six: Path, arguments: tuple[str, ...]
) -> None:
    assert launchyard("run", six, "--detach", *arguments).exit_code == 2
    assert launchyard.engine.requests == []


@pytest.mark.parametrize("json", [(), ("--json",)])
def test_ctrl_c_ends_the_session_and_removes_it(
    launchyard: Launchyard, six: Path, monkeypatch: pytest.MonkeyPatch, json: tuple[str, ...]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(type(launchyard.runtime), "wait", interrupted)
    result = launchyard("run", six, *json)
    assert result.exit_code == 130
    assert result.stdout.count("http://127.0.0.1:") >= 1 and "error" not in result.stdout
    assert launchyard.runtime.list() == ()
    assert launchyard.runtime.work == set()


def test_session_that_is_closed_from_inside_ends_the_command(launchyard: Launchyard, six: Path) -> None:
    result = while_running(launchyard, lambda name: launchyard.runtime.finish(name, 0), six)
    assert result.exit_code == 0
    assert "The session has ended." in result.stderr
    assert launchyard.runtime.list() == ()


def test_session_that_fails_says_its_last_words(launchyard: Launchyard, six: Path) -> None:
    launchyard.runtime.ready = False
    result = while_running(
        launchyard, lambda name: launchyard.runtime.finish(name, 3, "no such module"), six, "--detach"
    )
    assert result.exit_code == 65
    assert result.stdout == ""
    assert result.stderr.count("ended with exit code 3\n  no such module\n") == 1
    assert launchyard.runtime.list() == ()


def test_session_that_does_not_answer_in_time_is_ended(launchyard: Launchyard, six: Path) -> None:
    launchyard.settings = replace(launchyard.settings, limits=Limits(session_start_time=0))
    launchyard.runtime.ready = False
    assert launchyard.error("run", six, "--detach")["title"] == "The session did not answer within 0 s"
    assert launchyard.runtime.list() == ()


def test_work_of_a_named_session_waits_for_the_next_of_its_name(launchyard: Launchyard, six: Path) -> None:
    launchyard.ok("run", six, "--detach", "--name", "tides")
    assert launchyard.error("run", six, "--detach", "--name", "tides")["code"] == "session-exists"
    launchyard.ok("stop", "tides")
    assert launchyard.runtime.work == {"tides"}
    launchyard.ok("run", six, "--detach", "--name", "tides")
    launchyard.ok("stop", "tides", "--delete-work")
    assert launchyard.runtime.work == set()


def test_stop_says_as_json_what_it_stopped(launchyard: Launchyard, six: Path) -> None:
    launchyard.ok("run", six, "--detach", "--name", "tides")
    assert launchyard.json("stop", "tides") == {"stopped": "tides"}


@pytest.mark.parametrize(
    ("ref", "branch"),
    [
        (None, ""), ("main", "main"), ("refs/heads/feature/tides", "feature/tides"), ("refs/tags/v1", ""),
        ("0123abc", ""), ("e4af0be" * 5, ""),
    ],
)  # fmt: skip
def test_clone_is_on_the_branch_that_was_asked_for_if_one_was(ref: str | None, branch: str) -> None:
    assert branch_of(ref) == branch


def test_work_of_a_session_without_a_name_goes_with_it(launchyard: Launchyard, six: Path) -> None:
    launchyard.ok("run", six, "--detach")
    launchyard.ok("stop", launchyard.runtime.list()[0].name)
    assert launchyard.runtime.work == set()


def test_sessions_are_listed_without_their_tokens(launchyard: Launchyard, six: Path) -> None:
    assert launchyard.ok("sessions") == ""
    address = launchyard.ok("run", six, "--detach", "--name", "tides").strip()
    token = address.partition("token=")[2]
    said = launchyard.ok("sessions")
    assert re.match(r"tides  running  [\d.]+ s  http://127\.0\.0\.1:\d+/  launchyard/", said)
    assert token not in said + str(launchyard.json("sessions"))
    assert address in launchyard.ok("sessions", "--tokens")
    assert launchyard.json("sessions", "--tokens")["sessions"][0]["address"] == address


def test_ended_session_is_listed_and_its_name_is_free(launchyard: Launchyard, six: Path) -> None:
    launchyard.ok("run", six, "--detach", "--name", "tides")
    launchyard.runtime.finish("tides", 137)
    assert "ended (137)" in launchyard.ok("sessions")
    launchyard.ok("run", six, "--detach", "--name", "tides")


def test_stop_of_a_session_that_is_not_there_names_those_that_are(launchyard: Launchyard, six: Path) -> None:
    launchyard.ok("run", six, "--detach", "--name", "tides")
    result = launchyard("stop", "waves")
    assert result.exit_code == 2
    assert "Running: tides" in result.stderr


def test_port_that_is_taken_is_worth_another_try(launchyard: Launchyard, six: Path) -> None:
    launchyard.ok("run", six, "--detach", "--port", 9000)
    result = launchyard("run", six, "--detach", "--port", 9000)
    assert result.exit_code == 75
    assert "The port 9000 is taken" in result.stderr


def test_every_command_explains_itself(launchyard: Launchyard) -> None:
    from launcher.cli import main

    assert set(main.commands) == {
        "plan", "dockerfile", "build", "run", "stop", "sessions", "packages", "diff", "prune", "doctor", "explain",
        "serve", "backup", "restore", "remote",
    }  # fmt: skip
    for name in main.commands:
        assert len(launchyard.ok(name, "--help")) > 100

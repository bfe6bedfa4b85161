"""Logs that came from anywhere: `launchyard explain` says what a person reads of them.

Those of docker, pip and uv were printed by them; those of conda and micromamba are written in their forms, which
their own issues show, since neither can be had where these tests were made.
"""

from __future__ import annotations

import io
import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from builder.logs import MAX_LOG, failed_step, tail
from launcher.cli import main

LOGS = Path(__file__).with_name("logs")


def explained(log: str | Path, *options: str) -> Result:
    given = log.read_bytes() if isinstance(log, Path) else log.encode()
    return CliRunner().invoke(main, ["explain", "-", *options], input=given)


def test_a_docker_build_without_network_names_the_reason_and_not_a_package_that_is_missing() -> None:
    result = explained(LOGS / "docker_without_network.log")
    assert result.exit_code == 0
    assert result.stdout.startswith(
        "error: The package index cannot be reached\n  Temporary failure in name resolution\n"
    )


def test_a_step_that_was_killed_in_a_docker_build_is_named_by_its_instruction() -> None:
    result = explained(LOGS / "docker_killed.log")
    assert result.exit_code == 0
    said = result.stdout.splitlines()
    assert said[0] == "error: There was not enough memory"
    assert said[1].startswith('  In the step: RUN echo "compiling the grid"')


def test_what_nobody_knows_is_shown_as_it_was_and_ends_with_its_own_exit_code() -> None:
    result = explained(LOGS / "docker_unknown.log")
    assert result.exit_code == 65
    said = result.stdout.splitlines()
    assert said[0].startswith("error: The step failed: RUN python -c")
    assert said[0].endswith("(exit code 3)")
    assert said[1] == "  tides out of range"


def test_a_version_that_pip_does_not_find_is_told_with_those_that_exist() -> None:
    result = explained(LOGS / "pip_no_version.log")
    assert result.exit_code == 0
    assert "six==99" in result.stdout
    assert "1.17.0" in result.stdout


def test_a_header_that_a_build_of_pips_misses_is_told_with_its_debian_package() -> None:
    result = explained(LOGS / "pip_header_missing.log")
    assert result.exit_code == 0
    assert "pygraphviz has no wheel here, and its source needs the header graphviz/cgraph.h" in result.stdout
    assert "Create apt.txt with the line: libgraphviz-dev" in result.stdout


def test_a_conflict_of_uvs_is_told() -> None:
    result = explained(LOGS / "uv_conflict.log")
    assert result.exit_code == 0
    assert "six>=1.17" in result.stdout and "six==1.16.0" in result.stdout


def test_packages_that_conda_misses_in_ci_are_named_with_the_channels() -> None:
    result = explained(LOGS / "github_conda_absent.log")
    assert result.exit_code == 0
    said = result.stdout.splitlines()
    assert said[0] == "error: Not to be had: tidepool==4.2, numppy"
    assert "  tidepool==4.2" in said
    assert "https://conda.anaconda.org/conda-forge" in result.stdout
    assert "\x1b" not in result.stdout and "2026-03-02" not in result.stdout


def test_both_sides_of_what_micromamba_cannot_solve_are_named() -> None:
    result = explained(LOGS / "micromamba_incompatible.log")
    assert result.exit_code == 0
    assert result.stdout.startswith("error: numpy =1.21 and python =3.12 cannot be installed together\n")
    assert "numpy 1.21.6 would require" in result.stdout


def test_json_says_whether_the_failure_is_known() -> None:
    known = json.loads(explained(LOGS / "docker_killed.log", "--json").stdout)
    assert (known["known"], known["explanation"]["code"]) == (True, "out-of-memory")
    unknown = json.loads(explained("All went well.\n", "--json").stdout)
    assert (unknown["known"], unknown["explanation"]["code"]) == (False, "step-failed")


def test_a_file_that_is_not_there_is_a_mistake_of_usage() -> None:
    assert CliRunner().invoke(main, ["explain", "/nowhere/build.log"]).exit_code == 2


def test_of_a_long_log_the_end_is_read_and_that_is_said() -> None:
    long = "numpyy \U0001f30a\n" * 900_000 + "write: No space left on device\n"
    result = explained(long)
    assert result.exit_code == 0
    assert result.stdout.startswith("error: The disk is full\n")
    assert "Only the last 5 MB are read" in result.stderr
    text, cut = tail(io.BytesIO(b"x" * (MAX_LOG * 2)))
    assert cut and len(text) <= MAX_LOG


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "latin-1"])
def test_logs_in_other_encodings_are_read(encoding: str) -> None:
    text, _ = tail(io.BytesIO("caf\xe9: No space left on device\r\n".encode(encoding)))
    assert "No space left on device" in text


def test_what_a_terminal_is_left_with_of_a_docker_build_is_read() -> None:
    log = "------\n > [environment 2/2] RUN make:\n0.301 one\n0.302 two\n------\nERROR: failed to solve: exit code: 2\n"
    failed = failed_step(log)
    assert (failed.step, failed.lines) == ("RUN make", ("one", "two"))


@pytest.mark.parametrize(
    "log",
    [
        "",
        "\0\0\0",
        "#1 ERROR: \n",
        "------\n > :\n------",
        "launchyard-conda: {",
        "launchyard-conda: {" + '{"a":' * 9_000,
    ],
)
def test_no_log_at_all_is_no_traceback(log: str) -> None:
    result = explained(log)
    assert result.exit_code in (0, 65)
    assert result.stdout.startswith("error: ")


@pytest.mark.parametrize(
    "piece",
    ["Because ", "error: ", "Caused by: ", "------\n > ", "#1 [1", "\x1b]", "\x1b[", "- ", "\n - x", "\n\n", "├─ a b ",
     "PackagesNotFoundError: The following packages are missing\n", "Because a depends on a\n", "for url (http://",
     "No candidates were found for a ", "#1 0.1 x\n", "1" * 99],
)  # fmt: skip
def test_no_log_takes_long(piece: str) -> None:
    began = time.process_time()
    explained(((piece * (1_900 // len(piece))) + "\n") * 2_000)
    assert time.process_time() - began < 10

"""Logs of failed steps, as the tools print them, come to the failure behind them."""

from __future__ import annotations

from builder.engine import BuildFailed, BuildTimeout
from builder.failures import Conflict, DiskFull, NoVersion, OutOfMemory, PackageNotFound, StepFailed, TimeExceeded
from builder.recognise import recognise, title

STEP = "[lock 1/1] RUN lock.py"


def failure(*lines: str, message: str = "did not complete successfully: exit code: 1") -> object:
    return recognise(BuildFailed(STEP, message, lines), python="3.10", timeout=60)


def test_a_version_that_does_not_exist_names_those_that_do() -> None:
    found = failure(
        "error: No solution found when resolving dependencies",
        "cause: Because there is no version of six==99 and you require six==99, we can conclude that your"
        " requirements are unsatisfiable.",
        "uv finds no answer; asking pip",
        "ERROR: Could not find a version that satisfies the requirement six==99 (from versions: 1.15.0, 1.16.0, 1.17.0)",  # noqa: E501
    )
    assert found == NoVersion("six", "==99", "3.10", ("1.17.0", "1.16.0", "1.15.0"))


def test_a_package_that_does_not_exist_is_named() -> None:
    found = failure("ERROR: Could not find a version that satisfies the requirement numpyy (from versions: none)")
    assert found == PackageNotFound("numpyy")


def test_a_conflict_gives_the_solvers_chain_and_not_its_repetition() -> None:
    found = failure(
        "error: No solution found when resolving dependencies",
        "cause: Because pandas==2.2.3 depends on numpy>=1.22.4 and you require pandas==2.2.3, we can conclude that"
        " you require numpy>=1.22.4.",
        "And because you require numpy==1.20.0, we can conclude that your requirements are unsatisfiable.",
        "uv finds no answer; asking pip",
        "ERROR: ResolutionImpossible: for help see the documentation",
    )
    assert isinstance(found, Conflict)
    assert len(found.lines) == 2
    assert found.lines[0].startswith("Because pandas==2.2.3 depends on numpy>=1.22.4")
    assert found.lines[1].endswith("unsatisfiable.")


def test_a_conflict_of_condas_names_both_sides() -> None:
    found = failure(
        "conda cannot solve this environment:",
        "Cannot solve the request because of: python 3.9.* cannot be installed",
        "├─ numpy 2.2.* would require",
        "│  └─ python >=3.10,<3.11.0a0, which conflicts with python 3.9.*",
    )
    assert isinstance(found, Conflict)
    assert any("python >=3.10" in line for line in found.lines)


def test_a_full_disk_is_no_fault_of_the_repository() -> None:
    assert failure("write: No space left on device") == DiskFull("deciding versions")


def test_a_killed_step_was_out_of_memory() -> None:
    assert failure(message="did not complete successfully: exit code: 137") == OutOfMemory("deciding versions")


def test_a_step_over_its_time_names_the_setting() -> None:
    found = recognise(BuildTimeout(STEP, "timed out"), python="3.10", timeout=60)
    assert found == TimeExceeded("deciding versions", 60, "limits.build_time")


def test_an_unknown_failure_shows_the_last_lines_as_they_were() -> None:
    found = failure("one", "", "two", message="did not complete successfully: exit code: 3")
    assert found == StepFailed("deciding versions", 3, ("one", "two"))


def test_steps_have_words_of_their_own() -> None:
    assert title("[env 1/2] RUN --mount=type=secret install.py") == "installing packages"
    assert title("exporting to image") == "exporting to image"

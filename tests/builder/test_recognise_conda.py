"""What is said of conda comes to its failure; a line of facts that was made up does no harm."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import pytest

from builder.engine import BuildFailed
from builder.failures import explain
from builder.failures.built import (
    ChannelAbsent,
    ChannelsLack,
    ChannelUnreachable,
    Demand,
    ExportedElsewhere,
    StepFailed,
    Unsatisfiable,
)
from builder.recognise import recognise
from detectors import detect
from detectors.plan import Options
from detectors.source import MappingSource

STEP = "[conda-lock 1/1] RUN conda_env.py solve"


def failure(*lines: str) -> object:
    failed = BuildFailed(STEP, "did not complete successfully: exit code: 1", lines)
    return recognise(failed, python="3.10", timeout=60)


def failure_of(environment: str, *lines: str) -> object:
    """The same, of a repository with this environment.yml."""
    source = MappingSource({"environment.yml": environment})
    plan = detect(source, Options())
    failed = BuildFailed(STEP, "did not complete successfully: exit code: 1", lines)
    return recognise(failed, python=plan.python.value, timeout=60, plan=plan, source=source)


def facts(**told: object) -> str:
    return "launchyard-conda: " + json.dumps(told)


def test_facts_come_before_the_solvers_own_words() -> None:
    found = failure(
        "conda cannot solve this environment:",
        "Cannot solve the request because of: No candidates were found for numppy *.",
        facts(channels=["conda-forge"], absent={"numppy": ["numpy"]}, versions={}, together=[], instead={}),
    )
    assert found == ChannelsLack(((Demand("numppy"), ("numpy",), ()),), ("conda-forge",))


def test_without_facts_the_solvers_words_are_read() -> None:
    found = failure("Cannot solve the request because of: No candidates were found for numpy 1.21.*.")
    assert found == ChannelsLack(((Demand("numpy 1.21.*"), (), ()),), ())


def test_of_facts_only_what_has_their_form_is_taken() -> None:
    found = failure(
        facts(
            absent={"\x1b[2Jnumpy": ["x"], "good": ["a\nb", "fine", 3, None]},
            versions={"six=1": "not a list", "$(reboot)": ["1"]},
            channels={"a": 1},
        )
    )
    assert found == ChannelsLack(((Demand("good"), ("fine",), ()), (Demand("six=1"), (), ())), ())


@pytest.mark.parametrize(
    "line",
    ["launchyard-conda: {", "launchyard-conda: []", "launchyard-conda: {}", "launchyard-conda: " + "[" * 9_000,
     facts(together="numpy"), facts(absent=["numpy"], versions=None, instead=3), facts(together=["a b\x1b]0;"])],
)  # fmt: skip
def test_facts_that_are_none_are_not_believed(line: str) -> None:
    assert isinstance(failure(line), StepFailed)


def test_facts_of_any_length_stay_short() -> None:
    found = failure(facts(together=[f"p{n}=1" for n in range(100)], instead={}))
    assert isinstance(found, Unsatisfiable)
    assert len(found.specs) <= 12


def test_a_channel_that_is_not_there_and_one_that_cannot_be_reached_are_told_apart() -> None:
    begin = "a conda channel cannot be read:"
    absent = failure(begin, "could not find subdir 'noarch' in channel 'https://conda.example.org/tides/'")
    assert absent == ChannelAbsent(Demand("https://conda.example.org/tides"))
    unreachable = failure(
        begin,
        "Request failed after 3 retries",
        "Caused by: error sending request for url (https://ada:secret@conda.example.org/tides/noarch/repodata.json)",
        "Caused by: Connection refused (os error 111)",
    )
    channel = "https://conda.example.org/tides"
    assert unreachable == ChannelUnreachable(Demand(channel), f"{channel}: Connection refused (os error 111)")
    assert "secret" not in str(explain(unreachable))


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("sklearn", "conda's name for sklearn is scikit-learn. Change environment.yml:3 to: - scikit-learn"),
        ("sklearn=0.0", "conda's name for sklearn is scikit-learn. Change environment.yml:3 to: - scikit-learn"),
        ("torch=1.13.1", "conda's name for torch is pytorch. Change environment.yml:3 to: - pytorch=1.13.1"),
        (
            "opencv-python>=4.5.5.64",
            "conda's name for opencv-python is opencv. Change environment.yml:3 to: - opencv>=4.5.5",
        ),
        ("cv2", "conda's name for cv2 is opencv. Change environment.yml:3 to: - opencv"),
        ("tables", "conda's name for tables is pytables. Change environment.yml:3 to: - pytables"),
        ("bs4", "conda's name for bs4 is beautifulsoup4. Change environment.yml:3 to: - beautifulsoup4"),
        ("json", "Take environment.yml:3 out: json is part of Python."),
        (
            "gradio=4.1",
            "gradio is a package of the Python index: write - gradio==4.1 below `- pip:`, and take it out in",
        ),
        ("numppy", "If numpy is meant: Change environment.yml:3 to: - numpy"),
    ],
)
def test_what_no_channel_has_is_told_what_conda_calls_it_or_where_it_belongs(spec: str, told: str) -> None:
    name = spec.replace(">", "=").partition("=")[0]
    found = failure_of(
        f"channels: [conda-forge]\ndependencies:\n  - {spec}\n",
        facts(channels=["conda-forge"], absent={name: ["numpy"] if name == "numppy" else []}),
    )
    assert explain(found).fix[0].startswith(told)


EXPORT = """\
channels: [conda-forge]
dependencies:
  - numpy=1.25.2=py311h5f9d8c6_0
  - python=3.11.5=he1021f5_0
  - vc=14.2=h21ff451_1
  - ucrt=10.0.22621.0=h57928b3_0
"""


def test_an_export_of_another_system_is_told_as_one_thing_with_its_lines() -> None:
    found = failure_of(EXPORT, facts(absent={"vc": []}, versions={"numpy=1.25.2=py311h5f9d8c6_0": ["2.2.2", "1.26.4"]}))
    told = explain(found)
    assert told.title == "environment.yml was exported on Windows"
    assert told.seen.splitlines() == [
        "environment.yml:5: vc=14.2=h21ff451_1: only Windows has it",
        "environment.yml:6: ucrt=10.0.22621.0=h57928b3_0: only Windows has it",
        "environment.yml:3: numpy=1.25.2=py311h5f9d8c6_0",
        "environment.yml:4: python=3.11.5=he1021f5_0",
        "A build, which stands behind the second =, is made for one system",
    ]
    assert "conda env export --from-history > environment.yml" in told.fix[0]
    assert told.fix[2] == "And take out what only Windows has: vc, ucrt."


@pytest.mark.parametrize(
    ("prefix", "where"),
    [("C:\\Users\\ada", "on Windows"), ("/Users/ada/anaconda3", "on macOS"), ("/home/ada", "with builds that")],
)
def test_an_export_without_names_of_a_system_is_known_by_its_prefix(prefix: str, where: str) -> None:
    export = f"dependencies:\n  - numpy=1.25.2=py311_0\nprefix: {prefix}\n"
    found = explain(failure_of(export, facts(versions={"numpy=1.25.2=py311_0": ["2.2.2"]})))
    assert found.title.startswith(f"environment.yml was exported {where}")


def test_the_proposed_command_takes_the_builds_out_and_nothing_else(tmp_path: Path) -> None:
    found = failure_of(EXPORT, facts(absent={"vc": []}))
    assert isinstance(found, ExportedElsewhere)
    command = explain(found).fix[1].partition(": ")[2]
    (tmp_path / "environment.yml").write_text(EXPORT + "  - six>=1.15\n  - pip:\n    - attrs==23.2.0\n")
    subprocess.run(shlex.split(command), check=True, cwd=tmp_path)
    assert (tmp_path / "environment.yml").read_text().splitlines()[2:] == [
        "  - numpy=1.25.2", "  - python=3.11.5", "  - vc=14.2", "  - ucrt=10.0.22621.0", "  - six>=1.15", "  - pip:",
        "    - attrs==23.2.0",
    ]  # fmt: skip


def test_condas_own_words_of_an_export_from_elsewhere_come_to_the_same() -> None:
    found = failure(
        "ResolvePackageNotFound:", "  - vs2015_runtime=14.27.29016=h5e58377_2", "  - zlib=1.2.13=h8cc25b3_0"
    )
    assert isinstance(found, ExportedElsewhere)
    assert (found.system, len(found.foreign), len(found.builds)) == ("Windows", 1, 1)

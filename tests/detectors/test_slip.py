from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.failures import explain
from detectors import conda, detect, pip, project
from detectors.failures import MAX_LINE, FileInvalid, Location, invalid
from detectors.plan import Options
from detectors.source import MappingSource
from tests.detectors.asking import failure_of, survives, within_a_second


def advice(line: str) -> str:
    """The first advice about a line of a requirements.txt."""
    source = MappingSource({"requirements.txt": f"six\n{line}\n"})
    failure = failure_of(lambda: pip.detect(source, Options()))
    assert isinstance(failure, FileInvalid), failure
    assert failure.location.line == 2
    return explain(failure).fix[0]


def advice_of_conda(lines: str) -> str:
    source = MappingSource({"environment.yml": f"channels: [conda-forge]\ndependencies:\n{lines}\n"})
    failure = failure_of(lambda: conda.detect(source, Options()))
    assert isinstance(failure, FileInvalid), failure
    return explain(failure).fix[0]


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ('"numpy==1.20"', "numpy==1.20"),
        ("'numpy>=1.20',", "numpy>=1.20"),
        ("numpy,", "numpy"),
        ("numpy==1.20;", "numpy==1.20"),
        ("numpy=1.20", "numpy==1.20"),
        ("numpy[all] = 1.20", "numpy[all] == 1.20"),
        ('numpy=1.20; python_version < "3.9"', 'numpy==1.20; python_version < "3.9"'),
        ("numpy => 1.20", "numpy >= 1.20"),
        ("numpy =< 1.20", "numpy <= 1.20"),
        ("numpy~1.20", "numpy~=1.20"),
        ("numpy~1", "numpy==1.*"),
        ("numpy 1.20", "numpy==1.20"),
        ("numpy (1.20)", "numpy==1.20"),
        ("numpy:1.20", "numpy==1.20"),
        ("numpy@1.20", "numpy==1.20"),
        ("numpy >=1.20 <2", "numpy >=1.20,<2"),
        ("numpy>1.20 and <2", "numpy>1.20,<2"),
        ("numpy>=1.20.*", "numpy>=1.20"),
        ("numpy==1.20.x", "numpy==1.20.*"),
        ("numpy==*", "numpy"),
        ("numpy^1.20", "numpy>=1.20,<2"),
        ("numpy==^0.20.1", "numpy>=0.20.1,<0.21"),
        ('numpy = "^1.20"', "numpy>=1.20,<2"),
        ('numpy = "*"', "numpy"),
        ('numpy=="1.20"', "numpy==1.20"),
        ("- numpy", "numpy"),
        ("* numpy", "numpy"),
        ("numpy\u00a01.20", "numpy==1.20"),
        ("numpy\u200b==1.20", "numpy==1.20"),
        ("numpy≥1.20", "numpy>=1.20"),
        ("“numpy”", "numpy"),
        ("pip install numpy==1.20", "numpy==1.20"),
        ("!pip install -U numpy", "numpy"),
        ("conda install -c conda-forge numpy=1.20", "numpy==1.20"),
        ("import numpy as np", "numpy"),
        ("import cv2", "opencv-python-headless"),
        ("from sklearn.svm import SVC", "scikit-learn"),
        ("base.txt", "-r base.txt"),
        ("https://github.com/ada/tides", "git+https://github.com/ada/tides"),
        ("tides @ https://github.com/ada/tides.git", "tides @ git+https://github.com/ada/tides"),
        ("-e https://github.com/ada/tides/tree/main", "git+https://github.com/ada/tides@main"),
        ("git clone https://github.com/ada/tides.git", "git+https://github.com/ada/tides"),
        ("github.com/ada/tides", "git+https://github.com/ada/tides"),
    ],
)
def test_slip_in_a_requirement_is_told_the_line_that_is_meant(line: str, meant: str) -> None:
    assert advice(line) == f"Write {meant} in line 2 of requirements.txt."


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("numpy pandas", "Write numpy and pandas in line 2 of requirements.txt, each on a line of its own."),
        ("numpy 1.20, pandas>=2", "Write numpy==1.20 and pandas>=2 in line 2 of requirements.txt, each on a line"),
        ("pip install numpy pandas", "Write numpy and pandas in line 2 of requirements.txt, each on a line"),
        ('pip install "numpy>=2"  pandas', "Write numpy>=2 and pandas in line 2 of requirements.txt, each on a line"),
        ("import os, sys", "Take line 2 of requirements.txt out: os and sys are part of Python."),
        ("packages we need for the plots", "Put # before line 2 of requirements.txt, where it is a remark"),
        ("pip install -r more.txt", "Take line 2 of requirements.txt out"),
        ("numpy==1.20 --upgrade", "Take --upgrade out of line 2 of requirements.txt."),
        ("numpy>=1.20,<=", "Correct line 2 of requirements.txt."),
    ],
)  # fmt: skip
def test_line_that_is_no_one_requirement_is_told_what_to_do_with_it(line: str, told: str) -> None:
    assert advice(line).startswith(told)


def test_character_that_looks_like_another_is_named() -> None:
    failure = failure_of(lambda: pip.detect(MappingSource({"requirements.txt": "numpy – 1.20\n"}), Options()))
    assert failure.problem == "it holds the character U+2013, en dash"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("  - numpy => 1.20", "Write numpy >= 1.20 in line 3"),
        ("  - numpy~1.20", "Write numpy~=1.20 in line 3"),
        ("  - python>=3.8 <3.10", "Write python>=3.8,<3.10 in line 3"),
        ("  - python=3.x", "Write python=3.* in line 3"),
        ("  - numpy=1.20,", "Write numpy=1.20 in line 3"),
        ("  - numpy: 1.20", "Write numpy=1.20 in line 3"),
        ("  - numpy ^1.2", "Write numpy>=1.2,<2 in line 3"),
        ("  - conda-forge/numpy", "Write conda-forge::numpy in line 3"),
        ("  - numpy pandas", "Write numpy and pandas in line 3 of environment.yml, each on a line of its own."),
        ("  - conda install numpy", "Write numpy in line 3"),
        ("  - numpy\n    - pandas", "Write numpy and pandas in line 3 of environment.yml, each on a line of its own."),
        ("  - numpy\n  -pandas", "Write - pandas in line 4"),
        ("  -numpy\n  -pandas", "Write - numpy in line 3"),
        ("  - numpy\n - pandas", "Begin line 4 of environment.yml in the column in which the lines of its list begin"),
        ('  - "numpy>=1.20\n  - six', "Close the quote in line 3"),
        ("  - six\n  pip:\n    - attrs", "Write - pip: in line 4"),
        ("  - dask[array]", "Write - dask[array] below `- pip:`, indented further than that, in place of line 3"),
        ("  - -r more.txt", "Write - -r more.txt below `- pip:`"),
        ("  - https://github.com/ada/tides", "Write - git+https://github.com/ada/tides below `- pip:`"),
        ("  - pip: six", "Write - six below `- pip:`"),
        ("  - pip:\n    - six=1.16", "Write six==1.16 in line 4"),
    ],
)
def test_slip_in_an_environment_yml_is_told_what_is_meant(lines: str, told: str) -> None:
    assert advice_of_conda(lines).startswith(told)


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ("channels: conda-forge\ndependencies:\n  - six\n", "Write channels: [conda-forge] in line 1"),
        ("dependencies: six\n", "Write dependencies: [six] in line 1"),
        ("dependencies:\n  six: 1.16\n  numpy: 1.26\n", "Write - six=1.16 and - numpy=1.26 in line 2"),
        ("dependencies:\n  - pip\n    - six\n", "Write - pip: in line 2"),
        (
            "channels:\n  - conda-forge\n dependencies:\n  - six\n",
            "Begin line 3 of environment.yml in the column in which",
        ),
        ("numpy==1.26\n", "Begin it with the line `dependencies:`"),
    ],
)
def test_environment_yml_of_another_shape_is_told_the_shape(environment: str, told: str) -> None:
    failure = failure_of(lambda: conda.detect(MappingSource({"environment.yml": environment}), Options()))
    assert explain(failure).fix[0].startswith(told)


@pytest.mark.parametrize(
    ("path", "line", "told"),
    [
        ("runtime.txt", "Python 3.9", "Write python-3.9 in line 1 of runtime.txt."),
        ("runtime.txt", "python>=3.11", "Write python-3.11 in line 1 of runtime.txt."),
        ("runtime.txt", "latest", "Correct line 1 of runtime.txt."),
        ("apt.txt", "sudo apt-get install -y libgl1", "Write libgl1 in line 1 of apt.txt."),
        ("apt.txt", "libgl1, ffmpeg", "Write libgl1 and ffmpeg in line 1 of apt.txt, each on a line of its own."),
        ("apt.txt", "libgl1=1.2", "Write libgl1 in line 1 of apt.txt."),
        ("apt.txt", "- FFmpeg", "Write ffmpeg in line 1 of apt.txt."),
        ("apt.txt", "ppa:ubuntugis/ppa", "Correct line 1 of apt.txt."),
    ],
)
def test_slip_beside_the_environment_is_told_what_is_meant(path: str, line: str, told: str) -> None:
    failure = failure_of(lambda: detect(MappingSource({"requirements.txt": "six", path: f"{line}\n"}), Options()))
    assert explain(failure).fix[0] == told


def advice_of_project(lines: str) -> str:
    text = f'[project]\nname = "tides"\nversion = "1"\n{lines}\n'
    failure = failure_of(lambda: project.detect(MappingSource({"pyproject.toml": text}), Options()))
    assert isinstance(failure, FileInvalid), failure
    return explain(failure).fix[0]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("dependencies = [numpy]", 'Write dependencies = ["numpy"] in line 4'),
        ('dependencies = ["numpy" "six"]', 'Write dependencies = ["numpy", "six"] in line 4'),
        ('dependencies = [\n  "numpy"\n  "six"\n]', 'Write "numpy", in line 5'),
        ('dependencies = [\n  "numpy",\n  six>=1,\n]', 'Write "six>=1", in line 6'),
        ("dependencies = [“numpy”]", 'Write dependencies = ["numpy"] in line 4'),
        ('dependencies: ["numpy"]', 'Write dependencies = ["numpy"] in line 4'),
        ('dependencies = "numpy"', 'Write dependencies = ["numpy"] in line 4'),
        ('[project.dependencies]\npython = "^3.9"\nnumpy = "^1.2"', 'Write dependencies = ["numpy>=1.2,<2"] in line 4'),
        ('dependencies = ["numpy"', "Close the list with a ], which begins in line 4"),
        ('dependencies = ["numpy"\n[tool.ruff]', "Close the list with a ], which begins in line 4"),
        ('depedencies = ["numpy"]', 'Write dependencies = ["numpy"] in line 4'),
        ('dependencies = ["numpy^1.2"]', "Write numpy>=1.2,<2 in line 4"),
        ('requires-python = "3.10"', 'Write requires-python = ">=3.10" in line 4'),
        ('requires-python = "^3.10"', 'Write requires-python = ">=3.10,<4" in line 4'),
        ('requires-python = "=>3.10"', 'Write requires-python = ">=3.10" in line 4'),
    ],
)
def test_slip_in_a_pyproject_is_told_what_is_meant(lines: str, told: str) -> None:
    assert advice_of_project(lines).startswith(told)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ('python = "=>3.10"', 'Write python = ">=3.10" in line 4'),
        ('python = "python3.10"', 'Write python = ">=3.10" in line 4'),
        ('python = "^3.10"\nnumpy = 1.20', 'Write numpy = "1.20" in line 5'),
        ('python = "^3.10"\nnumpy', 'Write numpy = "*" in line 5'),
        ('python = "^3.10"\nnumpy >= 1.2', 'Write numpy = ">= 1.2" in line 5'),
    ],
)
def test_slip_in_a_poetry_project_is_told_what_is_meant(lines: str, told: str) -> None:
    text = f"[tool.poetry]\npackage-mode = false\n[tool.poetry.dependencies]\n{lines}\n"
    failure = failure_of(lambda: detect(MappingSource({"pyproject.toml": text}), Options()))
    assert explain(failure).fix[0].startswith(told)


WORDS = ["numpy", "==", "=", "1.2", "~", "^", "*", "x", ",", ";", " ", "'", '"', "[", "]", "-", "–", "\u00a0", "\u200b"]
WORDS += ["pip install", "import", "as", ".", ">", "<", "and", "(", ")", "github.com/", "/", "@", ":"]


@given(st.lists(st.sampled_from(WORDS)))
@within_a_second
def test_any_slips_together_are_read_or_fail_by_name(words: list[str]) -> None:
    survives(lambda: pip.detect(MappingSource({"requirements.txt": "".join(words)}), Options()))


@given(
    st.sampled_from(["numpy ", "=", "1.", "1 ", ", ", "- ", "^1", "'", " and ", "\u00a0", ";", "a,"]),
    st.integers(0, 2_000),
)
@within_a_second
def test_slips_without_end_are_read_in_time(piece: str, times: int) -> None:
    survives(lambda: pip.detect(MappingSource({"requirements.txt": f"numpy={piece * times}"}), Options()))


def test_what_no_slip_leaves_behind_is_not_guessed_at() -> None:
    assert advice_of_conda('  - "numpy=1\\nRUN id"') == "Correct line 3 of environment.yml."


def test_credentials_are_not_shown_in_what_is_proposed() -> None:
    told = advice_of_conda("  - https://robot:hunter2@example.org/tides.zip")
    assert "hunter2" not in told


def test_a_line_that_would_be_shown_in_part_is_not_proposed() -> None:
    found = invalid(Location("a"), "TOML", "", "", ("x" * MAX_LINE,)).failure
    beyond = invalid(Location("a"), "TOML", "", "", ("x" * (MAX_LINE + 1),)).failure
    assert isinstance(found, FileInvalid) and isinstance(beyond, FileInvalid)
    assert (found.instead, beyond.instead) == (("x" * MAX_LINE,), ())

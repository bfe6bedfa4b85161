from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors import CHAIN, detect
from detectors.failures import NoEnvironment, StrategyAbsent
from detectors.plan import Options
from detectors.source import MappingSource
from tests.detectors.asking import codes, failure, plan, survives, within_a_second

POETRY = "[tool.poetry]\npackage-mode = false\n[tool.poetry.dependencies]\npython = '^3.9'\n"
PROJECT = "[project]\nname = 'a'\nversion = '1'\n"
CONDA = "channels: [conda-forge, nodefaults]\n"


def test_chain_is_in_its_order() -> None:
    assert list(CHAIN) == ["conda", "pip", "poetry", "project"]


@pytest.mark.parametrize(
    ("names", "strategy", "ignored"),
    [
        (["environment.yml", "requirements.txt", "pyproject.toml"], "conda", ["requirements.txt", "pyproject.toml"]),
        (["requirements.txt", "pyproject.toml"], "pip", ["pyproject.toml"]),
        (["pyproject.toml"], "poetry", []),
    ],
)
def test_first_match_wins_and_the_rest_is_named(names: list[str], strategy: str, ignored: list[str]) -> None:
    contents: dict[str, str | bytes] = {"environment.yml": CONDA, "requirements.txt": "six", "pyproject.toml": POETRY}
    result = plan({name: contents[name] for name in names})
    assert result.strategy == strategy
    assert [i.path for i in result.ignored] == ignored
    for ignored_file in result.ignored:
        option = ignored_file.reason.partition("--strategy ")[2].split()[0]
        assert plan({name: contents[name] for name in names}, strategy=option).evidence[0].path == ignored_file.path


@pytest.mark.parametrize("strategy", [*CHAIN, "nonsense"])
def test_strategy_without_its_file_is_refused(strategy: str) -> None:
    found = failure({"README.md": ""}, strategy=strategy)
    assert isinstance(found, StrategyAbsent)
    assert found.strategy == strategy
    assert found.wants


def test_file_that_the_winner_reads_is_not_ignored() -> None:
    text = CONDA + "dependencies:\n  - pip\n  - pip: ['-r requirements.txt', '-e .']\n"
    result = plan({"environment.yml": text, "requirements.txt": "six", "pyproject.toml": PROJECT})
    assert [f.path for f in result.files] == ["environment.yml", "requirements.txt"]
    assert result.ignored == ()


def test_broken_file_that_lost_harms_nobody() -> None:
    assert plan({"requirements.txt": "six", "pyproject.toml": "[project"}).ignored == ()


def test_binder_directory_hides_the_root() -> None:
    files: dict[str, str | bytes] = {
        "binder/requirements.txt": "six",
        "environment.yml": CONDA,
        "start": "",
        "apt.txt": "",
    }
    result = plan(files)
    assert (result.strategy, result.start) == ("pip", None)
    assert {i.path for i in result.ignored} == {"environment.yml", "start", "apt.txt"}


def test_debian_packages_know_no_day() -> None:
    files: dict[str, str | bytes] = {"requirements.txt": "six", "apt.txt": "tree"}
    assert codes(plan(files, as_of="2024-06-01T00:00:00Z")) == ["as-of-apt"]
    assert codes(plan(files)) == []


def test_hooks_come_with_any_strategy() -> None:
    hooks: dict[str, str | bytes] = {"apt.txt": "tree", "postBuild": "x", "start": "y"}
    for name, content in {"environment.yml": CONDA, "requirements.txt": "six", "pyproject.toml": POETRY}.items():
        result = plan({name: content, **hooks})
        assert result.system_packages == ("tree",)
        assert result.post_build is not None
        assert result.start is not None
        assert result.needs_source


def test_nothing_to_build_lists_what_was_seen() -> None:
    found = failure({"sub/README.md": "", "sub/data/a.csv": "", "sub/enviroment.yml": ""}, subdir="sub")
    assert found == NoEnvironment(
        "sub", ("README.md", "data/", "data/a.csv", "enviroment.yml"), (("sub/enviroment.yml", "environment.yml"),)
    )


def test_other_tools_files_are_ignored_by_name() -> None:
    result = plan({"requirements.txt": "six", "Dockerfile": "", "Pipfile": ""})
    assert {i.path for i in result.ignored} == {"Dockerfile", "Pipfile"}


@pytest.mark.parametrize(
    ("files", "unneeded"),
    [
        ({"environment.yml": CONDA}, {"packaging", "tomli"}),
        ({"requirements.txt": "six"}, {"yaml", "tomli"}),
        ({"pyproject.toml": POETRY}, {"yaml", "packaging"}),
        ({"pyproject.toml": PROJECT}, {"yaml"}),
    ],
)
def test_strategies_that_lose_cost_no_imports(files: dict[str, str], unneeded: set[str]) -> None:
    program = (
        "import sys\nfrom detectors import detect\nfrom detectors.plan import Options\n"
        f"from detectors.source import MappingSource\ndetect(MappingSource({files!r}), Options())\n"
        f"print(sorted({unneeded!r} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert ran.stdout.strip() == "[]"


NAMES = ["environment.yml", "requirements.txt", "pyproject.toml", "apt.txt", "postBuild", "start", "runtime.txt",
         ".python-version", "binder/requirements.txt", "sub/pyproject.toml", "poetry.lock", "uv.lock"]  # fmt: skip


@given(
    st.dictionaries(st.sampled_from(NAMES), st.binary() | st.sampled_from([b"six\n", PROJECT.encode(), CONDA.encode()]))
)
@within_a_second
def test_any_repository_gives_a_plan_or_fails_by_name(files: dict[str, bytes]) -> None:
    survives(lambda: detect(MappingSource(files), Options()))


LINKS = st.dictionaries(
    st.sampled_from(NAMES), st.sampled_from(["../x", "a", ".", "requirements.txt", "/etc", "sub/.."])
)


@given(LINKS)
@within_a_second
def test_any_links_give_a_plan_or_fail_by_name(links: dict[str, str]) -> None:
    survives(lambda: detect(MappingSource({"a": "six\n"}, links), Options()))

"""The house is as it is drawn: imports go one way, a strategy is one stem in three places, nothing names a machine."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from detectors import CHAIN

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "detectors": {"detectors"},
    "builder": {"detectors", "builder"},
    "launcher": {"detectors", "builder", "launcher"},
}
HOSTS = re.compile(
    r"(?<![a-z])(?:(?:files\.)?pythonhosted\.o[r]g|pypi\.o[r]g|registry\.npm[j]s|proxy\.golan[g]|(?:deb|security)\.debian\.o[r]g)"
    r"|(?<![\w.-])/(?:work/main|root/\.pyenv)"
)


def imports(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_go_from_the_launcher_to_the_detectors_and_never_back(package: str) -> None:
    modules = sorted((ROOT / package).rglob("*.py"))
    assert modules
    for module in modules:
        ours = {name.partition(".")[0] for name in imports(module)} & (
            MAY_IMPORT.keys() | {"tests", "fixtures", "benchmarks"}
        )
        assert ours <= MAY_IMPORT[package], module


def test_detectors_know_no_engine_no_network_and_no_clock() -> None:
    forbidden = {
        "subprocess",
        "socket",
        "urllib.request",
        "http",
        "time",
        "os",
        "pathlib",
        "tempfile",
        "shutil",
        "random",
    }
    for module in sorted((ROOT / "detectors").glob("*.py")):
        assert not forbidden & set(imports(module)), module


def test_a_strategy_is_one_stem_in_three_places() -> None:
    templates = {path.name.removesuffix(".Dockerfile.j2") for path in (ROOT / "templates").glob("*.Dockerfile.j2")}
    assert templates == set(CHAIN)
    for strategy in CHAIN:
        assert (ROOT / "detectors" / f"{strategy}.py").is_file()
        assert list((ROOT / "fixtures" / "repos").glob(f"{strategy}_*"))


def test_no_committed_file_names_a_package_registry_or_a_path_of_one_machine() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = []
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.is_file() and not path.is_symlink() and HOSTS.search(path.read_text(errors="ignore")):
            found.append(name)
    assert found == []

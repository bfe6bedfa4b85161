"""The scripts that make stand-in base images, as far as they go without an engine."""

import importlib.util
import os
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

BASES = Path(__file__).parent.parent / "fixtures" / "bases"


@pytest.fixture
def interpreter(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load("interpreter", monkeypatch)


@pytest.fixture
def build(interpreter: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = load("build", monkeypatch)
    monkeypatch.setattr(module, "ARCHIVE", tmp_path / "never-made.tar.gz")
    monkeypatch.setattr(module, "CGROUP", tmp_path / "cgroup-parent")
    monkeypatch.setattr(module, "_succeeds", lambda *command: True)
    return module


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Load one of the scripts as the modules they are to each other."""
    spec = importlib.util.spec_from_file_location(name, BASES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def test_the_newest_patch_of_each_minor_version_is_found(
    interpreter: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pyenv = tmp_path / "pyenv"
    pyenv.write_text(
        "#!/bin/sh\n"
        f'[ "$1" = root ] && echo {tmp_path} || printf "%s\\n" 3.10.9 3.10.13 3.9.18 3.14-dev pypy3.9-7.3.11\n'
    )
    pyenv.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    found = interpreter.find()
    assert {minor: python.version for minor, python in found.items()} == {"3.9": "3.9.18", "3.10": "3.10.13"}
    assert found["3.10"].prefix == tmp_path / "versions" / "3.10.13"


def test_a_staged_interpreter_holds_only_what_is_its_own_and_names_its_new_prefix(
    interpreter: ModuleType, tmp_path: Path
) -> None:
    prefix = tmp_path / "versions" / "3.10.13"
    for path, text in {
        "bin/python3.10": "\0",
        "bin/pip": f"#!{prefix}/bin/python3.10\n",
        "bin/flask": f"#!{prefix}/bin/python3.10\n",
        "include/python3.10/Python.h": "",
        "share/man/man1/python3.10.1": "",
        "lib/python3.10/os.py": "",
        "lib/python3.10/test/test_os.py": "",
        "lib/python3.10/__pycache__/os.pyc": "",
        "lib/python3.10/site-packages/README.txt": "",
        "lib/python3.10/site-packages/pip/__init__.py": "",
        "lib/python3.10/site-packages/flask/__init__.py": "",
        "lib/python3.10/site-packages/site-hook.pth": "",
    }.items():
        (prefix / path).parent.mkdir(parents=True, exist_ok=True)
        (prefix / path).write_text(text)
    target = tmp_path / "staged"
    python = interpreter.Interpreter("3.10.13", prefix)

    assert interpreter.stage(python, target, prefix="/usr/local") == ["bin/pip"]

    assert (target / "bin/pip").read_text() == "#!/usr/local/bin/python3.10\n"
    assert {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()} == {
        "bin/python3.10",
        "bin/pip",
        "include/python3.10/Python.h",
        "share/man/man1/python3.10.1",
        "lib/python3.10/os.py",
        "lib/python3.10/site-packages/README.txt",
        "lib/python3.10/site-packages/pip/__init__.py",
    }
    assert {path.stat().st_mtime for path in target.rglob("*")} == {interpreter.EPOCH}


def test_settings_of_the_users_are_left_alone(
    build: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "launchyard.toml"
    path.write_text('[bases]\ndebian = "mine"\n')
    build._write_settings(path)
    build._withdraw_settings(path)
    assert path.read_text() == '[bases]\ndebian = "mine"\n'
    assert build.DEBIAN in capsys.readouterr().out


def test_settings_written_here_are_replaced_and_withdrawn(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates = tmp_path / "certificates.crt"
    certificates.touch()
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("PIP_CERT", str(certificates))
    path = tmp_path / "launchyard.toml"
    path.write_text(f"{build.MARK}# older\n")
    build._write_settings(path)
    assert tomllib.loads(path.read_text()) == {
        "certificates": str(certificates),
        "bases": {"debian": build.DEBIAN, "python": build.PYTHON, "conda": build.CONDA},
        "conda": {"channel_alias": "file:///channels"},
    }
    build._withdraw_settings(path)
    assert not path.exists()


@pytest.mark.parametrize(("group", "bound"), [("/", {"cgroup_parent": "/"}), ("/no-such-group", None)])
def test_a_cgroup_that_the_engine_was_given_bounds_builds_while_it_is_there(
    group: str, bound: dict[str, str] | None, build: ModuleType, tmp_path: Path
) -> None:
    build.CGROUP.write_text(f"{group}\n")
    path = tmp_path / "launchyard.toml"
    build._write_settings(path)
    assert tomllib.loads(path.read_text()).get("limits") == bound


def test_only_a_version_asked_for_by_name_is_a_failure_when_missing(build: ModuleType) -> None:
    assert build._options(["--python", "3.9,3.12", "3.10"]).named == {"3.9", "3.12", "3.10"}
    assert build._options(["--all"]).named == set()
    assert build._options([]).python == ["3.10"]

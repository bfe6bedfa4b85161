"""A lock is sorted into groups, of which the first change least."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from builder.locked import Lock
from tests.templates.conftest import load

TAGS = {"cp310-cp310-manylinux_2_17_x86_64", "cp310-abi3-manylinux_2_17_x86_64", "py3-none-any"}

LOCK = """\
lock-version = "1.0"
created-by = "uv"

[[packages]]
name = "numpy"
version = "2.2.2"
wheels = [{ url = "https://index.example/numpy-2.2.2-cp310-cp310-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", hashes = { sha256 = "11" } }]

[[packages]]
name = "tornado"
version = "6.5"
wheels = [{ url = "https://index.example/tornado-6.5-cp310-abi3-manylinux_2_17_x86_64.whl", hashes = { sha256 = "22" } }]

[[packages]]
name = "toolz"
version = "1.0.0"
sdist = { url = "https://index.example/toolz-1.0.0.tar.gz", hashes = { sha256 = "34" } }
wheels = [{ url = "https://index.example/toolz-1.0.0-py3-none-any.whl", hashes = { sha256 = "33" } }]

[[packages]]
name = "docopt"
version = "0.6.2"
sdist = { url = "https://index.example/docopt-0.6.2.tar.gz", hashes = { sha256 = "44" } }

[[packages]]
name = "moon"
version = "1.0"
wheels = [{ path = "/work/wheels/moon-1.0-py3-none-any.whl", hashes = { sha256 = "77" } }]

[[packages]]
name = "tides"
version = "1.0"
wheels = [{ url = "https://index.example/tides-1.0-cp312-cp312-manylinux_2_17_x86_64.whl", hashes = { sha256 = "55" } }]
"""  # noqa: E501

KERNEL = """\
lock-version = "1.0"

[[packages]]
name = "ipykernel"
wheels = [{ url = "https://index.example/ipykernel-7-py3-none-any.whl", hashes = { sha256 = "66" } }]

[[packages]]
name = "tornado"
wheels = [{ url = "https://index.example/tornado-6.5-cp310-abi3-manylinux_2_17_x86_64.whl", hashes = { sha256 = "22" } }]

[[packages]]
name = "pyzmq"
wheels = [{ url = "https://index.example/pyzmq-27-cp310-cp310-manylinux_2_17_x86_64.whl", hashes = { sha256 = "77" } }]
"""  # noqa: E501


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module: ModuleType = load("groups")
    monkeypatch.setattr(module, "compatible_tags", lambda: TAGS)
    monkeypatch.setattr(module, "frontend_names", lambda: {"tornado", "jupyterlab"})
    return module


def names(lock: Path) -> list[str]:
    return [package["name"] for package in tomllib.loads(lock.read_text())["packages"]] if lock.exists() else []


def test_what_jupyterlab_is_made_of_comes_first_then_what_is_compiled_then_the_rest(
    groups: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "pylock.toml").write_text(LOCK)
    groups.sort(tmp_path, set())
    found = {group: names(tmp_path / "groups" / group / "pylock.toml") for group in groups.GROUPS}
    assert found == {"frontend": ["tornado"], "compiled": ["numpy"], "large": [], "small": ["toolz"]}
    assert list(found) == ["frontend", "compiled", "large", "small"]


@pytest.mark.parametrize(
    ("wheels", "group"),
    [
        ([("ujson-5-cp310-cp310-manylinux_2_17_x86_64.whl", 57_000)], "small"),
        ([("pytz-2026.6-py3-none-any.whl", 506_321)], "large"),
        ([("pytz-2026.6-py3-none-any.whl", None)], "small"),
        ([("ujson-5-cp310-cp310-manylinux_2_17_x86_64.whl", None)], "compiled"),
        ([("x-1-py3-none-any.whl", 9_000), ("x-1-cp310-cp310-manylinux_2_17_x86_64.whl", 300_000)], "compiled"),
        ([("x-1-py3-none-any.whl", 9_000), ("x-1-cp312-cp312-manylinux_2_17_x86_64.whl", 300_000)], "small"),
    ],
    ids=["compiled", "of one kind", "no size", "compiled, no size", "one of them", "one of another Python"],
)
def test_a_package_is_small_by_its_wheels_and_what_is_compiled_is_not_where_an_index_tells_no_size(
    wheels: list[tuple[str, int | None]], group: str, groups: ModuleType
) -> None:
    listed = [{"url": f"https://index.example/{name}", **({"size": size} if size else {})} for name, size in wheels]
    assert groups.group_of({"name": "x", "wheels": listed}, TAGS, set()) == group


def test_what_has_no_wheel_of_an_index_for_this_python_is_built(groups: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "pylock.toml").write_text(LOCK)
    groups.sort(tmp_path, set())
    assert names(tmp_path / "built/pylock.toml") == ["docopt", "moon", "tides"]


def test_the_kernel_brings_only_what_is_not_there(groups: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "pylock.toml").write_text(LOCK)
    (tmp_path / "pylock.kernel.toml").write_text(KERNEL)
    groups.sort(tmp_path, {"pyzmq"})
    assert names(tmp_path / "groups/frontend/pylock.kernel.toml") == ["ipykernel"]


def test_an_environment_without_packages_has_empty_groups(groups: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "pylock.toml").write_text('lock-version = "1.0"\npackages = []\n')
    groups.sort(tmp_path, set())
    assert not list(tmp_path.glob("groups/*/*")) and not list(tmp_path.glob("built/*"))
    assert json.loads((tmp_path / "record/lock.json").read_bytes()) == {"pylock": []}


def test_what_an_image_keeps_of_its_lock_has_hashes_and_no_address(groups: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "pylock.toml").write_text(LOCK)
    groups.sort(tmp_path, set())
    kept = json.loads((tmp_path / "record/lock.json").read_bytes())["pylock"]
    assert {"name": "toolz", "version": "1.0.0", "hashes": ["sha256:33", "sha256:34"]} in kept
    text = (tmp_path / "record/pylock.toml").read_text()
    assert "toolz-1.0.0-py3-none-any.whl" in text and "index.example" not in text


@pytest.mark.parametrize(
    ("entry", "kept"),
    [
        (
            'vcs = { type = "git", url = "https://ada:pw@git.example/tide", commit-id = "abc", subdirectory = "s" }',
            {"url": "git+https://git.example/tide", "commit": "abc", "subdirectory": "s"},
        ),
        (
            'vcs = { type = "git", url = "ssh://git:swordfish@git.example/tide", commit-id = "abc" }',
            {"url": "git+ssh://git@git.example/tide", "commit": "abc"},
        ),
        (
            'archive = { url = "https://ada@x.example/tide.zip", hashes = { sha256 = "11" } }',
            {"url": "https://x.example/tide.zip", "hashes": ["sha256:11"]},
        ),
        ('archive = { path = "/work/wheels/tide.whl", hashes = { sha256 = "11" } }',
         {"path": "wheels/tide.whl", "hashes": ["sha256:11"]}),
        ('directory = { path = "/work/lib/tide" }', {"path": "lib/tide"}),
        ('wheels = [{ path = "/work/wheels/tide.whl" }]', {"path": "wheels/tide.whl"}),
        ('marker = "python_version < \'3.11\'"', {"marker": "python_version < '3.11'"}),
        ('wheels = [{ url = "https://index.example/tide.whl" }]', {}),
    ],
)  # fmt: skip
def test_a_lock_keeps_where_a_package_is_from_that_no_index_has(
    groups: ModuleType, tmp_path: Path, entry: str, kept: dict[str, object]
) -> None:
    (tmp_path / "pylock.toml").write_text(f'lock-version = "1.0"\n\n[[packages]]\nname = "tide"\n{entry}\n')
    groups.sort(tmp_path, set())
    (found,) = json.loads((tmp_path / "record/lock.json").read_bytes())["pylock"]
    assert found == {"name": "tide", "version": None, "hashes": [], **kept}
    Lock.from_json({"pylock": [found]})


@pytest.mark.parametrize(
    ("wheel", "tags"),
    [
        ({"name": "a-1-py2.py3-none-any.whl"}, {"py2-none-any", "py3-none-any"}),
        ({"url": "https://x.example/a-1-2build-cp310-cp310-linux_x86_64.whl#sha256=1"}, {"cp310-cp310-linux_x86_64"}),
        ({"path": "/work/wheels/a-1-py3-none-any.whl"}, {"py3-none-any"}),
        ({"name": "nothing.whl"}, set()),
        ({}, set()),
    ],
)
def test_a_wheels_name_says_what_it_is_for(groups: ModuleType, wheel: dict[str, str], tags: set[str]) -> None:
    assert groups.wheel_tags(wheel) == tags


@pytest.mark.parametrize(
    ("place", "built"),
    [
        ('version = "1"\nsdist = { url = "https://index.example/tides-1.tar.gz" }', ["tides 1"]),
        ('vcs = { type = "git", url = "https://git.example/tides" }', ["tides"]),
        ('directory = { path = "/work/tides" }', ["tides"]),
        ('archive = { url = "https://files.example/tides-1.zip#sha256=1" }', ["tides"]),
        ('archive = { url = "https://files.example/tides-1-py3-none-any.whl#sha256=1" }', []),
        ('wheels = [{ path = "/work/tides-1-py3-none-any.whl" }]', []),
    ],
)
def test_what_is_made_of_its_source_is_told_from_wheels(
    groups: ModuleType, tmp_path: Path, place: str, built: list[str]
) -> None:
    lock = tmp_path / "pylock.toml"
    lock.write_text(f'[[packages]]\nname = "tides"\n{place}\n')
    assert groups.from_source(lock) == built

"""What a lock has that nobody asked for, and is told: what uv changes in a uv.lock, and a kernel that misses cells."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.templates.conftest import load

lock = load("lock")


def locked(**versions: str) -> str:
    return "version = 1\n" + "".join(
        f'[[package]]\nname = "{name}"\nversion = "{version}"\n' for name, version in versions.items()
    )


@pytest.fixture
def uv_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "uv.lock"


def test_lock_that_fits_is_not_told_of_however_uv_writes_it(uv_lock: Path) -> None:
    uv_lock.write_text("# written anew\n" + locked(attrs="23.2.0", six="1.16.0"))
    assert lock.changed(locked(six="1.16.0", attrs="23.2.0")) == []


def test_lock_that_fits_no_longer_is_told_of_with_what_changed(uv_lock: Path) -> None:
    uv_lock.write_text(locked(attrs="23.2.0", idna="3.7", six="1.16.0"))
    ((code, words),) = lock.changed(locked(attrs="22.1.0", six="1.16.0", toolz="1.0"))
    assert code == "uv-lock-stale"
    assert "attrs, idna, toolz" in words
    assert "six" not in words


def test_project_without_a_lock_has_none_that_changed(uv_lock: Path) -> None:
    assert lock.changed("") == []


@pytest.mark.parametrize(
    ("version", "told"), [("6.29.5", False), ("7.0.1", True), ("7.3.0", True), ("7.4.0", False), ("7.30.0", False)]
)
def test_kernel_of_the_environments_own_that_may_miss_a_cell_is_told_of(version: str, told: bool) -> None:
    found = lock.lock_kernel("pip", {}, [{"name": "ipykernel", "version": version}])
    assert [(code, version in words) for code, words in found] == [("kernel-deaf", True)] * told


@pytest.mark.parametrize(
    ("version", "others", "told"),
    [
        ("5.3.4", {}, True),
        ("6.4.2", {"traitlets": "5.9.0"}, True),
        ("5.5.6", {"ipython-genutils": "0.2.0"}, False),
        ("6.5.0", {}, False),
        ("6.29.5", {}, False),
    ],
)
def test_kernel_of_the_environments_own_that_lacks_what_it_imports_is_told_of(
    version: str, others: dict[str, str], told: bool
) -> None:
    pins = {"ipykernel": version, **others}
    found = lock.lock_kernel("pip", {}, [{"name": name, "version": pin} for name, pin in pins.items()])
    assert [(code, version in words) for code, words in found] == [("kernel-broken", True)] * told


def test_who_names_an_ipykernel_gets_the_one_that_is_named() -> None:
    assert lock.only_answering(b"jupyterlab\nipykernel==7.1.0\n") == ()

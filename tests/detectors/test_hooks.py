from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.failures import explain
from detectors import hooks
from detectors.failures import FileInvalid, LfsPointer, Location, NotAFile
from detectors.hooks import Hooks
from detectors.layout import Layout
from detectors.source import MappingSource
from tests.detectors.asking import failure_of, survives, within_a_second
from tests.detectors.test_source import LFS


def find(files: dict[str, str | bytes], config: str = "") -> Hooks:
    return hooks.find(MappingSource(files), Layout("", config))


def test_repository_without_hooks() -> None:
    assert find({"a": ""}) == Hooks()


def test_packages_in_their_order_once() -> None:
    text = "# tools\n\ntree\ng++ libssl-dev # both\ntree\nlibgtk2.0-0\n"
    assert find({"apt.txt": text}).system_packages == ("tree", "g++", "libssl-dev", "libgtk2.0-0")


@pytest.mark.parametrize(
    "name", ["vim;id", "Vim", "-o", "vim-", "vim=1.0", "$(id)", "a", "vim/stable", "../x", "vim:i386", "--help", "é"]
)
def test_name_that_is_no_package_is_refused_with_its_line(name: str) -> None:
    failure = failure_of(lambda: find({"apt.txt": f"tree\n{name}\n"}))
    assert isinstance(failure, FileInvalid)
    assert (failure.location, failure.found) == (Location("apt.txt", 2), name)


@pytest.mark.parametrize("name", ["postBuild", "start"])
def test_scripts_are_pinned_where_the_configuration_is(name: str) -> None:
    found = find({f"binder/{name}": b"\x00binary", name: "elsewhere"}, "binder")
    script = found.post_build if name == "postBuild" else found.start
    assert script is not None
    assert script.path == f"binder/{name}"


@pytest.mark.parametrize("name", ["postBuild", "start", "apt.txt"])
def test_directory_in_place_of_a_hook(name: str) -> None:
    assert failure_of(lambda: find({f"{name}/a": ""})) == NotAFile(name, "directory")


@pytest.mark.parametrize("name", ["postBuild", "start", "apt.txt"])
def test_pointer_in_place_of_a_hook(name: str) -> None:
    assert failure_of(lambda: find({name: LFS})) == LfsPointer(name)


@pytest.mark.parametrize("name", ["postBuild", "start"])
def test_script_with_line_ends_of_windows_is_told_before_linux_cannot_start_it(name: str) -> None:
    failure = failure_of(lambda: find({name: "#!/bin/bash\r\necho high\r\n"}))
    assert isinstance(failure, FileInvalid)
    assert (failure.location, failure.found) == (Location(name, 1), "#!/bin/bash")
    assert f"sed -i 's/\\r$//' {name}" in explain(failure).fix[0]


@given(st.binary())
@within_a_second
def test_any_apt_txt_is_read_or_fails_by_name(content: bytes) -> None:
    survives(lambda: find({"apt.txt": content}))

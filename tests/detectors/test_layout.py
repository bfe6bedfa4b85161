from __future__ import annotations

import pytest

from detectors.failures import (
    ArchiveBroken,
    DirectoryAbsent,
    FileInvalid,
    LfsPointer,
    Location,
    NotADirectory,
    NotAFile,
    PathAbsent,
    PathOutside,
)
from detectors.layout import MAX_LOOKED_INTO, Layout, local_directory, local_file, local_package, local_path, locate
from detectors.plan import Options
from detectors.source import MappingSource
from tests.detectors.asking import failure_of
from tests.detectors.test_source import LFS

HERE = Location("requirements.txt", 3)


def test_root_is_the_layout_of_a_plain_repository() -> None:
    assert locate(MappingSource({"a": ""}), Options()) == Layout("", "")


@pytest.mark.parametrize("name", ["binder", ".binder"])
def test_binder_directory_holds_the_configuration(name: str) -> None:
    layout = locate(MappingSource({f"sub/{name}/a": ""}), Options(subdir="sub/"))
    assert layout == Layout("sub", f"sub/{name}")
    assert layout.path("apt.txt") == f"sub/{name}/apt.txt"


def test_file_called_binder_changes_nothing() -> None:
    assert locate(MappingSource({"binder": ""}), Options()) == Layout("", "")


def test_subdirectory_that_is_not_there() -> None:
    source = MappingSource({"file": ""})
    assert failure_of(lambda: locate(source, Options(subdir="missing"))) == DirectoryAbsent("missing")
    assert failure_of(lambda: locate(source, Options(subdir="file"))) == NotADirectory("file", "file")


def test_subdirectory_outside() -> None:
    assert isinstance(failure_of(lambda: locate(MappingSource({}), Options(subdir="../x"))), PathOutside)


def test_local_path_outside_names_the_line() -> None:
    assert failure_of(lambda: local_path("sub", "../../x", HERE)) == PathOutside("requirements.txt", "../../x", HERE)
    assert local_path("sub", "../x", HERE) == "x"


def test_what_a_line_points_at_must_be_there_and_of_its_kind() -> None:
    source = MappingSource({"lib/a.py": "", "big.whl": LFS, "pkg/setup.py": "", "a.whl": "PK"})
    assert failure_of(lambda: local_file(source, "no", HERE)) == PathAbsent("no", HERE)
    assert failure_of(lambda: local_file(source, "line\nbreak", HERE)) == PathAbsent("line\nbreak", HERE)
    assert failure_of(lambda: local_file(source, "lib", HERE)) == NotAFile("lib", "directory")
    assert failure_of(lambda: local_package(source, "big.whl", HERE)) == LfsPointer("big.whl")
    assert isinstance(failure_of(lambda: local_package(source, "lib", HERE)), FileInvalid)
    assert failure_of(lambda: local_directory(source, "a.whl", HERE)) == NotADirectory("a.whl", "file", HERE)
    assert [is_directory for _, is_directory in (local_package(source, p, HERE) for p in ("pkg", "a.whl"))] == [
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("path", "content", "start"),
    [
        ("tides-1.0-py3-none-any.whl", "\n<!DOCTYPE html>\n<title>Sign in</title>", "<!DOCTYPE html>"),
        ("tides-1.0.zip", "", ""),
        ("tides-1.0.tar.gz", "PK\3\4", "PK\\x03\\x04"),
        ("tides-1.0.TGZ", "see https://robot:hunter2@example.org/", "see https://***@example.org/"),
        ("tides-1.0.tar.bz2", "x" * 200, "x" * 99 + "…"),
    ],
)
def test_what_only_has_the_name_of_an_archive_is_told_with_how_it_begins(path: str, content: str, start: str) -> None:
    source = MappingSource({path: content})
    assert failure_of(lambda: local_package(source, path, HERE)) == ArchiveBroken(path, start, HERE)
    large = MappingSource({path: content + "x" * (MAX_LOOKED_INTO + 1)})
    assert local_package(large, path, HERE)[1] is False, "the tool that installs it has the last word"

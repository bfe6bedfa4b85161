from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.failures import FileTooLarge, LfsPointer, NotAFile, PathOutside, Undecodable
from detectors.source import MAX_FILE, MappingSource, decode, file, find, normalise, read, refuse_pointer, walk
from tests.detectors.asking import failure_of, survives, within_a_second

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"


def test_ids_are_those_git_gives(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "a.txt": "a\n",
        "a/b/c.txt": "c",
        "a/run": "#!/bin/sh\n",
        "a.b/z": b"\xff",
        "é": "",
    }
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        if path == "a.txt":
            (tmp_path / "link").symlink_to("a.txt")
        (tmp_path / path).write_bytes(content.encode() if isinstance(content, str) else content)
    (tmp_path / "a/run").chmod(0o755)

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(tmp_path), "-c", "core.quotePath=false", *arguments]
        return subprocess.run(command, check=True, capture_output=True, timeout=30).stdout.decode().strip()

    git("init", "--quiet")
    git("add", "--all")
    source = MappingSource(files, {"link": "a.txt"}, executable=["a/run"])
    root = source.entry("")
    assert root is not None
    assert root.blob == git("write-tree")
    listed = [line.split() for line in git("ls-files", "--stage").splitlines()]
    assert {e.path: e.blob for e in walk(source)} == {path: blob for _, blob, _, path in listed}


def test_link_inside_the_repository_is_followed() -> None:
    source = MappingSource({"real/requirements.txt": "six\n"}, {"here": "real", "req": "here/requirements.txt"})
    assert read(source, "here/requirements.txt") == "six\n"
    assert read(source, "req") == "six\n"


@pytest.mark.parametrize("target", ["../up", "/etc/passwd", "sub/../../up"])
def test_link_that_leaves_the_repository_is_refused(target: str) -> None:
    source = MappingSource({"a": ""}, {"link": target})
    assert isinstance(failure_of(lambda: find(source, "link")), PathOutside)


def test_links_in_a_circle_are_refused() -> None:
    source = MappingSource({}, {"one": "two", "two": "one"})
    assert isinstance(failure_of(lambda: find(source, "one")), PathOutside)


def test_directory_where_a_file_is_needed() -> None:
    assert failure_of(lambda: file(MappingSource({"start/a": ""}), "start")) == NotAFile("start", "directory")


def test_file_over_the_limit() -> None:
    assert failure_of(lambda: read(MappingSource({"a": "xyz"}), "a", 2)) == FileTooLarge("a", 3, 2)


def test_pointer_of_git_lfs() -> None:
    assert failure_of(lambda: read(MappingSource({"a": LFS}), "a")) == LfsPointer("a")


def test_large_file_is_no_pointer() -> None:
    source = MappingSource({"a": b"x" * (MAX_FILE + 1)})
    entry = source.entry("a")
    assert entry is not None
    refuse_pointer(source, "a", entry)


@pytest.mark.parametrize("content", ["é\n".encode("utf-16"), "é\r".encode("utf-8-sig"), "é\r\n".encode()])
def test_encodings_and_line_ends_give_one_text(content: bytes) -> None:
    assert decode("a", content) == "é\n"


def test_bytes_that_are_no_text_are_named_by_line_and_column() -> None:
    assert failure_of(lambda: decode("a", b"ok\nab\xff")) == Undecodable("a", 2, 3, "utf-8")


@pytest.mark.parametrize(("path", "normal"), [("", ""), (".", ""), ("a//b/./c", "a/b/c"), ("a/../b", "b")])
def test_normal_paths(path: str, normal: str) -> None:
    assert normalise(path) == normal


@pytest.mark.parametrize("path", ["..", "../a", "/a", "//a", "a/../../b"])
def test_paths_above_the_root_are_refused(path: str) -> None:
    assert isinstance(failure_of(lambda: normalise(path)), PathOutside)


@given(st.binary())
@within_a_second
def test_any_bytes_decode_or_fail_by_name(content: bytes) -> None:
    survives(lambda: read(MappingSource({"a": content}), "a"))


@given(st.text(alphabet="ab/.", max_size=12), st.text(alphabet="ab/.", min_size=1, max_size=12))
@within_a_second
def test_any_link_is_followed_or_refused(path: str, target: str) -> None:
    survives(lambda: find(MappingSource({"a/b": ""}, {"b": target}), path))

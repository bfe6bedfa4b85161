"""The question to an index after a failed lock: what it prints, against an index of the test's own."""

from __future__ import annotations

import importlib.util
import json
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.images.index import described
from tests.images.serving import Answer, Request, guarded, serving

ROOT = Path(__file__).parent.parent
HERE = "127.0.0.1"
MINOR = sys.version_info[1]

PACKAGES = {
    "tides": {
        "1.0": {},
        "1.1": {},
        "2.0b1": {},
        "2.0": {"yanked": "wrong tides"},
        "3.0": {"requires-python": f">=3.{MINOR + 1}"},
        "4.0": {"tag": "cp38-cp38-manylinux_2_17_x86_64"},
        "5.0": {"tag": f"cp3{MINOR}-cp3{MINOR}-win_amd64"},
    }
}


@pytest.fixture(scope="module")
def why() -> ModuleType:
    spec = importlib.util.spec_from_file_location("why", ROOT / "templates" / "files" / "tools" / "why.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def ask(
    why: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., list[dict[str, Any]]]:
    """A function from an index, and names, to what is printed of them."""
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    monkeypatch.setenv("LAUNCHYARD_PYTHON", sys.executable)

    def ask(answer: Callable[[Request], Answer], *names: str, user: str = "", **more: str) -> list[dict[str, Any]]:
        with serving(HERE, answer) as server:
            monkeypatch.setenv("PIP_INDEX_URL", f"http://{user}{server.address}/simple/")
            why.ask(names, **more)
        lines = capsys.readouterr().err.splitlines()
        assert all(line.startswith("launchyard-why: ") for line in lines)
        return [json.loads(line.removeprefix("launchyard-why: ")) for line in lines]

    return ask


def plainly(answer: Callable[[Request], Answer]) -> Callable[[Request], Answer]:
    """The same index, as one that speaks HTML alone."""

    def plain(request: Request) -> Answer:
        request.headers.replace_header("Accept", "text/html")
        return answer(request)

    return plain


@pytest.mark.parametrize("spoken", [described(PACKAGES), plainly(described(PACKAGES))], ids=["json", "html"])
def test_versions_are_told_from_those_that_were_withdrawn_and_those_for_others(
    ask: Callable[..., list[dict[str, Any]]], spoken: Callable[[Request], Answer]
) -> None:
    (found,) = ask(spoken, "Tides")
    assert found["versions"] == ["1.1", "1.0"]
    assert found["series"] == ["1.1", "1.0"]
    assert found["python"] == f"3.{MINOR}"
    assert found["absent"] is False
    assert found["others"] == [
        {"version": "4.0", "python": "3.8"},
        {"version": "3.0", "python": f">=3.{MINOR + 1}"},
        {"version": "2.0", "yanked": "wrong tides"},
        {"version": "5.0", "platform": "win_amd64"},
    ]


def test_a_package_that_is_not_there_is_absent(ask: Callable[..., list[dict[str, Any]]]) -> None:
    (found,) = ask(described(PACKAGES), "moon")
    assert (found["absent"], found["versions"]) == (True, [])


def test_an_index_in_trouble_says_nothing_of_any_package(ask: Callable[..., list[dict[str, Any]]]) -> None:
    assert ask(lambda request: (503, "text/plain", b"later"), "tides") == []
    assert ask(lambda request: (200, "application/json", b"{"), "tides") == []
    assert ask(lambda request: (200, "application/vnd.pypi.simple.v1+json", b"[]"), "tides") == []


def test_credentials_of_an_index_are_used(ask: Callable[..., list[dict[str, Any]]]) -> None:
    index = guarded(described(PACKAGES), "ada", "pass:word")
    assert ask(index, "tides", user="ada:pass%3Aword@")[0]["versions"] == ["1.1", "1.0"]
    assert ask(index, "tides") == []


def test_five_names_and_five_versions_are_the_most(ask: Callable[..., list[dict[str, Any]]]) -> None:
    many: dict[str, dict[str, Any]] = {f"sea{n}": {f"{v}.0": {} for v in range(9)} for n in range(9)}
    found = ask(described(many), *many)
    assert len(found) == 5
    assert found[0]["versions"] == ["8.0", "7.0", "6.0", "5.0", "4.0"]


def test_names_that_are_none_are_not_asked_for(ask: Callable[..., list[dict[str, Any]]]) -> None:
    asked: list[str] = []

    def answer(request: Request) -> Answer:
        asked.append(request.path)
        return described(PACKAGES)(request)

    assert ask(answer, "../../etc/passwd", "a b", "-tides", "x" * 200, "tides")[0]["name"] == "tides"
    assert asked == ["/simple/tides/"]


def test_versions_after_the_day_that_counts_are_left_out(why: ModuleType) -> None:
    files = [
        {"filename": "tides-1.0.tar.gz", "upload-time": "2020-01-01T00:00:00Z"},
        {"filename": "tides-2.0.tar.gz", "upload-time": "2024-01-01T00:00:00Z"},
    ]
    assert why.answer("tides", files, 10, "2021-06-01T00:00:00Z")["versions"] == ["1.0"]


def test_withdrawn_versions_that_are_taken_are_told_once(why: ModuleType) -> None:
    log = (
        'Resolved 1 package in 4ms\nwarning: `tides==2.1` is yanked (reason: "wrong tides")\n'
        "WARNING: The candidate selected for download or install is a yanked version: 'moon' candidate (version 1.0 at"
        " http://index.example.org/moon-1.0-py3-none-any.whl)\nReason for being yanked: <none given>\n"
    )
    assert why.withdrawn(log + log) == [
        ("version-withdrawn", "tides 2.1 was withdrawn by its authors: wrong tides"),
        ("version-withdrawn", "moon 1.0 was withdrawn by its authors"),
    ]
    assert why.withdrawn("Resolved 1 package in 4ms\n") == []


@pytest.mark.parametrize(
    ("log", "names"),
    [
        ("  cause: Because there is no version of six==99 and you require six==99, we can conclude", ["six"]),
        ("Because only moon==1.0 is available and all versions of tides depend on moon>=9, we can", ["moon"]),
        (
            "Because tides==2.0 was yanked (reason: x) and only the following versions of tides are:",
            ["tides"],
        ),
        ("does not satisfy Python>=3.12 and tides>=2.1,<=2.2 depends on Python>=3.12, we can", ["tides"]),
        ("Because tides==1.0 has no wheels with a matching Python ABI tag (e.g., `cp310`) and you", ["tides"]),
        ("satisfies the requirement six==99 (from versions: 1.0)", ["six"]),
        ("Because x depends on neap (^2.0) which doesn't match any versions, version solving failed.", ["neap"]),
        ("and ebb (2.1) requires Python >=3.12, ebb is forbidden.", ["ebb"]),
        ("Because tides==1.0 depends on moon<2 and you require tides==1.0 and moon==3", []),
    ],
)
def test_the_packages_to_ask_about_are_found_in_what_the_tools_say(why: ModuleType, log: str, names: list[str]) -> None:
    assert why.suspects(log) == names


def wheel(version: str, tag: str, **more: Any) -> dict[str, Any]:
    return {"filename": f"tides-{version}-{tag}.whl", **more}


LINUX = f"manylinux_2_17_{platform.machine()}"
FILES = [
    {"filename": "tides-1.0.tar.gz"},
    wheel("1.0", f"cp37-cp37m-{LINUX}"),
    wheel("1.0", f"cp38-cp38-{LINUX}"),
    wheel("1.0", "cp310-cp310-win_amd64"),
    {"filename": "tides-1.1.tar.gz"},
    wheel("1.2", f"cp310-cp310-{LINUX}", yanked="no tides"),
    wheel("1.3", f"cp310-cp310-{LINUX}"),
    wheel("1.4", f"cp310-cp310-{LINUX}"),
    {"filename": "tides-1.5.tar.gz"},
]


@pytest.mark.parametrize(
    ("version", "pythons", "nearest"),
    [("1.0", ["3.7", "3.8"], "1.3"), ("1.1", [], "1.3"), ("1.5", [], "1.4")],
)
def test_of_a_version_that_had_to_be_built_it_is_told_where_it_need_not_be(
    version: str, pythons: list[str], nearest: str, why: ModuleType
) -> None:
    found = why.answer("tides", FILES, 10, None, version)["built"]
    assert found == {"version": version, "pythons": pythons, "nearest": nearest}


def test_a_package_without_any_wheel_has_no_nearest_one(why: ModuleType) -> None:
    found = why.answer("tides", FILES[:1], 10, None, "1.0")["built"]
    assert found == {"version": "1.0", "pythons": [], "nearest": None}


def test_what_could_not_be_built_is_found_in_what_uv_says(why: ModuleType) -> None:
    log = "error: Failed to build `tides==1.0`\n  cause: Failed to download and build `moon==2.1`\n"
    assert why.built(log) == [("tides", "1.0"), ("moon", "2.1")]

"""Every parser of what comes from outside, with what it is given to read: noise, grammar, and real files bent."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from builder.address import check_ref, parse
from builder.context import environment
from builder.failures import Blame, explain
from builder.quantities import instant_of
from builder.repository import parse_tree
from builder.settings import Settings, load
from detectors import detect
from detectors.failures import BuildError, Location
from detectors.matchspec import parse as parse_spec
from detectors.plan import Options
from detectors.requirement import requirement
from detectors.source import MappingSource
from tests.hostile.large import SECONDS
from tests.repositories import ROOT

PROJECT = '[project]\nname = "tides"\nversion = "1"\n'
POETRY = '[tool.poetry]\nname = "tides"\nversion = "1"\ndescription = ""\nauthors = []\n'


@dataclass(frozen=True)
class Parser:
    """Something that reads bytes from outside, and words of its grammar."""

    read: Callable[[bytes], object]
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...]


def outcome(parser: Parser, content: bytes) -> str:
    """What reading comes to: "plan", or the code of an explanation that has words and blames nobody here.

    Anything else that is raised, and more time than is promised, is a finding.
    """
    code, took = _timed(parser, content)
    # Another process on the same core costs time as well: what is slow is slow again.
    seconds = took if took < SECONDS else min(took, _timed(parser, content)[1], _timed(parser, content)[1])
    assert seconds < SECONDS, f"{seconds:.2f} s"
    return code


def _timed(parser: Parser, content: bytes) -> tuple[str, float]:
    began = time.process_time()
    try:
        parser.read(content)
        code = "plan"
    except BuildError as error:
        code = _explained(error.failure)
    return code, time.process_time() - began


def _explained(failure: object) -> str:
    explanation = explain(failure)
    assert explanation.blame is not Blame.LAUNCHYARD, failure
    assert explanation.title.strip() and explanation.seen.strip() and explanation.fix, failure
    assert all(line.strip() for line in explanation.fix), failure
    assert len(explanation.title) <= 300 and len(explanation.seen) <= 20_000, "an explanation without an end"
    json.dumps(explanation.to_json())
    return explanation.code


def documents(parser: Parser, size: int = 2_000) -> st.SearchStrategy[bytes]:
    """What a parser is given: `size` bounds noise, in bytes; bent files may be some times as long."""
    word = st.sampled_from(parser.words)
    grammar = st.lists(st.one_of(word, st.binary(max_size=3)), max_size=40).map(b"".join)
    bent = st.builds(_bent, st.sampled_from(parser.seeds), st.lists(_edits(parser, size), min_size=1, max_size=4))
    return st.one_of(bent, grammar, st.binary(max_size=size), st.text(max_size=size // 4).map(_encoded))


def _encoded(text: str) -> bytes:
    return text.encode(errors="replace")


Edit = tuple[float, float, bytes, int]
"""Where it begins and how far it reaches, as parts of the whole; what is put there, and how often."""


def _edits(parser: Parser, size: int) -> st.SearchStrategy[Edit]:
    part = st.floats(0, 1)
    put = st.one_of(st.just(b""), st.sampled_from(parser.words), st.sampled_from(parser.seeds), st.binary(max_size=8))
    return st.tuples(part, st.one_of(st.just(0.0), part), put, st.sampled_from((1, 1, 1, 2, 30, size // 4)))


def _bent(content: bytes, edits: list[Edit]) -> bytes:
    for start, reach, put, often in edits:
        begin = int(start * len(content))
        end = begin + int(reach * reach * (len(content) - begin))
        content = (content[:begin] + (put or content[begin:end]) * often + content[end:])[:60_000]
    return content


def _detected(name: str, **beside: str) -> Callable[[bytes], object]:
    def read(content: bytes) -> object:
        files = {path.replace("__", "."): text for path, text in beside.items()}
        source = MappingSource({"setup.py": "", "lib/setup.py": "", "a.whl": "x", **files, name: content})
        plan = detect(source, Options())
        json.dumps(plan.to_json())
        return environment(plan, "jupyterlab", source, Settings())

    return read


def _linked(content: bytes) -> object:
    target = content.decode(errors="surrogateescape")
    return detect(MappingSource({"a/b": "six"}, {"requirements.txt": target, "c": "a"}), Options())


def _text(content: bytes) -> str:
    return content.decode(errors="replace")


def _settings(content: bytes) -> object:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "launchyard.toml").write_bytes(content)
        return load({}, Path(directory))


def _variable(content: bytes) -> object:
    name, _, value = _text(content).partition("=")
    with tempfile.TemporaryDirectory() as directory:
        return load({f"LAUNCHYARD_{name}": value}, Path(directory))


def _seeds(*names: str) -> tuple[bytes, ...]:
    """The fixtures' own files of these names."""
    paths = sorted(path for name in names for path in ROOT.glob(f"*/repository/**/{name}") if path.is_file())
    return tuple({path.read_bytes()[:20_000]: None for path in paths})


def _words(text: str) -> tuple[bytes, ...]:
    noise = (b" ", b"\n", b"\0", b"\xff", b"\t", b"\r", b"\xef\xbb\xbf")
    return (*(word.encode() for word in text.split()), *noise)


_TOML = _words(
    """[ ] [[ ]] { } = . , " ' \"\"\" \'\'\' # \\ 1 -1 1.5e9 nan true 2020-01-01 path git url file://x ../.. a
    project tool poetry uv sources index dependencies optional-dependencies dependency-groups group include-group
    python requires-python dynamic version name extras package metadata lock-version"""
)
_YAML = _words(
    """- : ? | > & * ! !! % @ ` # , [ ] { } ' " --- ... &a *a << ~ null dependencies: channels: variables: pip:
    prefix: python= :: = == >= \\"""
)
_REQUIREMENTS = _words(
    """-r -c -e -i -f --hash= --index-url --no-index --pre == >= ~= != === @ ; [ ] ( ) , . .. / ./ https://
    git+https:// file:/// # \\ ' " $ ${A} python_version and or in not -e . ./lib a.whl six"""
)
_ADDRESS = _words(
    """https:// http:// ssh:// git@ file:// ext:: // : @ / ? # % %40 %0a .. . - github.com localhost [::1] 127.0.0.1
    :443 :99999 s3cret \u2025 \uff0f \u212a xn-- \x1b[31m"""
)
_SETTINGS = _words(
    """[ ] = " ' limits bases index conda vscodium allowed_hosts platform url extra resolver 1 -1 [] {} image_prefix __
    LIMITS__FETCH_TIME ALLOWED_HOSTS BASES__PYTHONS , { } nan"""
)
_VERSIONS = _words("python- 3.10 3 . 3.9.1 cpython- -dev # 3.99 \u0663 v == ,")

PARSERS: dict[str, Parser] = {
    "environment.yml": Parser(_detected("environment.yml"), _seeds("environment.y*ml"), _YAML),
    "requirements.txt": Parser(_detected("requirements.txt"), _seeds("*.txt"), _REQUIREMENTS),
    "pyproject.toml": Parser(_detected("pyproject.toml"), _seeds("pyproject.toml"), _TOML),
    "poetry.lock": Parser(_detected("poetry.lock", pyproject__toml=POETRY), _seeds("poetry.lock"), _TOML),
    "uv.lock": Parser(_detected("uv.lock", pyproject__toml=PROJECT), _seeds("uv.lock"), _TOML),
    "apt.txt": Parser(
        _detected("apt.txt", requirements__txt="six"), _seeds("apt.txt"), _words("gdal-bin - + . # = $( ` / libc6-")
    ),
    "runtime.txt": Parser(_detected("runtime.txt", requirements__txt="six"), _seeds("runtime.txt"), _VERSIONS),
    ".python-version": Parser(
        _detected(".python-version", requirements__txt="six"), _seeds(".python-version"), _VERSIONS
    ),
    "postBuild": Parser(
        _detected("postBuild", requirements__txt="six"), (*_seeds("postBuild", "start"), b"version https://git-lfs"),
        _words("#!/bin/sh version https://git-lfs.github.com/spec/v1"),
    ),
    "link": Parser(_linked, (b"a/b", b"c/b", b"../x", b"/etc/passwd"), _words("a b c / .. . ./ //")),
    "spec": Parser(
        lambda content: parse_spec(_text(content), Location("e")),
        (b"numpy=1.26", b"conda-forge::numpy>=1,<2|3=py_0", b"numpy 1.* *_cuda"), _YAML,
    ),
    "requirement": Parser(
        lambda content: requirement(_text(content), Location("r")),
        (b"six==1; python_version > '3'", b"a[b,c] @ https://a.example/x.whl"), _REQUIREMENTS,
    ),
    "address": Parser(
        lambda content: parse(_text(content), Settings(), allow_local=False),
        (b"https://github.com/o/r", b"git@github.com:o/r.git", b"https://ada:s3cret@github.com/o/r"), _ADDRESS,
    ),
    "path": Parser(
        lambda content: parse(_text(content), Settings(), allow_local=True),
        (b"/nonexistent/x", b"~nobody/x", b"https://github.com/o/r", b"./x"), _ADDRESS,
    ),
    "ref": Parser(
        lambda content: check_ref(_text(content)), (b"main", b"v1.2", b"feature/tides"),
        _words("refs/heads/ .. @{ ~ ^ : ? * [ \\ .lock / . - HEAD"),
    ),
    "subdir": Parser(
        lambda content: detect(MappingSource({"a/requirements.txt": "six"}), Options(subdir=_text(content))),
        (b"a", b"a/../a", b"/a", b".."), _words("a / .. . //"),
    ),
    "python": Parser(
        lambda content: detect(MappingSource({"requirements.txt": "six"}), Options(python=_text(content))),
        (b"3.12", b"3.12.1", b"python-3.9"), _VERSIONS,
    ),
    "as-of": Parser(
        lambda content: instant_of(_text(content)), (b"2021-06-01", b"2021-06-01T12:00:00Z", b"2021-W01-1T00+23:59"),
        _words("2021 - : T Z W + 00 9999 0001 24 \u0662 ."),
    ),
    "tree": Parser(
        lambda content: list(parse_tree(content, "x")),
        (b"100644 a\0" + b"\1" * 20 + b"40000 b\0" + b"\2" * 20,), _words("100644 40000 160000 .. .git / a"),
    ),
    "launchyard.toml": Parser(
        _settings, (b'image_prefix = "x"\n[limits]\nfetch_time = 3\n[bases.pythons]\n"3.12" = "x"\n',), _SETTINGS
    ),
    "variable": Parser(
        _variable, (b"LIMITS__FETCH_TIME=3", b"ALLOWED_HOSTS=a,b", b'BASES__PYTHONS={"3.12": "x"}'), _SETTINGS
    ),
}  # fmt: skip

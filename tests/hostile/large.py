"""The largest and worst documents that are read: `python -m tests.hostile.large` measures each, a JSON line apiece."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

from builder.failures import explain
from detectors import detect, pyproject
from detectors.failures import BuildError
from detectors.plan import Options
from detectors.source import MAX_FILE, MAX_TEXT, MappingSource

SECONDS = 1.0
"""Of processor time, for any one repository."""

MEGABYTES = 200
"""Of memory, for the process that reads all of them one after another, and makes them."""

P = '[project]\nname = "a"\nversion = "1"\n'
Q = '[tool.poetry]\nname = "a"\nversion = "1"\ndescription = ""\nauthors = []\n'
L = '[metadata]\nlock-version = "2.0"\n'


def _full(line: str, size: int = MAX_TEXT) -> str:
    """Lines up to the size that is read."""
    return line * (size // len(line))


def _chain(count: int, opening: str) -> str:
    """Tables each one key longer than the one before."""
    return "".join(opening.replace("_", ".".join(f"a{k}" for k in range(n))) + "\n" for n in range(1, count))


def _requirements(text: str) -> dict[str, str]:
    return {"requirements.txt": text, "setup.py": "", "a.whl": "x"}


def _yaml(text: str) -> dict[str, str]:
    return {"environment.yml": text}


def _toml(text: str) -> dict[str, str]:
    return {"pyproject.toml": text}


def _beside(name: str, text: str) -> dict[str, str]:
    return {"requirements.txt": "six", name: text}


LARGE: dict[str, Callable[[], dict[str, str]]] = {
    "requirements: names": lambda: _requirements(_full("numpy==1.2.3\n")),
    "requirements: markers": lambda: _requirements("".join(f'p{n}>=1,<2; python_version>"3"\n' for n in range(9_000))),
    "requirements: compiled": lambda: _requirements(("six==1 " + "--hash=sha256:aa " * 20 + "\n") * 2_800),
    "requirements: parentheses": lambda: _requirements(
        _full("a; " + "(" * 20 + 'python_version>"3"' + ")" * 20 + "\n")
    ),
    "requirements: local": lambda: _requirements(_full("-e .\n", 45_000)),
    "requirements: archives": lambda: _requirements(_full("./a.whl\n", 70_000)),
    "requirements: indexes": lambda: _requirements(_full("-i https://a.b\n", 140_000)),
    "requirements: one word": lambda: _requirements("a" * MAX_TEXT),
    "requirements: one line": lambda: _requirements(_full("a ")),
    "requirements: slashes": lambda: _requirements("-i https:" + "/" * 900_000),
    "requirements: many hosts": lambda: _requirements("x @ ht" + "://a:" * 190_000),
    "requirements: path": lambda: _requirements("./" + "a/" * 140_000),
    "requirements: continued": lambda: _requirements(_full("a\\\n")),
    "requirements: quotes": lambda: _requirements('-i "' + "\\'" * 450_000),
    "requirements: options": lambda: _requirements(_full("--no-index ")),
    "requirements: hashes": lambda: _requirements("six==1 " + _full("--hash=sha256:aa ", 900_000)),
    "requirements: comments": lambda: _requirements(_full(" #")),
    "requirements: blank": lambda: _requirements(_full("\n")),
    "requirements: dashes": lambda: _requirements(_full(" -")),
    "requirements: extras": lambda: _requirements(_full("a[")),
    "requirements: pages": lambda: _requirements("https://github.com/" + "a.git" * 190_000),
    "requirements: command": lambda: _requirements("pip install " + "-U " * 300_000),
    "requirements: modules": lambda: _requirements("import " + "a, " * 300_000),
    "requirements: bounds": lambda: _requirements("a " + "^1 ~2 =3 " * 100_000),
    "requirements: included": lambda: {
        **_requirements("".join(f"-r r{n}.txt\n" for n in range(49))),
        **{f"r{n}.txt": _full("p==1.2\n", 3_000) for n in range(49)},
    },
    "yaml: specs": lambda: _yaml("dependencies:\n" + "- numpy>=1.2,<3|>4\n" * 19_000),
    "yaml: entries": lambda: _yaml("dependencies:\n" + _full("- a\n", 900_000)),
    "yaml: pip": lambda: _yaml("dependencies:\n- pip:\n" + "  - numpy>=1.2,<3\n" * 19_000),
    "yaml: pip block": lambda: _yaml("dependencies:\n- pip:\n  - |\n" + "    numpy>=1.2,<3\n" * 50_000),
    "yaml: pip text": lambda: _yaml("dependencies:\n- pip: " + "a " * 400_000),
    "yaml: mapping": lambda: _yaml("dependencies:\n" + "".join(f"  k{n}: '1'\n" for n in range(9_900))),
    "yaml: no space": lambda: _yaml("dependencies:\n" + "-numpy\n" * 120_000 + "]"),
    "yaml: flow": lambda: _yaml(_full("[")),
    "yaml: flow keys": lambda: _yaml(_full("{a: ")),
    "yaml: questions": lambda: _yaml(_full("? ")),
    "yaml: scalar": lambda: _yaml("a: " + "x " * 490_000),
    "yaml: escapes": lambda: _yaml('a: "' + "\\n" * 490_000 + '"'),
    "yaml: lines": lambda: _yaml("a: " + "x\n  " * 240_000),
    "yaml: aliases": lambda: _yaml("a: &a [" + "x," * 9_000 + "]\nb: [" + "*a," * 9_000 + "]"),
    "yaml: anchors": lambda: _yaml("".join(f"a{n}: &a{n} x\n" for n in range(9_000))),
    "yaml: keys": lambda: _yaml("".join(f"k{n}: v\n" for n in range(9_900))),
    "yaml: long key": lambda: _yaml("a" * 900_000 + ": b"),
    "yaml: tabs": lambda: _yaml("a: b: c" + "\t " * 450_000 + "x"),
    "yaml: late fault": lambda: _yaml("a:\n" + "- x\n" * 19_000 + "\t- x"),
    "yaml: documents": lambda: _yaml(_full("---\n")),
    "yaml: channel": lambda: _yaml("channels:\n- https://a" + "/a" * 400_000 + "!\n"),
    "toml: values": lambda: _toml(P + "".join(f"a{n}=1\n" for n in range(90_000))),
    "toml: key": lambda: _toml(".".join("a" * 400_000) + "=1"),
    "toml: tables": lambda: _toml("".join(f"[a{n}.b.c]\n" for n in range(19_900))),
    "toml: longer tables": lambda: _toml(_chain(540, "[_]")),
    "toml: arrays of tables": lambda: _toml(_full("[[a]]\n", 110_000)),
    "toml: lists": lambda: _toml("a=" + "[" * 290_000),
    "toml: open list": lambda: _toml(P + 'dependencies = [\n"' + "=[" * 400_000 + ']"\n'),
    "toml: open lists": lambda: _toml(P + "dependencies = [\n" + '"]=["\n' * 100_000),
    "toml: text for a list": lambda: _toml(P + 'dependencies = "' + " " * 900_000 + '"\n'),
    "toml: table for a list": lambda: _toml(P + '[project.dependencies]\n"' + " " * 400_000 + '" = "^1"\n'),
    "toml: inline": lambda: _toml("a=" + "{a=" * 190_000),
    "toml: far": lambda: _toml(
        P + "dependencies=[" + "\n" * 900_000 + ",".join(f'"p{n}"' for n in range(900)) + "]"
    ),
    "toml: sources": lambda: _toml(
        P + "[tool.uv.sources]\n" + "".join(f'p{n}={{url="https://a"}}\n' for n in range(40_000))
    ),
    "toml: groups": lambda: _toml(P + "[dependency-groups]\n" + "".join(f"g{n}=[]\n" for n in range(80_000))),
    "toml: python": lambda: _toml(P + 'requires-python="' + ">=3," * 200_000 + '"'),
    "toml: string": lambda: _toml('a="' + "\\u0041" * 160_000 + '"'),
    "toml: number": lambda: _toml("a=1." + "1" * 900_000),
    "poetry: dependencies": lambda: _toml(
        Q + "[tool.poetry.dependencies]\n" + "".join(f'p{n}="*"\n' for n in range(70_000))
    ),
    "poetry: groups": lambda: _toml(
        Q + "".join(f'[tool.poetry.group.g{n}.dependencies]\na="1"\n' for n in range(9_000))
    ),
    "poetry: sources": lambda: _toml(Q + "\n" * 300_000 + _full('[[tool.poetry.source]]\nurl="https://a"\n', 600_000)),
    "poetry: python": lambda: _toml(Q + '[tool.poetry.dependencies]\npython="' + "^3 ||" * 190_000 + '"'),
    "lock: packages": lambda: {**_toml(Q), "poetry.lock": L + '[[package]]\nname="a"\nversion="1"\n' * 19_000},
    "lock: values": lambda: {**_toml(Q), "poetry.lock": L + "".join(f"b{n}=1\n" for n in range(290_000))},
    "lock: list": lambda: {**_toml(Q), "poetry.lock": L + "a=[" + "1," * 290_000 + "]"},
    "lock: string": lambda: {**_toml(Q), "poetry.lock": L + 'a="' + "x" * (MAX_FILE - 100) + '"'},
    "lock: lists": lambda: {**_toml(Q), "poetry.lock": "a=" + "[" * (MAX_FILE - 10)},
    "lock: of uv": lambda: {**_toml(P), "uv.lock": "".join(f"a{n}=1\n" for n in range(290_000))},
    "lock: longer tables": lambda: {**_toml(P), "uv.lock": _chain(1_600, "[_]")},
    "apt: names": lambda: _beside("apt.txt", " ".join(f"p{n}x" for n in range(130_000))),
    "apt: one": lambda: _beside("apt.txt", "a" * 990_000 + "-"),
    "apt: command": lambda: _beside("apt.txt", "apt install " + "-y " * 300_000 + "A"),
    "apt: versions": lambda: _beside("apt.txt", "a=1, " * 190_000),
    "python: digits": lambda: _beside(".python-version", "3." + "1" * 900_000),
    "python: comments": lambda: _beside(".python-version", "#\n" * 400_000 + "3.10"),
    "runtime: digits": lambda: _beside("runtime.txt", "python-" + "1" * 900_000),
}  # fmt: skip
"""By name: files of the sizes that are just read, each with the most work in it that anyone has thought of."""


def measure(files: dict[str, str]) -> tuple[str, float]:
    """What a repository of these files comes to, and the seconds of processor time that it takes.

    The least of three times where the first was long: another process on the same core costs time as well.
    """
    source = MappingSource(files)
    outcome, seconds = _timed(source)
    if seconds > SECONDS:
        seconds = min(seconds, _timed(source)[1], _timed(source)[1])
    return outcome, seconds


def _timed(source: MappingSource) -> tuple[str, float]:
    pyproject.parsed.cache_clear()
    began = time.process_time()
    try:
        detect(source, Options())
        outcome = "plan"
    except BuildError as error:
        outcome = explain(error.failure).code
    return outcome, time.process_time() - began


def main() -> None:
    for name, files in LARGE.items():
        outcome, seconds = measure(files())
        print(json.dumps({"name": name, "outcome": outcome, "seconds": seconds, "megabytes": _most_memory()}))


def _most_memory() -> int:
    """Megabytes that this program held at the most; getrusage would count what started it as well."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) // 1024


if __name__ == "__main__":
    main()

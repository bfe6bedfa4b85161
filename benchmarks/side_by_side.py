"""Launchyard beside a careful hand-written Dockerfile: numpy, pandas and JupyterLab, interleaved, medians of three.

Both start from the same slim base and warm caches of downloads, as whole processes. The hand-written build is
cold by asking for something never asked for before: a wheel of nothing, made for that run alone. Launchyard's
asks for the same wheel, and is told to run every step again that another repository could have run before.
Run by `make bench`; needs an engine and the Python index.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import random
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from builder.settings import Settings, load

ADDED = {
    "toolz": ("0.9.0", "0.10.0", "0.11.1", "0.11.2", "0.12.0", "0.12.1", "1.0.0"),
    "cachetools": ("4.2.4", "5.0.0", "5.2.0", "5.3.0", "5.3.3", "5.4.0", "5.5.0"),
    "sortedcontainers": ("2.1.0", "2.2.2", "2.3.0", "2.4.0"),
    "more-itertools": ("8.14.0", "9.0.0", "9.1.0", "10.1.0", "10.2.0", "10.3.0", "10.4.0", "10.5.0"),
    "pluggy": ("0.13.1", "1.0.0", "1.2.0", "1.3.0", "1.4.0", "1.5.0"),
    "tqdm": ("4.62.3", "4.63.2", "4.64.1", "4.65.2", "4.66.1", "4.66.2", "4.66.3", "4.66.4", "4.66.5"),
    "click": ("8.0.4", "8.1.0", "8.1.1", "8.1.2", "8.1.3", "8.1.6", "8.1.7", "8.1.8"),
}
"""One of these is added, the first by chance whose layer the engine does not keep from an earlier run."""

REQUIREMENTS = "numpy==2.2.2\npandas==2.2.3\njupyterlab==4.3.5\n"

PLANS = 7
"""A round; among them, so that all figures are of the same minutes."""

DOCKERFILE = """\
FROM {base}
COPY requirements.txt /environment/requirements.txt
COPY wheels /environment/wheels
WORKDIR /environment
RUN --mount=type=secret,id=certificates --mount=type=cache,target=/root/.cache/pip \\
    {variables} pip install --requirement requirements.txt
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--resolver", choices=("uv", "pip"), default="uv", help="what decides versions for Launchyard")
    arguments = parser.parse_args()
    os.environ |= {"LAUNCHYARD_IMAGE_PREFIX": "launchyard-bench", "LAUNCHYARD_INDEX__RESOLVER": arguments.resolver}
    settings = load()
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="launchyard-bench-") as scratch:
        warm(Path(scratch, "warm"), settings)
        for number in range(arguments.rounds):
            one_round(Path(scratch, str(number)), settings, seconds)
    show({name: statistics.median(times) for name, times in seconds.items()}, arguments.resolver)
    return 0


def warm(directory: Path, settings: Settings) -> None:
    """Fill the hand-written build's cache of downloads; Launchyard's has what the first build of a round fetches."""
    make_repository(directory)
    by_hand(directory, settings)


def one_round(directory: Path, settings: Settings, seconds: dict[str, list[float]]) -> None:
    repository = directory / "repository"
    wheel = make_repository(repository)

    def timed(name: str, action: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        began = time.perf_counter()
        result = action()
        seconds.setdefault(name, []).append(time.perf_counter() - began)
        return result

    # One without the cache leaves none: as any first build does, this one leaves what a package is added to later.
    before = build(repository)
    for _ in range(PLANS):
        timed("plan", lambda: plan(repository))
    timed("hand-written, cold", lambda: by_hand(repository, settings))
    first = timed("cold", lambda: build(repository, "--no-cache"))
    assert not any(step["cached"] for step in first["steps"] if "groups/" in step["name"])
    assert first["image_id"] == before["image_id"], "without the cache another image came out"
    assert timed("identical request", lambda: build(repository))["reused"]
    commit(repository, {"README.md": "Only words.\n"})
    assert timed("README-only commit", lambda: build(repository))["image_id"] == first["image_id"]
    elapsed, second = add_a_package(repository, wheel)
    seconds.setdefault("one package added", []).append(elapsed)
    assert second["image_id"] != first["image_id"]
    again = timed("rebuild, nothing new", lambda: build(repository, "--rebuild"))
    assert again["image_id"] == second["image_id"], "a rebuild with nothing new gave another image"


def add_a_package(repository: Path, wheel: str) -> tuple[float, dict[str, Any]]:
    """How long a build takes that installs one package more, and what it made."""
    for added in random.sample([f"{name}=={version}" for name in ADDED for version in ADDED[name]], 20):
        commit(repository, {"requirements.txt": f"{REQUIREMENTS}{added}\n./wheels/{wheel}\n"})
        began = time.perf_counter()
        made = build(repository)
        elapsed = time.perf_counter() - began
        if not any(step["cached"] for step in made["steps"] if "groups/small" in step["name"]):
            return elapsed, made
    raise SystemExit("this engine has added each of these packages before: remove its build cache first")


def make_repository(repository: Path) -> str:
    repository.mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet", str(repository)], check=True)
    wheel = make_wheel(repository / "wheels")
    commit(repository, {"requirements.txt": f"{REQUIREMENTS}./wheels/{wheel}\n"})
    return wheel


def make_wheel(directory: Path) -> str:
    """A wheel without a module, of a name that no cache has seen.

    Format: https://packaging.python.org/en/latest/specifications/binary-distribution-format/
    """
    name = f"never_seen_{secrets.token_hex(6)}"
    information = f"{name}-1.0.dist-info"
    files = {
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},sha256={digest(text)},{len(text)}\n" for path, text in files.items())
    directory.mkdir()
    wheel = directory / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in {**files, f"{information}/RECORD": f"{record}{information}/RECORD,,\n"}.items():
            archive.writestr(path, text)
    return wheel.name


def digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def commit(repository: Path, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        (repository / path).write_text(text)
    author = ["-c", "user.name=Bench", "-c", "user.email=bench@example.org"]
    subprocess.run(["git", "-C", str(repository), "add", "--all"], check=True)
    subprocess.run(["git", "-C", str(repository), *author, "commit", "--quiet", "--message=bench"], check=True)


def plan(repository: Path) -> dict[str, Any]:
    subprocess.run(["launchyard", "plan", str(repository)], check=True, capture_output=True)
    return {}


def build(repository: Path, *options: str) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile(suffix=".json") as metadata:
        command = ["launchyard", "build", str(repository), *options, "--metadata-file", metadata.name]
        subprocess.run(command, check=True, capture_output=True)
        document: dict[str, Any] = json.load(metadata)
        return document


def by_hand(repository: Path, settings: Settings) -> dict[str, Any]:
    variables = {
        "PIP_INDEX_URL": settings.index.url,
        "PIP_CERT": "/run/secrets/certificates" if settings.certificates else "",
    }
    text = DOCKERFILE.format(
        base=settings.bases.pythons.get("3.10") or settings.bases.python.replace("{version}", "3.10"),
        variables=" ".join(f"{name}={value}" for name, value in variables.items() if value),
    )
    secret = [f"--secret=id=certificates,src={settings.certificates}"] if settings.certificates else []
    command = [
        "docker",
        "buildx",
        "build",
        "--quiet",
        "--load",
        "--provenance=false",
        *secret,
        "--file=-",
        str(repository),
    ]
    subprocess.run(command, input=text.encode(), check=True, capture_output=True)
    return {}


TARGETS: tuple[tuple[str, str | None, float], ...] = (
    ("cold", "hand-written, cold", 0.6),
    ("one package added", "cold", 0.4),
    ("identical request", None, 0.5),
    ("README-only commit", None, 1.0),
    ("rebuild, nothing new", None, 7.0),
    ("plan", None, 0.25),
)
"""(what, over what or seconds, at most)."""


def show(medians: Mapping[str, float], resolver: str) -> None:
    print(f"medians, versions decided by {resolver}")
    for name, median in medians.items():
        print(f"  {name:<24}{median:8.2f} s")
    for name, over, target in TARGETS:
        figure = medians[name] / medians[over] if over else medians[name]
        unit = f"of {over}" if over else "s"
        print(f"  {'ok  ' if figure <= target else 'over'} {name:<22}{figure:8.2f} {unit}, at most {target}")


if __name__ == "__main__":
    sys.exit(main())

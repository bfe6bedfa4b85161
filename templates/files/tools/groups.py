"""Sort a lock into groups that are installed one after the other, each a layer of its own.

Whoever adds a package to an environment waits for that package's group and those after it, so what
takes longest comes first: what JupyterLab is made of, then compiled packages, which may have gigabytes,
then the other large ones, then the rest. What has no wheel for this Python has to be built, apart from these.

/made/lock/groups/GROUP/pylock.toml  entries of /made/lock/pylock.toml that have a wheel; absent where there is none
/made/lock/groups/frontend/pylock.kernel.toml  what the kernel needs and the environment lacks
/made/lock/built/pylock.toml         entries to build
/made/lock/record/                   what an image keeps of its lock: the locks without addresses, and lock.json,
                                {"pylock": [{name, version, hashes, and where they apply marker, and of what comes
                                from no index url, commit, subdirectory, or path in the repository}]}
"""

import json
import re
import tomllib
from pathlib import Path

from channels import without_user

FRONTEND, COMPILED, LARGE, SMALL = GROUPS = ("frontend", "compiled", "large", "small")
BUILT = "built"
LARGE_FROM = 200_000
"""Bytes of a wheel: pytz and tzdata, which come with pandas, have hundreds of files in 350 kB and more."""


def sort(lock: Path, have: set[str]) -> None:
    """Sort the locks of a directory; `have` are the names of what is installed before any of it."""
    environment, kernel = lock / "pylock.toml", lock / "pylock.kernel.toml"
    for group in GROUPS:
        (lock / "groups" / group).mkdir(parents=True)
    (lock / BUILT).mkdir()
    names = set()
    if environment.exists():
        head, entries = split(environment)
        names = {tomllib.loads(entry)["name"] for entry in entries}
        tags, frontend = compatible_tags(), frontend_names()
        sorted_entries: dict[str, list[str]] = {}
        for entry in entries:
            sorted_entries.setdefault(group_of(tomllib.loads(entry), tags, frontend), []).append(entry)
        for group, members in sorted_entries.items():
            directory = lock / BUILT if group == BUILT else lock / "groups" / group
            join(directory / "pylock.toml", head, members)
    if kernel.exists():
        head, entries = split(kernel)
        lacking = [entry for entry in entries if tomllib.loads(entry)["name"] not in have | names]
        if lacking:
            join(lock / "groups" / FRONTEND / "pylock.kernel.toml", head, lacking)
    record(lock)


def group_of(package: dict, tags: set[str], frontend: set[str]) -> str:
    usable = [wheel for wheel in package.get("wheels", []) if tags & wheel_tags(wheel)]
    if not usable or any("path" in wheel for wheel in usable):  # the repository's own files are there for builds alone
        return BUILT
    if package["name"] in frontend:
        return FRONTEND
    is_pure = all(tag.endswith("-any") for wheel in usable for tag in wheel_tags(wheel))
    unknown = 0 if is_pure else LARGE_FROM  # not every index says how large a wheel is
    if max(wheel.get("size", unknown) for wheel in usable) < LARGE_FROM:
        return SMALL
    return LARGE if is_pure else COMPILED


def wheel_tags(wheel: dict) -> set[str]:
    """The tags in a wheel's name: https://packaging.python.org/en/latest/specifications/binary-distribution-format/"""
    name = wheel.get("name") or wheel.get("url", wheel.get("path", "")).rpartition("/")[2].partition("#")[0]
    parts = name.removesuffix(".whl").rsplit("-", 3)[-3:]
    if len(parts) < 3:
        return set()
    pythons, abis, platforms = (part.split(".") for part in parts)
    return {f"{python}-{abi}-{platform}" for python in pythons for abi in abis for platform in platforms}


def compatible_tags() -> set[str]:
    """What the environment's Python takes, as `install.py prepare` has found out."""
    return set(Path("/tags").read_text().split())


def frontend_names() -> set[str]:
    lock = Path("/tools/locks/jupyterlab.txt").read_text()
    return set(re.findall(r"^([a-z0-9.-]+)==", lock, re.MULTILINE))


def split(lock: Path) -> tuple[str, list[str]]:
    """A lock's head and the text of each of its packages."""
    head, *entries = re.split(r"^\[\[packages\]\]\n", lock.read_text(), flags=re.MULTILINE)
    return head.replace("packages = []\n", ""), entries


def join(lock: Path, head: str, entries: list[str]) -> None:
    lock.write_text("".join([head, *(f"[[packages]]\n{entry}" for entry in entries)]))


def record(lock: Path) -> None:
    directory = lock / "record"
    directory.mkdir()
    locks = sorted(lock.glob("pylock*.toml"))
    for path in locks:
        (directory / path.name).write_text(without_addresses(path.read_text()))
    (directory / "lock.json").write_text(json.dumps({path.stem: hashes(path) for path in locks}, sort_keys=True))


def hashes(lock: Path) -> list[dict]:
    kept = []
    for package in tomllib.loads(lock.read_text()).get("packages", []):
        digests = sorted(
            {f"{kind}:{value}" for file in files(package) for kind, value in file.get("hashes", {}).items()}
        )
        entry = {"name": package["name"], "version": package.get("version"), "hashes": digests}
        marker = {"marker": package["marker"]} if "marker" in package else {}
        kept.append({**entry, **marker, **origin(package)})
    return sorted(kept, key=lambda p: (p["name"], str(p["version"])))


def from_source(lock: Path) -> list[str]:
    """The packages of a lock that are more than wheels, with their versions."""
    return [
        " ".join(filter(None, (package["name"], package.get("version"))))
        for package in tomllib.loads(lock.read_text())["packages"]
        if "vcs" in package or "directory" in package or not all(map(is_wheel, files(package)))
    ]


def is_wheel(file: dict) -> bool:
    return file.get("url", file.get("path", "")).partition("#")[0].endswith(".whl")


def files(package: dict) -> list[dict]:
    return [*package.get("wheels", []), *(package[k] for k in ("sdist", "archive") if k in package)]


def origin(package: dict) -> dict:
    """Where a package is from that no index has."""
    kind = next((kind for kind in ("vcs", "archive", "directory") if kind in package), "")
    source = package[kind] if kind else next((file for file in files(package) if "path" in file), {})
    found = {"commit": source.get("commit-id"), "subdirectory": source.get("subdirectory")}
    if "path" in source:
        found["path"] = source["path"].removeprefix("/work/")
    elif kind:
        found["url"] = (f"{source['type']}+" if kind == "vcs" else "") + without_user(source["url"])
    return {key: value for key, value in found.items() if value}


def without_addresses(text: str) -> str:
    """A lock without the hosts of an installation's indexes; names, versions and hashes stay."""
    text = re.sub(r"^(url|index) = \"[^\"]*\"\n", "", text, flags=re.MULTILINE)
    return re.sub(r"\b(url|index) = \"https?://[^\"]*/([^/\"]*)\"", r'name = "\2"', text)

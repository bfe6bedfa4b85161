"""Write what is in the environment to /opt/launchyard/environment: what `packages` and `diff` read.

packages.json     [{name, version, source: "index" | "conda" | "repository", requested}], by name
lock.json         what the immutable tag stands for: the packages with their hashes, without addresses
problems.json     [[code, message], ...]
env.sh            variables that the session exports
"""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

OUT = Path("/opt/launchyard/environment")


def main() -> int:
    request = json.loads(Path("/request/request.json").read_bytes())
    prefix = Path(os.environ["LAUNCHYARD_PREFIX"])
    OUT.mkdir(parents=True, exist_ok=True)
    wanted = {canonical(name) for name in request["requested_names"]}
    conda = conda_packages(prefix)
    index = index_packages(prefix, {name for record in conda for name in record["provides"]})
    listed = sorted(
        (
            {
                "name": p["name"],
                "version": p["version"],
                "source": p["source"],
                "requested": canonical(p["name"]) in wanted,
            }
            for p in (*conda, *index)
        ),
        key=lambda p: (p["source"], p["name"]),
    )
    write("packages.json", listed)
    write(
        "lock.json",
        {
            "conda": conda_lock(prefix),
            **{lock.stem: locked(lock) for lock in sorted(Path("/lock").glob("pylock*.toml"))},
        },
    )
    problems = Path("/lock/problems.json")
    write("problems.json", json.loads(problems.read_bytes()) if problems.exists() else [])
    variables = request["inputs"].get("variables", {})
    (OUT / "env.sh").write_text(
        "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(variables.items()))
    )
    for stem in ("pylock", "pylock.kernel"):
        if (lock := Path("/lock", f"{stem}.toml")).exists():
            (OUT / lock.name).write_text(without_addresses(lock.read_text()))
    return 0


def index_packages(prefix: Path, conda: set[str]) -> list[dict]:
    listed = subprocess.run(
        ["/tools/uv", "pip", "list", "--format=json", "--python", str(prefix / "bin" / "python")],
        capture_output=True,
        check=True,
    ).stdout
    found = []
    for package in json.loads(listed):
        name = canonical(package["name"])
        if name in conda or (name == "pip" and not in_lock("pip")):
            continue
        source = "repository" if package.get("editable_project_location") or from_repository(prefix, name) else "index"
        found.append({"name": name, "version": package["version"], "source": source})
    return found


def from_repository(prefix: Path, name: str) -> bool:
    for file in prefix.glob("lib/python3*/site-packages/*.dist-info/direct_url.json"):
        if canonical(file.parent.name.rsplit("-", 1)[0].removesuffix(".dist-info").split("-")[0]) == name:
            return json.loads(file.read_bytes()).get("url", "").startswith("file:")
    return False


def in_lock(name: str) -> bool:
    lock = Path("/lock/pylock.toml")
    return lock.exists() and any(p["name"] == name for p in tomllib.loads(lock.read_text()).get("packages", []))


def conda_packages(prefix: Path) -> list[dict]:
    records = (json.loads(file.read_bytes()) for file in sorted(prefix.glob("conda-meta/*.json")))
    return [
        {
            "name": r["name"],
            "version": r["version"],
            "source": "conda",
            "provides": {canonical(r["name"]), *distributions(r)},
        }
        for r in records
    ]


def distributions(record: dict) -> set[str]:
    """Names under which a conda package is known to Python's own metadata."""
    found = (re.search(r"site-packages/([^/]+?)-[^/-]+\.(dist|egg)-info/", file) for file in record.get("files", []))
    return {canonical(match[1]) for match in found if match}


def conda_lock(prefix: Path) -> list[dict]:
    records = (json.loads(file.read_bytes()) for file in sorted(prefix.glob("conda-meta/*.json")))
    return [{key: r.get(key) for key in ("name", "version", "build", "subdir", "sha256")} for r in records]


def locked(lock: Path) -> list[dict]:
    kept = []
    for package in tomllib.loads(lock.read_text()).get("packages", []):
        files = [*package.get("wheels", []), *(package[k] for k in ("sdist", "archive") if k in package)]
        hashes = sorted({f"{kind}:{value}" for file in files for kind, value in file.get("hashes", {}).items()})
        entry = {"name": package["name"], "version": package.get("version"), "hashes": hashes}
        if "vcs" in package:
            entry["commit"] = package["vcs"].get("commit-id")
        if "directory" in package:
            entry["directory"] = package["directory"]["path"]
        kept.append(entry)
    return sorted(kept, key=lambda p: (p["name"], str(p["version"])))


def without_addresses(text: str) -> str:
    """A lock without the hosts of an installation's indexes; names, versions and hashes stay."""
    text = re.sub(r"^(url|index) = \"[^\"]*\"\n", "", text, flags=re.MULTILINE)
    return re.sub(r"\b(url|index) = \"https?://[^\"]*/([^/\"]*)\"", r'name = "\2"', text)


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def write(name: str, document: object) -> None:
    (OUT / name).write_text(json.dumps(document, sort_keys=True, default=sorted) + "\n")


if __name__ == "__main__":
    sys.exit(main())

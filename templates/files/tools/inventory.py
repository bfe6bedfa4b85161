"""Write what is in the environment to /opt/launchyard/environment: what `packages` and `diff` read.

packages.json     [{name, version, source: "index" | "conda" | "repository", requested}], by name
lock.json         what the immutable tag stands for, without addresses of the installation and without credentials:
                  {"conda": [{name, version, build, subdir, channel, file, md5, sha256}], each after what it needs,
                   "pylock": …, "pylock.kernel": …, as groups.py describes them}
libraries.json    shared libraries that nothing provides: libraries.py says what of each
problems.json     [[code, message], ...]
env.sh            variables that the session exports

With --try, JupyterLab is tried at the same time.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))  # which an isolated interpreter leaves out

import channels
import libraries
import places

OUT = Path("/opt/launchyard/environment")
TRIAL = Path(__file__).with_name("try_jupyterlab.py")
LOCK = Path("/made/lock")


def main() -> int:
    OUT.mkdir(parents=True, exist_ok=True)
    trial = subprocess.Popen([sys.executable, "-IB", str(TRIAL)]) if "--try" in sys.argv else None
    request = json.loads(Path("/request/request.json").read_bytes())
    prefix = Path(os.environ["LAUNCHYARD_PREFIX"])
    direct = directly(prefix)
    wanted = {*map(canonical, request["requested_names"]), *direct}
    conda = conda_packages(prefix)
    index = index_packages(prefix, {name for record in conda for name in record["provides"]}, direct)
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
    alias = (LOCK / "channel_alias").read_text()
    write("lock.json", {"conda": conda_lock(prefix, alias), **json.loads((LOCK / "record/lock.json").read_bytes())})
    lacking = libraries.missing([str(prefix), "/opt/launchyard/kernel"])
    write("libraries.json", lacking)
    problems = [*json.loads((LOCK / "problems.json").read_bytes()), *editable_gone(prefix)]
    write("problems.json", [*problems, *libraries.problems(lacking)])
    variables = request["inputs"].get("variables", {})
    (OUT / "env.sh").write_text(
        "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(variables.items()))
    )
    for lock in (LOCK / "record").glob("*.toml"):
        shutil.copyfile(lock, OUT / lock.name)
    return trial.wait() if trial else 0


def index_packages(prefix: Path, conda: set[str], direct: dict[str, str]) -> list[dict]:
    listed = subprocess.run(
        ["/tools/uv", "pip", "list", "--format=json", "--python", str(prefix / "bin" / "python")],
        env={**os.environ, "HOME": "/tmp", "UV_CACHE_DIR": "/cache/uv", "UV_NO_CONFIG": "1"},
        capture_output=True,
        check=True,
    ).stdout
    found = []
    own = {name for name, url in direct.items() if url.startswith("file:")}
    for package in json.loads(listed):
        name = canonical(package["name"])
        if name in conda or (name == "pip" and not in_lock("pip")):
            continue
        source = "repository" if package.get("editable_project_location") or name in own else "index"
        found.append({"name": name, "version": package["version"], "source": source})
    return found


def directly(prefix: Path) -> dict[str, str]:
    """Where packages are from that were asked for by an address or a path: https://peps.python.org/pep-0610/"""
    return {
        canonical(file.parent.name.split("-")[0]): json.loads(file.read_bytes()).get("url", "")
        for site in places.site_packages(prefix)
        for file in site.glob("*.dist-info/direct_url.json")
    }


def editable_gone(prefix: Path) -> list[tuple[str, str]]:
    """[code, message] of what a postBuild has installed in place, where the place is not in the image."""
    told = []
    for site in places.site_packages(prefix):
        for file in sorted(site.glob("*.dist-info/direct_url.json")):
            origin = json.loads(file.read_bytes())
            place = origin.get("url", "").removeprefix("file://")
            if origin.get("dir_info", {}).get("editable") and not Path(place).exists():
                name = file.parent.name.split("-")[0]
                words = (
                    f"{name} cannot be imported: it is installed in place, and its place {place} is there only while "
                    "postBuild runs; write `pip install .` in it, or -e . in requirements.txt"
                )
                told.append(("editable-gone", words))
    return told


def in_lock(name: str) -> bool:
    return any(p["name"] == name for p in json.loads((LOCK / "record/lock.json").read_bytes()).get("pylock", []))


def conda_packages(prefix: Path) -> list[dict]:
    records = map(read, sorted(prefix.glob("conda-meta/*.json")))
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


def conda_lock(prefix: Path, alias: str) -> list[dict]:
    """What conda has installed, each package after those it needs: an installation without a solve goes by this order.

    https://conda.org/learn/ceps/cep-0023
    """
    records = {r["name"]: r for r in map(read, sorted(prefix.glob("conda-meta/*.json")))}
    ordered: list[dict] = []

    def add(name: str) -> None:
        record = records.pop(name, None)  # gone the second time, also where two need each other
        if record:
            for spec in record.get("depends", []):
                add(spec.split()[0])
            kept = {key: record.get(key) for key in ("name", "version", "build", "subdir", "md5", "sha256")}
            ordered.append({**kept, **channels.place(record.get("url"), alias)})

    while records:
        add(next(iter(records)))
    return ordered


def read(file: Path) -> dict:
    return json.loads(file.read_bytes())


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def write(name: str, document: object) -> None:
    (OUT / name).write_text(json.dumps(document, sort_keys=True, default=sorted) + "\n")


if __name__ == "__main__":
    sys.exit(main())

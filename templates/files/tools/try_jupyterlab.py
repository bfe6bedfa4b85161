"""Start the environment's own JupyterLab, under a base path, and say whether a session can use it.

Writes /opt/launchyard/environment/frontend.json: {"jupyterlab": "environment" | "session", "reason"}.
What came of it is kept in /cache/tried, for the next environment with the same JupyterLab: the same packages
among those it is made of and those that extend it. Runs as the session's user, offline.
"""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

sys.path.append(str(Path(__file__).parent))  # which an isolated interpreter leaves out

import places

OUT = Path("/opt/launchyard/environment/frontend.json")
TRIED = Path("/cache/tried")
PORT = 8889
BASE = "/try/under/a/path/"
BOUND = 45  # seconds; a cold start of JupyterLab with many extensions was seen to take 12
USER = 1000

REQUIREMENT = re.compile(r"^Requires-Dist: *([A-Za-z0-9._-]+) *(\[[^]\n]*\])?([^\n]*)", re.MULTILINE)
"""https://packaging.python.org/en/latest/specifications/core-metadata/#requires-dist-multiple-use"""


def main() -> int:
    program = Path(os.environ["LAUNCHYARD_PREFIX"], "bin", "jupyter-lab")
    if not program.exists():
        choice, reason = "session", "the environment has no JupyterLab"
    else:
        kept = TRIED / what_matters(program)
        if not kept.exists():
            remember(kept, attempt(program))
        choice, reason = json.loads(kept.read_bytes())
    OUT.write_text(json.dumps({"jupyterlab": choice, "reason": reason}, sort_keys=True) + "\n")
    return 0


def what_matters(program: Path) -> str:
    """A digest of the RECORDs of what JupyterLab, its closure and everything that extends it have installed."""
    (site,) = places.site_packages(Path(os.environ["LAUNCHYARD_PREFIX"]))
    packages = {}
    for directory in site.glob("*.dist-info"):
        packages[canonical(directory.name.split("-")[0])] = directory
    digest = hashlib.sha256(f"{sys.version}\n{program.read_text(errors='replace')}".encode())
    for name in sorted(closure({"jupyterlab", *filter(lambda name: extends(packages[name]), packages)}, packages)):
        record = packages[name] / "RECORD"
        digest.update(record.read_bytes() if record.exists() else os.urandom(16))
    return digest.hexdigest()


def closure(names: set, packages: dict) -> set:
    """These packages and all that they need, as far as it is installed; by an extra only where it was asked for."""
    found, left = set(), {(name, "") for name in names if name in packages}
    while left:
        name, extra = left.pop()
        found.add((name, extra))
        for need, extras, marker in REQUIREMENT.findall(read(packages[name] / "METADATA")):
            of_extras = re.findall(r"extra *== *['\"]([^'\"]*)", marker)
            if canonical(need) in packages and (not of_extras or extra in map(canonical, of_extras)):
                asked = {canonical(word) for word in re.findall(r"[A-Za-z0-9._-]+", extras)}
                left |= {(canonical(need), wanted) for wanted in {"", *asked}} - found
    return {name for name, _ in found}


def extends(package: Path) -> bool:
    """Whether JupyterLab, or Python as it starts, looks into a package without being told to."""
    pattern = r"^(?:\.\./)*(?:\.\./etc/jupyter|\.\./share/jupyter|etc/jupyter|share/jupyter)/|^[^/]+\.pth,"
    return bool(re.search(pattern, read(package / "RECORD"), re.MULTILINE)) or "jupyter" in read(
        package / "entry_points.txt"
    )


def read(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def remember(kept: Path, outcome: tuple) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    part = kept.with_suffix(f".{os.getpid()}")
    part.write_text(json.dumps(outcome))
    part.replace(kept)


def attempt(program: Path) -> tuple[str, str]:
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryFile("w+") as log:
        os.chown(home, USER, USER)
        server = subprocess.Popen(
            [str(program), "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={PORT}",
             "--ServerApp.port_retries=0", f"--ServerApp.base_url={BASE}", f"--ServerApp.root_dir={home}"],
            env={**os.environ, "HOME": home, "JUPYTER_TOKEN": "try", "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=log, stderr=log, cwd=home, start_new_session=True, user=USER, group=USER, extra_groups=[],
        )  # fmt: skip
        try:
            return wait(server, log)
        finally:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def wait(server: subprocess.Popen, log) -> tuple[str, str]:
    deadline = time.monotonic() + BOUND
    while time.monotonic() < deadline:
        if server.poll() is not None:
            log.seek(0)
            last = [line for line in log.read().splitlines() if line.strip()][-1:]
            return "session", f"the environment's JupyterLab ends at once: {''.join(last)[:200]}"
        if answers("api/status") and answers("lab"):
            return "environment", "the environment's JupyterLab starts"
        time.sleep(0.1)
    return "session", f"the environment's JupyterLab does not answer within {BOUND} s"


def answers(path: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}{BASE}{path}?token=try", timeout=10) as page:
            return page.status == 200
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    sys.exit(main())

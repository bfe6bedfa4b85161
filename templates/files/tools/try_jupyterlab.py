"""Start the environment's own JupyterLab, under a base path, and say whether a session can use it.

Writes /opt/launchyard/environment/frontend.json: {"jupyterlab": "environment" | "session", "reason"}.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

OUT = Path("/opt/launchyard/environment/frontend.json")
PORT = 8889
BASE = "/try/under/a/path/"
BOUND = 45  # seconds; a cold start of JupyterLab with many extensions was seen to take 12


def main() -> int:
    program = Path(os.environ["LAUNCHYARD_PREFIX"], "bin", "jupyter-lab")
    if not program.exists():
        choice, reason = "session", "the environment has no JupyterLab"
    else:
        choice, reason = attempt(program)
    OUT.write_text(json.dumps({"jupyterlab": choice, "reason": reason}, sort_keys=True) + "\n")
    return 0


def attempt(program: Path) -> tuple[str, str]:
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryFile("w+") as log:
        server = subprocess.Popen(
            [str(program), "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={PORT}",
             "--ServerApp.port_retries=0", f"--ServerApp.base_url={BASE}", f"--ServerApp.root_dir={home}"],
            env={**os.environ, "HOME": home, "JUPYTER_TOKEN": "try", "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=log, stderr=log, cwd=home, start_new_session=True,
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

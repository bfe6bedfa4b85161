"""Wheels of a lock's groups in uv's cache, from where install.py takes them without a network.

/made/fetched   a directory that groups are given, so that they wait for this; it differs when all is to be done again
/cache/fetched  a file for each wheel that is in uv's cache. In the same cache: what removes one removes both
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

UV = "/tools/uv"
FETCHED = Path("/cache/fetched")
FETCHING = Path("/made/fetched")


def fetch(groups: Path) -> None:
    """What is not there of the locks below a directory. Exits as uv does."""
    again, owner = os.environ.get("FETCH", ""), os.environ.get("OWNER", "")
    FETCHING.mkdir()
    (FETCHING / f"time{again}-{owner}").touch()  # a group of another owner's is of another's cache
    for lock in sorted(groups.glob("*/*.toml")):
        fetch_of(lock, again.startswith("all"))


def fetch_of(lock: Path, all_of_it: bool) -> None:
    head, *entries = lock.read_text().split("[[packages]]\n")
    installer = Path("/installer").read_bytes()
    markers = {FETCHED / hashlib.sha256(installer + entry.encode()).hexdigest(): entry for entry in entries}
    missing = {marker: entry for marker, entry in markers.items() if all_of_it or not marker.exists()}
    if not missing:
        return
    part = Path("/tmp/pylock.toml")
    part.write_text("[[packages]]\n".join([head, *missing.values()]))
    python = Path(os.environ["LAUNCHYARD_PREFIX"], "bin/python")
    options = ("--quiet", "--no-deps", "--link-mode=symlink", "--python", str(python), "--target", f"/tmp/{lock.stem}")
    if code := subprocess.run([UV, "pip", "install", *options, "-r", str(part)]).returncode:
        sys.exit(code)
    shutil.rmtree(f"/tmp/{lock.stem}")
    FETCHED.mkdir(parents=True, exist_ok=True)
    for marker in missing:
        marker.touch()

"""Run the repository's postBuild as the session's user, with the environment its own for that time.

What it leaves in the environment and in the home directory goes into the image.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

USER = 1000


def main() -> int:
    script = Path("/post-build", json.loads(Path("/request/request.json").read_bytes())["post_build"])
    shutil.copytree("/repository", "/post-build", symlinks=True)
    home = Path("/home/user")
    home.mkdir(exist_ok=True)
    for top in (home, Path("/opt"), Path("/post-build")):
        own(top, USER)
    prefix = os.environ["LAUNCHYARD_PREFIX"]
    environ = {
        **os.environ,
        "HOME": str(home),
        "PATH": f"{prefix}/bin:{os.environ['PATH']}",
        "XDG_CACHE_HOME": "/tmp/cache",
    }
    script.chmod(0o755)
    # A shell that is asked for a script without a first line that names its interpreter runs it itself.
    command = [str(script)] if script.read_bytes().startswith((b"#!", b"\x7fELF")) else ["sh", str(script)]
    code = subprocess.run(command, cwd="/post-build", env=environ, user=USER, group=USER, extra_groups=[]).returncode
    own(Path("/opt"), 0)
    subprocess.run(["find", str(home), "-depth", "-exec", "touch", "-h", "-d", "@0", "{}", "+"], check=True)
    shutil.rmtree("/tmp/cache", ignore_errors=True)
    return code


def own(top: Path, user: int) -> None:
    os.chown(top, user, user)
    for directory, names, files in os.walk(top):
        for name in (*names, *files):
            os.chown(os.path.join(directory, name), user, user, follow_symlinks=False)


if __name__ == "__main__":
    sys.exit(main())

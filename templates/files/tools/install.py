"""Install exactly the lock: /lock -> /opt/env (or into conda's environment) and /opt/launchyard/kernel.

What must not differ between two builds of one lock is made not to: byte-code, times of files.
"""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

UV = "/tools/uv"
LOCK = Path("/lock/pylock.toml")
KERNEL = Path("/lock/pylock.kernel.toml")
KERNEL_SITE = Path("/opt/launchyard/kernel")


def main() -> int:
    prefix = Path(os.environ["LAUNCHYARD_PREFIX"])
    if sys.argv[1:2] == ["--package"]:
        install_package(sys.argv[2], str(prefix / "bin" / "python"))
    else:
        install_environment(prefix)
    forget_build_traces(Path("/opt"))
    return 0


def install_environment(prefix: Path) -> None:
    if not prefix.exists():
        run(UV, "venv", "--quiet", "--no-project", "--python", os.environ["LAUNCHYARD_PYTHON"], str(prefix))
    python = str(prefix / "bin" / "python")
    if Path("/source").exists():  # builds write beside what they build, at the path that the lock names
        shutil.copytree("/source", "/work", symlinks=True)
    if LOCK.exists():
        run(UV, "pip", "install", "--quiet", "--no-deps", "--python", python, "-r", str(LOCK))
    if not any(site_packages(prefix).glob("pip-*.dist-info")):
        for part in Path("/tools/pip").glob("pip*"):
            shutil.copytree(part, site_packages(prefix) / part.name)
        write_script(prefix / "bin" / "pip", python)
    if KERNEL.exists():
        install_kernel(python)


def install_package(directory: str, python: str) -> None:
    """The repository's own package. Its history is not here, so a version read from tags has to be given."""
    os.environ.setdefault("SETUPTOOLS_SCM_PRETEND_VERSION", "0")
    copy = shutil.copytree(directory, "/work-package", symlinks=True)  # not in /work, which may hold any name
    run(UV, "pip", "install", "--quiet", "--no-deps", "--python", python, str(copy))


def install_kernel(python: str) -> None:
    """What the kernel needs and the environment lacks, beside the environment."""
    have = names(LOCK) | installed(python)
    document = KERNEL.read_text()
    head, *entries = document.split("[[packages]]")
    lacking = [entry for entry in entries if tomllib.loads(entry)["name"] not in have]
    part = Path("/tmp/pylock.kernel.toml")
    part.write_text("[[packages]]".join([head, *lacking]))
    KERNEL_SITE.mkdir(parents=True)
    run(UV, "pip", "install", "--quiet", "--no-deps", "--python", python, "--target", str(KERNEL_SITE), "-r", str(part))


def names(lock: Path) -> set[str]:
    return {p["name"] for p in tomllib.loads(lock.read_text()).get("packages", [])} if lock.exists() else set()


def installed(python: str) -> set[str]:
    listed = subprocess.run(
        [UV, "pip", "list", "--format=json", "--python", python], capture_output=True, check=True
    ).stdout
    return {package["name"].lower().replace("_", "-") for package in json.loads(listed)}


def write_script(path: Path, python: str) -> None:
    path.write_text(f"#!{python}\nimport sys\nfrom pip._internal.cli.main import main\nsys.exit(main())\n")
    path.chmod(0o755)


def site_packages(prefix: Path) -> Path:
    return next(prefix.glob("lib/python3*/site-packages"))


def forget_build_traces(root: Path) -> None:
    """uv's notes on what it built from hold times; nothing reads them in an image."""
    for trace in (*root.rglob("*.dist-info/uv_cache.json"), *root.rglob("*.dist-info/uv_build.json")):
        trace.unlink()
    for lock in (*root.glob("*/.lock"), *root.glob("conda/envs/*/.lock"), KERNEL_SITE / ".lock"):
        lock.unlink(missing_ok=True)


def run(*command: str) -> None:
    code = subprocess.run(command).returncode
    if code:
        sys.exit(code)


if __name__ == "__main__":
    sys.exit(main())

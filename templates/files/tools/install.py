"""Install exactly the lock, in steps that are layers of their own.

prepare   an environment with pip in it at $LAUNCHYARD_PREFIX; at /tags the wheels' tags that it takes, and at
          /installer the versions of uv and Python, which choose a wheel for an entry of a lock and keep it
build     what has no wheel, built into /made/built
package   the repository's own package, built into /made/built
group     one group of the lock (see groups.py), from uv's cache alone, offline: no code of a package runs
rest      what was built, from /made/built and /made/package, and then the last group

What is built lies below /made/built at the path at which it belongs.
Standard library of Python 3.9: `group` runs on the environment's own interpreter.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))  # which an isolated interpreter leaves out

import places

UV = "/tools/uv"
PREFIX = Path(os.environ["LAUNCHYARD_PREFIX"])
PYTHON = str(PREFIX / "bin" / "python")
KERNEL_SITE = Path("/opt/launchyard/kernel")
BUILT, PACKAGE = Path("/made/built"), Path("/made/package")
OLDEST_OF_PIP = (3, 9)
"""The oldest Python that the pip of the tools runs on. An older one, of conda, brings its own: conda_env.py."""

NOT_FETCHED = 75
"""Exit code of a group whose wheels are gone from the cache: the builder fetches them again."""


def prepare() -> int:
    if not PREFIX.exists():
        run(UV, "venv", "--quiet", "--no-project", "--python", os.environ["LAUNCHYARD_PYTHON"], str(PREFIX))
    if not any(site_packages().glob("pip-*-info")):  # of conda's, older ones end with .egg-info
        for part in Path("/tools/pip").glob("pip*"):
            shutil.copytree(part, site_packages() / part.name)
        script = PREFIX / "bin" / "pip"
        script.write_text(f"#!{PYTHON}\nimport sys\nfrom pip._internal.cli.main import main\nsys.exit(main())\n")
        script.chmod(0o755)
    forget_build_traces(PREFIX)
    Path("/tags").write_text(wheel_tags())
    Path("/installer").write_text(ask([UV, "--version"]) + ask([PYTHON, "-ISc", "import sys; print(sys.version)"]))
    return 0


def wheel_tags() -> str:
    """What the environment's Python takes, in the words of the packaging library that pip brings along."""
    listed = ask([PYTHON, "-c", "import sys; print(*sys.version_info[:2])"])
    major, minor = map(int, listed.split())
    if (major, minor) >= OLDEST_OF_PIP:
        return ask([PYTHON, "-c", "from pip._vendor.packaging.tags import sys_tags; print(*sys_tags())"])
    # Debian's Python, which is on the same platform, speaks for one that cannot read the library.
    of_it = f"cpython_tags(({major}, {minor})), *compatible_tags(({major}, {minor}), 'cp{major}{minor}')"
    return ask([sys.executable, "-c", f"from pip._vendor.packaging.tags import *; print(*{of_it})"])


def ask(command: list[str]) -> str:
    environ = {**os.environ, "PYTHONPATH": "/tools/pip"}
    return subprocess.run(command, env=environ, stdout=subprocess.PIPE, check=True, text=True, cwd="/").stdout


def build_locked() -> int:
    import groups  # runs here on Debian's Python; `group` must not ask for what an older one lacks
    import tags

    BUILT.mkdir(parents=True)
    lock = Path("/made/lock/pylock.toml")  # of the lock, what is to be built is all that this step is given
    if lock.exists():
        # Builds write beside what they build, at the path that the lock names.
        for files in filter(Path.exists, (Path("/source"), lock.with_name("files"))):
            shutil.copytree(files, "/work", symlinks=True, dirs_exist_ok=True)
        if Path("/work").exists():
            os.environ |= tags.versions(Path("/work"))
        if named := ", ".join(groups.from_source(lock)):
            # uv says nothing until all of it is done, which may take minutes.
            print(f"Building from source: {named}", file=sys.stderr, flush=True)
        build("-r", str(lock))
    return 0


def package() -> int:
    """The repository's own package. Its history is not here, so a version read from tags has to be given."""
    import tags

    BUILT.mkdir(parents=True)
    copy = shutil.copytree("/package", "/work-package", symlinks=True)  # not in /work, which may hold any name
    declare_poetry(Path(copy, "pyproject.toml"))
    os.environ |= {"SETUPTOOLS_SCM_PRETEND_VERSION": "0"} | tags.versions(copy)
    build(str(copy))
    return 0


def declare_poetry(file: Path) -> None:
    """Poetry builds a package by itself where its file does not say with what; any other tool takes setuptools then."""
    import tomllib  # as tags: of a newer Python

    text = file.read_text()
    document = tomllib.loads(text)
    if "build-system" not in document and "poetry" in document.get("tool", {}):
        system = 'requires = ["poetry-core<2"]\nbuild-backend = "poetry.core.masonry.api"'  # as Poetry 1.8.3 has it
        file.unlink()  # which may be a link
        file.write_text(f"{text}\n[build-system]\n{system}\n")


def build(*what: str) -> None:
    import commands  # as tags: of a newer Python

    target = BUILT / PREFIX.relative_to("/")
    if as_of := os.environ.get("AS_OF"):
        os.environ["UV_EXCLUDE_NEWER"] = as_of  # what old code is built with was of that day too
    code = commands.run(
        UV, "pip", "install", "--quiet", "--no-deps", "--python", PYTHON, "--prefix", str(target), *what
    )
    if code:
        import why

        why.ask((), as_of, why.built(commands.said()))
        sys.exit(code)
    forget_build_traces(target)


def group() -> int:
    environment, kernel = Path("/group/pylock.toml"), Path("/group/pylock.kernel.toml")
    options = ("--quiet", "--no-deps", "--no-build", "--offline", "--link-mode=copy", "--python", PYTHON)
    os.environ |= {"UV_CACHE_DIR": "/cache/uv", "UV_NO_CONFIG": "1", "HOME": "/tmp"}
    if environment.exists():
        if '\nname = "pip"\n' in environment.read_text():
            for part in (site_packages() / "pip", *site_packages().glob("pip-*.dist-info")):
                shutil.rmtree(part)
        run(UV, "pip", "install", *options, "-r", str(environment), failure=NOT_FETCHED)
    KERNEL_SITE.mkdir(exist_ok=True)
    if kernel.exists():
        run(UV, "pip", "install", *options, "--target", str(KERNEL_SITE), "-r", str(kernel), failure=NOT_FETCHED)
    forget_build_traces(PREFIX)
    forget_build_traces(KERNEL_SITE)
    return 0


def rest() -> int:
    own = PREFIX.relative_to("/")
    for built in filter(Path.exists, (BUILT / own, PACKAGE / own)):
        shutil.copytree(built, PREFIX, symlinks=True, dirs_exist_ok=True)
    return group()  # in this order: the times of directories are those of what was copied, or new


def site_packages() -> Path:
    return next(places.site_packages(PREFIX))


def forget_build_traces(root: Path) -> None:
    """uv's notes on what it built from hold times; nothing reads them in an image."""
    for directory in (*places.site_packages(root), root):
        for trace in (*directory.glob("*.dist-info/uv_cache.json"), *directory.glob("*.dist-info/uv_build.json")):
            trace.unlink()
            record = trace.with_name("RECORD")
            kept = [line for line in record.read_text().splitlines(True) if f"/{trace.name}," not in line]
            record.write_text("".join(kept))
    if (root / ".lock").exists():
        (root / ".lock").unlink()


def run(*command: str, failure: int = 0) -> None:
    code = subprocess.run(command).returncode
    if code:
        sys.exit(failure or code)


if __name__ == "__main__":
    steps = {"prepare": prepare, "build": build_locked, "package": package, "group": group, "rest": rest}
    sys.exit(steps[sys.argv[1]]())

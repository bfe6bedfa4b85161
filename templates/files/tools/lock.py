"""Decide versions: /request/request.json and /source (the repository's files) -> /made/lock; and fetch the wheels.

/made/lock/pylock.toml        what to install (PEP 751), without credentials in its addresses
/made/lock/pylock.kernel.toml ipykernel under the constraints of the first, when a kernel is asked for
/made/lock/problems.json      what could not be done and does not stop the build: [[code, message], ...]
/made/lock/groups, built, record  the same, as groups.py sorts it
/made/lock/built/files        the repository's own archives that are among what is built, at their paths below /work
/made/lock/channel_alias      the address below which conda's channels are named, without credentials

Strategies: pip, poetry, project; and conda for the pip section of an environment.yml, whose conda
part is in /opt/conda/envs/env already.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import channels
import groups
import mistaken
import tags
import wheels
from commands import run, said, say

LOCK = Path("/made/lock")
PYLOCK = LOCK / "pylock.toml"
KERNEL = LOCK / "pylock.kernel.toml"
UV_LOCK = Path("uv.lock")  # beside the pyproject.toml, in the directory in which commands run
UV = "/tools/uv"
DEAF = ("7.0", "7.1", "7.2", "7.3")
"""Versions of ipykernel that may miss a cell and never answer it: https://github.com/ipython/ipykernel/pull/1529"""
NOT_DEAF = ",".join(f"!={version}.*" for version in DEAF)
OF_GENUTILS = (6, 5)
"""The first ipykernel that does without ipython_genutils. Those before import it, and all but 5.5.6 leave it to
traitlets to ask for it, which does so no longer."""


def main() -> int:
    request = json.loads(Path("/request/request.json").read_bytes())
    inputs = request["inputs"]
    LOCK.mkdir(parents=True, exist_ok=True)
    shutil.copytree("/source", "/work", symlinks=True)  # tools write beside what they read
    os.environ |= tags.versions(Path("/work"))
    os.chdir(Path("/work", inputs["directory"]))
    if request["strategy"] in ("pip", "conda"):
        # As pip does: every index counts alike, whatever comes first.
        os.environ["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    uv_lock = UV_LOCK.read_text() if request["strategy"] == "project" and inputs["lock"] else ""
    code = {"pip": lock_pip, "poetry": lock_poetry, "project": lock_project, "conda": lock_conda_pip}[
        request["strategy"]
    ](inputs)
    if code:
        import why  # which loads much, and is seldom needed

        why.ask(why.suspects(said()), inputs["as_of"], why.built(said()))
        return code
    if PYLOCK.exists():
        finish(PYLOCK)
    locked = packages(PYLOCK)
    problems = [*withdrawn(said()), *changed(uv_lock), *mistaken.problems(locked)]
    problems += lock_kernel(request["strategy"], inputs, locked) if request["kernel"] else []
    (LOCK / "problems.json").write_text(json.dumps(problems))
    (LOCK / "channel_alias").write_text(channels.without_credentials(os.environ.get("LAUNCHYARD_CHANNEL_ALIAS", "")))
    groups.sort(LOCK, set(installed()) if request["strategy"] == "conda" else set())
    keep_archives(LOCK / groups.BUILT)
    wheels.fetch(LOCK / "groups")
    return 0


def keep_archives(built: Path) -> None:
    """What is built waits for these files alone, and not for all that was read to decide."""
    work = Path("/work")
    for package in packages(built / "pylock.toml"):
        for path in (Path(file["path"]) for file in groups.files(package) if "path" in file):
            if path.is_relative_to(work):
                kept = built / "files" / path.relative_to(work)
                kept.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, kept)


def withdrawn(said: str) -> list[tuple[str, str]]:
    """Versions that were taken although their authors withdrew them, as uv and pip warn of them."""
    if "yanked" not in said:
        return []
    import why

    return why.withdrawn(said)


def lock_pip(inputs: dict) -> int:
    """uv decides in a sixth of pip's time; where it finds no answer, or was not to be asked, pip's word counts."""
    requirements = f"/work/{inputs['requirements']}"
    if inputs["resolver"] == "uv":
        code = uv_compile(requirements, inputs, PYLOCK)
        if code == 0 or inputs["as_of"]:
            return code
        print("uv finds no answer; asking pip", file=sys.stderr)
    # pip writes paths relative to the lock, so the lock is written where the paths start.
    beside = Path("pylock.launchyard.toml")
    code = run(
        python(), "-m", "pip", "lock", "--progress-bar=off", "--disable-pip-version-check", "-r", requirements,
        "-o", str(beside),
        PYTHONPATH="/tools/pip",
    )  # fmt: skip
    if code == 0:
        shutil.move(beside, PYLOCK)
    return code


def lock_poetry(inputs: dict) -> int:
    # A virtual environment of the chosen Python: Poetry would look for one, or make one, elsewhere.
    run(UV, "venv", "--quiet", "--python", python(), "/tmp/poetry-python")
    index = os.environ.get("PIP_INDEX_URL") or default_index()
    # What Poetry learns of a package it keeps under the name PyPI, whichever index that was.
    kept = hashlib.sha256(channels.without_credentials(index).encode()).hexdigest()[:12]
    environ = {
        "VIRTUAL_ENV": "/tmp/poetry-python",
        "PATH": f"/tmp/poetry-python/bin:{os.environ['PATH']}",
        "POETRY_PYPI_MIRROR_URL": index,
        "POETRY_CACHE_DIR": f"{os.environ['XDG_CACHE_HOME']}/pypoetry/{kept}",
        "POETRY_NO_INTERACTION": "1",
    }
    poetry = "/tools/poetry/bin/poetry"
    if inputs["lock"] != "fresh":
        keep = ["--no-update"] if inputs["lock"] == "stale" else []
        if code := run(poetry, "lock", *keep, **environ):
            return code
    groups = [f"--with={group}" for group in inputs["groups"]]
    extras = [f"--extras={extra}" for extra in inputs["extras"]]
    exported = "/tmp/requirements.txt"
    if code := run(poetry, "export", "--format=requirements.txt", "--output", exported, *groups, *extras, **environ):
        return code
    return uv_compile(exported, inputs, PYLOCK, "--no-deps")


def lock_project(inputs: dict) -> int:
    extras = [f"--extra={extra}" for extra in inputs["extras"]]
    groups = [f"--group={group}" for group in inputs["groups"]]
    if inputs["lock"]:
        return run(
            UV, "export", "--quiet", "--format=pylock.toml", "--no-emit-project", "--no-default-groups", "--no-header",
            "--python", python(), *extras, *groups, "--output-file", str(PYLOCK),
        )  # fmt: skip
    return uv_compile("pyproject.toml", inputs, PYLOCK, *extras, *groups)


def changed(uv_lock: str) -> list[tuple[str, str]]:
    """What uv had to change in a uv.lock that no longer fitted its pyproject.toml: it does so without a word."""
    before, after = versions(uv_lock), versions(UV_LOCK.read_text() if uv_lock else "")
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    if not names:
        return []
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    words = f"uv.lock no longer fits pyproject.toml; uv decided anew on {shown}. `uv lock` brings it up to date"
    return [("uv-lock-stale", words)]


def versions(uv_lock: str) -> dict[str, set[str]]:
    """The versions of each package in a uv.lock, which may have several for one, by platform."""
    found: dict[str, set[str]] = {}
    for package in tomllib.loads(uv_lock).get("package", []):
        found.setdefault(package["name"], set()).add(package.get("version", ""))
    return found


def lock_conda_pip(inputs: dict) -> int:
    """The pip section, resolved against what conda has installed: its versions are constraints."""
    if not inputs["pip"]:
        return 0
    # Lines that name files are relative to the directory of environment.yml, which this is.
    requirements = Path("requirements.launchyard.txt")
    requirements.write_text("".join(f"{line}\n" for line in inputs["pip"]))
    return uv_compile(str(requirements), inputs, PYLOCK, "--constraints", str(constraints("conda", installed())))


def lock_kernel(strategy: str, inputs: dict, locked: list[dict]) -> list[tuple[str, str]]:
    """The newest ipykernel that answers and the lock allows. Without one, a session has terminals and no notebooks."""
    pins = {**(installed() if strategy == "conda" else {}), **{p["name"]: p.get("version", "") for p in locked}}
    own = pins.get("ipykernel")
    if own and lacks_genutils(pins):
        words = (
            f"notebooks have no kernel: this environment's own ipykernel {own} imports ipython_genutils, and does not "
            "ask for it; ask for ipython_genutils as well, or for ipykernel>=6.5"
        )
        return [("kernel-broken", words)]
    if own:
        words = (
            f"notebooks may wait for ever for a cell with this environment's own ipykernel {own} (its issue 1554): "
            "ask for ipykernel<7, or with Python 3.11 or newer for ipykernel>=7.4"
        )
        return [("kernel-deaf", words)] if own.startswith(tuple(f"{version}." for version in DEAF)) else []
    wanted = Path("/tmp/kernel.in")
    wanted.write_text(f"ipykernel{NOT_DEAF}\n")
    # Of today, whatever day the environment is of: the kernel is the session's, and one of that day may be
    # for no Python there is.
    how = (str(wanted), {**inputs, "as_of": None}, KERNEL, "--constraints", str(constraints("kernel", pins)))
    code = uv_compile(*how)
    if code == 0 and lacks_genutils({**pins, **{p["name"]: p.get("version", "") for p in packages(KERNEL)}}):
        wanted.write_text(f"ipykernel{NOT_DEAF}\nipython_genutils\n")
        code = uv_compile(*how)
    if code:
        KERNEL.unlink(missing_ok=True)
        words = "no ipykernel fits what this environment pins: notebooks have no kernel, terminals work"
        return [("kernel-unavailable", words)]
    finish(KERNEL)
    return []


def lacks_genutils(pins: dict[str, str]) -> bool:
    release = tuple(map(int, re.findall(r"\d+", pins["ipykernel"])[:2]))
    return release < OF_GENUTILS and "ipython-genutils" not in pins


def constraints(name: str, pins: dict[str, str]) -> Path:
    path = Path(f"/tmp/{name}.constraints")
    path.write_text("".join(f"{name}=={version}\n" for name, version in sorted(pins.items()) if version))
    return path


def installed() -> dict[str, str]:
    listed = subprocess.run(
        [UV, "pip", "list", "--format=json", "--python", python()], capture_output=True, check=True
    ).stdout
    return {package["name"]: package["version"] for package in json.loads(listed)}


def uv_compile(source: str, inputs: dict, output: Path, *options: str) -> int:
    as_of = [f"--exclude-newer={inputs['as_of']}"] if inputs["as_of"] else []
    command = (
        UV, "pip", "compile", "--no-header", "--no-annotate", "--format=pylock.toml", "--python", python(),
        *as_of, *options, source, "--output-file", str(output),
    )  # fmt: skip
    fresh = os.environ.get("FRESH", "").startswith("pages")
    text = Path(source).read_bytes()
    if source.endswith(".toml") or OPTION.search(text):
        return answering((*command, *(("--refresh",) if fresh else ())), text)
    environ = {"UV_INDEX": "", "UV_DEFAULT_INDEX": ""}
    if not fresh:
        with believing(f"files = {FOR_EVER}, api = {A_WHILE}") as config:
            code, printed = held(*command, *only_answering(text), UV_CONFIG_FILE=config, **environ)
        if not (code and b"No solution found" in printed):
            say(printed)
            return code
    with believing(f"files = {FOR_EVER}") as config:  # what uv is told to believe of pages, it does not refresh
        return answering((*command, "--refresh"), text, UV_CONFIG_FILE=config, **environ)


def answering(command: tuple[str, ...], text: bytes, **environ: str) -> int:
    """Run uv so that it takes an ipykernel which answers, where there is a solution with one."""
    code, printed = held(*command, *only_answering(text), **environ)
    if code and b"No solution found" in printed and b"ipykernel" in printed and only_answering(text):
        return run(*command, output=False, **environ)
    say(printed)
    return code


def only_answering(text: bytes) -> tuple[str, ...]:
    """Options of uv's where nobody names an ipykernel: JupyterLab asks for one, whether that answers or not."""
    if b"ipykernel" in text:
        return ()
    path = Path("/tmp/answering.constraints")
    path.write_text(f"ipykernel{NOT_DEAF}\n")
    return "--constraints", str(path)


def held(*command: str, **environ: str) -> tuple[int, bytearray]:
    """The exit code of a command, and what it says."""
    printed = bytearray()
    return run(*command, output=False, hold=printed, **environ), printed


OPTION = re.compile(rb"^\s*-", re.MULTILINE)
"""A line of a requirements file that may say where packages come from, or name a file that does."""

FOR_EVER = '"max-age=365000000, immutable"'
A_WHILE = '"max-age=600"'


@contextmanager
def believing(control: str) -> Iterator[str]:
    """uv's settings for the indexes in use, with how long what they send is believed, whatever they say themselves.

    PyPI says of its files that they never change, and of its pages, where new versions are, that they hold for ten
    minutes. An index that says neither is asked for all of it by every build. Where pages give no answer they are
    asked for anew, as they are for fresh versions.
    https://docs.astral.sh/uv/concepts/indexes/#customizing-cache-control-headers
    """
    others = os.environ.get("UV_INDEX", "").split()
    indexes = [*((url, "false") for url in others), (os.environ.get("UV_DEFAULT_INDEX") or default_index(), "true")]
    text = "".join(
        f"[[index]]\nurl = {json.dumps(url)}\ndefault = {default}\ncache-control = {{ {control} }}\n"
        for url, default in indexes
    )
    config = os.memfd_create("uv.toml")  # the addresses may hold passwords: no file of the image is to have them
    try:
        os.write(config, text.encode())
        yield f"/proc/{os.getpid()}/fd/{config}"
    finally:
        os.close(config)


def finish(lock: Path) -> None:
    """Take out what is not content: credentials in addresses; and make local directories findable and plain."""
    text = lock.read_text()
    text = re.sub(r"(\"[a-z+]*https?://)[^/@\"]+@", r"\1", text)
    text = re.sub(r"\burl = \"file://(/[^\"]*)\"", r'path = "\1"', text)
    text = re.sub(r"^editable = true\n", "", text, flags=re.MULTILINE)
    text = re.sub(r", editable = true|editable = true, ", "", text)
    here = Path.cwd()

    def absolute(match: re.Match) -> str:
        path = Path(match[2])
        return f"{match[1]}{json.dumps(str((here / path).resolve()))}"

    text = re.sub(r"(\bpath = )\"([^\"]*)\"", absolute, text)
    lock.write_text(text)


def packages(lock: Path) -> list[dict]:
    return tomllib.loads(lock.read_text()).get("packages", []) if lock.exists() else []


def python() -> str:
    return os.environ["LAUNCHYARD_PYTHON"]


def default_index() -> str:
    """Poetry's own source asks an interface that mirrors lack; the simple one is served by every index."""
    sys.path.append("/tools/pip")
    from pip._internal.models.index import PyPI

    return PyPI.simple_url + "/"


if __name__ == "__main__":
    sys.exit(main())

"""What to do about packages: the line to change, and to what."""

from __future__ import annotations

import re
import shlex

from builder.failures.built import (
    BuildModuleMissing,
    BuildNeeds,
    Conflict,
    HashesIncomplete,
    Line,
    NoneForPlatform,
    NoneForPython,
    NotYetPublished,
    NoVersion,
    OwnReadmeAbsent,
    PackageNotFound,
    ProgramMissing,
    PythonsTooWide,
    Side,
    SourceBroken,
    Wheels,
)
from builder.failures.words.common import for_python, nearest, of_conda_alone, with_conda
from builder.recognition.said import release
from detectors.gpu import TORCH
from detectors.python import older_of


def with_hashes(failure: HashesIncomplete) -> tuple[str, ...]:
    path = shlex.quote(failure.path)
    out = rf"Take all hashes out: sed -i -E 's/ *\\$//; s/ *--hash[= ]\S+//g; /^ *$/d' {path}"
    if failure.kind == "impossible":
        return (out,)
    if failure.kind == "absent":
        lines = (
            f"Change {asked[0].place} to: {line}" if asked else f"Add to {failure.path} the line: {line}"
            for line, asked in failure.requirements
        )
        return (*lines, f"Or {out[:1].lower()}{out[1:]}")
    return (
        "Write the file anew, with what the requirements need and all hashes:"
        f" uv pip compile --generate-hashes {path} --output-file {path}",
        f"Or {out[:1].lower()}{out[1:]}",
    )


POETRY_FIX = {
    "unknown": "Take out what was not expected: a later Poetry may know it, 1.8.3 does not.",
    "type": "Write each of these in the form that is named.",
    "constraint": "Write versions as ^1.2, ~1.2, >=1.2,<2, 1.2.* or *.",
    "": "Correct what is named above; `poetry check` of Poetry 1.8.3 says the same.",
}


def spelling(failure: PackageNotFound) -> tuple[str, ...]:
    first = failure.asked[0] if failure.asked and not failure.way else None
    if failure.part_of:
        line = f"Take {first.place} out" if first else "Take it out"
        if failure.name == "python" and first:
            return (f"{line}: {_which_python(first)}.",)
        return (f"{line}: {failure.name} is part of {failure.part_of}.",)
    if first and (dashed := re.fullmatch(r"((?:- )?[A-Za-z][\w.]*)-(\d+(?:\.\d+)+)", first.text)):
        return (f"Change {first.place} to: {dashed[1]}=={dashed[2]}",)
    if failure.instead:
        written = re.sub("-", "[-_.]", failure.name)
        name = found[0] if first and (found := re.search(written, first.text, re.IGNORECASE)) else failure.name
        edit = (first.replaced(name, failure.instead),) if first else ()
        return (*edit, f"The package that is meant by {failure.name} is called {failure.instead}.")
    if failure.near:
        edit = (first.changed(failure.name, failure.near[0]),) if first else ()
        return (*edit, f"Names that look like it: {', '.join(failure.near)}.")
    if len(failure.way) > 1:
        return (f"It is {failure.way[-2]} that asks for it: ask for another version of that, or leave it out.",)
    return (f"Check how {failure.name} is spelt{f' in {first.place}' if first else ' where it is asked for'}.",)


def _which_python(asked: Line) -> str:
    """Where a Python is asked for, in place of a line that asks an index for one."""
    found = re.search(r"3\.\d+", asked.text.partition("python")[2])
    version = found[0] if found else "3.12"
    where = _by_file(
        asked.path,
        toml=f'requires-python says which one is built with, as in ">={version}"',
        yaml=f"conda's part says which one, as in - python={version}",
        text=f"a runtime.txt says which one is built with, in the line python-{version}",
    )
    return f"no index has Python; {where}"


def _by_file(path: str, *, toml: str, yaml: str, text: str) -> str:
    """What is to be said of a pyproject.toml, an environment.yml or a requirements.txt."""
    return {"toml": toml, "yml": yaml, "yaml": yaml}.get(path.rpartition(".")[2], text)


def other_version(failure: NoVersion) -> tuple[str, ...]:
    if failure.available:
        return (
            *(_without_label(failure) or _edit(failure.asked, failure.way, failure.specifier, _candidates(failure))),
            f"Versions that exist{for_python(failure.python)}: {', '.join(failure.available)}.",
        )
    near = (f"Or is another name meant: {', '.join(failure.near)}?",) if failure.near else ()
    python = for_python(failure.python)
    return (f"Check which versions of {failure.name} there are{python}.", *near)


def _candidates(failure: NoVersion) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*failure.available, *failure.series)))


def _without_label(failure: NoVersion) -> tuple[str, ...]:
    """For 2.1.0+cu118, a build that is published elsewhere: the version that the index has, and where that build is."""
    asked = re.fullmatch(r"(?:===?|)\s*([0-9][\w.]*)(\+[\w.]+)", failure.specifier)
    if not asked or failure.way or not failure.asked:
        return ()
    known = _candidates(failure)
    version = asked[1] if any(release(v)[:2] == release(asked[1])[:2] for v in known) else nearest(asked[1], known)
    line = failure.asked[0]
    whose = "PyTorch names" if failure.name in TORCH else f"the authors of {failure.name} name"
    how = _by_file(
        line.path,
        toml=f"as an index in {line.path}, and as the source of {failure.name}",
        yaml="with a line `- --extra-index-url` and its address, first in the pip: list",
        text=f"with a line `--extra-index-url` and its address at the top of {line.path}",
    )
    return (
        line.changed("".join(asked.groups()), version),
        f"Or give the index that {whose} for builds with {asked[2]}, {how}.",
    )


def there_were(failure: NotYetPublished) -> tuple[str, ...]:
    if not failure.available:
        return ()
    return (
        *_edit(failure.asked, failure.way, failure.specifier, failure.available),
        f"Versions that were there: {', '.join(failure.available)}.",
    )


def _edit(asked: tuple[Line, ...], way: tuple[str, ...], specifier: str, available: tuple[str, ...]) -> tuple[str, ...]:
    """The line that asks, with the nearest version that there is; nothing where that would take guessing."""
    bound = re.fullmatch(r"(?:===?|~=|>=|\^|~|)\s*([0-9][\w.+!-]*)", specifier)
    if not (asked and bound and not way and bound[1] in asked[0].text):
        return ()
    return (asked[0].changed(bound[1], nearest(bound[1], available)),)


def other_python(failure: NoneForPython | Wheels, have: str) -> tuple[str, ...]:
    if not failure.pythons:
        return ()
    own = _minor(failure.python)
    python = min(failure.pythons, key=lambda minor: abs(_minor(minor) - own))
    place = re.match(r"[^\s:]+:\d+", failure.python_origin)
    written = {
        "poetry": f'python = "^{python}"',
        "project": f'requires-python = ">={python}"',
        "conda": f"python={python}",
    }
    if failure.python_origin.startswith("option"):
        how = f"give --python {python}."
    elif place:
        how = f"change {place[0]} to ask for {written.get(failure.strategy, python)}."
    elif failure.strategy == "pip":
        how = f"create runtime.txt with the line python-{python}, or give --python {python}."
    elif failure.strategy == "conda":
        how = f"add {written['conda']} to the dependencies."
    elif failure.strategy in written:
        how = f"say {written[failure.strategy]} in pyproject.toml, or give --python {python}."
    else:
        how = f"ask for Python {python}."
    return (f"Pythons that {have}: {', '.join(failure.pythons)}. For the nearest, {how}",)


def narrower(failure: PythonsTooWide) -> tuple[str, ...]:
    """The line that says which Pythons are allowed, with those that are left; or with the one that is built with."""
    if failure.stated is None:
        return (f'Allow those alone for which there is one: python = "{failure.instead}".',)
    narrowed = failure.stated.changed(failure.allowed, failure.instead)
    if not failure.python:
        return (narrowed,)
    alone = failure.stated.text.replace(failure.allowed, f"~{failure.python}")
    return (narrowed, f"Or allow that Python alone which is built with: {alone}")


def with_wheel(failure: BuildModuleMissing | SourceBroken | BuildNeeds) -> tuple[str, ...]:
    """How to come to a package that need not be built."""
    wheels = failure.wheels
    if wheels is None:
        return (
            f"Ask for a version with a wheel{for_python(failure.python)}: most often a newer one.",
            "Or build with a Python of that version's own time, which may have a wheel.",
        )
    return _wheels(wheels, failure.asked) or _without_wheels(wheels)


def _wheels(wheels: Wheels, asked: tuple[Line, ...]) -> tuple[str, ...]:
    """The versions and the Pythons that have a wheel."""
    fix = []
    if wheels.nearest:
        first = asked[0] if asked else None
        names_it = first is not None and wheels.version in first.text
        edit = f" {first.changed(wheels.version, wheels.nearest)}" if first and names_it else ""
        fix.append(f"The nearest version with a wheel{for_python(wheels.python)} is {wheels.nearest}.{edit}")
    fix += other_python(wheels, f"have a wheel of {wheels.version}")
    older = of_conda_alone(" ".join(wheels.made_for))
    if older and not wheels.pythons:
        fix.append(
            f"Or let conda bring an older Python: an environment.yml with the dependencies python={older} and"
            f" {wheels.name}={wheels.version}."
        )
    return tuple(fix)


def _without_wheels(wheels: Wheels) -> tuple[str, ...]:
    if not wheels.day:
        made = f"No version of {wheels.name} has a wheel{for_python(wheels.python)}"
        return (f"{made}: leave it out, or take another package like it.",)
    made = f"No version of {wheels.name} from before {wheels.day} has a wheel{for_python(wheels.python)}"
    older = older_of(wheels.day) if wheels.strategy != "conda" else None
    by_conda = f"let conda bring an older Python: an environment.yml with python={older} among its dependencies."
    return (f"{made}: give --as-of a later day.", f"Or {by_conda if older else 'build with an older Python.'}")


def last_words(failure: SourceBroken) -> tuple[str, ...]:
    """That there is no better advice than what the build itself has said, where that is so."""
    wheels = failure.wheels
    if not failure.step and wheels and (wheels.day or _wheels(wheels, failure.asked)):
        return ()
    unknown = "Launchyard does not know this failure"
    return (f"{unknown}; the lines above are the build's own last words." if failure.lines else f"{unknown}.",)


def for_this_python(failure: NoneForPython) -> tuple[str, ...]:
    if not failure.available:
        return (f"Or ask for another version of {failure.name}.",)
    return (f"Or ask for one that is made{for_python(failure.python)}: {', '.join(failure.available)}.",)


def older_python(failure: NoneForPython) -> tuple[str, ...]:
    if failure.pythons or failure.strategy == "conda":
        return ()
    return with_conda(" ".join(need for _, need in failure.needs))


def _minor(version: str) -> int:
    found = re.match(r"\d+\.(\d+)", version)
    return int(found[1]) if found else 0


def elsewhere(failure: NoneForPlatform) -> tuple[str, ...]:
    others = {"win": "win32", "macosx": "darwin"}
    systems = {others.get(re.split(r"[\d_]", platform)[0], "") for platform in failure.platforms}
    requirement = f"{failure.name}{failure.specifier}"
    if len(systems) == 1 and "" not in systems and failure.asked and failure.asked[0].text.endswith(requirement):
        marked = f'{requirement}; sys_platform == "{systems.pop()}"'
        return (failure.asked[0].changed(requirement, marked), "Or take the line out.")
    return ("Take the line out, or ask for another version.",)


def _asker(side: Side) -> str:
    if side.line is None:
        return side.way[0]
    name = re.split(r"[^\w.-]", side.way[0])[0]
    return f"{side.way[0] if name in side.line.text else side.line.text} ({side.line.place})"


def loosened(failure: Conflict) -> tuple[str, ...]:
    """The exact edit where the repository itself pins what another requirement needs otherwise."""
    own = [side for side in failure.sides if len(side.way) == 1 and side.line]
    others = [side for side in failure.sides if len(side.way) > 1]
    names = dict.fromkeys(_asker(side) for side in failure.sides)
    loosen = f"Loosen {' or '.join(names)}."
    if len(own) == 1 and len(others) == 1 and own[0].line and own[0].specifier and others[0].specifier:
        return (own[0].line.changed(own[0].specifier, others[0].specifier), f"Or: {loosen[:1].lower()}{loosen[1:]}")
    if failure.on and len(own) == len(failure.sides) > 1 and len({side.line for side in own}) > 1:
        return (f"Keep one: {' or '.join(names)}.",)
    return (loosen,)


def which_files(backend: str) -> tuple[str, ...]:
    match backend:
        case "poetry":
            none, which = "package-mode = false", 'packages = [{ include = "NAME" }]'
            table = "[tool.poetry]"
        case "setuptools":
            none, which, table = "py-modules = []", 'packages = ["NAME"]', "[tool.setuptools]"
        case _:
            return (
                "If there is no package to install, take [build-system] out of pyproject.toml.",
                'Or say which directory it is: packages = ["NAME"] under [tool.hatch.build.targets.wheel].',
            )
    return (
        f"If there is no package to install, write {none} under {table} in pyproject.toml.",
        f"Or say there which directory it is: {which}.",
    )


def readme(failure: OwnReadmeAbsent) -> tuple[str, ...]:
    line = failure.asked[0] if failure.asked else None
    other = (line.changed(failure.readme.rpartition("/")[2], failure.near),) if line and failure.near else ()
    without = f"take {line.place} out" if line else "take it out of pyproject.toml, or of what setup.py reads"
    return (*other, f"Commit {failure.readme}.", f"Or {without}: a package needs no description.")


def program(failure: ProgramMissing) -> tuple[str, ...]:
    match failure.program:
        case "sudo" | "apt" | "apt-get":
            return (f"Take it out: nothing runs as root. Debian's packages go into {failure.apt}, a name a line.",)
        case "conda" | "mamba":
            return ("Take it out: what conda is to install stands in environment.yml.",)
        case "jupyter":
            return ("Ask for jupyterlab in the environment's file: the session's own is outside of the environment.",)
    verb = apt_edit(failure)
    if failure.packages:
        return (f"{verb} the line: {failure.packages[0]}",)
    return (
        f"If a Debian package has it: {verb[:1].lower()}{verb[1:]} the line that names the package.",
        "If a Python package has it, ask for that in the environment's file.",
    )


def apt_edit(failure: BuildNeeds | ProgramMissing) -> str:
    return f"Add to {failure.apt}" if failure.apt_exists else f"Create {failure.apt} with"

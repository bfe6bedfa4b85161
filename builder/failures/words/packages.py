"""Words for what an index, or a build of packages, has no answer to."""

from __future__ import annotations

from collections.abc import Iterator

from builder.failures import Blame
from builder.failures.built import (
    BuildModuleMissing,
    BuildNeeds,
    Conflict,
    DebianPackageAbsent,
    GitRequirementAbsent,
    HashesIncomplete,
    HashMismatch,
    Line,
    LockStale,
    ModuleMissing,
    NoneForPlatform,
    NoneForPython,
    NotYetPublished,
    NoVersion,
    NumpyTooNew,
    OwnBuildNeeds,
    OwnPackageUnclear,
    OwnReadmeAbsent,
    PackageNotFound,
    PoetryUnreadable,
    ProgramMissing,
    PythonsTooWide,
    SourceBroken,
    Wheels,
    Yanked,
)
from builder.failures.words import fixes
from builder.failures.words.common import Words, for_python, joined


def of_packages(failure: object) -> Words | None:
    match failure:
        case PackageNotFound():
            return (
                f"{failure.name} is not the package that is meant"
                if failure.exists
                else f"There is no package {failure.name}",
                _seen(failure.asked, failure.way)
                or (f"Looked in {', '.join(failure.places)}" if failure.places else failure.name),
                fixes.spelling(failure),
                Blame.REPOSITORY,
            )
        case NoVersion():
            return (
                f"No version of {failure.name} fits {failure.specifier or 'what was asked'}",
                _seen(failure.asked, failure.way)
                or f"{failure.name}{failure.specifier}" + (f", on Python {failure.python}" if failure.python else ""),
                fixes.other_version(failure),
                Blame.REPOSITORY,
            )
        case NotYetPublished() if failure.published:
            return (
                f"No version of {failure.name} that fits {failure.specifier or 'what was asked'}"
                f" was published before {failure.day}",
                joined(
                    _seen(failure.asked, failure.way),
                    f"{failure.name} {failure.newest} was published on {failure.published}",
                ),
                (*fixes.there_were(failure), "Or give --as-of a later day."),
                Blame.REPOSITORY,
            )
        case NotYetPublished():
            return (
                f"The index does not say when versions of {failure.name} were published",
                joined(_seen(failure.asked, failure.way), f"Asked for are versions from before {failure.day}"),
                (
                    "Leave --as-of out.",
                    "Or set index.url to an index that says it, in the member upload-time of the simple API (PEP 700).",
                ),
                Blame.USAGE,
            )
        case NoneForPython():
            needs = (
                f"{failure.name} {version}".strip() + f" {'need' if ' to ' in version else 'needs'} Python {need}"
                for version, need in failure.needs
            )
            return (
                f"No version of {failure.name} that fits {failure.specifier or 'what was asked'}"
                f" is made{for_python(failure.python)}",
                joined(_seen(failure.asked, failure.way), *needs),
                (
                    *fixes.other_python(failure, "have one"),
                    *fixes.for_this_python(failure),
                    *fixes.older_python(failure),
                ),
                Blame.REPOSITORY,
            )
        case PythonsTooWide():
            return (
                f"No version of {failure.name} that fits {failure.specifier or 'what was asked'}"
                " is made for every Python that the project allows",
                joined(
                    _seen(failure.asked),
                    str(failure.stated or ""),
                    *(f"{failure.name} {version}".strip() + f" needs Python {need}" for version, need in failure.needs),
                    "Poetry decides for all Pythons that are allowed"
                    + (f", and not for {failure.python} alone" if failure.python else ""),
                ),
                fixes.narrower(failure),
                Blame.REPOSITORY,
            )
        case NoneForPlatform():
            return (
                f"{failure.name}{failure.specifier} is not made for Linux",
                joined(_seen(failure.asked), f"It is made for {', '.join(failure.platforms) or 'others'}"),
                fixes.elsewhere(failure),
                Blame.REPOSITORY,
            )
        case Yanked():
            withdrawn = (f"{failure.name} {version}: {why or 'no reason given'}" for version, why in failure.versions)
            return (
                f"Every version of {failure.name} that fits {failure.specifier or 'what was asked'} was withdrawn",
                joined(_seen(failure.asked, failure.way), *withdrawn),
                (
                    f"Ask for one that was not: {', '.join(failure.available)}."
                    if failure.available
                    else f"Ask for another version of {failure.name}.",
                    f"An exact version, such as =={failure.versions[0][0]}, is installed although it was withdrawn.",
                ),
                Blame.REPOSITORY,
            )
        case Conflict():
            return _conflict(failure)
        case BuildNeeds():
            return _build_needs(failure)
        case BuildModuleMissing():
            return (
                f"{failure.name} {failure.version}".strip() + " has no wheel here, and its source cannot be built",
                joined(
                    _seen(failure.asked),
                    f"Its build needs the module {failure.module}, and does not ask for it",
                    _made_for(failure.wheels),
                ),
                fixes.with_wheel(failure),
                Blame.REPOSITORY,
            )
        case SourceBroken() if failure.step:
            return (
                f"The repository's own package at {failure.name} cannot be built",
                joined(f"In the step: {failure.step}", *failure.lines),
                fixes.last_words(failure),
                Blame.REPOSITORY,
            )
        case SourceBroken():
            return (
                f"{failure.name} {failure.version}".strip() + " has no wheel here, and its source cannot be built",
                joined(_seen(failure.asked), _made_for(failure.wheels), *failure.lines),
                (*fixes.with_wheel(failure), *fixes.last_words(failure)),
                Blame.REPOSITORY,
            )
        case OwnPackageUnclear():
            return (
                f"The repository's own package at {failure.path} cannot be built",
                failure.said,
                fixes.which_files(failure.backend),
                Blame.REPOSITORY,
            )
        case OwnReadmeAbsent():
            return (
                f"The repository's own package at {failure.path} cannot be built",
                joined(_seen(failure.asked), f"There is no {failure.readme}, which its description is to be read from"),
                fixes.readme(failure),
                Blame.REPOSITORY,
            )
        case OwnBuildNeeds():
            return (
                f"The repository's own package at {failure.path} cannot be built",
                f"Its build imports {failure.module}, and does not ask for it",
                (
                    f'Write in pyproject.toml: [build-system] requires = ["setuptools", "{failure.package}"]',
                    "Or let its setup.py do without: what is needed later can be imported later.",
                ),
                Blame.REPOSITORY,
            )
        case ProgramMissing():
            return f"There is no program {failure.program}", failure.said, fixes.program(failure), Blame.REPOSITORY
        case ModuleMissing():
            where = f" to {failure.file}" if failure.file else " to what the environment asks for"
            return (
                f"There is no module {failure.module}",
                f"No module named {failure.module}",
                (f"Add {failure.package}{where}.",),
                Blame.REPOSITORY,
            )
        case NumpyTooNew():
            return (
                "A package was compiled for NumPy 1, and NumPy 2 is installed",
                joined(_seen(failure.asked), failure.said),
                (
                    "Ask for numpy<2 as well.",
                    "Or ask for a newer version of the package that is imported; those of 2024 and later know NumPy 2.",
                ),
                Blame.REPOSITORY,
            )
        case HashMismatch():
            return (
                f"{failure.name} {failure.version}".strip() + " is not the file whose hash was written down",
                joined(_seen(failure.asked), *failure.hashes),
                (
                    "If the hash is out of date, write it anew, with the tool that wrote the file.",
                    "If it is not, somebody has changed the package: do not use it.",
                ),
                Blame.REPOSITORY,
            )
        case HashesIncomplete():
            return (
                "Not every requirement has a hash that pip could check",
                "\n".join(_hashless(failure)),
                fixes.with_hashes(failure),
                Blame.REPOSITORY,
            )
        case GitRequirementAbsent():
            return (
                f"There is no public repository {failure.address}",
                joined(_seen(failure.asked), "Its host asks for a password: it is private, or not there."),
                (
                    "Check the address: does a browser show it where nobody is logged in?",
                    "What is private cannot be installed from: publish it, or put what is needed into this repository.",
                ),
                Blame.REPOSITORY,
            )
        case DebianPackageAbsent():
            return (
                f"Debian has no package {failure.name}",
                _seen(failure.asked) or failure.apt,
                (
                    f"Correct its name in {failure.apt}, or take it out: names change between releases, and this"
                    " Debian is bookworm.",
                ),
                Blame.REPOSITORY,
            )
        case PoetryUnreadable():
            return (
                "Poetry 1.8.3 cannot read pyproject.toml",
                joined(_seen(failure.asked), *(words for _, words in failure.problems)),
                tuple(dict.fromkeys(fixes.POETRY_FIX.get(kind, fixes.POETRY_FIX[""]) for kind, _ in failure.problems)),
                Blame.REPOSITORY,
            )
        case LockStale():
            return (
                "poetry.lock does not belong to pyproject.toml",
                "\n".join(failure.lines),
                ("Run `poetry lock --no-update` and commit the result.",),
                Blame.REPOSITORY,
            )
    return None


def _hashless(failure: HashesIncomplete) -> Iterator[str]:
    why = {
        "absent": "it has no hash",
        "unpinned": "it names no one version, and so no one file",
    }.get(failure.kind, "it is no one file, and so has no hash")
    for requirement, asked in failure.requirements:
        needed = requirement.partition(" --hash")[0] + ", which another requirement needs"
        yield f"{asked[0] if asked else needed}: {why}"
    yield "Where one requirement has a hash, pip wants one of each, and of what they need"


def _seen(asked: tuple[Line, ...], way: tuple[str, ...] = ()) -> str:
    """The lines that ask, and how they come to what is wrong."""
    return "\n".join((*map(str, asked), *((_way(way),) if len(way) > 1 else ())))


def _way(way: tuple[str, ...]) -> str:
    first, *more = way
    return first + "".join(f"{', which' if number else ''} needs {name}" for number, name in enumerate(more))


def _made_for(wheels: Wheels | None) -> str:
    if wheels is None or not wheels.made_for:
        return ""
    return f"{wheels.name} {wheels.version} has wheels for Python {', '.join(wheels.made_for)}"


def _conflict(failure: Conflict) -> Words:
    if not failure.sides:
        return (
            "What is asked for cannot be installed together",
            "\n".join(failure.lines),
            ("Loosen or remove one of the requirements named above.",),
            Blame.REPOSITORY,
        )
    seen: list[str] = []
    for side in failure.sides:
        seen += [str(side.line)] if side.line and str(side.line) not in seen else []
        if len(side.way) > 1 or not side.line:
            seen.append(("  " if side.line else "") + _way(side.way))
    title = "What is asked for cannot be installed together"
    title += f": no one version of {failure.on} fits it all" if failure.on else ""
    return (title, "\n".join(seen), fixes.loosened(failure), Blame.REPOSITORY)


def _build_needs(failure: BuildNeeds) -> Words:
    package = f"{failure.name} {failure.version}".strip()
    what = failure.thing if failure.kind == "compiler" else f"the {failure.kind} {failure.thing}"
    verb = fixes.apt_edit(failure)
    lines = "the line" if len(failure.packages) == 1 else "the lines"
    fix = []
    if failure.packages:
        fix.append(f"{verb} {lines}: {', '.join(failure.packages)}")
    else:
        fix.append(f"Find the Debian package that has {failure.thing}, and put its name on a line of {failure.apt}.")
    if failure.instead:
        edit = (
            failure.asked[0].changed(failure.name, failure.instead) if failure.asked else f"ask for {failure.instead}"
        )
        fix.append(f"Or take {failure.instead}, which needs nothing to be built. {edit}")
    else:
        if failure.wheels is None:
            fix.append(f"Or ask for a version of {failure.name} with a wheel{for_python(failure.python)}.")
        elif failure.wheels.nearest or failure.wheels.made_for:
            fix += fixes.with_wheel(failure)
    return (
        f"{package} has no wheel here, and its source needs {what}",
        joined(_seen(failure.asked) or package, _made_for(failure.wheels)),
        tuple(fix),
        Blame.REPOSITORY,
    )

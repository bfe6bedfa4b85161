"""Words for what is wrong in a repository's files."""

from __future__ import annotations

import posixpath
import re
import shlex

from builder.failures import Blame
from builder.failures.words.common import Words, with_conda
from builder.recognition.names import distribution, is_known, part_of
from detectors import failures as detected
from detectors import slip, tomlfile, yamlfile


def of_repository(failure: object) -> Words | None:
    match failure:
        case detected.NoEnvironment():
            where = failure.looked_in or "the root of the repository"
            near = tuple(_near(path, what) for path, what in failure.near)
            return (
                "No environment file",
                f"In {where}:\n{_tree(failure.seen)}",
                near
                or ("Add an environment.yml, a requirements.txt or a pyproject.toml with its dependencies there.",),
                Blame.REPOSITORY,
            )
        case detected.StrategyAbsent():
            return (
                f"Nothing here for the strategy {failure.strategy}",
                f"In {failure.looked_in or 'the root of the repository'} there is no {' or '.join(failure.wants)}",
                ("Leave --strategy out to take what the repository has, or add that file.",),
                Blame.REPOSITORY,
            )
        case detected.DirectoryAbsent():
            return (
                f"The repository has no directory {failure.path}",
                f"subdir {failure.path}",
                ("Check --subdir: it is a path from the root of the repository.",),
                Blame.REPOSITORY,
            )
        case detected.FileInvalid():
            found = f"{failure.location}: {failure.found}" if failure.found else str(failure.location)
            return (
                f"{failure.location.path} is not valid: {failure.format} expected",
                f"{found}\n{failure.problem}",
                _meant(failure) if failure.instead else (_correction(failure),),
                Blame.REPOSITORY,
            )
        case detected.ListOfAnother():
            title, fix = _of_lists(failure)
            return title, f"{failure.location}: {failure.found}", fix, Blame.REPOSITORY
        case detected.LockNewer():
            return (
                f"{failure.location.path} was made by a newer Poetry",
                f"{failure.location}: lock-version = {failure.version}; Poetry 1.8.3 reads 1.x and 2.x",
                (
                    f"Take {failure.location.path} out of the repository: the versions are decided when it is built.",
                    "Or make it with Poetry 1.8: `poetry lock`, and commit the result.",
                ),
                Blame.REPOSITORY,
            )
        case detected.Undecodable():
            return (
                f"{failure.path} is not text in {failure.encoding.upper()}",
                f"{failure.path}:{failure.line}:{failure.column}",
                (
                    f"Save {failure.path} as UTF-8: most editors have it under Save with Encoding.",
                    f"Where it is Latin-1: iconv -f LATIN1 -t UTF-8 {failure.path} > utf-8.txt",
                ),
                Blame.REPOSITORY,
            )
        case detected.FileTooLarge():
            return (
                f"{failure.path} is too large to be an environment file",
                f"{failure.path}: {failure.size:,} bytes; {failure.limit:,} are read at most",
                ("Check that the right file was committed.",),
                Blame.REPOSITORY,
            )
        case detected.NotAFile(path=""):
            return (
                "The root of the repository is named where a file is needed",
                f"The root of the repository, a {failure.kind}",
                ("Name a file in it, such as requirements.txt.",),
                Blame.REPOSITORY,
            )
        case detected.NotAFile():
            return (
                f"{failure.path} is a {failure.kind}, where a file is needed",
                failure.path,
                (f"Rename the {failure.kind}, or put a file in its place.",),
                Blame.REPOSITORY,
            )
        case detected.NotADirectory():
            return (
                f"{failure.path} is a {failure.kind}, where a directory is needed",
                f"{failure.origin} refers to {failure.path}" if failure.origin else failure.path,
                ("Give the address of the submodule's own repository, or commit its files in its place.",)
                if failure.kind == "submodule"
                else (f"Rename the {failure.kind}, or name a directory.",),
                Blame.REPOSITORY,
            )
        case detected.DirectoryTooLarge():
            return (
                f"{failure.path or 'The root of the repository'} holds too many files",
                f"Git's list of them has {failure.size:,} bytes; {failure.limit:,} are read at most",
                ("Put the files into directories below it.",),
                Blame.REPOSITORY,
            )
        case detected.PathTooLong():
            return (
                "A path in the repository is too long",
                f"{failure.path}…: more than {failure.limit:,} characters",
                ("Move what lies there up, or shorten its name.",),
                Blame.REPOSITORY,
            )
        case detected.ArchiveBroken():
            is_zip = failure.path.lower().endswith((".whl", ".zip"))
            lists = f"{'python -m zipfile --list' if is_zip else 'tar --list --file'} {shlex.quote(failure.path)}"
            begins = f"It begins with: {failure.start}" if failure.start else "Nothing is in it"
            return (
                f"{failure.path} is no archive that could be installed",
                f"{failure.location} asks for it\n{begins}",
                (
                    f"Get or build it again; when `{lists}` shows what is in it, commit it.",
                    f"Or ask for the package by its name in {failure.location.path}, if an index has it.",
                ),
                Blame.REPOSITORY,
            )
        case detected.LfsPointer():
            return (
                f"{failure.path} is stored in Git LFS",
                f"{failure.path} holds a pointer, not its content",
                (
                    f"Take it out of LFS: git lfs untrack {shlex.quote(failure.path)}"
                    f" && git add --renormalize {shlex.quote(failure.path)}",
                    "Then commit .gitattributes and the file.",
                ),
                Blame.REPOSITORY,
            )
        case detected.PathOutside():
            return (
                f"{failure.path} leads out of the repository",
                f"{failure.path} -> {failure.target}",
                ("Refer to files inside the repository only.",),
                Blame.REPOSITORY,
            )
        case detected.GroupAbsent():
            return (
                f"There is no {failure.kind} {failure.name} in {failure.path}",
                f"{failure.path} has {', '.join(failure.existing) or 'none'}",
                (f"Ask for one that it has, or leave the {failure.kind} out.",),
                Blame.REPOSITORY,
            )
        case detected.PathAbsent():
            return (
                f"{failure.path} does not exist",
                f"{failure.origin} refers to {failure.path}",
                ("Commit that file, or take the line out.",),
                Blame.REPOSITORY,
            )
        case detected.PythonUnavailable():
            overrule = f"Or choose one of them with --python, which overrules {failure.origin}."
            conda_has_none_either = "3.6" in failure.supported
            return (
                f"Python {failure.asked} is not available",
                f"{failure.origin} asks for {failure.asked}",
                (
                    f"Ask for one of {', '.join(failure.supported)}.",
                    *((overrule,) if failure.by_file else ()),
                    *(() if conda_has_none_either else with_conda(failure.asked)),
                ),
                Blame.USAGE if failure.origin.startswith("option ") else Blame.REPOSITORY,
            )
    return None


def _place(location: detected.Location) -> str:
    return f"line {location.line} of {location.path}" if location.line else location.path


def _meant(failure: detected.FileInvalid) -> tuple[str, ...]:
    """What to write in place of a slip."""
    where = _place(failure.location)
    lines = failure.instead
    if failure.problem == slip.OF_PYTHON:
        lines = tuple(distribution(name) or name for name in lines if not part_of(name))
        if not lines:
            verb = "is" if len(failure.instead) == 1 else "are"
            return (f"Take {where} out: {' and '.join(failure.instead)} {verb} part of Python.",)
    if failure.problem == slip.SEVERAL and sum(map(is_known, lines)) * 2 < len(lines):
        return (f"Put # before {where}, where it is a remark; a package takes a line of its own.",)
    if failure.problem == slip.OF_PIP:
        below = " and ".join(f"- {line}" for line in lines)
        return (f"Write {below} below `- pip:`, indented further than that, in place of {where}.",)
    each = ", each on a line of its own" if len(lines) > 1 else ""
    return (f"Write {' and '.join(lines)} in {where}{each}.",)


def _correction(failure: detected.FileInvalid) -> str:
    """The edit that mends a line, where it is known; else which line to look at."""
    where = _place(failure.location)
    if re.match(r"<{7}|={7}|>{7}", failure.found):
        marks = "the lines with <<<<<<<, ======= and >>>>>>>"
        return f"Finish the merge: keep one side, and take {marks} out of {failure.location.path}."
    if of_key := re.fullmatch(r"(?:[\w.-]+ @ )?git\+(?:ssh://)?[\w.*-]+@([\w.-]+)[:/]([^\s…]+)", failure.found):
        return f"Write git+https://{of_key[1]}/{of_key[2]} in {where}, where everybody can read that repository."
    match failure.problem:
        case "variables of the environment are not filled in":
            return (
                f"Write out what {where} stands for. The password of an index belongs into the settings, index.url or"
                " index.extra, and what is in a private repository cannot be installed from there."
            )
        case "its line ends are those of Windows":
            name = shlex.quote(failure.location.path)
            return f"Take them out: sed -i 's/\\r$//' {name}; `{name} text eol=lf` in .gitattributes keeps it so."
        case "it holds credentials, and everyone can read them":
            return f"Take them out of {where}, and change them: they are in the repository's history."
        case "found character that cannot start any token" if failure.found[:1] in "@`%":
            return f"Put quotes around the value in {where}."
        case tomlfile.LIST_OPEN:
            return f"Close the list with a ], which begins in {where}."
        case yamlfile.QUOTE_OPEN:
            return f"Close the quote in {where}, or take it out."
        case "did not find expected key" if failure.found.endswith(":"):
            return f"Begin {where} in the column in which the other keys begin, mostly the first."
        case "did not find expected key" | "did not find expected '-' indicator":
            return f"Begin {where} in the column in which the lines of its list begin, with a dash before each."
        case "found character that cannot start any token":
            return f"Indent {where} with spaces: YAML takes no tabs."
        case problem if found := re.fullmatch(r"the key (\S+) for the second time", problem):
            return f"Put what is below both under one {found[1]}:, and take {where} out."
        case problem if found := re.fullmatch(r"conda has no such key, and one that is called (\S+)", problem):
            return f"Write {found[1]} in {where}."
        case slip.COMMAND:
            return f"Take {where} out: a package stands in a line of its own, without the command."
        case "not a mapping with dependencies" | "it is empty" if failure.format == "an environment":
            return (
                "Begin it with the line `dependencies:`, and put `  - NAME` below that for each package; or rename"
                f" {failure.location.path} to requirements.txt, where it is what pip reads."
            )
        case "not an option of a requirements file":
            return f"Take {failure.found} out of {where}."
        case "not one that stands behind a requirement":
            return f"Put {failure.found} on a line of its own, above {where}, or take it out."
    return f"Correct {where}."


def _of_lists(failure: detected.ListOfAnother) -> tuple[str, tuple[str, ...]]:
    """The title, and what to do: where the environment still is, and where it is not."""
    path = failure.location.path
    quoted = shlex.quote(path)  # a repository named it, and somebody may copy the command
    like_pip = f"Where the environment is, write it with: pip list --format=freeze > {quoted}"
    match failure.command:
        case "conda list --export":
            return f"{path} is a list of conda's, and not of pip's", (
                "Where the environment is, write conda's own file: conda env export --no-builds > environment.yml",
                r"Or make one of it: (echo dependencies:; sed -nE '/=pypi_/!s/^([^#=]+)=([^=]+)=.*/  - \1=\2/p' "
                f"{quoted}) > environment.yml",
            )
        case "conda list --explicit":
            return f"{path} is a list of conda's, and not of pip's", (
                "Where the environment is, write conda's own file: conda env export --no-builds > environment.yml",
                r"Or make one of it: (echo dependencies:; sed -nE 's#^http.*/([^/]+)-([^-/]+)-[^-/]+"
                rf"\.(conda|tar\.bz2).*#  - \1=\2#p' {quoted}) > environment.yml",
            )
        case "conda env export":
            named = shlex.quote(posixpath.join(posixpath.dirname(path), "environment.yml"))
            return f"{path} is what conda reads, under pip's name", (f"Rename it: git mv {quoted} {named}",)
        case "pip list":
            return f"{path} is the table that `pip list` prints", (
                like_pip,
                rf"Or make requirements of it: sed -i -E '1,2d; s/^(\S+) +(\S+).*/\1==\2/' {quoted}",
            )
    places = "a place" if failure.lines == 1 else f"{failure.lines} places"
    return f"{path} names {places} on the machine where it was written", (
        like_pip,
        f"Or leave those places out, and with them the versions: sed -i 's/ @ file:.*//' {quoted}",
    )


def _tree(seen: tuple[str, ...]) -> str:
    return (
        "\n".join(f"  {path}" if path.rstrip("/").count("/") == 0 else f"    {path.partition('/')[2]}" for path in seen)
        or "  nothing"
    )


def _near(path: str, what: str) -> str:
    if what.startswith("--"):
        return f"To use {path}, add {what}."
    if re.fullmatch(r"\S+", what):
        return f"Rename {path} to {what}."
    if what.startswith("beside its "):
        needed = what.removeprefix("beside its ")
        return f"{path} is not enough by itself: commit the {needed} that it was made from, too."
    return f"{path} is not read; what is needed is {what}."

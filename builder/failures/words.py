"""All the words for failures: title, what was seen, what to do, and who can."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping

from builder.failures import Blame
from builder.failures.asked import (
    AddressInvalid,
    AddressMoved,
    CertificateUntrusted,
    DateInvalid,
    EngineUnavailable,
    FrontendUnavailable,
    GitUnusable,
    HostNotAllowed,
    HostNotPublic,
    HostUnreachable,
    ImageAbsent,
    ImageForeign,
    NotGit,
    ObjectsUnread,
    PushFailed,
    RecordInvalid,
    RefAbsent,
    ReferenceInvalid,
    RefInvalid,
    RepositoryUnavailable,
    SettingsForeign,
    SettingsInvalid,
    Stopped,
    TooLarge,
    TooManyFiles,
)
from builder.failures.built import (
    BaseUnavailable,
    BuildModuleMissing,
    BuildNeeds,
    ChannelAbsent,
    ChannelsLack,
    ChannelUnreachable,
    Conflict,
    DebianPackageAbsent,
    Demand,
    DiskFull,
    ExportedElsewhere,
    GitRequirementAbsent,
    HashesIncomplete,
    HashMismatch,
    IndexUnreachable,
    Line,
    LockStale,
    ModuleMissing,
    NoneForPlatform,
    NoneForPython,
    NotYetPublished,
    NoVersion,
    NumpyTooNew,
    OutOfMemory,
    OwnBuildNeeds,
    OwnPackageUnclear,
    PackageNotFound,
    PipContradictsConda,
    PoetryUnreadable,
    ProgramMissing,
    PythonsTooWide,
    Side,
    SourceBroken,
    StepFailed,
    StepNotStarted,
    TimeExceeded,
    Unsatisfiable,
    Wheels,
    Yanked,
)
from builder.failures.served import (
    AddressUnusable,
    BackupInvalid,
    BuilderLost,
    CommandMissing,
    DataAbsent,
    DatabaseAway,
    DatabaseNeeded,
    DataGone,
    FrontendDiffers,
    GpusAbsent,
    HostForeign,
    KindAbsent,
    LauncherInvalid,
    NameTaken,
    NotEmpty,
    NothingRemembered,
    NoVersionYet,
    PortTaken,
    RecordAbsent,
    RequestInvalid,
    ResourcesAbsent,
    RevisionStale,
    ServiceUnreachable,
    SessionAbsent,
    SessionClosed,
    SessionDiskFull,
    SessionEnded,
    SessionExists,
    SessionGuarded,
    SessionOutOfMemory,
    SessionsFull,
    StateTaken,
    StateUnusable,
    VersionGone,
    VersionPinned,
)
from builder.quantities import size_in_words
from builder.recognition.names import conda_name, distribution, is_known, part_of
from builder.recognition.said import release
from detectors import failures as detected
from detectors import slip, tomlfile, yamlfile
from detectors.gpu import TORCH

SHOWN = 8
"""Lines of an exported file that are shown of a kind."""

Words = tuple[str, str, tuple[str, ...], Blame]


def words(failure: object) -> Words:
    for of in (_of_repository, _of_address, _of_packages, _of_conda, _of_machine, _of_image, _of_service, _of_launcher):
        found = of(failure)
        if found is not None:
            return found
    return (
        "Launchyard met something it does not expect",
        repr(failure)[:500],
        ("Please report this, with the command that was run.",),
        Blame.LAUNCHYARD,
    )


MEMBERS = {
    "ref": "ref",
    "subdir": "subdir",
    "strategy": "options.strategy",
    "python": "options.python",
    "frontend": "options.frontend",
    "as-of": "options.as_of",
}
"""Members of a request to the service, by the command line's options, which the words below speak of."""

_OPTION = re.compile(rf"--({'|'.join(MEMBERS)})(?![\w-])")
_ORIGIN = re.compile(rf"\boption {_OPTION.pattern}")


def over_http(words: Words) -> Words:
    """Words for who has asked the service, and not a command."""

    def member(found: re.Match[str]) -> str:
        return MEMBERS[found[1]]

    title, seen, fix, blame = words
    seen = _ORIGIN.sub(member, seen)  # the rest of it may be a log
    return title, seen, tuple(_OPTION.sub(member, line) for line in fix), blame


def _of_repository(failure: object) -> Words | None:
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
                    *(() if conda_has_none_either else _with_conda(failure.asked)),
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


def _of_address(failure: object) -> Words | None:
    match failure:
        case AddressInvalid():
            instead = f"Give {failure.instead or 'an address such as https://github.com/owner/repository'}."
            return (
                "This is no repository that can be built",
                f"{failure.address or 'The address'}: {failure.problem}",
                (instead if failure.instead else failure.advice or instead,),
                Blame.REPOSITORY,
            )
        case HostNotPublic():
            return (
                f"{failure.host} is not a public host",
                f"{failure.host} stands for this machine, a private network or a reserved address",
                ("Give the name of a public git host; an operator can allow a private one by its name.",),
                Blame.REPOSITORY,
            )
        case AddressMoved():
            return (
                "The repository has another address now",
                f"{failure.address} is redirected, and redirects are not followed",
                ("Open it in a browser, and give the address that it ends at.",),
                Blame.REPOSITORY,
            )
        case HostNotAllowed():
            return (
                f"Repositories on {failure.host} are not allowed here",
                f"Allowed are {', '.join(failure.allowed)}",
                ("Whoever runs this installation can add the host to LAUNCHYARD_ALLOWED_HOSTS.",),
                Blame.REPOSITORY,
            )
        case RepositoryUnavailable():
            return (
                "There is no such public repository",
                f"{failure.address}: {failure.detail or 'the host asks for a password: private, or not there'}",
                (
                    "Check the spelling of the address: does a browser show it where nobody is logged in?",
                    "If it is private, make it public, or clone it where you have access"
                    " and give the path: launchyard build PATH.",
                ),
                Blame.REPOSITORY,
            )
        case ObjectsUnread():
            return (
                f"The repository's objects are named by {failure.format}, which is not read",
                failure.address,
                ("Give a copy of it that git made with --object-format=sha1.",),
                Blame.REPOSITORY,
            )
        case NotGit():
            return (
                "There is no git repository at this address",
                f"{failure.address} answers, but not as git does",
                ("Give the address that `git clone` takes, such as https://github.com/owner/repository.",),
                Blame.REPOSITORY,
            )
        case HostUnreachable():
            return (
                "The git host cannot be reached",
                f"{failure.address}: {failure.detail}",
                ("Try again; if it goes on, check the network and the proxy settings with `launchyard doctor`.",),
                Blame.OUTSIDE,
            )
        case RefAbsent():
            return (
                f"The repository has no branch, tag or commit {failure.ref}",
                f"It has {', '.join(failure.existing)}" if failure.existing else failure.ref,
                (_other_ref(failure),),
                Blame.REPOSITORY,
            )
        case RefInvalid():
            return (
                "This is not the name of a branch, a tag or a commit",
                failure.ref.strip() or "an empty name",
                ("Give the plain name, such as main or v1.2, or a commit's 40 digits.",),
                Blame.REPOSITORY,
            )
        case DateInvalid(to_come=True):
            words = "Give a day that has been: no index says what it will have."
            return "This day is to come", failure.text.strip(), (words,), Blame.USAGE
        case DateInvalid():
            return (
                "This is not a date",
                failure.text.strip() or "nothing at all",
                ("Give a date such as 2021-06-01, a time such as 2021-06-01T12:00:00Z, or the word commit.",),
                Blame.USAGE,
            )
        case TooManyFiles():
            return (
                f"The build needs more than {failure.limit:,} files of the repository",
                f"in {failure.path or 'the root of the repository'}",
                ("Keep data out of the repository, or the environment's files in a directory of their own.",),
                Blame.REPOSITORY,
            )
        case TooLarge():
            return (
                f"{failure.what} is too large",
                f"{_size(failure)}; the limit is {failure.limit:,}",
                (
                    "Keep large data elsewhere, such as in an archive for data, and fetch it in the session.",
                    f"Whoever runs this installation can raise the limit, the setting {failure.setting}.",
                ),
                Blame.REPOSITORY,
            )
    return None


def _other_ref(failure: RefAbsent) -> str:
    if failure.near:
        return (
            f"Give one that it has: --ref {failure.near[0]}"
            + "".join(f", or {name}" for name in failure.near[1:])
            + "."
        )
    if re.fullmatch(r"[0-9a-f]{40}", failure.ref):
        return "Push that commit, or give a branch or a tag."
    if re.fullmatch(r"[0-9a-f]{6,39}", failure.ref):
        return "A commit is named by all its 40 digits: `git rev-parse` gives them."
    return "Leave --ref out to take the repository's default branch."


def _size(failure: TooLarge) -> str:
    # Where a transfer was cut off at the limit, nobody knows how much there was.
    return f"{failure.size:,} bytes" if failure.size > failure.limit else f"More than {failure.limit:,} bytes"


def _of_packages(failure: object) -> Words | None:
    match failure:
        case PackageNotFound():
            return (
                f"{failure.name} is not the package that is meant"
                if failure.exists
                else f"There is no package {failure.name}",
                _seen(failure.asked, failure.way)
                or (f"Looked in {', '.join(failure.places)}" if failure.places else failure.name),
                _spelling(failure),
                Blame.REPOSITORY,
            )
        case NoVersion():
            return (
                f"No version of {failure.name} fits {failure.specifier or 'what was asked'}",
                _seen(failure.asked, failure.way)
                or f"{failure.name}{failure.specifier}" + (f", on Python {failure.python}" if failure.python else ""),
                _other_version(failure),
                Blame.REPOSITORY,
            )
        case NotYetPublished() if failure.published:
            return (
                f"No version of {failure.name} that fits {failure.specifier or 'what was asked'}"
                f" was published before {failure.day}",
                _joined(
                    _seen(failure.asked, failure.way),
                    f"{failure.name} {failure.newest} was published on {failure.published}",
                ),
                (*_there_were(failure), "Or give --as-of a later day."),
                Blame.REPOSITORY,
            )
        case NotYetPublished():
            return (
                f"The index does not say when versions of {failure.name} were published",
                _joined(_seen(failure.asked, failure.way), f"Asked for are versions from before {failure.day}"),
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
                f" is made{_for(failure.python)}",
                _joined(_seen(failure.asked, failure.way), *needs),
                (*_other_python(failure, "have one"), *_for_this_python(failure), *_older_python(failure)),
                Blame.REPOSITORY,
            )
        case PythonsTooWide():
            return (
                f"No version of {failure.name} that fits {failure.specifier or 'what was asked'}"
                " is made for every Python that the project allows",
                _joined(
                    _seen(failure.asked),
                    str(failure.stated or ""),
                    *(f"{failure.name} {version}".strip() + f" needs Python {need}" for version, need in failure.needs),
                    "Poetry decides for all Pythons that are allowed"
                    + (f", and not for {failure.python} alone" if failure.python else ""),
                ),
                _narrower(failure),
                Blame.REPOSITORY,
            )
        case NoneForPlatform():
            return (
                f"{failure.name}{failure.specifier} is not made for Linux",
                _joined(_seen(failure.asked), f"It is made for {', '.join(failure.platforms) or 'others'}"),
                _elsewhere(failure),
                Blame.REPOSITORY,
            )
        case Yanked():
            withdrawn = (f"{failure.name} {version}: {why or 'no reason given'}" for version, why in failure.versions)
            return (
                f"Every version of {failure.name} that fits {failure.specifier or 'what was asked'} was withdrawn",
                _joined(_seen(failure.asked, failure.way), *withdrawn),
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
                _joined(
                    _seen(failure.asked),
                    f"Its build needs the module {failure.module}, and does not ask for it",
                    _made_for(failure.wheels),
                ),
                _with_wheel(failure),
                Blame.REPOSITORY,
            )
        case SourceBroken() if failure.step:
            return (
                f"The repository's own package at {failure.name} cannot be built",
                _joined(f"In the step: {failure.step}", *failure.lines),
                ("Launchyard does not know this failure; the lines above are the build's own last words.",),
                Blame.REPOSITORY,
            )
        case SourceBroken():
            return (
                f"{failure.name} {failure.version}".strip() + " has no wheel here, and its source cannot be built",
                _joined(_seen(failure.asked), _made_for(failure.wheels), *failure.lines),
                (
                    *_with_wheel(failure),
                    "Launchyard does not know this failure; the lines above are the build's own last words.",
                ),
                Blame.REPOSITORY,
            )
        case OwnPackageUnclear():
            return (
                f"The repository's own package at {failure.path} cannot be built",
                failure.said,
                _which_files(failure.backend),
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
            return f"There is no program {failure.program}", failure.said, _program(failure), Blame.REPOSITORY
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
                _joined(_seen(failure.asked), failure.said),
                (
                    "Ask for numpy<2 as well.",
                    "Or ask for a newer version of the package that is imported; those of 2024 and later know NumPy 2.",
                ),
                Blame.REPOSITORY,
            )
        case HashMismatch():
            return (
                f"{failure.name} {failure.version}".strip() + " is not the file whose hash was written down",
                _joined(_seen(failure.asked), *failure.hashes),
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
                _with_hashes(failure),
                Blame.REPOSITORY,
            )
        case GitRequirementAbsent():
            return (
                f"There is no public repository {failure.address}",
                _joined(_seen(failure.asked), "Its host asks for a password: it is private, or not there."),
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
                _joined(_seen(failure.asked), *(words for _, words in failure.problems)),
                tuple(dict.fromkeys(_POETRY_FIX.get(kind, _POETRY_FIX[""]) for kind, _ in failure.problems)),
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


def _with_hashes(failure: HashesIncomplete) -> tuple[str, ...]:
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


_POETRY_FIX = {
    "unknown": "Take out what was not expected: a later Poetry may know it, 1.8.3 does not.",
    "type": "Write each of these in the form that is named.",
    "constraint": "Write versions as ^1.2, ~1.2, >=1.2,<2, 1.2.* or *.",
    "": "Correct what is named above; `poetry check` of Poetry 1.8.3 says the same.",
}


def _seen(asked: tuple[Line, ...], way: tuple[str, ...] = ()) -> str:
    """The lines that ask, and how they come to what is wrong."""
    return "\n".join((*map(str, asked), *((_way(way),) if len(way) > 1 else ())))


def _for(python: str) -> str:
    """A Python, where it is known: a log alone does not say."""
    return f" for Python {python}" if python else ""


def _joined(*parts: str) -> str:
    return "\n".join(filter(None, parts))


def _way(way: tuple[str, ...]) -> str:
    first, *more = way
    return first + "".join(f"{', which' if number else ''} needs {name}" for number, name in enumerate(more))


def _spelling(failure: PackageNotFound) -> tuple[str, ...]:
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


def _other_version(failure: NoVersion) -> tuple[str, ...]:
    if failure.available:
        return (
            *(_without_label(failure) or _edit(failure.asked, failure.way, failure.specifier, _candidates(failure))),
            f"Versions that exist{_for(failure.python)}: {', '.join(failure.available)}.",
        )
    near = (f"Or is another name meant: {', '.join(failure.near)}?",) if failure.near else ()
    python = _for(failure.python)
    return (f"Check which versions of {failure.name} there are{python}.", *near)


def _candidates(failure: NoVersion) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*failure.available, *failure.series)))


def _without_label(failure: NoVersion) -> tuple[str, ...]:
    """For 2.1.0+cu118, a build that is published elsewhere: the version that the index has, and where that build is."""
    asked = re.fullmatch(r"(?:===?|)\s*([0-9][\w.]*)(\+[\w.]+)", failure.specifier)
    if not asked or failure.way or not failure.asked:
        return ()
    known = _candidates(failure)
    version = asked[1] if any(release(v)[:2] == release(asked[1])[:2] for v in known) else _nearest(asked[1], known)
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


def _there_were(failure: NotYetPublished) -> tuple[str, ...]:
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
    return (asked[0].changed(bound[1], _nearest(bound[1], available)),)


def _nearest(asked: str, versions: tuple[str, ...]) -> str:
    """Of versions, the newest first, the one that shares the most leading numbers with what was asked for."""
    wanted = release(asked)

    def distance(version: str) -> tuple[int, int]:
        pairs = list(zip(wanted, release(version), strict=False))
        shared = next((n for n, (one, other) in enumerate(pairs) if one != other), len(pairs))
        return -shared, abs(pairs[shared][0] - pairs[shared][1]) if shared < len(pairs) else 0

    return min(versions, key=distance)


def _other_python(failure: NoneForPython | Wheels, have: str) -> tuple[str, ...]:
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


def _narrower(failure: PythonsTooWide) -> tuple[str, ...]:
    """The line that says which Pythons are allowed, with those that are left; or with the one that is built with."""
    if failure.stated is None:
        return (f'Allow those alone for which there is one: python = "{failure.instead}".',)
    narrowed = failure.stated.changed(failure.allowed, failure.instead)
    if not failure.python:
        return (narrowed,)
    alone = failure.stated.text.replace(failure.allowed, f"~{failure.python}")
    return (narrowed, f"Or allow that Python alone which is built with: {alone}")


def _made_for(wheels: Wheels | None) -> str:
    if wheels is None or not wheels.made_for:
        return ""
    return f"{wheels.name} {wheels.version} has wheels for Python {', '.join(wheels.made_for)}"


def _with_wheel(failure: BuildModuleMissing | SourceBroken | BuildNeeds) -> tuple[str, ...]:
    """How to come to a package that need not be built."""
    wheels = failure.wheels
    if wheels is None:
        return (
            f"Ask for a version with a wheel{_for(failure.python)}: most often a newer one.",
            "Or build with a Python of that version's own time, which may have a wheel.",
        )
    fix = []
    if wheels.nearest:
        first = failure.asked[0] if failure.asked else None
        names_it = first is not None and wheels.version in first.text
        edit = f" {first.changed(wheels.version, wheels.nearest)}" if first and names_it else ""
        fix.append(f"The nearest version with a wheel{_for(wheels.python)} is {wheels.nearest}.{edit}")
    fix += _other_python(wheels, f"have a wheel of {wheels.version}")
    older = _of_conda_alone(" ".join(wheels.made_for))
    if older and not wheels.pythons:
        fix.append(
            f"Or let conda bring an older Python: an environment.yml with the dependencies python={older} and"
            f" {wheels.name}={wheels.version}."
        )
    none = (
        f"No version of {wheels.name} has a wheel{_for(wheels.python)}: leave it out, or take another package like it."
    )
    return tuple(fix) or (none,)


def _for_this_python(failure: NoneForPython) -> tuple[str, ...]:
    if not failure.available:
        return (f"Or ask for another version of {failure.name}.",)
    return (f"Or ask for one that is made{_for(failure.python)}: {', '.join(failure.available)}.",)


def _older_python(failure: NoneForPython) -> tuple[str, ...]:
    if failure.pythons or failure.strategy == "conda":
        return ()
    return _with_conda(" ".join(need for _, need in failure.needs))


def _with_conda(asked: str) -> tuple[str, ...]:
    python = _of_conda_alone(asked)
    return (
        (f"Or let conda bring it: an environment.yml with python={python} among its dependencies.",) if python else ()
    )


def _of_conda_alone(asked: str) -> str:
    """The newest Python in a text that is older than those that are built with, and that conda has; else empty."""
    return max(re.findall(r"\b3\.[678]\b", asked), default="")


def _minor(version: str) -> int:
    found = re.match(r"\d+\.(\d+)", version)
    return int(found[1]) if found else 0


def _elsewhere(failure: NoneForPlatform) -> tuple[str, ...]:
    others = {"win": "win32", "macosx": "darwin"}
    systems = {others.get(re.split(r"[\d_]", platform)[0], "") for platform in failure.platforms}
    requirement = f"{failure.name}{failure.specifier}"
    if len(systems) == 1 and "" not in systems and failure.asked and failure.asked[0].text.endswith(requirement):
        marked = f'{requirement}; sys_platform == "{systems.pop()}"'
        return (failure.asked[0].changed(requirement, marked), "Or take the line out.")
    return ("Take the line out, or ask for another version.",)


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
    return (title, "\n".join(seen), _loosen(failure), Blame.REPOSITORY)


def _asker(side: Side) -> str:
    if side.line is None:
        return side.way[0]
    name = re.split(r"[^\w.-]", side.way[0])[0]
    return f"{side.way[0] if name in side.line.text else side.line.text} ({side.line.place})"


def _loosen(failure: Conflict) -> tuple[str, ...]:
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


def _which_files(backend: str) -> tuple[str, ...]:
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


def _program(failure: ProgramMissing) -> tuple[str, ...]:
    match failure.program:
        case "sudo" | "apt" | "apt-get":
            return (f"Take it out: nothing runs as root. Debian's packages go into {failure.apt}, a name a line.",)
        case "conda" | "mamba":
            return ("Take it out: what conda is to install stands in environment.yml.",)
        case "jupyter":
            return ("Ask for jupyterlab in the environment's file: the session's own is outside of the environment.",)
    verb = _apt_edit(failure)
    if failure.packages:
        return (f"{verb} the line: {failure.packages[0]}",)
    return (
        f"If a Debian package has it: {verb[:1].lower()}{verb[1:]} the line that names the package.",
        "If a Python package has it, ask for that in the environment's file.",
    )


def _apt_edit(failure: BuildNeeds | ProgramMissing) -> str:
    return f"Add to {failure.apt}" if failure.apt_exists else f"Create {failure.apt} with"


def _build_needs(failure: BuildNeeds) -> Words:
    package = f"{failure.name} {failure.version}".strip()
    what = failure.thing if failure.kind == "compiler" else f"the {failure.kind} {failure.thing}"
    verb = _apt_edit(failure)
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
            fix.append(f"Or ask for a version of {failure.name} with a wheel{_for(failure.python)}.")
        elif failure.wheels.nearest or failure.wheels.made_for:
            fix += _with_wheel(failure)
    return (
        f"{package} has no wheel here, and its source needs {what}",
        _joined(_seen(failure.asked) or package, _made_for(failure.wheels)),
        tuple(fix),
        Blame.REPOSITORY,
    )


def _of_conda(failure: object) -> Words | None:
    match failure:
        case ChannelsLack():
            first, _, versions = failure.missing[0]
            where = " and ".join(failure.channels) or "the channels"
            title = (
                f"No version of {_spec_name(first)} fits {first.text}"
                if versions
                else f"There is no package {first.text}"
            )
            if len(failure.missing) > 1:
                title = f"Not to be had: {', '.join(asked.text for asked, _, _ in failure.missing)}"
            return (
                title,
                "\n".join(line for missing in failure.missing for line in _lacking(*missing, where)),
                tuple(_in_its_place(*missing, dict(failure.specs)) for missing in failure.missing),
                Blame.REPOSITORY,
            )
        case ExportedElsewhere():
            where = f"on {failure.system}" if failure.system else "with builds that the channels do not have"
            return (
                f"{failure.path} was exported {where}",
                _joined(
                    *(f"{_asked(asked)}: only {failure.system} has it" for asked in failure.foreign[:SHOWN]),
                    *_and_more(failure.builds),
                    "A build, which stands behind the second =, is made for one system" * bool(failure.builds),
                ),
                _exported(failure),
                Blame.REPOSITORY,
            )
        case Unsatisfiable():
            texts = [asked.text for asked in failure.specs]
            together = " and ".join(filter(None, (", ".join(texts[:-1]), *texts[-1:]))) or "What is asked of conda"
            return (
                f"{together} cannot be installed" + " together" * (len(texts) != 1),
                "\n".join((*(_asked(asked) for asked in failure.specs), *failure.lines)),
                _either(
                    tuple(
                        _instead(asked, version)
                        for asked in failure.specs
                        for spec, version in failure.instead
                        if spec == asked.text
                    )
                )
                or ("Loosen or remove one of these.",),
                Blame.REPOSITORY,
            )
        case PipContradictsConda():
            return (
                f"The pip: list contradicts the conda part about {failure.name}",
                f"{_asked(failure.conda)} (conda installs {failure.name} {failure.installed})\n"
                f"{_asked(failure.pip)} (below pip:"
                + (")" if _same(failure) else f", needs {failure.name}{failure.wanted})"),
                _agreement(failure),
                Blame.REPOSITORY,
            )
        case ChannelAbsent():
            return (
                f"There is no channel {failure.channel.text}",
                _asked(failure.channel),
                (f"Take {failure.channel.text} out of the channels, or correct its name.",),
                Blame.REPOSITORY,
            )
        case ChannelUnreachable():
            return (
                f"The channel {failure.channel.text} cannot be reached",
                f"{_asked(failure.channel)}\n{failure.detail}",
                (
                    "Try again.",
                    f"If it goes on, check that the address is right{_at(failure.channel)};"
                    " channels given by a name are below the setting conda.channel_alias.",
                ),
                Blame.OUTSIDE,
            )
    return None


def _asked(asked: Demand) -> str:
    match asked.origin:
        case "":
            return asked.text
        case "default":
            return f"{asked.text}: Launchyard's default, as environment.yml names none"
        case origin:
            return f"{origin}: {asked.text}"


def _at(asked: Demand) -> str:
    path, _, line = asked.origin.partition(":")
    return f" in {path}, line {line}" if line else ""


def _spec_name(asked: Demand) -> str:
    return re.split(r"[^\w.:/-]", asked.text)[0].rpartition("::")[2]


def _lacking(asked: Demand, near: tuple[str, ...], versions: tuple[str, ...], where: str) -> tuple[str, ...]:
    none = "none of that name" if asked.text == _spec_name(asked) else "none that fits"
    has = f"{where} has {f'{_spec_name(asked)} ' + ', '.join(versions) if versions else none}"
    return (_asked(asked), f"  {has}" + (f"; near are {', '.join(near)}" if near else ""))


def _in_its_place(
    asked: Demand, near: tuple[str, ...], versions: tuple[str, ...], specs: Mapping[str, str] | None = None
) -> str:
    name = _spec_name(asked)
    if versions:
        version = re.search(r"[ =<>!~]+([0-9]\S*)", asked.text)
        return _changed(asked, f"{name}={_nearest(version[1] if version else '', versions)}")
    spec = (specs or {}).get(name, asked.text)
    if other := conda_name(name):
        return f"conda's name for {name} is {other}. {_changed(asked, _renamed(spec, other))}"
    if part := part_of(name):
        return f"Take {asked.origin or name} out: {name} is part of {part}."
    if is_known(name):
        requirement = re.sub(r"^([\w.-]+) *=(?!=)", r"\1==", spec)
        moved = f"write - {requirement} below `- pip:`, and take it out{_at(asked)}"
        return f"{name} is a package of the Python index: {moved}."
    if near:
        return f"If {near[0]} is meant: {_changed(asked, near[0])}"
    return f"Check {asked.text}{_at(asked)}; a package of the Python index goes below `- pip:`."


def _renamed(spec: str, name: str) -> str:
    """A spec of another package; the index numbers some with a fourth part that conda does not know."""
    bounds = re.sub(r"^(?:\S+::)?[\w.-]+", "", spec)
    return name + re.sub(r"(\d+\.\d+\.\d+)\.\d+", r"\1", "" if re.search(r"=0\.0\b", bounds) else bounds)


def _and_more(builds: tuple[Demand, ...]) -> tuple[str, ...]:
    more = len(builds) - SHOWN
    return (*map(_asked, builds[:SHOWN]), *((f"  and {more} more like it",) if more > 0 else ()))


def _exported(failure: ExportedElsewhere) -> tuple[str, ...]:
    path = shlex.quote(failure.path)
    names = ", ".join(_spec_name(asked) for asked in failure.foreign)
    out = rf"sed -i -E 's/^( *- *[^=]+=[^=]+)=[^=]+$/\1/' {path}"
    return (
        f"Where the environment is, write it anew: conda env export --from-history > {path}"
        " (what pip installed is not in it, and goes below `- pip:`).",
        *((f"Or take the builds out: {out}",) if failure.builds else ()),
        *((f"{'And' if failure.builds else 'Or'} take out what only {failure.system} has: {names}.",) if names else ()),
    )


def _changed(asked: Demand, spec: str) -> str:
    if asked.origin.partition(":")[2]:
        return f"Change {asked.origin} to: - {spec}"
    return f"Ask for {spec} in place of {asked.text}."


def _either(fixes: tuple[str, ...]) -> tuple[str, ...]:
    return (*fixes[:1], *(f"Or {fix[0].lower()}{fix[1:]}" for fix in fixes[1:]))


def _instead(asked: Demand, version: str) -> str:
    if _spec_name(asked) == "python":
        version = ".".join(version.split(".")[:2])
    spec = f"{_spec_name(asked)}={version}"
    match asked.origin:
        case "default":
            return f"Add to the dependencies of environment.yml: - {spec}"
        case "option --python":
            return f"Give --python {version}."
    return _changed(asked, spec)


def _same(failure: PipContradictsConda) -> bool:
    return _spec_name(failure.pip).lower() == failure.name


def _agreement(failure: PipContradictsConda) -> tuple[str, ...]:
    if _same(failure):
        return (
            f"Take out {_asked(failure.pip)}, to have {failure.name} {failure.installed} of conda's.",
            f"Or take out {_asked(failure.conda)}, to have {failure.pip.text} of the index.",
        )
    return (
        _changed(failure.conda, f"{failure.name}{failure.wanted}"),
        f"Or ask for another version of {_spec_name(failure.pip)}{_at(failure.pip)}.",
    )


def _of_machine(failure: object) -> Words | None:
    match failure:
        case SettingsInvalid():
            return (
                "The settings are not valid",
                "\n".join(f"{where}: {problem}" for where, problem in failure.places),
                ("Correct launchyard.toml or the LAUNCHYARD_ variable of that name.",),
                Blame.USAGE,
            )
        case SettingsForeign():
            return (
                "A repository cannot bring settings for Launchyard",
                f"{failure.file} is committed in the repository that was asked for",
                ("Start from another directory, or set LAUNCHYARD_CONFIG to that file if its settings are yours.",),
                Blame.USAGE,
            )
        case EngineUnavailable() if failure.step:
            return (
                "The Docker engine went away during the build",
                f"In the step: {failure.step}\n{failure.detail}",
                ("See that Docker runs, and build again: what was done is cached. `launchyard doctor` checks it.",),
                Blame.OUTSIDE,
            )
        case EngineUnavailable() if "response from daemon" in failure.detail:
            return (
                "The Docker engine answered with an error",
                failure.detail,
                ("Try again; where it stays, look into the engine's own log. `launchyard doctor` checks it.",),
                Blame.OUTSIDE,
            )
        case EngineUnavailable():
            return (
                "No Docker engine answers",
                failure.detail,
                ("Start Docker, or set DOCKER_HOST; in a checkout of Launchyard `make engine` starts one.",),
                Blame.OUTSIDE,
            )
        case GitUnusable():
            return (
                "Git cannot be started",
                failure.detail,
                ("Install git where Launchyard runs; `launchyard doctor` says from which version on.",),
                Blame.OUTSIDE,
            )
        case BaseUnavailable():
            return (
                f"The base image {failure.reference} cannot be had",
                failure.detail,
                ("Check that its registry is reachable, or name another image in the settings under [bases].",),
                Blame.OUTSIDE,
            )
        case FrontendUnavailable():
            return (
                f"This installation has no {failure.frontend}",
                f"Not set: {', '.join(failure.settings)}",
                (f"Set {' and '.join(failure.settings)}, or choose --frontend jupyterlab.",),
                Blame.USAGE,
            )
        case IndexUnreachable():
            return (
                "The package index cannot be reached",
                failure.detail,
                (
                    "Try again.",
                    "If it goes on, check the setting index.url, or the --index-url of the repository;"
                    " `launchyard doctor` asks the index as a build does.",
                ),
                Blame.OUTSIDE,
            )
        case CertificateUntrusted():
            return (
                "A server's certificate is not trusted",
                failure.detail,
                (
                    "If it is a server of your own network, set `certificates` in launchyard.toml to the PEM file"
                    " of its certificate authorities.",
                ),
                Blame.OUTSIDE,
            )
        case DiskFull():
            full = failure.free is None
            left = (
                "" if full else f"\n{failure.free:,} bytes free; builds end under {failure.floor:,}: limits.disk_free"
            )
            return (
                "The disk is full" if full else "The engine's disk ran low, so the build was ended",
                _in_step(failure.step, failure.said) + left,
                (
                    "`launchyard prune` frees what Launchyard keeps; `launchyard doctor` shows the space.",
                    "If there is space, the build wrote more than it may: ask for less.",
                ),
                Blame.OUTSIDE,
            )
        case OutOfMemory():
            return (
                "There was not enough memory",
                _in_step(failure.step, failure.said),
                (
                    "Ask for a version that has a wheel: compiling takes the most memory.",
                    "Or build on a machine, or in an engine, with more of it.",
                ),
                Blame.OUTSIDE,
            )
        case TimeExceeded():
            return (
                f"Not done after {failure.seconds} seconds",
                _in_step(failure.step, *failure.lines),
                (
                    "Look at what it said last: something may wait for an answer, or compile what could be a wheel.",
                    f"Whoever runs this installation can raise the limit, the setting {failure.setting}.",
                ),
                Blame.REPOSITORY,
            )
        case StepNotStarted():
            return (
                "The Docker engine could not start a step, twice",
                _in_step(failure.step, failure.detail),
                ("Build again. If it happens again, restart Docker: its machine may be short of memory.",),
                Blame.OUTSIDE,
            )
        case StepFailed() if not failure.step:
            return (
                "No failure that Launchyard knows",
                "\n".join(failure.lines),
                ("The lines above are the last of the log.",),
                Blame.REPOSITORY,
            )
        case StepFailed():
            ended = "" if failure.exit_code is None else f" (exit code {failure.exit_code})"
            return (
                f"The step failed: {failure.step}{ended}",
                "\n".join(failure.lines),
                ("Launchyard does not know this failure; the lines above are the step's own last words.",),
                Blame.REPOSITORY,
            )
    return None


def _in_step(step: str, *said: str) -> str:
    return "\n".join((*([f"In the step: {step}"] if step else []), *filter(None, said)))


def _of_image(failure: object) -> Words | None:
    match failure:
        case ImageAbsent():
            return (
                f"There is no image {failure.reference}",
                failure.reference,
                (
                    "Build it first: launchyard build REPOSITORY.",
                    "A repository is named by its whole address, https://…, or by a path.",
                ),
                Blame.USAGE,
            )
        case RecordInvalid():
            return (
                "The image's record of its environment cannot be read",
                f"{failure.directory}: {failure.problem}",
                (f"Something that ran in the build wrote to {failure.directory}: a package's setup.py, or postBuild.",),
                Blame.REPOSITORY,
            )
        case ImageForeign():
            return (
                f"{failure.reference} was not built by Launchyard",
                "It lacks the label io.launchyard.key",
                ("Give the reference that `launchyard build` printed.",),
                Blame.USAGE,
            )
        case ReferenceInvalid():
            return (
                "This is not an image reference",
                failure.reference,
                ("Give NAME or NAME:TAG, in lower case, such as team/analysis:v1.",),
                Blame.USAGE,
            )
        case PushFailed():
            return (
                f"{failure.reference} could not be pushed",
                failure.detail,
                ("Check that the registry is reachable and that `docker login` was done for it.",),
                Blame.OUTSIDE,
            )
        case Stopped():
            return (
                "Stopped",
                "It was ended before it was done, with Ctrl-C or SIGTERM",
                ("Run it again. What a build service was asked for goes on there.",),
                Blame.USAGE,
            )
        case SessionExists():
            return (
                f"There is a session {failure.name} already",
                failure.name,
                (f"`launchyard stop {failure.name}` ends it; or give another --name.",),
                Blame.USAGE,
            )
        case PortTaken():
            return (
                f"The port {failure.port} is taken",
                f"127.0.0.1:{failure.port}",
                ("Give another --port: `serve` takes a free one with 0, `run` where none is given.",),
                Blame.OUTSIDE,
            )
        case VersionGone():
            return (
                f"The image of v{failure.number} is gone",
                f"{failure.reference} was removed, or is in a registry that has it no longer",
                (
                    "Rebuild: it makes the image of what the repository has now, and this one where that is the same.",
                    "Or take another of its versions.",
                ),
                Blame.USAGE,
            )
        case AddressUnusable():
            return (
                f"The service cannot listen on {failure.host}",
                f"{failure.host}:{failure.port}: {failure.detail}",
                ("Give one of this machine's addresses with --host, or 0.0.0.0 for all, and a --port from 1024 on.",),
                Blame.USAGE,
            )
        case StateUnusable():
            return (
                "The state directory cannot be written to",
                f"{failure.directory}: {failure.detail}",
                ("Give a directory of your own with --state, on a disk that can be written to.",),
                Blame.USAGE,
            )
        case SessionAbsent():
            return (
                f"There is no session {failure.name}",
                f"Running: {', '.join(failure.running) or 'none'}",
                ("`launchyard sessions` lists them.",),
                Blame.USAGE,
            )
        case SessionEnded():
            return (
                _ended_title(failure),
                "\n".join((*((f"$ {shlex.join(failure.command)[:200]}",) if failure.command else ()), *failure.lines)),
                (_ended_fix(failure),),
                Blame.REPOSITORY,
            )
    return None


def _of_service(failure: object) -> Words | None:
    match failure:
        case RecordAbsent():
            return (
                f"There is no such {failure.what}",
                failure.id,
                (f"It may have been deleted; {_LISTS.get(failure.what, _LISTS['environment'])} list what there is.",),
                Blame.USAGE,
            )
        case NameTaken():
            return (
                f"There is {'an' if failure.what == 'environment' else 'a'} {failure.what} {failure.name} already",
                failure.name,
                (f"Choose another name, or change the {failure.what} that has it.",),
                Blame.USAGE,
            )
        case NoVersionYet():
            return (
                f"{failure.name} has no image yet",
                f"Its state is {failure.state}",
                ("Wait for its first build to end, or read what that build says if it failed.",),
                Blame.USAGE,
            )
        case VersionPinned():
            name, wanted = failure.environment, failure.wanted
            return (
                f"{name} is pinned to v{failure.number}",
                f"v{wanted} would be used until a build succeeds; what is pinned stays, whatever is built",
                (
                    f"Pin v{wanted} in its place: `launchyard remote pin {name} {wanted}`.",
                    f"Or unpin it first: `launchyard remote unpin {name}`.",
                ),
                Blame.USAGE,
            )
        case KindAbsent():
            return (
                f"The lock of {failure.version} holds no {failure.kind} packages",
                f"There is nothing of {failure.version} to say in this format",
                (f"Ask for one of these: {', '.join(failure.others)}.",),
                Blame.USAGE,
            )
        case RevisionStale():
            return (
                f"{failure.name} was changed in the meantime",
                "If-Match does not name what it is now",
                ("Read it again, and repeat the change with its new ETag.",),
                Blame.USAGE,
            )
        case RequestInvalid():
            return (
                "The request is not valid",
                "\n".join(f"{place}: {problem}" for place, problem in failure.places),
                ("GET /api/openapi.json describes what can be asked.",),
                Blame.USAGE,
            )
        case HostForeign():
            return (
                "The service does not answer to this",
                failure.host,
                (
                    "Use the address that `launchyard serve` printed.",
                    "Whoever operates it can add other names that it is asked by to the setting hosts.",
                ),
                Blame.USAGE,
            )
        case BuilderLost():
            return (
                "The build was cut off",
                failure.detail,
                ("Rebuild. If it happens again, the machine may be short of memory.",),
                Blame.OUTSIDE,
            )
        case ServiceUnreachable():
            return (
                f"No build service answers at {failure.address}",
                failure.detail,
                ("Start one with `launchyard serve`, or give its address with --server.",),
                Blame.OUTSIDE,
            )
        case BackupInvalid():
            return (
                f"{failure.file} cannot be the backup",
                failure.problem,
                ("Give a new file to `launchyard backup`, and to `launchyard restore` one that it has written.",),
                Blame.USAGE,
            )
        case NotEmpty():
            return (
                "This service remembers something already",
                "A backup is restored to an empty one",
                ("Give another directory with --state, or another database with LAUNCHYARD_DATABASE.",),
                Blame.USAGE,
            )
        case NothingRemembered():
            return (
                "There is nothing to back up",
                "No service has run on this directory or database yet",
                ("Give the service's directory with --state, or its database with LAUNCHYARD_DATABASE.",),
                Blame.USAGE,
            )
        case DatabaseNeeded():
            return (
                f"The role {failure.role} needs a database",
                "The setting `database` is empty",
                (
                    "Set LAUNCHYARD_DATABASE to postgresql://USER:PASSWORD@HOST/NAME, the same for all processes.",
                    "Or leave --role out: one process does everything, over SQLite.",
                ),
                Blame.USAGE,
            )
        case DatabaseAway():
            return (
                "The database does not answer",
                failure.detail,
                ("Try again in a moment. Builds that are under way wait for it.",),
                Blame.OUTSIDE,
            )
        case StateTaken():
            return (
                "Another service works on this state directory",
                failure.directory,
                ("Stop that one first, or give another directory with --state.",),
                Blame.USAGE,
            )
    return None


_LISTS = {
    "environment": "`launchyard remote status` and GET /api/v1/environments",
    "version": "`launchyard remote versions NAME` and GET /api/v1/environments/ID/versions",
    "build": "GET /api/v1/builds and the page of its launcher",
    "launcher": "GET /api/v1/launchers and the page",
    "page": "GET /api/v1/launchers and the page",
    "session": "GET /api/v1/sessions and the page of its launcher",
}
"""Where to look for others of a kind."""


def _of_launcher(failure: object) -> Words | None:
    match failure:
        case LauncherInvalid():
            return (
                "The launcher cannot be so",
                "\n".join(f"{place}: {problem}" for place, problem in failure.places),
                ("Correct what is named above.",),
                Blame.USAGE,
            )
        case CommandMissing(frontend="command"):
            return (
                "The launcher says nothing to run",
                "command: empty",
                ("Give the command, with {port}, {ip} and {base_path} for where it is to listen.",),
                Blame.USAGE,
            )
        case CommandMissing():
            return (
                f"{failure.frontend.capitalize()} is not told which script to run",
                "command: its first word is to be the script's path in the repository",
                ("Give the path of the script, such as app.py.",),
                Blame.USAGE,
            )
        case ResourcesAbsent():
            return (
                f"There are no resources called {failure.name}",
                f"There are: {', '.join(failure.existing)}",
                (f"Choose {failure.existing[0]}." if failure.existing else "Set up sessions.classes.",),
                Blame.USAGE,
            )
        case DataAbsent():
            return (
                f"There is no data called {failure.name}",
                f"There are: {', '.join(failure.existing)}" if failure.existing else "The settings name none.",
                (f"Choose {failure.existing[0]}." if failure.existing else "Set up sessions.data.",),
                Blame.USAGE,
            )
        case DataGone():
            return (
                f"The data called {failure.name} is not where the settings say",
                f"sessions.data.{failure.name}: {failure.path}",
                ("Bring the directory back, or let the settings name the one that it is in now.",
                 f"Or take {failure.name} out of the launcher's data."),
                Blame.OUTSIDE,
            )  # fmt: skip
        case GpusAbsent():
            return (
                f"The engine cannot give a session {failure.asked} GPU{'s' * (failure.asked > 1)}",
                failure.detail,
                ("Choose resources without GPUs, or with fewer.",
                 "Where the machine has some, its operator lets Docker give them out: "
                 f"`docker run --rm --gpus={failure.asked} IMAGE nvidia-smi` lists them then.",),
                Blame.OUTSIDE,
            )  # fmt: skip
        case FrontendDiffers():
            return (
                f"The image holds {failure.frontend}, not {failure.wanted}",
                failure.reference,
                (f"Choose {failure.frontend} here, or build with --frontend {failure.wanted}.",),
                Blame.USAGE,
            )
        case SessionsFull():
            return (
                "No further session can start now",
                f"{failure.limit} are running or paused; more are not allowed at once",
                ("Stop one that nobody needs; the operator sets the limit, sessions.at_once.",),
                Blame.OUTSIDE,
            )
        case SessionOutOfMemory():
            return (
                "The session ran out of memory",
                "\n".join((f"It may use {size_in_words(failure.memory)}", *failure.lines)),
                (
                    "Choose larger resources for the launcher, and launch again: the work directory is kept.",
                    "Or load less at once: a part of the data, smaller types, one notebook at a time.",
                ),
                Blame.REPOSITORY,
            )
        case SessionDiskFull():
            return (
                "The session filled its disk",
                f"Its files took {size_in_words(failure.used)}; they may take {size_in_words(failure.disk)}",
                (
                    "Launch again and remove what is not needed: the work directory is kept, and a session that begins"
                    " with too much may run as long as it does not grow.",
                    "Or choose larger resources for the launcher.",
                ),
                Blame.REPOSITORY,
            )
        case SessionClosed():
            return (
                f"The session is {failure.state}",
                "It does not answer now",
                (_CLOSED_FIX.get(failure.state, _CLOSED_FIX[""]),),
                Blame.USAGE,
            )
        case SessionGuarded():
            return (
                "The session opens with its own token",
                "The address has no token, or not this session's",
                ("Open it from the page of its launcher.",),
                Blame.USAGE,
            )
    return None


def _ended_title(failure: SessionEnded) -> str:
    if failure.in_start:
        return f"The repository's start {failure.reason.replace('answer', 'give way')}"
    what = f"command {failure.command[0][:80]}" if failure.command else "session"
    return f"The {what} {failure.reason}"


def _ended_fix(failure: SessionEnded) -> str:
    if absent := next(filter(None, map(_ABSENT_PROGRAM.search, failure.lines)), None):
        brings = "add the package that brings it to what the repository asks for"
        return f"Nothing in the image is called {absent[1]}: {brings}, or change the command."
    if failure.in_start and failure.reason.startswith("did not answer"):
        return f"{_START_ENDS} What takes long is done by a postBuild, once for every session."
    if failure.in_start and any("required file not found" in line for line in failure.lines):
        return "Let start begin with #!/bin/bash, or with another program that the image has."
    if failure.in_start:
        return f"Change start where the lines above say. {_START_ENDS}"
    if failure.reason.startswith("did not answer"):
        how = "in a command, {ip} and {port} stand for them"
        listens = f"See that it listens on every address and on the port that it is given: {how}."
        return f"{listens} The lines above are its own last words."
    return "The lines above are the session's own last words."


_ABSENT_PROGRAM = re.compile(r"exec: ([\w.+-]+): not found$")
"""What bash says of a command that is not there."""

_START_ENDS = 'Its last line is exec "$@", which opens what the session is for.'

_CLOSED_FIX = {
    "starting": "Wait until it answers; the page of its launcher says when.",
    "pausing": "Resume it on the page of its launcher, once it is paused: the work directory is kept.",
    "paused": "Resume it on the page of its launcher: the work directory is kept.",
    "not answering": "Try again in a moment; if it stays, stop it on the page of its launcher and launch again.",
    "": "Launch again on the page of its launcher: the work directory is kept.",
}

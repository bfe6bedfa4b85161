"""The builder's commands, for launcher/cli.py to mount."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import click

from builder.quantities import duration_of, size_of
from builder.service import Builder, Options, Request, Settings, Wish
from builder.terminal import Command, emit, json_option, note, warn
from detectors import CHAIN
from detectors.failures import BuildError, NoEnvironment
from detectors.near import WANTED
from detectors.plan import FRONTENDS
from detectors.source import object_id

if TYPE_CHECKING:
    from builder.build import Planned
    from builder.database import Schema
    from builder.records import BackedUp, Built


class Installation(Protocol):
    """What commands find in their context."""

    @property
    def builder(self) -> Builder: ...

    @property
    def schemas(self) -> tuple[Schema, ...]:
        """What is remembered beside the builder's records."""
        ...


class Quantity(click.ParamType[int]):
    """A size or an age, as people write it."""

    def __init__(self, name: str, read: Callable[[str], int]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return value if isinstance(value, int) else self._read(value)
        except ValueError as error:
            self.fail(f"{value!r}: {error}.", param, ctx)


SIZE = Quantity("size", size_of)
AGE = Quantity("age", duration_of)

_WORKTREE = click.option(
    "--worktree", is_flag=True, help="Of a local repository, take what lies there uncommitted, too."
)

_BUILD_OPTIONS = (
    click.option("--tag", "tags", multiple=True, metavar="NAME", help="A further name for the image. Repeatable."),
    click.option("--push", is_flag=True, help="Push the image to the registry that its name is of."),
    click.option("--rebuild", is_flag=True, help="Resolve versions afresh, although an image is there."),
    click.option("--no-cache", is_flag=True, help="Run every step again, image or not; downloads are kept."),
    click.option(
        "--metadata-file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Write a JSON document on the image here.",
    ),
)


def _decided(subdir: str | None = None, frontend: str | None = None) -> tuple[Callable[[Command], Command], ...]:
    return (
        click.option("--ref", help="A branch, a tag or a commit; by default what the repository's HEAD is."),
        click.option(
            "--subdir", default=subdir, help="The directory of the repository that holds the environment's file."
        ),
        click.option(
            "--strategy", type=click.Choice(tuple(CHAIN)), help="This one, whatever comes first in the chain."
        ),
        click.option("--python", metavar="VERSION", help="The version of Python, such as 3.12."),
        click.option(
            "--frontend",
            type=click.Choice(FRONTENDS),
            default=frontend,
            show_default=frontend is not None,
            help="What a session opens.",
        ),
        click.option(
            "--group", "groups", multiple=True, help="A dependency group to add (poetry, project). Repeatable."
        ),
        click.option("--extra", "extras", multiple=True, help="An extra of the project itself to add. Repeatable."),
        click.option(
            "--as-of",
            metavar="DATE|commit",
            help="Resolve versions as the index stood then: an ISO 8601 date, which means 00:00 UTC of that day, "
            "a date and time, or `commit` for the commit's own.",
        ),
    )


def decided_by_hand(command: Command) -> Command:
    """The options of what a person decides about an environment; None or () where it is left open."""
    return _with(_decided(), command)


def repository_options(command: Command) -> Command:
    """The options of every command that takes a repository."""
    return _with((*_decided(subdir="", frontend="jupyterlab"), _WORKTREE), command)


def build_options(command: Command) -> Command:
    """The options of every command that builds."""
    return _with(_BUILD_OPTIONS, command)


def _with(options: Sequence[Callable[[Command], Command]], command: Command) -> Command:
    return reduce(lambda made, option: option(made), reversed(options), command)


def request_of(repository: str, asked: Mapping[str, Any]) -> Request:
    """The request that a command's options come to."""
    if asked["worktree"] and "://" in repository:
        raise click.UsageError("--worktree is for a local repository.")
    options = Options(
        subdir=asked["subdir"],
        strategy=asked["strategy"],
        python=asked["python"],
        groups=asked["groups"],
        extras=asked["extras"],
        as_of=asked["as_of"],
    )
    return Request(repository, asked["ref"], options, asked["frontend"], asked["worktree"])


def _planned(builder: Builder, request: Request) -> Planned:
    """The plan of a request; says which of its files have changes that do not count."""
    try:
        planned = builder.plan(request)
    except BuildError as error:
        if isinstance(error.failure, NoEnvironment) and not (request.worktree or request.ref):
            _note_uncommitted(Path(request.repository).expanduser() / error.failure.looked_in, error.failure.seen)
        raise
    root = planned.address.local
    if root and not request.worktree and not request.ref:
        changed = [file.path for file in planned.plan.files if not _is_committed(root / file.path, file.blob)]
        if changed:
            note(f"Not committed, and so not built: the changes of {', '.join(changed)}. --worktree takes them.")
    return planned


def _note_uncommitted(directory: Path, committed: Sequence[str]) -> None:
    """Say which files would make an environment, had they been committed."""
    for name in (name for name in WANTED if name not in committed and (directory / name).is_file()):
        note(f"{name} is there and not committed. --worktree takes it, unless .gitignore leaves it out.")


def _is_committed(path: Path, blob: str) -> bool:
    """Whether a file is still as git has it; what cannot be read here says nothing of that."""
    try:
        content = path.read_bytes()
    except OSError:
        return True
    # git may have given it line ends of Windows.
    return blob in (object_id("blob", text) for text in (content, content.replace(b"\r\n", b"\n")))


def built_of(builder: Builder, request: Request, asked: Mapping[str, Any]) -> Built:
    """Build with progress on standard error; how it came to be and what it warns of are said there at the end."""
    from builder.progress import progress
    from builder.tables import outcome

    file: Path | None = asked["metadata_file"]
    if file and not file.absolute().parent.is_dir():
        raise click.UsageError(f"--metadata-file: there is no directory {file.parent}.")
    planned = _planned(builder, request)
    wish = Wish(
        rebuild=asked["rebuild"],
        no_cache=asked["no_cache"],
        tags=asked["tags"],
        push=asked["push"],
    )
    with progress() as report:
        built = builder.build(planned, wish, report)
    note(outcome(built))
    warn(built.warnings)
    if file:
        import json

        file.write_text(json.dumps(built.to_json(), indent=2) + "\n")
    return built


@click.command()
@click.argument("repository")
@repository_options
@json_option
@click.pass_obj
def plan(installation: Installation, /, repository: str, as_json: bool, **asked: Any) -> None:
    """Show what would be built for REPOSITORY, and why.

    REPOSITORY is the https address of a public git repository, or the path of a local one.
    """
    planned = _planned(installation.builder, request_of(repository, asked))
    if as_json:
        emit(planned.to_json(asked["subdir"]))
        return
    from builder.tables import plan_lines

    click.echo("\n".join(plan_lines(planned)))


@click.command()
@click.argument("repository")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write the whole build context into this directory.",
)
@repository_options
@json_option
@click.pass_obj
def dockerfile(
    installation: Installation, /, repository: str, output: Path | None, as_json: bool, **asked: Any
) -> None:
    """Print the Dockerfile for REPOSITORY, or write its build context.

    With --output, the contexts of the images that it stands on are written as well, and the
    commands are printed that make the same layers from all of it.
    """
    builder = installation.builder
    if output and output.exists() and any(output.iterdir()):
        raise click.UsageError(f"--output: {output} is not empty.")
    planned = _planned(builder, request_of(repository, asked))
    if output is None:
        text = planned.context.dockerfile
        emit({"dockerfile": text, "key": planned.key}) if as_json else click.echo(text, nl=False)
        return
    from builder.export import export

    exported = export(planned, output, builder.settings)
    if as_json:
        document = {
            "directory": str(output),
            "commands": exported.commands,
            "secret_variables": exported.secret_variables,
        }
        emit({**document, "key": planned.key})
    else:
        click.echo("\n".join(exported.lines()))


@click.command()
@click.argument("repository")
@repository_options
@build_options
@json_option
@click.pass_obj
def build(installation: Installation, /, repository: str, as_json: bool, **asked: Any) -> None:
    """Build the image of REPOSITORY's environment, unless it is there already, and print its reference.

    The reference is all that standard output gets; progress goes to standard error.
    """
    built = built_of(installation.builder, request_of(repository, asked), asked)
    if as_json:
        emit(built.to_json())
    else:
        click.echo(built.reference)


@click.command()
@click.argument("image")
@click.option("--requested", is_flag=True, help="Only what the repository asks for, not what that pulled in.")
@json_option
@click.pass_obj
def packages(installation: Installation, /, image: str, requested: bool, as_json: bool) -> None:
    """List what is actually installed in IMAGE, and the shared libraries that it lacks."""
    inventory = installation.builder.packages(image)
    if as_json:
        document = inventory.to_json()
        emit({**document, "packages": [p for p in document["packages"] if p["requested"] or not requested]})
        return
    from builder.tables import library_lines, package_lines

    for line in (*package_lines(inventory, requested), *library_lines(inventory)):
        click.echo(line)
    listed = bool(inventory.missing_libraries)
    warn(warned for warned in inventory.warnings if not (listed and warned.code == "library-missing"))


@click.command()
@click.argument("before")
@click.argument("after")
@json_option
@click.pass_obj
def diff(installation: Installation, /, before: str, after: str, as_json: bool) -> None:
    """Show what was added, removed and changed from the image BEFORE to the image AFTER."""
    difference = installation.builder.diff(before, after)
    if as_json:
        emit(difference.to_json())
        return
    from builder.tables import difference_lines

    for line in difference_lines(difference):
        click.echo(line)


STATE = click.option(
    "--state", type=click.Path(path_type=Path, file_okay=False), help="The directory that the service remembers in."
)


@click.command()
@click.option(
    "--older-than", type=AGE, default="30d", show_default=True, metavar="AGE", help="What was not used for so long."
)
@click.option(
    "--keep",
    type=SIZE,
    metavar="SIZE",
    help="Then the oldest images, until those left take this much; of build cache older than that, all but this much.",
)
@STATE
@click.option("--dry-run", is_flag=True, help="Remove nothing; show what would go.")
@json_option
@click.pass_obj
def prune(
    installation: Installation, /, older_than: int, keep: int | None, state: Path | None, dry_run: bool, as_json: bool
) -> None:
    """Remove Launchyard's own images, caches, logs and locks that were not used for a while.

    An image that a session was made from stays, and so does the work of sessions. The build cache is
    shared with other builds on the engine: only what nobody used for so long goes.
    """
    from builder.prune import prune
    from builder.quantities import size_in_words

    removed = []
    settings = settings_at(installation.builder.settings, state)
    for thing in prune(settings, older_than=older_than, keep=keep, dry_run=dry_run):
        removed.append(thing)
        if not as_json:
            click.echo(f"{thing.kind:<11}  {size_in_words(thing.size):>8}  {thing.name}")
    total = sum(thing.size for thing in removed)
    if as_json:
        emit({"removed": [thing.to_json() for thing in removed], "bytes": total, "dry_run": dry_run})
    else:
        click.echo(f"{'Would free' if dry_run else 'Freed'} about {size_in_words(total)}.")


@click.command()
@json_option
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Check the engine, git, the disk and the network: each line is ok, or says what to do."""
    from builder.doctor import doctor

    checks = []
    for check in doctor(context.obj.builder.settings):
        checks.append(check)
        if as_json:
            continue
        mark = click.style("ok", fg="green") if check.ok else click.style("no", fg="red" if check.needed else "yellow")
        click.echo(f"{mark}  {check.name}: {check.found}")
        if not check.ok:
            click.echo(f"    {check.fix}")
    missing = [check.name for check in checks if not check.ok and check.needed]
    if as_json:
        emit({"checks": [check.to_json() for check in checks], "ok": not missing})
    context.exit(75 if missing else 0)


@click.command()
@click.argument("log", metavar="LOGFILE", type=click.File("rb"))
@json_option
@click.pass_context
def explain(context: click.Context, log: BinaryIO, as_json: bool) -> None:
    """Say what failed in a log, and what to do: as a failed build does, for a log that came from anywhere.

    LOGFILE is the output of `docker build`, of pip, uv, conda or Poetry, or of CI that ran them; - is
    standard input. Of a long one the last 5 MB are read.

    Exit code 0 where the failure is a known one, 65 where it is not.
    """
    from builder.failures import Blame, explain
    from builder.failures.built import SourceBroken, StepFailed
    from builder.logs import MAX_LOG, failed_step, tail
    from builder.quantities import size_in_words
    from builder.recognise import recognise
    from builder.terminal import rendered

    text, cut = tail(log)
    if cut:
        note(f"Only the last {size_in_words(MAX_LOG)} are read.")
    failure = recognise(failed_step(text), python="", timeout=0)
    known = not isinstance(failure, StepFailed | SourceBroken)
    explanation = explain(failure)
    if as_json:
        emit({"known": known, "explanation": explanation.to_json()})
    else:
        click.echo(rendered(explanation))
    context.exit(0 if known else Blame.REPOSITORY.exit_code)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@STATE
@json_option
@click.pass_obj
def backup(installation: Installation, /, file: Path, state: Path | None, as_json: bool) -> None:
    """Write all that the build service remembers to the new file FILE. It may run meanwhile.

    Images are not in it: they are in the engine, or in a registry.
    """
    from builder.backup import back_up

    settings = settings_at(installation.builder.settings, state)
    _print_backed_up(back_up(settings, file, installation.schemas), as_json)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@STATE
@json_option
@click.pass_obj
def restore(installation: Installation, /, file: Path, state: Path | None, as_json: bool) -> None:
    """Let a build service that remembers nothing yet remember what the backup FILE holds.

    Also from SQLite to Postgres, and back. Builds that were under way are built when it starts.
    """
    from builder.backup import restore

    settings = settings_at(installation.builder.settings, state)
    _print_backed_up(restore(settings, file, installation.schemas), as_json)


def settings_at(settings: Settings, state: Path | None) -> Settings:
    """Settings with the state directory that a command was given."""
    return replace(settings, state_dir=str(state.resolve())) if state else settings


def _print_backed_up(found: BackedUp, as_json: bool) -> None:
    if as_json:
        emit(asdict(found))
    else:
        click.echo(f"{found.environments} environments, {found.builds} builds, {found.versions} versions")


COMMANDS = (plan, dockerfile, build, packages, diff, prune, doctor, explain, backup, restore)

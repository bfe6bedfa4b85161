"""`launchyard remote …`: the commands that ask a build service, wherever it runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from builder.cli import decided_by_hand
from builder.terminal import STOPPED, emit, fail, json_option, note, warn
from builder.transcript import printable
from detectors.plan import Warned

if TYPE_CHECKING:
    from builder.client import Client
    from builder.documents import Build, Environment, Provenance
    from builder.documents import Package as ShownPackage
    from builder.formats import Format

ADDRESS = "http://127.0.0.1:8700"


class _Number(click.ParamType[int]):
    """A version as it is written: 3, or v3."""

    name = "version"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> int:
        text = str(value).removeprefix("v")
        if not re.fullmatch(r"[1-9][0-9]{0,8}", text, re.ASCII):
            self.fail(f"{value!r} is no version, such as 3 or v3", parameter, context)
        return int(text)


NUMBER = _Number()
version_option = click.option("--version", "number", type=NUMBER, help="This one; by default the one in use.")

UNDONE = ("ref", "subdir", "strategy", "python", "frontend", "groups", "extras", "as-of")


@click.group()
@click.option("--server", envvar="LAUNCHYARD_SERVER", default=ADDRESS, show_default=True, help="Where it answers.")
@click.pass_context
def remote(context: click.Context, server: str) -> None:
    """Ask a build service that `launchyard serve` started."""
    context.meta["launchyard.server"] = server


@remote.command()
@click.argument("repository")
@click.option("--name", help="A name for the environment; by default after the repository.")
@decided_by_hand
@click.option("--wait", is_flag=True, help="Follow its first build to the end.")
@json_option
@click.pass_context
def create(context: click.Context, /, repository: str, wait: bool, as_json: bool, **asked: Any) -> None:
    """Create an environment of REPOSITORY, which starts its first build."""
    from builder.documents import NewEnvironment

    with _client(context, as_json) as client:
        new = NewEnvironment(**_request(repository=_absolute(repository), **asked))
        created = client.create(new)
        note(f"The environment {created.name} is created.")
        _follow_or_print(context, client, created.build, wait, as_json)


@remote.command()
@click.argument("name")
@click.option("--name", "new_name", help="What it is called from now on.")
@decided_by_hand
@click.option("--undo", multiple=True, type=click.Choice(UNDONE), help="Let this be as by default again. Repeatable.")
@json_option
@click.pass_context
def change(
    context: click.Context, /, name: str, new_name: str | None, undo: tuple[str, ...], as_json: bool, **asked: Any
) -> None:
    """Let the environment NAME be built differently, from its next build on."""
    from builder.documents import Choices, EnvironmentChange

    default = {"ref": None, "subdir": "", **Choices().model_dump()}
    undone = {member: default[member] for member in (name.replace("-", "_") for name in undo)}
    wanted = _request(undone, name=new_name, **asked)
    if not wanted:
        raise click.UsageError("say what is to be different")
    with _client(context, as_json) as client:
        changed = client.change(client.named(name).id, EnvironmentChange(**wanted))
        if as_json:
            emit(changed.model_dump(mode="json"))
            return
        note(f"The next build follows it: launchyard remote rebuild {changed.name}")


@remote.command()
@click.argument("name")
@click.option("--ref", help="This branch, tag or commit instead of the environment's, this once.")
@click.option("--as-of", metavar="DATE|commit", help="Versions as the index had them then.")
@click.option("--fresh", is_flag=True, help="Decide versions anew, although nothing changed.")
@click.option("--wait", is_flag=True, help="Follow the build to its end.")
@json_option
@click.pass_context
def rebuild(
    context: click.Context, name: str, ref: str | None, as_of: str | None, fresh: bool, wait: bool, as_json: bool
) -> None:
    """Rebuild the environment NAME; nothing slow happens where nothing changed."""
    from builder.documents import AskedBuild

    with _client(context, as_json) as client:
        build = client.rebuild(client.named(name).id, AskedBuild(ref=ref, as_of=as_of, fresh=fresh))
        _follow_or_print(context, client, build, wait, as_json)


@remote.command()
@click.argument("name", required=False)
@json_option
@click.pass_context
def status(context: click.Context, name: str | None, as_json: bool) -> None:
    """How the environment NAME is, and why it failed where it did; or how all of them are."""
    from builder.tables import columns

    with _client(context, as_json) as client:
        found = [client.named(name)] if name else list(client.environments())
        if as_json:
            emit({"environments": [environment.model_dump(mode="json") for environment in found]})
            return
        for line in columns(_row(client, environment) for environment in found):
            click.echo(line)
        failed = client.builds(found[0].id, "failed") if name and found[0].state == "failed" else ()
        # A failure of another ref or day is none of the environment.
        if why := next((build for build in failed if not (build.asked.ref or build.asked.as_of)), None):
            _say_end(why)


@remote.command()
@click.argument("name")
@click.option("--follow", is_flag=True, help="Go on to the end of a build that is under way.")
@click.pass_context
def log(context: click.Context, name: str, follow: bool) -> None:
    """The log of the newest build of the environment NAME, and what it came to."""
    with _client(context, False) as client:
        build = client.newest_build(client.named(name).id)
        if build is None:
            note(f"{name} was never built.")
            return
        if follow:
            build = _follow(client, build)
        else:
            click.echo(printable(client.log(build.id)), nl=False)
        _say_end(build)


@remote.command()
@click.argument("name")
@json_option
@click.pass_context
def versions(context: click.Context, name: str, as_json: bool) -> None:
    """The versions of the environment NAME, the newest first; "*" is before the one in use."""
    from builder.tables import columns

    with _client(context, as_json) as client:
        environment = client.named(name)
        found = list(client.versions(environment.id))
        if as_json:
            emit({"versions": [version.model_dump(mode="json") for version in found]})
            return
        rows = [
            ("*" if v.number == environment.current_version else " ", f"v{v.number}", f"{v.created_at:%Y-%m-%d %H:%M}",
             v.commit[:12], v.reference)
            for v in found
        ]  # fmt: skip
        for line in columns(rows) if rows else ():
            click.echo(line)


@remote.command()
@click.argument("name")
@version_option
@json_option
@click.pass_context
def packages(context: click.Context, name: str, number: int | None, as_json: bool) -> None:
    """What is actually installed in the environment NAME."""
    from builder.tables import columns

    with _client(context, as_json) as client:
        found = client.packages(*_version(client, name, number))
        if as_json:
            emit(found.model_dump(mode="json"))
            return
        warn(Warned(warned.code, warned.message) for warned in found.warnings)
        rows = [(p.name, p.version, p.source, "asked for" if p.requested else "pulled in") for p in found.packages]
        for line in columns(rows) if rows else ():
            click.echo(line)


@remote.command()
@click.argument("name")
@click.argument("before", type=NUMBER)
@click.argument("after", type=NUMBER, required=False)
@json_option
@click.pass_context
def diff(context: click.Context, name: str, before: int, after: int | None, as_json: bool) -> None:
    """What changed in the environment NAME from version BEFORE to AFTER, or to the one in use."""
    from builder.records import Difference, Package
    from builder.tables import difference_lines

    with _client(context, as_json) as client:
        environment_id, number = _version(client, name, after)
        found = client.diff(environment_id, before, number)
        if as_json:
            emit(found.model_dump(mode="json"))
            return

        def package(shown: ShownPackage) -> Package:
            return Package.from_json(shown.model_dump())

        changed = tuple((package(change.before), package(change.after)) for change in found.changed)
        difference = Difference(tuple(map(package, found.added)), tuple(map(package, found.removed)), changed)
        for line in difference_lines(difference):
            click.echo(line)


@remote.command()
@click.argument("name")
@click.argument("number", metavar="VERSION", type=NUMBER)
@json_option
@click.pass_context
def use(context: click.Context, name: str, number: int, as_json: bool) -> None:
    """Let VERSION be the one in use of the environment NAME, until a build succeeds."""
    with _client(context, as_json) as client:
        _print_in_use(client, client.use(client.named(name).id, number), as_json)


@remote.command()
@click.argument("name")
@click.argument("number", metavar="[VERSION]", type=NUMBER, required=False)
@json_option
@click.pass_context
def pin(context: click.Context, name: str, number: int | None, as_json: bool) -> None:
    """Let VERSION, or the one in use, be the one in use of the environment NAME, whatever is built."""
    with _client(context, as_json) as client:
        _print_in_use(client, client.pin(*_version(client, name, number)), as_json)


@remote.command()
@click.argument("name")
@json_option
@click.pass_context
def unpin(context: click.Context, name: str, as_json: bool) -> None:
    """Let what the next build of the environment NAME comes to be the one in use again."""
    with _client(context, as_json) as client:
        _print_in_use(client, client.unpin(client.named(name).id), as_json)


@remote.command()
@click.argument("name")
@json_option
@click.pass_context
def cancel(context: click.Context, name: str, as_json: bool) -> None:
    """End the builds of the environment NAME that are under way; one that runs ends within seconds."""
    with _client(context, as_json) as client:
        environment = client.named(name)
        # In this order: none is missed that begins to run meanwhile, and none that waits begins.
        found = [build.id for state in ("queued", "running") for build in client.builds(environment.id, state)]
        cancelled = [client.cancel(id) for id in dict.fromkeys(found)]
        if as_json:
            emit({"builds": [build.model_dump(mode="json") for build in cancelled]})
            return
        for build in cancelled:
            click.echo(build.id)
        if not cancelled:
            note(f"No build of {name} is under way.")


@remote.command()
@click.argument("name")
@json_option
@click.pass_context
def delete(context: click.Context, name: str, as_json: bool) -> None:
    """Delete the environment NAME, with its builds and versions. Images stay, for `launchyard prune`."""
    with _client(context, as_json) as client:
        client.delete(client.named(name).id)
        if as_json:
            emit({"deleted": name})


@remote.command()
@click.argument("name")
@version_option
@click.option(
    "--format", type=click.Choice(("json", "requirements", "conda", "cyclonedx")), default="json", show_default=True,
    help="For which tool: pip's requirements with hashes, conda's explicit list, a bill of materials.",
)  # fmt: skip
@click.pass_context
def lock(context: click.Context, name: str, number: int | None, format: Format) -> None:
    """The lock of the environment NAME, as a file on standard output."""
    with _client(context, False) as client:
        click.echo(client.lock(*_version(client, name, number), format), nl=False)


@remote.command()
@click.argument("name")
@version_option
@json_option
@click.pass_context
def provenance(context: click.Context, name: str, number: int | None, as_json: bool) -> None:
    """What the image of the environment NAME was made of, with what, and by which build."""
    from builder.tables import columns

    with _client(context, as_json) as client:
        found = client.provenance(*_version(client, name, number))
        if as_json:
            emit(found.model_dump(mode="json"))
            return
        for line in columns(_provenance_rows(found)):
            click.echo(line)


@contextmanager
def _client(context: click.Context, as_json: bool) -> Iterator[Client]:
    from pydantic import ValidationError

    from builder.client import Client, ServiceProblem
    from builder.documents import problem_of

    try:
        with Client(context.meta["launchyard.server"]) as client:
            yield client
    except ServiceProblem as problem:
        context.exit(fail(problem.explanation, as_json))
    except ValidationError as error:
        raise click.UsageError(
            "; ".join(f"{'.'.join(map(str, e['loc']))}: {problem_of(e)}" for e in error.errors())
        ) from None


def _request(undone: Mapping[str, Any] | None = None, **asked: Any) -> dict[str, Any]:
    """The members of a request by the options that were given; the others are `undone`, or left out."""
    from builder.documents import Choices

    given = {**(undone or {}), **{name: value for name, value in asked.items() if value not in (None, ())}}
    options = {name: given.pop(name) for name in Choices.model_fields if name in given}
    return {**given, **({"options": options} if options else {})}


def _version(client: Client, name: str, number: int | None) -> tuple[str, int]:
    """The id of an environment, and the version that was asked for, or the one in use."""
    environment = client.named(name)
    return environment.id, number or environment.current_version or client.image(environment.id).version


def _provenance_rows(found: Provenance) -> Iterator[tuple[str, str, str]]:
    build = found.build
    yield "Repository", found.repository, found.subdir
    yield "Commit", found.commit, build.ref or "HEAD"
    yield "Strategy", found.strategy, f"Python {found.python}"
    yield "Platform", found.platform, ""
    yield "Key", found.key, ""
    for base in found.bases:
        yield "Base", base.name, base.digest or base.image_id or ""
    for tool, number in found.tools.items():
        yield "Tool", tool, number
    yield "Launchyard", found.launchyard, ""
    yield "Build", build.id, "found an image that another build had made" if found.reused else build.reason
    yield "Started", f"{build.started_at:%Y-%m-%d %H:%M:%S}" if build.started_at else "", ""
    yield "Finished", f"{build.finished_at:%Y-%m-%d %H:%M:%S}", ""


def _absolute(repository: str) -> str:
    """A directory here by its whole path: the service runs elsewhere."""
    path = Path(repository).expanduser()
    return str(path.resolve()) if repository and path.is_dir() else repository


def _print_in_use(client: Client, environment: Environment, as_json: bool) -> None:
    if as_json:
        emit(environment.model_dump(mode="json"))
    elif environment.current_version:
        click.echo(client.image(environment.id).reference)


def _row(client: Client, environment: Environment) -> tuple[str, ...]:
    image = client.image(environment.id).reference if environment.current_version else "no image yet"
    version = f"v{environment.current_version or 0}{', pinned' if environment.pinned else ''}"
    return (environment.name, environment.state, version, image, environment.repository)


def _follow_or_print(context: click.Context, client: Client, build: Build, wait: bool, as_json: bool) -> None:
    if wait:
        build = _follow(client, build)
    if as_json:
        emit(build.model_dump(mode="json"))
    elif not wait:
        click.echo(build.id)
    elif build.version:
        click.echo(client.version(build.environment_id, build.version).reference)
    if wait:
        context.exit(_say_end(build, as_json))


def _follow(client: Client, build: Build) -> Build:
    for event in client.events(build.id):
        if event.type == "log":
            click.echo(printable(event.content["text"]), nl=False, err=True)
    return client.build(build.id)


def _say_end(build: Build, as_json: bool = False) -> int:
    """Say what came of a build, unless that is said as JSON; the exit code."""
    from builder.failures import Blame, Explanation

    if found := build.explanation:
        blame = next(blame for blame in Blame if blame.value[0] == found.blame)
        explanation = Explanation(found.code, found.title, found.seen, tuple(found.fix), blame)
        return blame.exit_code if as_json else fail(explanation, as_json)
    if not as_json:
        note(f"v{build.version}: {build.outcome}" if build.version else _STATES[build.state])
    return STOPPED if build.state == "cancelled" else 0


_STATES = {
    "queued": "The build waits for its turn.",
    "running": "The build goes on; --follow shows the rest.",
    "cancelled": "The build was cancelled.",
}

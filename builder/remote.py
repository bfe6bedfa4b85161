"""`launchyard remote …`: the commands that ask a build service, wherever it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from builder.terminal import emit, fail, json_option, note
from builder.transcript import printable

if TYPE_CHECKING:
    from builder.client import Client
    from builder.documents import Build, Environment

ADDRESS = "http://127.0.0.1:8700"


@click.group()
@click.option("--server", envvar="LAUNCHYARD_SERVER", default=ADDRESS, show_default=True, help="Where it answers.")
@click.pass_context
def remote(context: click.Context, server: str) -> None:
    """Ask a build service that `launchyard serve` started."""
    context.meta["launchyard.server"] = server


@remote.command()
@click.argument("repository")
@click.option("--name", help="A name for the environment; by default after the repository.")
@click.option("--ref", help="A branch, a tag or a commit; by default what the repository's HEAD is.")
@click.option("--subdir", help="The directory of the repository that holds the environment's file.")
@click.option("--strategy", type=click.Choice(("conda", "pip", "poetry", "project")), help="This one.")
@click.option("--python", metavar="VERSION", help="The version of Python, such as 3.12.")
@click.option("--frontend", type=click.Choice(("jupyterlab", "vscodium", "none")), help="What a session opens.")
@click.option("--wait", is_flag=True, help="Follow its first build to the end.")
@json_option
@click.pass_context
def create(context: click.Context, /, repository: str, wait: bool, as_json: bool, **asked: Any) -> None:
    """Create an environment of REPOSITORY, which starts its first build."""
    from builder.documents import Choices, NewEnvironment

    given = {name: value for name, value in asked.items() if value is not None}
    options = {name: given.pop(name) for name in ("strategy", "python", "frontend") if name in given}
    with _client(context, as_json) as client:
        new = NewEnvironment(repository=repository, **given, options=Choices(**options))
        created = client.create(new)
        note(f"The environment {created.name} is created.")
        _follow_or_print(context, client, created.build, wait, as_json)


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
    """How the environment NAME is, or all of them."""
    from builder.tables import columns

    with _client(context, as_json) as client:
        found = [client.named(name)] if name else list(client.environments())
        if as_json:
            emit({"environments": [environment.model_dump(mode="json") for environment in found]})
            return
        for line in columns(_row(client, environment) for environment in found):
            click.echo(line)


@remote.command()
@click.argument("name")
@click.option("--follow", is_flag=True, help="Go on to the end of a build that is under way.")
@click.pass_context
def log(context: click.Context, name: str, follow: bool) -> None:
    """The log of the newest build of the environment NAME."""
    with _client(context, False) as client:
        build = client.newest_build(client.named(name).id)
        if build is None:
            note(f"{name} was never built.")
        elif follow:
            _follow(client, build)
        else:
            click.echo(printable(client.log(build.id)), nl=False)


@contextmanager
def _client(context: click.Context, as_json: bool) -> Iterator[Client]:
    from pydantic import ValidationError

    from builder.client import Client, ServiceProblem

    try:
        with Client(context.meta["launchyard.server"]) as client:
            yield client
    except ServiceProblem as problem:
        context.exit(fail(problem.explanation, as_json))
    except ValidationError as error:
        raise click.UsageError("; ".join(f"{e['loc'][-1]}: {e['msg']}" for e in error.errors())) from None


def _row(client: Client, environment: Environment) -> tuple[str, ...]:
    image = client.image(environment.id).reference if environment.current_version else "no image yet"
    return (environment.name, environment.state, f"v{environment.current_version or 0}", image, environment.repository)


def _follow_or_print(context: click.Context, client: Client, build: Build, wait: bool, as_json: bool) -> None:
    if wait:
        build = _follow(client, build)
    if as_json:
        emit(build.model_dump(mode="json"))
    elif not wait:
        click.echo(build.id)
    elif build.version:
        note(f"v{build.version}: {build.outcome}")
        click.echo(client.image(build.environment_id).reference)
    if build.explanation and not as_json:
        context.exit(_explain(build))


def _follow(client: Client, build: Build) -> Build:
    for event in client.events(build.id):
        if event.type == "log":
            click.echo(printable(event.content["text"]), nl=False, err=True)
    return client.build(build.id)


def _explain(build: Build) -> int:
    from builder.failures import Blame, Explanation

    found = build.explanation
    assert found
    blame = next(blame for blame in Blame if blame.value[0] == found.blame)
    return fail(Explanation(found.code, found.title, found.seen, tuple(found.fix), blame), as_json=False)

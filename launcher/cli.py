"""The command `launchyard`, where everything is composed: the builder's commands, and those of sessions."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from builder import cli as builder_cli
from builder.cli import SIZE, STATE, build_options, built_of, repository_options, request_of, settings_at
from builder.remote import remote
from builder.service import Builder, BuildError
from builder.terminal import STOPPED, Commands, emit, json_option, note

if TYPE_CHECKING:
    from builder.database import Schema
    from launcher.records import Instance, SessionRequest
    from launcher.sessions import Probe, Runtime

FOLLOWED = 3_600.0
"""Seconds between two looks at a session that is waited for."""

LEAST_MEMORY = 6 << 20
"""Bytes. https://docs.docker.com/engine/containers/resource_constraints/"""

TOKEN = re.compile(r"[A-Za-z0-9._~-]{1,200}")


class Installation:
    """What the commands act on; each part is made when it is first asked for, for `plan` starts fast."""

    @cached_property
    def builder(self) -> Builder:
        from builder.buildkit import BuildKit
        from builder.service import load

        return Builder(load(), BuildKit(), allow_local=True)

    @cached_property
    def schemas(self) -> tuple[Schema, ...]:
        from launcher.schema import SCHEMA

        return (SCHEMA,)

    @cached_property
    def runtime(self) -> Runtime:
        from launcher.runtimes.docker import DockerRuntime

        return DockerRuntime()

    @cached_property
    def probe(self) -> Probe:
        from launcher.sessions import answers

        return answers


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="launchyard")
@click.pass_context
def main(context: click.Context) -> None:
    """From a git link to a working session.

    Finds environment.yml, requirements.txt or pyproject.toml in a repository, builds its image, and
    opens it. Settings come from launchyard.toml and LAUNCHYARD_ variables.

    Exit codes: 0 done, 2 usage, 65 the repository is at fault, 75 something is unreachable or busy,
    70 Launchyard's own fault, 130 stopped by the user.
    """
    context.obj = context.obj or Installation()


for command in builder_cli.COMMANDS:
    main.add_command(command)


@main.command()
@click.argument("target", metavar="REPOSITORY|IMAGE")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option("--detach", is_flag=True, help="Return once it answers; `launchyard stop` ends it.")
@click.option("--name", help="A name for the session. Its work directory is kept, for the next session of that name.")
@click.option("--port", type=click.IntRange(1, 65_535), help="The port on 127.0.0.1; by default one that is free.")
@click.option("--base-path", default="/", metavar="PATH", help="The path below which it answers.")
@click.option("--token", help="The token that opens it; by default a new one.")
@click.option(
    "--memory", type=SIZE, metavar="SIZE", help="What it may use; by default the setting limits.session_memory."
)
@repository_options
@build_options
@json_option
@click.pass_obj
def run(
    installation: Installation, /, target: str, command: tuple[str, ...], as_json: bool, **asked: Any
) -> int | None:
    """Open a session of a repository, built if need be, or of an image, and print its address.

    Ctrl-C ends it, and its work directory goes with it unless it has a --name.

    A COMMAND after -- runs in place of the frontend: launchyard run . --frontend none -- streamlit run app.py.
    Streamlit, Dash, Gradio and Flask are told where to listen; for others {port}, {ip} and {base_path} in the
    command stand for it.
    """
    from launcher.sessions import ended, open_session

    request = _session_request(installation, target, command, asked)
    runtime = installation.runtime
    session = open_session(
        request, runtime, installation.builder.settings.limits.session_start_time, installation.probe
    )
    if asked["detach"]:
        _print_address(session, as_json)
        note(f"The session {session.name} runs; `launchyard stop {session.name}` ends it.")
        return None
    try:
        _print_address(session, as_json)
        note("Ctrl-C ends the session.")
        now: Instance | None = session
        while now and now.state == "running":
            now = runtime.wait(session.name, FOLLOWED)
        if now and now.exit_code:
            raise BuildError(ended(now, runtime))
        note("The session has ended.")
        return None
    except KeyboardInterrupt:  # how a session is meant to end: that is no failure, and standard output has its document
        note("Stopped.")
        return STOPPED
    finally:
        runtime.stop(session.name)


@main.command()
@click.argument("name")
@click.option("--delete-work", is_flag=True, help="Delete its work directory as well, although it has a name.")
@json_option
@click.pass_obj
def stop(installation: Installation, /, name: str, delete_work: bool, as_json: bool) -> None:
    """End the session NAME. The work of one that was given a name is kept."""
    from launcher.sessions import end_session

    end_session(_name(name), installation.runtime, delete_work=delete_work)
    if as_json:
        emit({"stopped": name})


@main.command()
@click.option("--tokens", is_flag=True, help="Show addresses with their tokens, which open the sessions.")
@json_option
@click.pass_obj
def sessions(installation: Installation, /, tokens: bool, as_json: bool) -> None:
    """List sessions, the newest first. Addresses are shown without their tokens unless --tokens is given."""
    import time

    from builder.quantities import duration_in_words
    from builder.tables import columns

    listed = installation.runtime.list()
    if as_json:
        emit({"sessions": [session.to_json(with_token=tokens) for session in listed]})
        return
    for line in columns(
        (s.name, _state(s), duration_in_words(time.time() - s.started), s.address if tokens else s.url, s.image)
        for s in listed
    ):
        click.echo(line)
    if listed and not tokens:
        note("`launchyard sessions --tokens` shows the addresses that open them.")


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), default=8_700, show_default=True, help="0 takes a free one.")
@STATE
@click.option(
    "--role",
    type=click.Choice(["all", "api", "worker"]),
    default="all",
    show_default=True,
    help="Answer requests, run builds, or both; one of them needs LAUNCHYARD_DATABASE.",
)
@click.pass_obj
def serve(
    installation: Installation, /, host: str, port: int, state: Path | None, role: Literal["all", "api", "worker"]
) -> int | None:
    """Build and launch on demand, with a page and an API: one process, SQLite and a state directory.

    It goes on with the builds and the sessions that there were when it last ended. There are no
    passwords: by default it answers to programs of this machine only. With another --host it answers
    to names that the setting `hosts` has.

    With LAUNCHYARD_DATABASE, many processes on the same database and state directory are one service;
    the page and sessions are with the one that does everything.
    """
    import gc

    gc.disable()  # until it is ready: what it imports stays, and looking through it took a fifth of a second

    from builder.serve import end_at_the_latest, listen, serve
    from builder.worker import ProcessRunner
    from launcher.serve import composed

    builder = installation.builder
    settings = settings_at(builder.settings, state)
    compose = composed(settings, builder.engine, installation.runtime, installation.probe)
    try:
        with listen(host, port) as socket:
            serve(settings, builder.engine, ProcessRunner(), role, host, socket, click.echo, compose)
        return None
    except KeyboardInterrupt:  # how a service is meant to end; its log, which is JSON, has said so
        return STOPPED
    finally:
        end_at_the_latest(STOPPED)


main.add_command(remote)


def _print_address(session: Instance, as_json: bool) -> None:
    if as_json:
        emit(session.to_json(with_token=True))
    else:
        click.echo(session.address)


def _session_request(
    installation: Installation, target: str, command: tuple[str, ...], asked: dict[str, Any]
) -> SessionRequest:
    """Build what has to be built, and say how its session is to be."""
    from builder.settings import Settings
    from launcher.frontends import listening
    from launcher.records import Resources, SessionRequest
    from launcher.sessions import base_path_of, new_name, new_token

    base_path = base_path_of(asked["base_path"])
    if base_path is None:
        raise click.UsageError(f"--base-path: {asked['base_path']!r} is no path of letters, digits and ._~-.")
    if asked["memory"] is not None and asked["memory"] < LEAST_MEMORY:
        raise click.UsageError(f"--memory: {LEAST_MEMORY >> 20} MiB at the least.")
    if asked["token"] is not None and not TOKEN.fullmatch(asked["token"]):
        raise click.UsageError("--token: letters, digits and ._~- only, 200 at most.")
    name = _name(asked["name"]) if asked["name"] else None
    settings: Settings = installation.builder.settings
    if _is_repository(target):
        place = _of_repository(installation, target, command, asked)
    else:
        place = _of_image(installation, target, command)
    return SessionRequest(
        name=name or new_name(place["image"].rpartition(":")[0].rpartition("/")[2]),
        command=command,
        base_path=base_path,
        token=asked["token"] or new_token(),
        port=asked["port"],
        resources=Resources(
            memory=asked["memory"] or settings.limits.session_memory, processes=settings.limits.session_processes
        ),
        keeps_work=name is not None,
        variables=listening(base_path) if command else {},
        **place,
    )


def _of_repository(
    installation: Installation, target: str, command: tuple[str, ...], asked: dict[str, Any]
) -> dict[str, Any]:
    from launcher.records import branch_of

    _need_command(asked["frontend"], command)
    request = request_of(target, asked)
    built = built_of(installation.builder, request, asked)
    if request.worktree:
        note("The session opens with what is committed; what is not lies in the image's environment only.")
    local = Path(target).expanduser().resolve() if "://" not in target else None
    return {
        "image": built.reference,
        "frontend": request.frontend,
        "repository": "" if local else target,
        "directory": local,
        "commit": built.commit[:40],
        "ref": branch_of(request.ref),
    }


def _of_image(installation: Installation, target: str, command: tuple[str, ...]) -> dict[str, Any]:
    image = installation.builder.image(target)
    frontend = image.labels.get("io.launchyard.frontend", "none")
    _need_command(frontend, command)
    note("An image holds the environment alone: give the repository instead, to have its files in the work directory.")
    return {"image": target, "frontend": frontend}


def _need_command(frontend: str, command: tuple[str, ...]) -> None:
    if frontend == "none" and not command:
        raise click.UsageError("Without a frontend a session needs a command: give it after --.")


def _is_repository(target: str) -> bool:
    """Whether a target is meant as a repository: an address, a path, or what no image can be called."""
    from builder.context import REFERENCE

    return "://" in target or Path(target).expanduser().exists() or not REFERENCE.fullmatch(target)


def _name(text: str) -> str:
    from launcher.sessions import NAME

    if not NAME.fullmatch(text):
        raise click.UsageError("A session's name is of lower-case letters, digits and dashes, 40 at most.")
    return text


def _state(session: Instance) -> str:
    return session.state if session.exit_code is None else f"ended ({session.exit_code})"


if __name__ == "__main__":
    main()

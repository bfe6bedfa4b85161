"""Words for images, and for sessions of one that a command starts."""

from __future__ import annotations

import re
import shlex

from builder.failures import Blame
from builder.failures.asked import (
    ImageAbsent,
    ImageForeign,
    PushFailed,
    RecordInvalid,
    ReferenceInvalid,
    Stopped,
)
from builder.failures.served import (
    AddressUnusable,
    PortTaken,
    SessionAbsent,
    SessionEnded,
    SessionExists,
    StateUnusable,
    VersionGone,
)
from builder.failures.words.common import Words


def of_image(failure: object) -> Words | None:
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

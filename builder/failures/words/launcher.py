"""Words for launchers and their sessions."""

from __future__ import annotations

from builder.failures import Blame
from builder.failures.served import (
    CommandMissing,
    DataAbsent,
    DataGone,
    FrontendDiffers,
    GpusAbsent,
    LauncherInvalid,
    ResourcesAbsent,
    SessionClosed,
    SessionDiskFull,
    SessionGuarded,
    SessionOutOfMemory,
    SessionsFull,
)
from builder.failures.words.common import Words
from builder.quantities import size_in_words


def of_launcher(failure: object) -> Words | None:
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


_CLOSED_FIX = {
    "starting": "Wait until it answers; the page of its launcher says when.",
    "pausing": "Resume it on the page of its launcher, once it is paused: the work directory is kept.",
    "paused": "Resume it on the page of its launcher: the work directory is kept.",
    "not answering": "Try again in a moment; if it stays, stop it on the page of its launcher and launch again.",
    "": "Launch again on the page of its launcher: the work directory is kept.",
}

"""Words for what is wrong with the machine, the engine, the network and the settings."""

from __future__ import annotations

from builder.failures import Blame
from builder.failures.asked import (
    CertificateUntrusted,
    EngineUnavailable,
    FrontendUnavailable,
    GitUnusable,
    SettingsForeign,
    SettingsInvalid,
)
from builder.failures.built import (
    BaseUnavailable,
    DiskFull,
    IndexUnreachable,
    OutOfMemory,
    StepFailed,
    StepNotStarted,
    TimeExceeded,
)
from builder.failures.words.common import Words


def of_machine(failure: object) -> Words | None:
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
        case DiskFull() if failure.own:
            return (
                f"The disk is full: there is no room for {failure.own}",
                failure.said,
                (
                    "Whoever runs this machine can make room: `launchyard prune` frees what Launchyard keeps;"
                    " `launchyard doctor` shows the space.",
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

"""Words for what the build service refuses, and for what it lacks."""

from __future__ import annotations

from builder.failures import Blame
from builder.failures.served import (
    BackupInvalid,
    BuilderLost,
    DatabaseAway,
    DatabaseBroken,
    DatabaseNeeded,
    DatabaseRefused,
    HostForeign,
    KindAbsent,
    NameTaken,
    NotEmpty,
    NothingRemembered,
    NoVersionYet,
    RecordAbsent,
    RecordsNewer,
    RequestInvalid,
    RevisionStale,
    ServiceUnreachable,
    StateTaken,
    VersionPinned,
)
from builder.failures.words.common import Words


def of_service(failure: object) -> Words | None:
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
        case DatabaseRefused():
            return (
                "The database refuses this service",
                failure.detail,
                ("Check user, password and name of the database in LAUNCHYARD_DATABASE, or the setting `database`.",),
                Blame.USAGE,
            )
        case DatabaseBroken():
            anew = f"Move {failure.file}* away, and start again: what was under way is built anew by the records."
            return (
                f"{failure.file} is damaged",
                failure.detail,
                (
                    anew
                    if failure.is_queue
                    else "Restore the last backup to another directory: `launchyard restore FILE --state DIRECTORY`.",
                ),
                Blame.USAGE,
            )
        case RecordsNewer():
            return (
                "A newer release of Launchyard has written what is remembered here",
                f"{failure.place}: {failure.schema}, which this release does not know",
                (
                    "Start that release, or one after it.",
                    "Or restore a backup of before to another directory or database with this one.",
                ),
                Blame.USAGE,
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

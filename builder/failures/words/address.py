"""Words for what is wrong with where a repository is said to be, and with getting it."""

from __future__ import annotations

import re

from builder.failures import Blame
from builder.failures.asked import (
    AddressInvalid,
    AddressMoved,
    DateInvalid,
    HostNotAllowed,
    HostNotPublic,
    HostUnreachable,
    NotGit,
    ObjectsUnread,
    RefAbsent,
    RefInvalid,
    RepositoryUnavailable,
    TooLarge,
    TooManyFiles,
)
from builder.failures.words.common import Words


def of_address(failure: object) -> Words | None:
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

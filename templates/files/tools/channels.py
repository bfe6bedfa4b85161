"""Addresses as an image may keep them, without the credentials that they carry, and where conda's packages lie.

Standard library of Python 3.9: the environment's own interpreter reads it too.
"""

import re
from urllib.parse import urlsplit

TOKEN = re.compile(r"/t/[^/]+")
"""What conda takes for a token wherever it stands in a channel's address: https://host/t/TOKEN/channel."""

PLACE = re.compile(r"(?P<channel>.+)/[^/]+/(?P<file>[^/]+)")
"""A package's address: its channel, a subdirectory, its file."""


def without_user(address: str) -> str:
    """An address without user name and password; where ssh asks for a user, that one stays."""
    parts = urlsplit(address)
    user, at, host = parts.netloc.rpartition("@")
    if parts.scheme.endswith("ssh"):
        host = user.partition(":")[0] + at + host
    return parts._replace(netloc=host).geturl()


def without_credentials(address: str) -> str:
    """The address of a channel, or of a package in it, without user name, password and token."""
    return TOKEN.sub("", without_user(address))


def place(address: "str | None", alias: str) -> dict:
    """Where a package lies: its channel, by name where it is below the alias, and its file."""
    found = PLACE.fullmatch(without_credentials(address or ""))
    if not found:
        return {"channel": None, "file": None}
    return {"channel": found["channel"].removeprefix(alias.rstrip("/") + "/"), "file": found["file"]}

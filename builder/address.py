"""Address: what a person may give as a repository, checked before git ever sees it."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from builder.failures import AddressInvalid, HostNotAllowed, HostUnreachable, RefInvalid
from builder.settings import Settings
from detectors.failures import BuildError

MAX_ADDRESS = 2_000
"""Characters."""


@dataclass(frozen=True, slots=True)
class Address:
    """A repository's place: an https address, or the path of a local repository."""

    url: str
    local: Path | None = None

    @property
    def slug(self) -> str:
        """Owner and repository as one part of an image's name: "https://h/Owner/My.Repo.git" is "owner-my-repo"."""
        path = self.local.resolve().as_posix() if self.local else urlsplit(self.url).path
        parts = [part for part in path.removesuffix(".git").split("/") if part][-2:]
        name = re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")
        return name[:100].strip("-") or "repository"


def parse(text: str, settings: Settings, *, allow_local: bool) -> Address:
    """The address a person gave. A path is taken only with `allow_local`.

    Raises BuildError(AddressInvalid | HostNotAllowed | HostUnreachable).
    """
    if len(text) > MAX_ADDRESS:
        raise BuildError(AddressInvalid(text[:60] + "…", f"longer than {MAX_ADDRESS:,} characters"))
    if re.search(r"[\x00-\x20\x7f\\]", text) or not text or not text.isprintable():
        raise BuildError(AddressInvalid(ascii(text)[:200], "has white space or control characters in it, or is empty"))
    if text.startswith("-"):
        raise BuildError(AddressInvalid(text[:200], "starts with a dash"))
    parts = _split(text)
    if parts.scheme not in ("https", "http") or "://" not in text:
        if allow_local and not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", text):
            return _local(text)
        raise BuildError(AddressInvalid(_without_user(text)[:200], "only https addresses are fetched"))
    if parts.username is not None or parts.password is not None:
        raise BuildError(
            AddressInvalid(_without_user(text)[:200], "holds a user name or a password; public repositories need none")
        )
    if parts.query or parts.fragment or not parts.path.strip("/"):
        raise BuildError(AddressInvalid(text[:200], "names no repository"))
    _allow(parts.scheme, parts.netloc.lower(), settings)
    return Address(text.rstrip("/"))


def check_ref(ref: str) -> str:
    """A branch, tag or commit that git can take as data. The rules are those of git-check-ref-format(1).

    Raises BuildError(RefInvalid).
    """
    bad = re.search(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)", ref)
    if bad or not ref or len(ref) > 250 or ref[0] in "-/." or ref[-1] in "/." or ref == "@" or not ref.isprintable():
        raise BuildError(RefInvalid(ascii(ref)[1:-1][:100]))
    return ref


def _split(text: str):  # type: ignore[no-untyped-def]
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise BuildError(AddressInvalid(_without_user(text)[:200], str(error))) from None
    return parts


def _local(text: str) -> Address:
    path = Path(text).expanduser()
    if not path.is_dir():
        raise BuildError(AddressInvalid(text[:200], "neither an https address nor a directory here"))
    return Address(str(path.resolve()), path.resolve())


def _allow(scheme: str, netloc: str, settings: Settings) -> None:
    """Named hosts are the operator's word, whatever they resolve to; "*" stands for public addresses only."""
    allowed = settings.allowed_hosts
    if f"{scheme}://{netloc}" in allowed or (scheme == "https" and netloc.removesuffix(":443") in allowed):
        return
    if scheme != "https" or "*" not in allowed:
        raise BuildError(HostNotAllowed(netloc, allowed))
    host = _split(f"https://{netloc}").hostname or ""
    try:
        found = socket.getaddrinfo(host, 443, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError) as error:
        raise BuildError(HostUnreachable(netloc, str(error))) from None
    for *_, place in found:
        if not _is_public(str(place[0])):
            raise BuildError(HostNotAllowed(netloc, allowed))


def _is_public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return ip.is_global and not ip.is_multicast


def _without_user(text: str) -> str:
    return re.sub(r"//[^/]*@", "//", text)

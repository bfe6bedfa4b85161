"""Address: what a person may give as a repository, checked before git ever sees it."""

from __future__ import annotations

import ipaddress
import re
import socket
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from builder.failures.asked import AddressInvalid, HostNotAllowed, HostNotPublic, HostUnreachable, RefInvalid
from builder.settings import Settings
from detectors.failures import BuildError

MAX_ADDRESS = 2_000
"""Characters."""

# Not compiled ahead: a plan of a local repository needs none of them.
_HOST = r"[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?|\[[0-9a-f:.]+\]"
_PATH = r"(?:/+(?:[A-Za-z0-9._~+@=,:-]|%[2-9A-Fa-f][0-9A-Fa-f])+)+/*"

# Other ways to write a repository that an https address stands for as well: scp's, and those of other transports.
_SCP = r"(?:[^@:/]*@)(?P<host>[A-Za-z0-9.-]+):(?P<path>[A-Za-z0-9._~/-]+)"
_OTHER = r"(?i:[a-z+]+)://(?:.*@)?(?P<host>[A-Za-z0-9.-]+)(?::\d+)?/(?P<path>[A-Za-z0-9._~/-]+)"
_MISTYPED = r"(?i:https?)(?::/{0,3}|/{2,3})(?P<host>[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)/(?P<path>[A-Za-z0-9._~/-]+)"
_BARE = r"(?P<host>[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,})/(?P<path>[A-Za-z0-9._~-]+/[A-Za-z0-9._~/-]+)"


class Address(NamedTuple):
    """A repository's place: an https address, or the path of a local repository."""

    url: str
    local: Path | None = None
    checked: tuple[str, ...] = ()
    """The network addresses that its host was allowed for; git is held to them, whatever the name says later."""

    @property
    def slug(self) -> str:
        """Owner and repository as one part of an image's name: "https://h/Owner/My.Repo.git" is "owner-my-repo"."""
        path = self.local.resolve().as_posix() if self.local else urlsplit(self.url).path
        parts = [part for part in path.removesuffix(".git").split("/") if part][-2:]
        name = re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")
        return name[:100].strip("-") or "repository"

    @property
    def resolution(self) -> str:
        """What http.curloptResolve takes, "host:port:address,address"; empty where the host may be resolved anew."""
        if not self.checked:
            return ""
        parts = urlsplit(self.url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        places = ",".join(f"[{place}]" if ":" in place else place for place in self.checked)
        return f"{parts.hostname}:{port}:{places}"


def parse(text: str, settings: Settings, *, allow_local: bool, relative: bool = True) -> Address:
    """The address a person gave. A path is taken only with `allow_local`, and one that counts from where this process
    runs only where it is `relative`.

    Raises BuildError(AddressInvalid | HostNotAllowed | HostNotPublic | HostUnreachable).
    """
    if len(text) > MAX_ADDRESS:
        raise _invalid(text, f"longer than {MAX_ADDRESS:,} characters")
    is_path = allow_local and not re.match(r"\s|[A-Za-z][A-Za-z0-9+.-]*:", text)
    if re.search(r"[\x00-\x1f\x7f\\]" if is_path else r"[\x00-\x20\x7f\\]", text) or not text.isprintable():
        raise _invalid(text, "has white space or control characters in it")
    if not text.strip():
        raise _invalid(text, "it is empty")
    if text.startswith("-"):
        raise _invalid(text, "starts with a dash")
    if re.match(r"https?://", text, re.IGNORECASE):
        return _remote(text, settings)
    if is_path:
        return _local(text, relative)
    raise _invalid(text, "only https addresses are fetched")


def check_ref(ref: str) -> str:
    """A branch, tag or commit that git can take as data. The rules are those of git-check-ref-format(1).

    Raises BuildError(RefInvalid).
    """
    bad = re.search(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)", ref)
    if bad or not ref or len(ref) > 250 or ref[0] in "-/." or ref[-1] in "/." or ref == "@" or not ref.isprintable():
        raise BuildError(RefInvalid(ascii(ref)[1:-1][:100]))
    return ref


def _remote(text: str, settings: Settings) -> Address:
    parts = _split(text)
    if parts.username is not None or parts.password is not None:
        raise _invalid(text, "holds a user name or a password: public repositories need none")
    host = parts.netloc.lower()
    if not re.fullmatch(_HOST, re.sub(r":[0-9]{1,5}$", "", host)):
        raise _invalid(text, "its host is not one of plain letters, digits, dots and dashes")
    if parts.query or parts.fragment or not re.fullmatch(_PATH, parts.path):
        raise _invalid(text, "names no repository")
    return Address(text.rstrip("/"), checked=_allowed(parts, host, settings))


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:  # The parser's own words repeat what may be a password.
        raise _invalid(text, "its host or its port cannot be read") from None
    return parts


def _local(text: str, relative: bool) -> Address:
    try:
        path = Path(text).expanduser().resolve(strict=True)
    except (OSError, RuntimeError):
        path = None
    if path is None or not path.is_dir():
        advice = "Give a path that is here, or an address such as https://github.com/owner/repository."
        raise _invalid(text, "neither an https address nor a directory here", advice)
    if not relative and not text.startswith(("/", "~")):
        raise _invalid(text, "counts from wherever the service was started", "Give the whole path, from / on.")
    return Address(str(path), path)


def _allowed(parts: SplitResult, host: str, settings: Settings) -> tuple[str, ...]:
    """Named hosts are the operator's word, whatever they resolve to; "*" stands for public addresses only.

    Returns those addresses, for whoever answers for the name may say another one when it is asked again.
    """
    allowed = settings.allowed_hosts
    if f"{parts.scheme}://{host}" in allowed or (parts.scheme == "https" and host.removesuffix(":443") in allowed):
        return ()
    if parts.scheme == "http" and (host in allowed or "*" in allowed):
        raise _invalid(parts.geturl(), "only https is taken")
    if parts.scheme != "https" or "*" not in allowed:
        raise BuildError(HostNotAllowed(host, allowed))
    name = parts.hostname or ""
    if not _is_plain(name):
        raise BuildError(HostNotPublic(host))
    try:
        found = socket.getaddrinfo(name, parts.port or 443, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError) as error:
        raise BuildError(HostUnreachable(host, str(error))) from None
    places = tuple(dict.fromkeys(str(place[0]) for *_, place in found))
    if not all(map(_is_public, places)):
        raise BuildError(HostNotPublic(host))
    return places


def _is_plain(name: str) -> bool:
    """Whether it is a name, or an address in its usual form: "2130706433" and "0x7f.1" are ways to hide one."""
    if ":" in name or not re.fullmatch(r"[0-9]+|0x[0-9a-f]*", name.rpartition(".")[2]):
        return True
    try:
        return bool(ipaddress.IPv4Address(name))
    except ValueError:
        return False


_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_6TO4 = ipaddress.ip_network("2002::/16")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def _is_public(address: str) -> bool:
    """Whether the internet routes to it: not to this machine, its networks, or the metadata of a cloud."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped or ip in _NAT64:
            ip = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        elif ip not in _GLOBAL_UNICAST or ip in _6TO4:
            return False
    return ip.is_global and not ip.is_multicast


def _invalid(text: str, problem: str, advice: str = "") -> BuildError:
    return BuildError(AddressInvalid(_shown(text), problem, _instead(text), advice))


def _shown(text: str) -> str:
    """An address without what may be a secret in it: a user's name, a password, a query."""
    text = re.sub(r"^([a-z+]+:/+)?.*(?:@|%40)", r"\1***@", text, flags=re.DOTALL | re.IGNORECASE)
    text = re.sub(r"[?#].*", "?…", text, flags=re.DOTALL)
    escaped = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return escaped if len(escaped) <= 100 else escaped[:99] + "…"


def _instead(text: str) -> str:
    """The https address that is meant, where another spelling of it can be read; else empty."""
    spellings = (_SCP, _OTHER, _MISTYPED, _BARE)
    found = next(filter(None, (re.fullmatch(s, text) for s in spellings)), None) if len(text) <= MAX_ADDRESS else None
    return f"https://{found['host'].lower()}/{found['path'].strip('/')}" if found else ""

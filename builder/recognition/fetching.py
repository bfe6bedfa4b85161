"""What git says of a requirement in a repository of its own, and apt of a package that Debian has not."""

from __future__ import annotations

import re

from builder.failures.asked import HostUnreachable
from builder.failures.built import DebianPackageAbsent, GitRequirementAbsent
from builder.recognition.said import Said

_GIT = re.compile(r"git (?:clone|fetch) |Git operation failed")
_AWAY = re.compile(r"fatal: unable to access '(https?://[^']+?)/?': (?!.*returned error: 4)(.*)")
# Git hosts ask for a password for what is not there, as they do for what is private.
_ABSENT = re.compile(
    r"fatal: (?:could not read Username for|Authentication failed for|repository|unable to access) '(https?://[^']+?)/?'"
)
_APT = re.compile(r"E: (?:Unable to locate package ([\w.+-]+)|Package '?([\w.+-]+)'? has no installation candidate)")


def recognise(said: Said) -> object | None:
    """The failure of what was to be fetched from elsewhere than an index, None where there is none."""
    for line in said.lines:
        if found := _APT.match(line):
            name = found[1] or found[2]
            return DebianPackageAbsent(name, said.asked.apt, said.asked.packages(name))
    if not _GIT.search(said.text):
        return None
    for line in said.lines:
        if found := _AWAY.search(line):
            return HostUnreachable(found[1], found[2][:200])
        if found := _ABSENT.search(line):
            cloned = re.search(rf"({re.escape(found[1])}[^\s'`]*)", said.text)
            address = cloned[1].rstrip("/") if cloned else found[1]
            return GitRequirementAbsent(address, said.asked.holding(address))
    return None

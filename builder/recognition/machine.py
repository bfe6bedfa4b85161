"""What is no fault of the repository: the engine, its bases, disk, memory, and the network."""

from __future__ import annotations

import re

from builder.failures.asked import CertificateUntrusted, EngineUnavailable
from builder.failures.built import BaseUnavailable, DiskFull, IndexUnreachable, OutOfMemory
from builder.recognition.said import Said

_DISK = r"No space left on device|Disk quota exceeded|not enough (?:free )?(?:disk )?space"

_MEMORY = (
    r"^\s*MemoryError\b|Cannot allocate memory|Out of memory|std::bad_alloc|virtual memory exhausted"
    r"|Killed signal terminated program|signal: 9|exit code: -9\b|out of memory allocating"
)

# What the kernel kills says nothing. 137 is a shell's word for it; 247 that of a Python that hands on -9.
_KILLED = r"exit code: (?:137|247)\b|signal: killed"

_ENGINE = (
    r"Cannot connect to the Docker daemon|error reading from server: EOF|closed network connection"
    r"|error while dialing|transport is closing|connection refused.*docker\.sock|no active session"
    r"|rpc error: code = Unavailable|failed to receive status"
)

_CERTIFICATE = (
    r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|invalid peer certificate|UnknownIssuer"
    r"|self.signed certificate|unable to get local issuer certificate"
)

_NETWORK = (
    r"NewConnectionError|Failed to establish a new connection|error sending request|dns error"
    r"|Temporary failure in name resolution|Name or service not known|ConnectTimeoutError|Read timed out"
    r"|[Cc]onnection refused|Could not connect|Max retries exceeded|Connection reset by peer"
)


def recognise(said: Said) -> object | None:
    """The failure of what a build stands on, None where nothing speaks of one."""
    every = f"{said.message}\n{said.text}"
    if re.search(_DISK, every, re.IGNORECASE):
        return DiskFull(said.step, said=_line(every, _DISK))
    if re.search(_MEMORY, every, re.IGNORECASE | re.MULTILINE) or re.search(_KILLED, said.message):
        return OutOfMemory(said.step, _line(said.text, _MEMORY))
    if re.search(_ENGINE, said.message):
        reason = re.split(r"desc = |Unavailable: ", said.message.strip())[-1]
        return EngineUnavailable(reason[:300], said.step)
    if found := re.match(r"\[internal\] load metadata for (?:docker\.io/(?:library/)?)?(\S+)", said.stage):
        return BaseUnavailable(found[1], said.message[:300])
    # What is wrong with a base, as with the engine, only the engine can say: a step may print the same words.
    engine = said.message or said.text
    if found := re.search(r"failed to resolve source metadata for ([^\s:]+(?::[^\s:]+)?): ([^\n]*)", engine):
        return BaseUnavailable(found[1], found[2][:300])
    if re.search(_CERTIFICATE, said.text):
        return CertificateUntrusted(_reached(said.text, _CERTIFICATE))
    return None


def index(said: Said) -> object | None:
    """An index, or what else a step asked of the network, that did not answer."""
    return IndexUnreachable(_reached(said.text, _NETWORK)) if re.search(_NETWORK, said.text) else None


def _reached(text: str, pattern: str) -> str:
    """The address that was asked, and the reason at the end of the chain of causes, without credentials."""
    address = re.search(r"(?:Failed to fetch:? `?|for url \(?<?|url: )((?:https?|file)://[^\s)`'>]+)", text)
    host = re.search(r"host='([^']+)', port=(\d+)", text)
    causes = [cause for cause in map(_cause, text.splitlines()) if cause]
    reason = causes[-1] if causes else _line(text, pattern)
    place = address[1] if address else f"{host[1]}:{host[2]}" if host else ""
    return ": ".join(filter(None, (re.sub(r"//[^/@\s]*@", "//***@", place), reason.strip(" )("))))[:300]


def _cause(line: str) -> str:
    """What a line gives as a reason, where it is one of the network's."""
    begin = re.search(r"[Cc]aused? ?(?:by)?: |Failed to establish a new connection: |error: ", line)
    words = re.sub(r"\[Errno -?\d+\] ", "", line[begin.end() :]).partition("'")[0] if begin else ""
    return (
        words if re.search(r"refused|certificate|resol|timed out|unreachable|known|reset|UnknownIssuer", words) else ""
    )


def _line(text: str, pattern: str) -> str:
    found = (line.strip(" \t│|") for line in text.splitlines() if re.search(pattern, line, re.IGNORECASE))
    return next(found, "")[:300]

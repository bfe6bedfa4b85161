"""Recognise what a failed step says. Patterns here, words in failures.py."""

from __future__ import annotations

import re
from collections.abc import Callable

from builder.engine import BuildFailed, BuildTimeout
from builder.failures import (
    BaseUnavailable,
    CertificateUntrusted,
    Conflict,
    DiskFull,
    EngineUnavailable,
    IndexUnreachable,
    LockStale,
    NoVersion,
    OutOfMemory,
    PackageNotFound,
    StepFailed,
    TimeExceeded,
)

SHOWN = 25
"""Lines of an unknown failure that are shown."""


def recognise(failed: BuildFailed, *, python: str, timeout: int) -> object:
    """The failure behind a build's error; StepFailed with the last lines when nothing fits."""
    step = title(failed.step)
    if isinstance(failed, BuildTimeout):
        return TimeExceeded(step, timeout, "limits.build_time")
    text = "\n".join(failed.lines)
    for known in _KNOWN:
        found = known(text, failed, step, python)
        if found is not None:
            return found
    code = re.search(r"exit code: (\d+)", failed.message)
    lines = tuple(line for line in failed.lines if line.strip())[-SHOWN:] or (failed.message[-2_000:],)
    return StepFailed(step, int(code[1]) if code else None, lines)


def title(step: str) -> str:
    """A step in a reader's words: "[lock 2/3] RUN …" is "deciding versions"."""
    stage = re.match(r"\[(?:stage-\d+|([\w-]+))? *\d+/\d+\] (\w+)", step)
    if not stage:
        return step
    name = stage[1] or "image"
    words = _TITLES.get(name, name)
    return f"{words}: {step.split('] ', 1)[1].split(chr(10))[0][:60]}" if stage[2] != "RUN" else words


_TITLES = {
    "interpreter": "preparing Python",
    "python": "fetching the Python base",
    "build": "preparing the build",
    "request": "reading what was asked for",
    "lock": "deciding versions",
    "conda-lock": "solving conda's part",
    "conda-env": "installing conda's part",
    "conda-base": "fetching the conda base",
    "env": "installing packages",
    "try": "trying the environment's JupyterLab",
    "image": "putting the image together",
}


def _machine(text: str, failed: BuildFailed, step: str, python: str) -> object | None:
    said = f"{failed.message}\n{text}"
    if "no space left on device" in said.lower():
        return DiskFull(step)
    if re.search(r"exit code: 137|signal: killed|Out of memory|cannot allocate memory", said, re.IGNORECASE):
        return OutOfMemory(step)
    if re.search(r"Cannot connect to the Docker daemon|error reading from server: EOF|closed network connection", said):
        return EngineUnavailable(failed.message[:300])
    if found := re.match(r"\[internal\] load metadata for (?:docker\.io/(?:library/)?)?(\S+)", failed.step):
        return BaseUnavailable(found[1], failed.message[:300])
    if found := re.search(r"failed to resolve source metadata for ([^\s:]+(?::[^\s:]+)?): ([^\n]*)", said):
        return BaseUnavailable(found[1], found[2][:300])
    if re.search(r"CERTIFICATE_VERIFY_FAILED|invalid peer certificate|UnknownIssuer|self.signed certificate", text):
        return CertificateUntrusted(_line(text, r"certificate"))
    return None


def _pip(text: str, failed: BuildFailed, step: str, python: str) -> object | None:
    if found := re.search(
        r"Could not find a version that satisfies the requirement ([\w.-]+)(\S*).*\(from versions: (.*)\)", text
    ):
        versions = () if found[3] == "none" else tuple(reversed(found[3].split(", ")))[:5]
        if versions:
            return NoVersion(found[1], found[2], python, versions)
        return _index(text, failed, step, python) or PackageNotFound(found[1])
    if found := re.search(r"No matching distribution found for ([\w.-]+)", text):
        return PackageNotFound(found[1])
    if "No solution found" in text:  # uv's chain, printed before pip was asked, says why; pip's says only that
        return _uv(text, failed, step, python)
    if "ResolutionImpossible" in text or "conflicting dependencies" in text:
        chain = re.search(r"The conflict is caused by:\n((?: +.*\n?)+)", text)
        return Conflict(tuple(line.strip() for line in (chain[1] if chain else text).splitlines() if line.strip())[:10])
    return None


def _uv(text: str, failed: BuildFailed, step: str, python: str) -> object | None:
    flat = re.sub(r"\s*\n\s+│?\s*|\n", " ", text)
    if found := re.search(r"Because ([\w.-]+) was not found in the package registry", flat):
        return PackageNotFound(found[1])
    if found := re.search(r"Because there is no version of ([\w.-]+?)((?:==|>=|<=|~=|!=|<|>)\S+?) and", flat):
        return NoVersion(found[1], found[2], python, ())
    if found := re.search(r"No solution found when resolving.*?(Because .*?unsatisfiable\.)", flat):
        return Conflict(tuple(re.split(r"(?<=\.) (?=And )", found[1]))[:10])
    return None


def _conda(text: str, failed: BuildFailed, step: str, python: str) -> object | None:
    if "conda cannot solve this environment" not in text:
        return None
    lines = [line.strip(" ├└│─") for line in text.splitlines()]
    chain = tuple(line for line in lines if line and "cannot solve" not in line)[:12]
    if found := re.search(r"No candidates were found for ([\w.-]+) \*", text):
        return PackageNotFound(found[1], ("the channels of environment.yml",))
    return Conflict(chain)


def _poetry(text: str, failed: BuildFailed, step: str, python: str) -> object | None:
    if "changed significantly since poetry.lock" in text or "is not up-to-date with pyproject.toml" in text:
        return LockStale(tuple(text.splitlines()[-5:]))
    if found := re.search(r"depends on ([\w.-]+) \((.*?)\) which doesn't match any versions", text):
        return NoVersion(found[1], found[2], python, ())
    if "version solving failed" in text:
        return Conflict(
            tuple(line.strip() for line in text.splitlines() if "depends on" in line or "So, because" in line)[:10]
        )
    return None


def _index(text: str, failed: BuildFailed, step: str, python: str) -> object | None:
    pattern = (
        r"NewConnectionError|Failed to establish a new connection|error sending request"
        r"|dns error|Temporary failure|timed out"
    )
    return IndexUnreachable(_line(text, pattern)) if re.search(pattern, text) else None


_KNOWN: tuple[Callable[[str, BuildFailed, str, str], object | None], ...] = (
    _machine,
    _pip,
    _uv,
    _conda,
    _poetry,
    _index,
)


def _line(text: str, pattern: str) -> str:
    return next((line.strip() for line in text.splitlines() if re.search(pattern, line, re.IGNORECASE)), "")[:300]

"""What conda's solvers and channels say: rattler's words, those of conda and mamba, and the facts behind them.

The facts are the line that templates/files/tools/conda_why.py prints. Like all of a log it may come from
anywhere, so nothing of it is taken that is not of the form it should have.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Any
from urllib.parse import urlsplit

from builder.failures.built import (
    ChannelAbsent,
    ChannelsLack,
    ChannelUnreachable,
    Demand,
    ExportedElsewhere,
    PipContradictsConda,
    Unsatisfiable,
)
from builder.recognition.names import system_of
from builder.recognition.said import Asked, Said, canonical
from builder.transcript import OF_CONDA

SHOWN = 12
"""Lines of a solver's own words that are shown."""

MAX_PROOF = 20_000
"""Characters of a resolver's proof that are read."""

Missing = tuple[Demand, tuple[str, ...], tuple[str, ...]]

_BUILD = re.compile(r"[\w.-]+ *={1,2} *[\w.!+*]+ *= *[\w.*+]+$")
_SPEC = re.compile(r"[\w.:/-]{1,100}(?:[ =<>!~,|*\w.+-]{0,100})")
_NAME = re.compile(r"[\w.-]{1,100}")
_VERSION = re.compile(r"[\w.!+-]{1,50}")
_SUBDIR = r"/(?:noarch|linux-64|linux-aarch64|osx-64|osx-arm64|win-64)(?:/\S*)?$"


class Origins:
    """Where an environment.yml says what; nothing is known of it where there is only a log."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        inputs = asked.plan.inputs if asked.plan and asked.plan.strategy == "conda" else {}
        self.specs: tuple[str, ...] = tuple(inputs.get("specs", ()))
        self._pip = {canonical(_name(line)) for line in inputs.get("pip", ())}

    def of_spec(self, spec: str) -> Demand:
        """A spec of the dependencies, where it is written, or whose default it is."""
        lines = self._asked.lines(_name(spec))
        if _name(spec) == "python" and (plan := self._asked.plan) and ":" not in plan.python.origin:
            return Demand(spec, plan.python.origin)
        if len(lines) == 1 and canonical(_name(spec)) in self._pip:
            lines = ()  # conda was asked for it by Launchyard, and the one line is of the pip: list
        return Demand(spec, lines[-1].place if lines else "")

    def of_pip(self, name: str) -> Demand | None:
        """A requirement of the pip: list."""
        if canonical(name) not in self._pip or not (lines := self._asked.lines(name)):
            return None
        return Demand(lines[0].text.lstrip("- ").strip("'\""), lines[0].place)

    def system(self, foreign: Iterable[Demand]) -> str:
        """Where it was exported: by what that system alone has, else by the path that an export ends with."""
        for _, text in self._asked.files():
            if prefix := re.search(r"^prefix: *['\"]?([A-Za-z]:\\|/Users/|/opt/homebrew/)", text, re.MULTILINE):
                return "Windows" if prefix[1][1] == ":" else "macOS"
        return next((system_of(_name(demand.text)) for demand in foreign), "")

    def of_channel(self, address: str) -> Demand:
        """A channel by its address; environment.yml names it so, or by the end of it."""
        address = address.rstrip("/")
        for path, text in self._asked.files():
            for number, line in enumerate(text.splitlines(), 1):
                for written in re.findall(r"[\w./:~-]+", line.partition("#")[0]):
                    if (name := written.rstrip("/")) and f"/{address}".endswith(f"/{name}"):
                        return Demand(name, f"{path}:{number}")
        return Demand(address.rpartition("/")[2] if address.startswith("file:") else address)


def recognise(said: Said) -> object | None:
    """The failure that a solver or a channel speaks of, None where none does."""
    text, origins = said.text, Origins(said.asked)
    return _told(said, origins) or _channel(text, origins) or _said(text, origins)


def contradiction(said: Said) -> PipContradictsConda | None:
    """The pip: list against what conda has installed, as uv says it: conda's versions are its constraints."""
    origins = Origins(said.asked)
    _, begins, proof = said.text.partition("Because ")
    chain = " ".join(proof.partition("unsatisfiable")[0][:MAX_PROOF].split()) if begins else ""
    for conda in map(origins.of_spec, origins.specs):
        name = _name(conda.text)
        needs = [f"{operator}{version}" for operator, version in _needs(chain, name)]
        pip = origins.of_pip(name) or _demanding(chain, name, origins)
        if pip is None:
            continue
        own = pip.text.replace(" ", "").partition(_name(pip.text))[2]
        installed = next((need for need in needs if need.startswith("==") and need != own), "")
        wanted = next((need for need in needs if need != installed), "")
        if installed and wanted:
            return PipContradictsConda(name, installed.removeprefix("=="), conda, pip, wanted)
    return None


def _needs(chain: str, name: str) -> list[tuple[str, str]]:
    return re.findall(rf"(?<![\w.-]){re.escape(name)}(==|>=|<=|~=|!=|<|>)([\w.!+*-]+?)(?=[,.]?(?: |$))", chain)


def _demanding(chain: str, name: str, origins: Origins) -> Demand | None:
    """The line of the pip: list at the beginning of a chain that leads to a package."""
    if not re.search(rf"depends? on [^.]*?{re.escape(name)}(?=[=<>~!])", chain):
        return None
    required = re.findall(r"you require ([\w.-]+?)(?=[=<>~!,]|\[| |\.? |$)", chain)
    return next((found for found in map(origins.of_pip, required) if found), None)


def _told(said: Said, origins: Origins) -> object | None:
    """The failure of the last line of facts."""
    lines = [line for line in said.asides if line.lstrip().startswith(OF_CONDA + "{")]
    try:
        told = json.loads(lines[-1].partition(": ")[2]) if lines else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict):
        return None
    absent = {name: _list(near, _NAME) for name, near in _mapping(told.get("absent")) if _NAME.fullmatch(name)}
    versions = {spec: _list(there, _VERSION) for spec, there in _mapping(told.get("versions")) if _SPEC.fullmatch(spec)}
    channels = _list(told.get("channels"), re.compile(r"[\w./:~-]{1,200}"))
    if absent or versions:
        names = ((origins.of_spec(name), near, ()) for name, near in absent.items())
        specs = ((origins.of_spec(spec), (), there) for spec, there in versions.items())
        return _lack((*names, *specs), channels, origins)
    together = _list(told.get("together"), _SPEC)
    if not together:
        return None
    instead = ((spec, str(v)) for spec, v in _mapping(told.get("instead")) if _VERSION.fullmatch(str(v)))
    return Unsatisfiable(tuple(map(origins.of_spec, together)), tuple(instead), _chain(said.text))


def _lack(missing: tuple[Missing, ...], channels: tuple[str, ...], origins: Origins) -> object:
    """What the channels lack: packages and versions, or what was exported on another system."""
    texts = [demand.text for demand, _, _ in missing]
    if any(system_of(_name(text)) or _BUILD.search(text) for text in texts):
        asked = [origins.of_spec(spec) for spec in origins.specs or texts]
        foreign = tuple(demand for demand in asked if system_of(_name(demand.text)))
        builds = tuple(demand for demand in asked if _BUILD.search(demand.text) and demand not in foreign)
        path = next((demand.origin.partition(":")[0] for demand in asked if ":" in demand.origin), "environment.yml")
        return ExportedElsewhere(path, origins.system(foreign), foreign, builds)
    written = {_name(spec): spec for spec in origins.specs}
    return ChannelsLack(missing, channels, tuple((name, written[name]) for name in texts if name in written))


def _said(text: str, origins: Origins) -> object | None:
    """What a solver says where no facts are told, conda's own and mamba's among them."""
    if lacking := re.findall(r"No candidates were found for ([\w.-]+) ([^\s,;]*?)\.?$", text, re.MULTILINE):
        specs = [name if version == "*" else f"{name} {version}" for name, version in lacking]
        return ChannelsLack(tuple((origins.of_spec(spec), (), ()) for spec in specs), ())
    if found := re.search(
        r"(?:PackagesNotFoundError: The following packages are (?:not available|missing)[^\n]*|ResolvePackageNotFound:)"
        r"\s*((?:\n\s*- \S[^\n]*)+)",
        text,
    ):
        specs = re.findall(r"- (\S[^\n]*)", found[1])[:SHOWN]
        channels = re.search(r"Current channels:\s*((?:\n\s*- \S+)+)", text)
        named = re.findall(r"- (\S+)", channels[1]) if channels else []
        return _lack(
            tuple((origins.of_spec(spec.strip()), (), ()) for spec in specs),
            tuple(dict.fromkeys(re.sub(_SUBDIR, "", channel) for channel in named)),
            origins,
        )
    if found := re.search(
        r"nothing provides requested ([^\n]+)|[└├]─ ([^\n└├]+?) does not exist \(perhaps a typo", text
    ):
        spec = re.sub(r"(?: =?\*)+$", "", (found[1] or found[2]).strip())
        return ChannelsLack(((origins.of_spec(spec), (), ()),), ())
    if re.search(
        r"conda cannot solve this environment|UnsatisfiableError|Could not solve for environment specs"
        r"|Cannot solve the request because of",
        text,
    ):
        lines = _chain(text)
        asked = [origins.of_spec(spec) for spec in _specs_of(lines)]
        return Unsatisfiable(tuple(asked), (), lines)
    return None


def _specs_of(lines: Sequence[str]) -> list[str]:
    """What was asked for: the first line of rattler's tree, the roots of mamba's."""
    first = re.search(r"because of: ([\w.-]+ [\w.*=<>!,|]+) cannot be installed", "\n".join(lines))
    roots = (
        re.match(r" *[├└]─ ([\w.-]+ [\w.*=<>!,|]+?)(?: \*)? +is (?:not )?(?:installable|requested)", x) for x in lines
    )
    return [first[1]] if first else [root[1] for root in roots if root]


def _chain(text: str) -> tuple[str, ...]:
    """A solver's own words: its tree or list, below the line that announces it; without one, what comes then."""
    begin = re.search(
        r"Cannot solve the request because of|The following packages? (?:are incompatible|could not be found|conflict)"
        r"|Encountered problems while solving|UnsatisfiableError",
        text,
    )
    first, *rest = [line.rstrip() for line in text[begin.start() if begin else 0 :].splitlines() if line.strip()] or [
        ""
    ]
    tree = list(takewhile(re.compile(r" *(?:[├└│]|- )").match, rest))
    return tuple([first, *(tree or [line for line in rest if OF_CONDA not in line])][:SHOWN])


def _channel(text: str, origins: Origins) -> object | None:
    if found := re.search(r"could not find subdir '[\w-]+' in channel '([^']+)'", text):
        return ChannelAbsent(origins.of_channel(found[1]))
    if found := re.search(r"(?:HTTP 404|status client error \(404)[^\n]*?channel [^\s<]*\s*<([^>\s]+)>", text):
        return ChannelAbsent(origins.of_channel(found[1]))
    if "a conda channel cannot be read" not in text and "CondaHTTPError" not in text:
        return None
    address = re.search(r"(?:for url \(?<?|channel ')([a-z]+://[^\s)>']+)", text)
    if not address or re.search(r"certificate|UnknownIssuer", text):
        return None
    causes = re.findall(r"^\s*Caused by: (.*)|(HTTP \d{3} [A-Z ]+)", text, re.MULTILINE)
    channel = re.sub(_SUBDIR, "", _bare(address[1]))
    return ChannelUnreachable(
        origins.of_channel(channel), f"{channel}: {''.join(causes[-1]).strip()}" if causes else channel
    )


def _bare(address: str) -> str:
    """An address without user information and tokens."""
    parts = urlsplit(address)
    return re.sub(r"/t/[^/]+/", "/", parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl())


def _name(spec: str) -> str:
    found = re.match(r"(?:[^\s:]+::)?([\w.-]+)", spec.strip())
    return found[1].lower() if found else spec


def _mapping(value: Any) -> list[tuple[str, Any]]:
    return list(value.items())[:SHOWN] if isinstance(value, dict) else []


def _list(value: Any, form: re.Pattern[str]) -> tuple[str, ...]:
    texts = value if isinstance(value, list) else []
    return tuple(text for text in texts if isinstance(text, str) and form.fullmatch(text))[:SHOWN]

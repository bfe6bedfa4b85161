"""Settings of an installation: launchyard.toml, then LAUNCHYARD_* variables, over these defaults.

The records are plain dataclasses, so that a command that only plans starts fast; pydantic-settings
reads and checks the sources when they are not as they were one of the last times.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_type_hints

from builder.failures.asked import SettingsInvalid
from builder.memory import Memory, xdg
from detectors.failures import BuildError

PREFIX = "LAUNCHYARD_"


@dataclass(frozen=True, slots=True)
class Bases:
    """Base images by role: references for an engine to pull."""

    debian: str = "debian:bookworm-slim"
    python: str = "python:{version}-slim-bookworm"
    """For every Python; {version} is major.minor."""
    pythons: Mapping[str, str] = field(default_factory=dict)
    """For one Python, where it differs: {"3.12": "registry.example/python:3.12"}."""
    conda: str = "continuumio/miniconda3:25.3.1-1"


@dataclass(frozen=True, slots=True)
class Index:
    """Where Python packages come from. An address may carry credentials; they reach builds as secrets."""

    url: str = ""
    """Empty: the tools' own default."""
    extra: tuple[str, ...] = ()
    resolver: Literal["uv", "pip"] = "uv"
    """What decides the versions of a pip environment: "uv", and pip where uv finds no answer; or "pip" alone."""


@dataclass(frozen=True, slots=True)
class Conda:
    """Channels, and what the solver is to believe about the machines that sessions run on."""

    channel_alias: str = "https://conda.anaconda.org"
    keep_defaults: bool = False
    virtual_packages: Mapping[str, str] = field(
        default_factory=lambda: {"__linux": "5.10", "__glibc": "2.36", "__unix": "0", "__archspec": "1=x86_64"}
    )


@dataclass(frozen=True, slots=True)
class Vscodium:
    """The server archive of VSCodium: an https address or a path, and its SHA-256."""

    archive: str = ""
    sha256: str = ""
    extensions: Mapping[str, str] = field(default_factory=dict)
    """Extensions to put in: address or path of a .vsix, and its SHA-256."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one build and of one session. Seconds and bytes."""

    fetch_time: int = 300
    fetch_size: int = 2_000_000_000
    build_time: int = 3_600
    build_log: int = 20_000_000
    """Of what a build prints, that is kept and shown."""
    build_memory: int = 8_000_000_000
    """Of one process of a build. All of them together are bounded by a cgroup only."""
    cgroup_parent: str = ""
    """The cgroup that builds run under, which whoever runs the engine has made and bounded; empty: the engine's own."""
    disk_free: int = 3_000_000_000
    """Under this much on the engine's disk a build is ended."""
    source_size: int = 500_000_000
    session_memory: int = 4_000_000_000
    session_processes: int = 1_024
    session_start_time: int = 60


@dataclass(frozen=True, slots=True)
class Sessions:
    """Sessions that the service opens."""

    classes: Mapping[str, Mapping[str, float]] = field(
        default_factory=lambda: {
            "small": {"cpus": 1, "memory": 2_000_000_000},
            "medium": {"cpus": 2, "memory": 4_000_000_000},
        }
    )
    """What a session may use, by the name that people choose: "cpus", "memory" and "disk" in bytes, "gpus". The first
    is the default. A session that grows beyond its disk is ended; its work directory stays."""
    data: Mapping[str, str] = field(default_factory=dict)
    """Directories that launchers may choose for their sessions to find at /data/NAME, read-only: paths where the engine
    is, by name, that uid 1000 can read."""
    idle_limit: int = 43_200
    """Seconds without activity after which a session is stopped, where its launcher says nothing."""
    at_once: int = 100
    """Sessions that are not stopped."""
    host: str = ""
    """A second name of the service, under which sessions open, so that they are a foreign site to its page. On loopback
    that is localhost, and 127.0.0.1 is the page's."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All of it. `launchyard.toml` has the same shape; a variable is LAUNCHYARD_ and the name, `__` between levels."""

    image_prefix: str = "launchyard"
    """What names of images start with; with a registry's host in front, `--push` goes there."""
    owner: str = ""
    """Whose builds these are. Owners share no cache that a build writes, and reuse no image of each other's."""
    platform: Literal["linux/amd64", "linux/arm64"] = (
        "linux/arm64" if os.uname().machine == "aarch64" else "linux/amd64"
    )
    """The engine's, by default this machine's: images are for it and no other."""
    allowed_hosts: tuple[str, ...] = (
        "github.com", "gitlab.com", "bitbucket.org", "codeberg.org", "git.sr.ht",
        "huggingface.co", "framagit.org", "gitlab.renkulab.io",
    )  # fmt: skip
    """Git hosts: "host", "host:port", "*" for every public one, "http://host:port" where TLS is not to be had."""
    hosts: tuple[str, ...] = ()
    """Names by which the service is asked, besides localhost and the address it listens on: what it is called behind a
    proxy, or by other machines. "*" for any, which lets pages of other sites ask it from a browser that reaches it."""
    allow_local: bool = False
    """Whether the service takes paths of its own machine; the command line always does."""
    certificates: str = ""
    """A file of certificate authorities, PEM, that fetches and builds trust."""
    http_proxy: str = ""
    https_proxy: str = ""
    no_proxy: str = ""
    examples: tuple[str, ...] = (
        "https://github.com/binder-examples/requirements",
        "https://github.com/binder-examples/conda",
    )
    """Repositories that the page offers to who has no launcher yet."""
    database: str = ""
    """Where a service remembers: postgresql://USER:PASSWORD@HOST/NAME; empty: SQLite in the state directory."""
    cache_dir: str = field(default_factory=lambda: str(xdg("XDG_CACHE_HOME", ".cache")))
    state_dir: str = field(default_factory=lambda: str(xdg("XDG_STATE_HOME", ".local/state")))
    bases: Bases = field(default_factory=Bases)
    index: Index = field(default_factory=Index)
    conda: Conda = field(default_factory=Conda)
    vscodium: Vscodium = field(default_factory=Vscodium)
    limits: Limits = field(default_factory=Limits)
    sessions: Sessions = field(default_factory=Sessions)


NOT_SETTINGS = ("CONFIG", "DEBUG", "ENGINE_DIR", "SERVER")
"""Variables that say where the settings are, that tracebacks are wanted, where `make engine` keeps its engine,
and where `launchyard remote` finds its service."""

LISTS = ("ALLOWED_HOSTS", "HOSTS", "EXAMPLES", "INDEX__EXTRA")
"""Variables that hold a list: JSON, or names between commas."""

REMEMBERED = 8
"""Of the settings that were checked, how many are remembered: commands of one person come with this file or that
variable, in turns."""

_CHECKED = Memory("settings", REMEMBERED)


def load(environ: Mapping[str, str] = os.environ, directory: Path | None = None) -> Settings:
    """The settings in force: of $LAUNCHYARD_CONFIG, or else the first of DIRECTORY/launchyard.toml and
    ~/.config/launchyard/launchyard.toml, overridden by the environment.

    Raises BuildError(SettingsInvalid) with each place at fault.
    """
    file = file_in_use(environ, directory)
    text = file.read_bytes() if file else b""
    variables = {
        k: v for k, v in environ.items() if k.startswith(PREFIX) and k.removeprefix(PREFIX) not in NOT_SETTINGS
    }
    if not text and not variables:
        return _DEFAULTS
    seen = hashlib.sha256(repr((_OWN_VERSION, text, sorted(variables.items()))).encode()).hexdigest()
    if known := _CHECKED.recall(seen):
        return _from_json(known)
    settings = _validate(file, variables)
    if not secrets(settings):
        _CHECKED.keep(seen, asdict(settings))
    return settings


def secrets(settings: Settings) -> tuple[str, ...]:
    """Every password in the settings, for what must never be shown: the user information of addresses, and the
    token of a conda channel (https://host/t/TOKEN/channel)."""
    addresses = (settings.index.url, *settings.index.extra, settings.http_proxy, settings.https_proxy,
                 settings.conda.channel_alias, settings.database)  # fmt: skip
    found = [match[1] for address in addresses if (match := re.match(r"[a-z0-9+]+://([^/@]+)@", address))]
    tokens = re.findall(r"/t/([^/]+)", settings.conda.channel_alias)
    return (*(part for words in found for part in sorted({words, words.rpartition(":")[2]}) if part), *tokens)


_OWN_VERSION = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()


def _validate(file: Path | None, variables: Mapping[str, str]) -> Settings:
    from pydantic import ValidationError, create_model
    from pydantic_settings import (
        BaseSettings,
        EnvSettingsSource,
        SettingsConfigDict,
        SettingsError,
        TomlConfigSettingsSource,
    )

    class Variables(EnvSettingsSource):
        def _load_env_vars(self) -> Mapping[str, str | None]:
            return {
                name.lower(): json.dumps([part for part in value.split(",") if part])
                if name.removeprefix(PREFIX) in LISTS and not value.startswith("[")
                else value
                for name, value in variables.items()
            }

    class Sources(BaseSettings):
        model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid")

        @classmethod
        def settings_customise_sources(cls, settings_cls: type[BaseSettings], *_: Any, **__: Any) -> Any:
            return Variables(settings_cls), TomlConfigSettingsSource(settings_cls, file)

    types = get_type_hints(Settings)
    members: dict[str, Any] = {f.name: (types[f.name], getattr(_DEFAULTS, f.name)) for f in fields(Settings)}
    model = create_model("Settings", __base__=Sources, **members)
    unknown = [name for name in variables if not _known(name)]
    if unknown:
        raise BuildError(SettingsInvalid(tuple((name, "no such setting") for name in unknown)))
    try:
        loaded = model()
    except ValidationError as error:
        places = (".".join(str(part) for part in e["loc"]) for e in error.errors())
        raise BuildError(SettingsInvalid(tuple(zip(places, (e["msg"] for e in error.errors()), strict=True)))) from None
    except (SettingsError, ValueError, RecursionError) as error:
        raise BuildError(SettingsInvalid(((str(file or "the environment"), str(error)),))) from None
    settings = Settings(**{f.name: getattr(loaded, f.name) for f in fields(Settings)})
    if faults := tuple(_faults(settings)):
        raise BuildError(SettingsInvalid(faults))
    return settings


def _faults(settings: Settings) -> Iterator[tuple[str, str]]:
    """(setting, what is wrong with it) of values that are of their type, and would fail only in a build."""
    if not OWNER.fullmatch(settings.owner):
        yield "owner", "lower-case letters, digits and single - . _ between them"
    if not IMAGE_PREFIX.fullmatch(settings.image_prefix):
        yield "image_prefix", "the start of an image's name, such as launchyard or registry.example.org/launchyard"
    if settings.certificates and not Path(settings.certificates).is_file():
        yield "certificates", f"there is no file {settings.certificates}"
    for name, url in (("index.url", settings.index.url), *(("index.extra", url) for url in settings.index.extra)):
        if url and not re.match(r"https?://[^/]", url):
            yield name, "an address that begins with https:// or http://"
    for limit in fields(settings.limits):
        value = getattr(settings.limits, limit.name)
        if isinstance(value, int) and value <= 0 and (value < 0 or limit.name != "disk_free"):
            yield f"limits.{limit.name}", "more than 0"


IMAGE_PREFIX = re.compile(r"[a-z0-9](?:[a-z0-9._:/-]*[a-z0-9])?")
OWNER = re.compile(r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*)?")
"""A component of an image's name: https://github.com/distribution/reference."""


def _known(variable: str) -> bool:
    first, _, rest = variable.removeprefix(PREFIX).lower().partition("__")
    value = getattr(_DEFAULTS, first, None)
    return value is not None and (not rest or isinstance(value, Mapping) or hasattr(value, rest.partition("__")[0]))


def _from_json(document: Mapping[str, Any]) -> Settings:
    values: dict[str, Any] = {}
    for name, value in document.items():
        like = getattr(_DEFAULTS, name)
        if is_dataclass(like) and not isinstance(like, type):
            value = type(like)(**{k: tuple(v) if isinstance(v, list) else v for k, v in value.items()})
        values[name] = tuple(value) if isinstance(value, list) else value
    return Settings(**values)


def file_in_use(environ: Mapping[str, str] = os.environ, directory: Path | None = None) -> Path | None:
    """The settings file that `load` reads, None for none; /dev/null is one that says nothing.

    Raises BuildError(SettingsInvalid).
    """
    if named := environ.get(PREFIX + "CONFIG"):
        if not Path(named).exists() or Path(named).is_dir():
            raise BuildError(SettingsInvalid(((PREFIX + "CONFIG", f"there is no file {named}"),)))
        return Path(named)
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    candidates = ((directory or Path.cwd()) / "launchyard.toml", home / "launchyard" / "launchyard.toml")
    return next((c for c in candidates if c.is_file()), None)


_DEFAULTS = Settings()

"""What is remembered of launchers and sessions: plain frozen values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

PORT = 8888
"""Where a session listens, inside."""

TOKEN_PARAMETERS = {"jupyterlab": "token", "vscodium": "tkn"}
"""What each frontend calls the token in its address."""

Frontend = Literal["jupyterlab", "vscodium", "streamlit", "dash", "panel", "gradio", "command"]

SessionState = Literal["starting", "running", "idle", "pausing", "paused", "stopping", "stopped", "failed"]

LIVE: tuple[SessionState, ...] = ("starting", "running", "idle", "pausing", "paused", "stopping")
"""States of sessions that hold their work directory."""

OPEN: tuple[SessionState, ...] = ("running", "idle")
"""States in which a session answers."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What a session may use."""

    cpus: float | None = None
    """None for as many as there are."""
    memory: int = 4_000_000_000
    """Bytes."""
    gpus: int = 0
    processes: int = 1_024
    disk: int | None = None
    """Bytes that its work and home directories may come to; None for as many as there are."""


@dataclass(frozen=True, slots=True)
class Launcher:
    """What a person launches sessions from, under a name of its own. Times are UTC."""

    id: str
    name: str
    environment_id: str | None
    """Whose current version is launched; None where it is of an image."""
    image: str | None
    version: int | None
    """The version that is launched, whatever is current; None for the current one."""
    frontend: Frontend
    command: tuple[str, ...]
    """What runs in a session in place of a frontend; of a dashboard, the script and what is said to it."""
    resources: str
    """The name of a class of the settings."""
    variables: Mapping[str, str]
    secrets: tuple[str, ...]
    """Names of variables whose values nobody is shown again."""
    data: tuple[str, ...]
    """Names of the operator's data that its sessions find below /data."""
    idle_limit: int | None
    """Seconds; None for the setting's."""
    revision: int
    """Grows with every change."""
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Session:
    """A session of a launcher. Times are UTC."""

    id: str
    launcher_id: str
    state: SessionState
    work: int
    """Which of its launcher's work directories it has: 1, or more where others run at the same time."""
    image: str
    frontend: Frontend
    version: int | None
    commit: str
    token: str = field(repr=False)
    """Opens it."""
    url: str
    """Where its runtime has it answer; empty while it does not."""
    created_at: datetime
    begun_at: datetime
    """When it was last started or resumed."""
    active_at: datetime
    """When it was last active, as its frontend says."""
    ended_at: datetime | None = None
    explanation: Mapping[str, Any] | None = None
    """Why it failed: an Explanation's JSON."""
    outcome: str = ""
    """How it ended, in words."""
    lines: tuple[str, ...] = ()
    """What it printed last, of one that has ended."""

    @property
    def path(self) -> str:
        """Where the service has it answer."""
        return f"/sessions/{self.id}/"

    @property
    def name(self) -> str:
        """What its runtime calls it; the next session with the same work directory is called so too."""
        return f"{self.launcher_id}-{self.work}"


@dataclass(frozen=True, slots=True)
class Usage:
    """What a session uses at a moment."""

    cpus: float
    memory: int
    """Bytes, without what is only cached."""
    memory_limit: int
    processes: int


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """A session to start."""

    name: str
    image: str
    frontend: str
    """What answers in it: "jupyterlab", "vscodium", or "none" for a command of the user's own."""
    command: tuple[str, ...] = ()
    base_path: str = "/"
    """Starts and ends with a slash."""
    token: str = field(default="", repr=False)
    port: int | None = None
    """The port of this machine's loopback address; None for any that is free."""
    resources: Resources = Resources()
    keeps_work: bool = False
    """Whether the work directory outlives the session, for the next one of its name."""
    repository: str = ""
    """What is cloned into an empty work directory: an https address; empty for nothing."""
    directory: Path | None = None
    """Or a repository on this machine, which the session may read."""
    commit: str = ""
    ref: str = ""
    """The branch that the clone is on, at that commit; empty for none."""
    data: Mapping[str, Path] = field(default_factory=dict)
    """What sessions find at /data/NAME and cannot change, by name: directories where the runtime is."""
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Of the user's own; secrets are among them."""
    owner: str = ""
    """The service whose session it is; empty for one that a person started by hand."""


def branch_of(ref: str | None) -> str:
    """What the branch of a clone is called that was asked for by a ref; "" where that is a commit or a tag."""
    if not ref or re.fullmatch(r"[0-9a-f]{7,64}", ref):
        return ""
    return ref if not ref.startswith("refs/") else ref.removeprefix("refs/heads/").partition("refs/")[0]


@dataclass(frozen=True, slots=True)
class Instance:
    """A session as its runtime knows it."""

    name: str
    image: str
    frontend: str
    state: Literal["running", "ended"]
    started: float
    """Seconds since 1970."""
    url: str = ""
    """Where it answers, without its token; empty where it cannot be reached."""
    token: str = field(default="", repr=False)
    exit_code: int | None = None
    """Of one that has ended."""
    exhausted: bool = False
    """It ended because it wanted more memory than it may have."""
    owner: str = ""
    command: tuple[str, ...] = ()
    """What runs in it; empty for the image's own frontend."""

    @property
    def address(self) -> str:
        """What a person opens: the URL with the token."""
        parameter = TOKEN_PARAMETERS.get(self.frontend)
        return f"{self.url}?{parameter}={self.token}" if parameter and self.token else self.url

    def to_json(self, *, with_token: bool = False) -> dict[str, Any]:
        """The session as JSON values; the address is with its token only when that is asked for."""
        return {
            "name": self.name,
            "image": self.image,
            "frontend": self.frontend,
            "state": self.state,
            "started": self.started,
            "address": self.address if with_token else self.url,
            "exit_code": self.exit_code,
        }

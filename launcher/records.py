"""What is remembered of a session: plain frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

PORT = 8888
"""Where a session listens, inside."""

TOKEN_PARAMETERS = {"jupyterlab": "token", "vscodium": "tkn"}
"""What each frontend calls the token in its address."""


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
    memory: int = 4_000_000_000
    """Bytes."""
    processes: int = 1_024
    keeps_work: bool = False
    """Whether the work directory outlives the session, for the next one of its name."""
    repository: str = ""
    """What is cloned into an empty work directory: an https address; empty for nothing."""
    directory: Path | None = None
    """Or a repository on this machine, which the session may read."""
    commit: str = ""
    ref: str = ""


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

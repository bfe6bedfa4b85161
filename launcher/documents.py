"""The JSON of launchers and sessions, with examples; the OpenAPI document is made of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from builder.documents import (
    EXAMPLE_COMMIT,
    EXAMPLE_ID,
    EXAMPLE_IMAGE,
    EXAMPLE_OTHER_ID,
    EXAMPLE_REPOSITORY,
    ID,
    Explanation,
    Given,
    Shown,
    Wanted,
)
from launcher.records import Frontend, SessionState

Name = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,61}[a-z0-9]$"),
    Field(description="2 to 63 of a-z, 0-9 and -, with a letter or digit at both ends."),
]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,199}$")]
Value = Annotated[str, StringConstraints(pattern=r"^[^\x00\r\n]*$", max_length=10_000)]
Word = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=1_000)]
Short = Annotated[str, StringConstraints(max_length=63)]
Seconds = Annotated[int, Field(ge=60, le=30 * 86_400)]
Number = Annotated[int, Field(ge=1, le=2**31 - 1)]


class NewLauncher(Given):
    """A launcher to create: of code, of an environment that there is, or of an image of Launchyard's."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "tides", "code": {"repository": EXAMPLE_REPOSITORY}}]},
    )
    name: Name | None = Field(default=None, description="By default after what it is of.")
    code: Wanted | None = Field(default=None, description="A repository, whose environment is made and built.")
    environment_id: Annotated[str, StringConstraints(pattern=ID)] | None = None
    image: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x20\x7f]+$", max_length=300)] | None = None
    version: Number | None = Field(default=None, description="Launch this version of the environment, always.")
    frontend: Frontend = "jupyterlab"
    command: list[Word] = Field(default=[], max_length=100, description="Of a dashboard: its script, and arguments.")
    resources: str | None = Field(default=None, max_length=63, description="A class that the operator has set up.")
    variables: dict[Variable, Value] = Field(default={}, max_length=100)
    secrets: dict[Variable, Value] = Field(default={}, max_length=100, description="Variables that are never shown.")
    data: list[Short] = Field(default=[], max_length=100, description="Data of the operator's, mounted at /data/NAME.")
    idle_limit: Seconds | None = Field(default=None, description="Seconds without activity.")

    @model_validator(mode="after")
    def _of_one_thing(self) -> NewLauncher:
        if sum(source is not None for source in (self.code, self.environment_id, self.image)) != 1:
            raise ValueError("give one of code, environment_id and image")
        return self


class LauncherChange(Given):
    """What is to be different, from the next session on."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"resources": "medium"}]})
    name: Name = ""
    version: Number | None = None
    command: list[Word] = Field(default=[], max_length=100)
    resources: str = Field(default="", max_length=63)
    variables: dict[Variable, Value] = Field(default={}, max_length=100)
    secrets: dict[Variable, Value | None] = Field(
        default={}, max_length=100, description="Added to those there are; null takes one away."
    )
    data: list[Short] = Field(default=[], max_length=100)
    idle_limit: Seconds | None = None


class Launcher(Shown):
    """A launcher: what sessions are launched from."""

    id: str = Field(examples=[EXAMPLE_ID])
    name: str = Field(examples=["tides"])
    environment_id: str | None = Field(examples=[EXAMPLE_OTHER_ID])
    image: str | None = Field(examples=[None])
    version: int | None = Field(description="The version that is launched; null for the current one.", examples=[None])
    frontend: Frontend
    command: list[str]
    resources: str = Field(examples=["small"])
    variables: dict[str, str]
    secrets: list[str] = Field(description="Their names; values are not shown.", examples=[["API_KEY"]])
    data: list[str] = Field(description="Names; each is at /data/NAME.", examples=[["tides-2024"]])
    idle_limit: int | None
    created_at: datetime
    updated_at: datetime


class Launchers(Shown):
    items: list[Launcher]
    next: str | None


class Session(Shown):
    """A session. It answers at `path` while it is running or idle."""

    id: str = Field(examples=[EXAMPLE_ID])
    launcher_id: str = Field(examples=[EXAMPLE_OTHER_ID])
    state: SessionState = Field(examples=["running"])
    work: int = Field(description="Which of its launcher's work directories it has.", examples=[1])
    image: str = Field(examples=[EXAMPLE_IMAGE])
    version: int | None = Field(examples=[2])
    frontend: Frontend
    commit: str = Field(examples=[EXAMPLE_COMMIT])
    path: str = Field(description="Where it answers, to its token or cookie.", examples=[f"/sessions/{EXAMPLE_ID}/"])
    created_at: datetime
    active_at: datetime = Field(description="When it was last active, as its frontend says.")
    ended_at: datetime | None
    explanation: Explanation | None = Field(description="Why it failed.", examples=[None])
    outcome: str = Field(description="How it ended.", examples=[""])


class OpenedSession(Session):
    """A session, with what opens it."""

    token: str = Field(description="Opens it: `path?token=…`.", examples=["x" * 32])


class Sessions(Shown):
    items: list[Session]
    next: str | None


class Usage(Shown):
    """What a session uses at this moment; null while it does not run."""

    cpus: float = Field(examples=[0.4])
    memory: int = Field(description="Bytes.", examples=[310_000_000])
    memory_limit: int = Field(examples=[2_000_000_000])
    processes: int = Field(examples=[12])

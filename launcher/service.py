"""What the interface and the page may ask of launchers and sessions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from builder.failures.asked import SettingsInvalid
from builder.failures.served import (
    DataAbsent,
    FrontendDiffers,
    LauncherInvalid,
    NameTaken,
    NoVersionYet,
    RecordAbsent,
    ResourcesAbsent,
)
from builder.records import Environment, Page, Revisions, Space
from builder.service import Builder, BuildError, NewEnvironment, Service, Settings
from launcher.frontends import PRESETS, check_command, command_of, listening
from launcher.keeper import Keeper
from launcher.records import (
    OPEN,
    PORT,
    Frontend,
    Launcher,
    Resources,
    Session,
    SessionRequest,
    SessionState,
    Usage,
    branch_of,
)
from launcher.sessions import Runtime, new_token, without_token
from launcher.store import LauncherStore, NewSession

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,61}[a-z0-9]")

VARIABLE = re.compile(r"(?!LAUNCHYARD_|JUPYTERHUB_|RENKU_)[A-Za-z_][A-Za-z0-9_]{0,199}")
"""Names of variables that a launcher may set: none that the start script reads."""

RESERVED = frozenset({"PATH", "HOME", "SHELL"})

MAX_VALUE = 10_000
"""Characters of a variable's value."""

MAX_VARIABLES = 100

IDLE_LIMITS = (60, 30 * 86_400)
"""Seconds: the shortest and the longest that a launcher may say."""

LINES = 500
"""Of a session's log, that are shown."""


@dataclass(frozen=True, slots=True)
class NewLauncher:
    """A launcher as somebody asks for it: of code, of an environment that there is, or of an image."""

    name: str | None = None
    """By default after the repository, the environment or the image."""
    code: NewEnvironment | None = None
    environment_id: str | None = None
    image: str | None = None
    version: int | None = None
    frontend: Frontend = "jupyterlab"
    command: tuple[str, ...] = ()
    resources: str | None = None
    """By default the first that the settings name."""
    data: tuple[str, ...] = ()
    """Names of the operator's data."""
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    idle_limit: int | None = None


class Launchers:
    """The launchers of one installation, and their sessions. Every method raises BuildError."""

    def __init__(
        self, settings: Settings, store: LauncherStore, builder: Service, images: Builder, runtime: Runtime
    ) -> None:
        self._settings = settings
        self._store = store
        self._builder = builder
        self._images = images
        self._runtime = runtime
        self.keeper = Keeper(settings, store, runtime, self.request)

    def resources(self) -> Mapping[str, Resources]:
        """The classes that a launcher may choose from; the first is the default."""
        return resources_of(self._settings)

    # Launchers

    def create(self, new: NewLauncher) -> Launcher:
        """Remember a launcher; one of code starts its environment's first build."""
        self._check(new)
        if new.code:
            frontend = PRESETS[new.frontend].image
            code = replace(new.code, options=replace(new.code.options, frontend=frontend), name=None)
            environment, _ = self._builder.create(code)
            try:
                return self._remember(new, environment)
            except BuildError:
                self._builder.delete(environment.id)
                raise
        if new.environment_id:
            environment = self._builder.environment(new.environment_id)
            _check_frontend(environment.name, environment.options.frontend, new.frontend)
            if new.version:
                self._builder.version(environment.id, new.version)
            return self._remember(new, environment)
        if new.image is None:
            raise BuildError(LauncherInvalid((("launcher", "of what: code, environment_id or image"),)))
        image = self._images.image(new.image)
        _check_frontend(new.image, image.labels.get("io.launchyard.frontend", "none"), new.frontend)
        return self._remember(new, None)

    def launcher(self, id: str) -> Launcher:
        return self._store.launcher(id)

    def named(self, name: str) -> Launcher:
        return self._store.named(name)

    def launchers(self, *, search: str = "", after: str | None = None, limit: int = 50) -> Page[Launcher]:
        return self._store.launchers(search=search, after=after, limit=limit)

    def launchers_of(self, environment_id: str) -> tuple[Launcher, ...]:
        """Those that launch an environment."""
        return self._store.launchers_of(environment_id)

    def change(
        self, id: str, changes: Mapping[str, Any], secrets: Mapping[str, str | None], revisions: Revisions = None
    ) -> Launcher:
        """Change name, version, command, resources, variables or idle limit; the next session follows it.

        `secrets` are added to those there are; None takes one away.
        """
        now = self._store.launcher(id)
        wanted = replace(now, **changes)
        self._check(
            NewLauncher(
                name=wanted.name, frontend=wanted.frontend, command=wanted.command, resources=wanted.resources,
                variables=wanted.variables, secrets={name: value or "" for name, value in secrets.items()},
                data=wanted.data, idle_limit=wanted.idle_limit,
            )
        )  # fmt: skip
        if wanted.version and wanted.environment_id:
            self._builder.version(wanted.environment_id, wanted.version)
        return self._store.change_launcher(id, changes, secrets, revisions)

    def delete(self, id: str, revisions: Revisions = None) -> None:
        """Forget a launcher and end its sessions; their work directories go with it, and its environment.

        An environment that another launcher has as well stays.
        """
        gone = self._store.delete_launcher(id, revisions)
        if gone.environment_id and not self._store.launchers_of(gone.environment_id):
            try:
                self._builder.delete(gone.environment_id)
            except BuildError as error:
                if not isinstance(error.failure, RecordAbsent):  # somebody has deleted it already
                    raise
        self.keeper.wake()

    def data(self) -> Mapping[str, str]:
        """What launchers may mount: paths by name. Raises BuildError(SettingsInvalid)."""
        return data_of(self._settings)

    def space(self) -> Space:
        """What the installation and its engine keep on disk; takes seconds where that is much."""
        return self._images.space()

    def examples(self) -> tuple[str, ...]:
        """Repositories to begin with."""
        return self._settings.examples

    # Sessions

    def launch(self, launcher_id: str) -> Session:
        """Start a session of a launcher; answers at once."""
        launcher = self._store.launcher(launcher_id)
        new = self._new_session(launcher)
        session = self._store.create_session(new, self._settings.sessions.at_once)
        self.keeper.wake()
        return session

    def session(self, id: str) -> Session:
        return self._store.session(id)

    def sessions(
        self,
        *,
        launcher_id: str | None = None,
        states: tuple[SessionState, ...] = (),
        after: str | None = None,
        limit: int = 50,
    ) -> Page[Session]:
        if launcher_id:
            self._store.launcher(launcher_id)
        return self._store.sessions(launcher_id=launcher_id, states=states, after=after, limit=limit)

    def stop(self, id: str) -> Session:
        """End a session; its work directory stays for the next one. One that has ended stays as it is."""
        return self._move(id, ("starting", *OPEN, "pausing", "paused"), "stopping", outcome="stopped")

    def pause(self, id: str) -> Session:
        """Let a session rest: its processes end; its work directory, its address and its token stay."""
        return self._move(id, OPEN, "pausing")

    def resume(self, id: str) -> Session:
        """Start a paused session again."""
        return self._move(id, ("paused",), "starting", begun_at=datetime.now(UTC))

    def log(self, id: str) -> tuple[str, ...]:
        """What a session printed last."""
        session = self._store.session(id)
        return session.lines or without_token(self._runtime.logs(session.name, LINES), session)

    def usage(self, id: str) -> Usage | None:
        """What a session uses now; None while it does not run."""
        session = self._store.session(id)
        return self._runtime.usage(session.name) if session.state in OPEN else None

    # How

    def request(self, session: Session) -> SessionRequest:
        """How a session is to be started."""
        launcher = self._store.launcher(session.launcher_id)
        preset = PRESETS[session.frontend]
        base_path = "/" if preset.below_root else session.path
        places = {"{ip}": "0.0.0.0", "{port}": str(PORT), "{base_path}": session.path}
        variables = {
            **(listening(base_path) if preset.image == "none" else {}),
            **{name: _filled(value, places) for name, value in preset.variables.items()},
        }
        request = SessionRequest(
            name=session.name,
            image=session.image,
            frontend=preset.image,
            command=tuple(_filled(word, places) for word in command_of(session.frontend, launcher.command)),
            base_path=base_path,
            token=session.token,
            resources=self._resources(launcher.resources),
            keeps_work=True,
            commit=session.commit,
            data={name: Path(path) for name, path in self.data().items() if name in launcher.data},
            variables={**variables, **launcher.variables, **self._store.secrets(launcher.id)},
            owner=self._store.owner(),
        )
        if launcher.environment_id is None:
            return request
        environment = self._builder.environment(launcher.environment_id)
        if "://" not in environment.repository:
            return replace(request, directory=Path(environment.repository).resolve())
        return replace(request, repository=environment.repository, ref=branch_of(environment.ref))

    def _new_session(self, launcher: Launcher) -> NewSession:
        if launcher.environment_id is None:
            assert launcher.image
            return NewSession(launcher.id, launcher.image, launcher.frontend, new_token())
        environment = self._builder.environment(launcher.environment_id)
        number = launcher.version or environment.current_version
        if number is None:
            raise BuildError(NoVersionYet(launcher.name, environment.state))
        version = self._builder.version(environment.id, number)
        return NewSession(launcher.id, version.reference, launcher.frontend, new_token(), number, version.commit[:40])

    def _move(self, id: str, came_from: tuple[SessionState, ...], state: SessionState, **values: Any) -> Session:
        if self._store.move(id, came_from, state, **values):
            self.keeper.wake()
        return self._store.session(id)

    def _remember(self, new: NewLauncher, environment: Environment | None) -> Launcher:
        values = {
            "environment_id": environment and environment.id,
            "image": new.image,
            "version": new.version,
            "frontend": new.frontend,
            "command": list(new.command),
            "resources": new.resources or next(iter(self.resources())),
            "variables": dict(new.variables),
            "data": list(new.data),
            "idle_limit": new.idle_limit,
        }
        if new.name:
            return self._store.create_launcher(new.name, new.secrets, values)
        stem = name_of(environment.name if environment else (new.image or ""))
        for name in (stem, *(f"{stem}-{number}" for number in range(2, 100))):
            try:
                return self._store.create_launcher(name, new.secrets, values)
            except BuildError as error:
                if not isinstance(error.failure, NameTaken):
                    raise
        raise BuildError(NameTaken(stem, "launcher"))

    def _check(self, new: NewLauncher) -> None:
        """Raises BuildError(LauncherInvalid | CommandMissing | ResourcesAbsent | DataAbsent)."""
        if wrong := tuple(_wrong(new)):
            raise BuildError(LauncherInvalid(wrong))
        check_command(new.frontend, new.command)
        if new.resources is not None:
            self._resources(new.resources)
        if unknown := [name for name in new.data if name not in self.data()]:
            raise BuildError(DataAbsent(unknown[0], tuple(self.data())))

    def _resources(self, name: str) -> Resources:
        classes = self.resources()
        if name not in classes:
            raise BuildError(ResourcesAbsent(name, tuple(classes)))
        return classes[name]


def resources_of(settings: Settings) -> Mapping[str, Resources]:
    """The classes of resources in the settings. Raises BuildError(SettingsInvalid)."""
    found = {}
    for name, members in settings.sessions.classes.items():
        unknown = members.keys() - {"cpus", "memory", "gpus", "disk"}
        if unknown or any(members.get(name, 1) <= 0 for name in ("cpus", "memory", "disk")):
            wrong = f"cpus, memory (bytes), gpus and disk (bytes), each above 0, not {dict(members)}"
            raise BuildError(SettingsInvalid(((f"sessions.classes.{name}", wrong),)))
        limits = settings.limits
        found[name] = Resources(
            cpus=members.get("cpus"),
            memory=int(members.get("memory", limits.session_memory)),
            gpus=int(members.get("gpus", 0)),
            processes=limits.session_processes,
            disk=int(members["disk"]) if "disk" in members else None,
        )
    if not found:
        raise BuildError(SettingsInvalid((("sessions.classes", "at least one"),)))
    return found


def data_of(settings: Settings) -> Mapping[str, str]:
    """The data in the settings, paths by name. Raises BuildError(SettingsInvalid)."""
    wrong = tuple(
        (f"sessions.data.{name}", "a name of a-z, 0-9 and -, and a path that starts with /")
        for name, path in settings.sessions.data.items()
        if not NAME.fullmatch(name) or not path.startswith("/")
    )
    if wrong:
        raise BuildError(SettingsInvalid(wrong))
    return settings.sessions.data


def name_of(words: str) -> str:
    """A name that a launcher can have, after what it is of."""
    stem = re.sub(r"[^a-z0-9]+", "-", words.lower().partition(":")[0]).strip("-")[:58].strip("-")
    return stem if len(stem) > 1 else f"launcher-{stem}".strip("-")


def _wrong(new: NewLauncher) -> list[tuple[str, str]]:
    wrong = []
    if new.name is not None and not NAME.fullmatch(new.name):
        wrong.append(("name", "2 to 63 of a-z, 0-9 and -, with a letter or digit at both ends"))
    if new.frontend not in get_args(Frontend):
        wrong.append(("frontend", f"one of {', '.join(get_args(Frontend))}"))
    if new.idle_limit is not None and not IDLE_LIMITS[0] <= new.idle_limit <= IDLE_LIMITS[1]:
        wrong.append(("idle_limit", f"between {IDLE_LIMITS[0]} and {IDLE_LIMITS[1]} seconds"))
    if len(new.variables) + len(new.secrets) > MAX_VARIABLES:
        wrong.append(("variables", f"{MAX_VARIABLES} at most"))
    for name, value in (*new.variables.items(), *new.secrets.items()):
        if not VARIABLE.fullmatch(name) or name in RESERVED:
            wrong.append((f"variable {name[:80]}", "no name that a launcher may set"))
        elif len(value) > MAX_VALUE or re.search(r"[\x00\r\n]", value):
            wrong.append((f"variable {name}", f"one line of {MAX_VALUE:,} characters at most"))
    return wrong


def _check_frontend(reference: str, frontend: str, wanted: Frontend) -> None:
    if PRESETS[wanted].image != frontend:
        raise BuildError(FrontendDiffers(reference, frontend, PRESETS[wanted].image))


def _filled(word: str, places: Mapping[str, str]) -> str:
    for place, value in places.items():
        word = word.replace(place, value)
    return word

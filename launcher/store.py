"""Launchers and sessions in SQL, in the database of the builder's records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from builder.database import Database, only_row, paged
from builder.failures.served import NameTaken, RevisionStale, SessionsFull
from builder.ids import new_id
from builder.records import Page, Revisions
from builder.service import BuildError
from launcher.records import LIVE, Launcher, Session, SessionState
from launcher.schema import SCHEMA, installation, launchers, sessions

KEPT = 50
"""Sessions of a launcher that have ended, that are remembered."""

ENDED = ("stopped", "failed")


@dataclass(frozen=True, slots=True)
class Deleted:
    """A launcher that is to be forgotten once nothing of it is left in the runtime."""

    id: str
    works: int
    """How many work directories it has had."""

    @property
    def names(self) -> tuple[str, ...]:
        """What the runtime calls its sessions."""
        return tuple(f"{self.id}-{work}" for work in range(1, self.works + 1))


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session as it is asked for."""

    launcher_id: str
    image: str
    frontend: str
    token: str = field(repr=False)
    version: int | None = None
    commit: str = ""


class LauncherStore:
    """What is remembered. What is not there raises BuildError(RecordAbsent)."""

    def __init__(self, database: Database) -> None:
        """In the database of the builder's records."""
        self._database = database

    def migrate(self) -> None:
        """Bring the schema up to this release's."""
        self._database.migrate(schema=SCHEMA)
        with self._database.writing() as connection:
            if connection.scalar(sa.select(installation.c.id)) is None:
                connection.execute(installation.insert().values(id=new_id()))

    def owner(self) -> str:
        """By what a runtime tells this service's sessions from others'."""
        with self._database.reading() as connection:
            return str(connection.scalar(sa.select(installation.c.id)))

    # Launchers

    def create_launcher(self, name: str, secrets: Mapping[str, str], values: Mapping[str, Any]) -> Launcher:
        """Raises BuildError(NameTaken)."""
        row = {
            **values, "id": new_id(), "name": name, "secrets": dict(secrets), "works": 0, "deleting": False,
            "revision": 1, "created_at": _now(), "updated_at": _now(),
        }  # fmt: skip
        try:
            with self._database.writing() as connection:
                connection.execute(launchers.insert().values(**row))
        except IntegrityError:
            raise BuildError(NameTaken(name, "launcher")) from None
        return self.launcher(str(row["id"]))

    def launcher(self, id: str) -> Launcher:
        with self._database.reading() as connection:
            return _launcher(_row_of_launcher(connection, id))

    def named(self, name: str) -> Launcher:
        """The launcher of a name."""
        with self._database.reading() as connection:
            query = sa.select(launchers).where(launchers.c.name == name)
            return _launcher(only_row(connection, query, "launcher", name))

    def launchers(self, *, search: str = "", after: str | None = None, limit: int = 50) -> Page[Launcher]:
        """The newest first; `search` is part of a name."""
        query = sa.select(launchers).where(_KEPT_ONES)
        if search:
            query = query.where(launchers.c.name.contains(search.lower(), autoescape=True))
        rows, following = self._database.page(paged(query, launchers.c.id, after is not None), "id", after, limit, {})
        return Page(tuple(map(_launcher, rows)), following)

    def launchers_of(self, environment_id: str) -> tuple[Launcher, ...]:
        """Those that launch an environment."""
        query = sa.select(launchers).where(_KEPT_ONES, launchers.c.environment_id == environment_id)
        with self._database.reading() as connection:
            return tuple(map(_launcher, connection.execute(query).mappings()))

    def secrets(self, launcher_id: str) -> Mapping[str, str]:
        """With their values: for its sessions, and for nobody to see."""
        with self._database.reading() as connection:
            return dict(connection.scalar(sa.select(launchers.c.secrets).where(launchers.c.id == launcher_id)) or {})

    def change_launcher(
        self, id: str, changes: Mapping[str, Any], secrets: Mapping[str, str | None], revisions: Revisions = None
    ) -> Launcher:
        """Change columns; `secrets` are added to those there are, None takes one away.

        Raises BuildError(RevisionStale) where it is at none of `revisions`, and NameTaken.
        """
        try:
            with self._database.writing() as connection:
                found = _at_revision(connection, id, revisions)
                kept = {name: value for name, value in {**found["secrets"], **secrets}.items() if value is not None}
                wanted = {**found, **changes, "secrets": kept}
                if kept != found["secrets"] or _launcher(wanted) != _launcher(found):
                    connection.execute(
                        launchers.update()
                        .where(launchers.c.id == id)
                        .values(**changes, secrets=kept, revision=found["revision"] + 1, updated_at=_now())
                    )
        except IntegrityError:
            raise BuildError(NameTaken(str(changes.get("name", "")), "launcher")) from None
        return self.launcher(id)

    def delete_launcher(self, id: str, revisions: Revisions = None) -> Launcher:
        """Give its name free and let its sessions end; `forget` does the rest once they are gone."""
        with self._database.writing() as connection:
            found = _at_revision(connection, id, revisions)
            connection.execute(
                launchers.update().where(launchers.c.id == id).values(name=f"~{id}", deleting=True, secrets={})
            )
            connection.execute(
                sessions.update()
                .where(sessions.c.launcher_id == id, sessions.c.state.in_(LIVE))
                .values(state="stopping", outcome="its launcher was deleted")
            )
        return _launcher(found)

    def deleted(self) -> tuple[Deleted, ...]:
        """Launchers that wait to be forgotten, and have no session any more."""
        live = sa.select(sessions.c.id).where(sessions.c.launcher_id == launchers.c.id, sessions.c.state.in_(LIVE))
        query = sa.select(launchers.c.id, launchers.c.works).where(launchers.c.deleting, ~live.exists())
        with self._database.reading() as connection:
            return tuple(Deleted(id, works) for id, works in connection.execute(query))

    def forget(self, launcher_id: str) -> None:
        """Forget a launcher with its sessions."""
        with self._database.writing() as connection:
            connection.execute(sessions.delete().where(sessions.c.launcher_id == launcher_id))
            connection.execute(launchers.delete().where(launchers.c.id == launcher_id))

    # Sessions

    def create_session(self, new: NewSession, at_once: int) -> Session:
        """A session that is to start, with the first work directory of its launcher that no other one has.

        Raises BuildError(SessionsFull) where `at_once` are not stopped.
        """
        with self._database.writing() as connection:
            _row_of_launcher(connection, new.launcher_id, lock=True)
            live = sa.select(sa.func.count()).where(sessions.c.state.in_(LIVE))
            if (connection.scalar(live) or 0) >= at_once:
                raise BuildError(SessionsFull(at_once))
            taken = set(
                connection.scalars(
                    sa.select(sessions.c.work).where(
                        sessions.c.launcher_id == new.launcher_id, sessions.c.state.in_(LIVE)
                    )
                )
            )
            work = next(number for number in range(1, len(taken) + 2) if number not in taken)
            row = {
                "id": new_id(), "launcher_id": new.launcher_id, "state": "starting", "work": work, "image": new.image,
                "frontend": new.frontend, "version": new.version, "commit": new.commit, "token": new.token, "url": "",
                "created_at": _now(), "begun_at": _now(), "active_at": _now(), "outcome": "", "lines": [],
            }  # fmt: skip
            connection.execute(sessions.insert().values(**row))
            connection.execute(
                launchers.update().where(launchers.c.id == new.launcher_id, launchers.c.works < work).values(works=work)
            )
            self._forget_old(connection, new.launcher_id)
        return self.session(str(row["id"]))

    def _forget_old(self, connection: sa.Connection, launcher_id: str) -> None:
        ended = sessions.c.launcher_id == launcher_id, sessions.c.state.in_(ENDED)
        kept = sa.select(sessions.c.id).where(*ended).order_by(sessions.c.id.desc()).limit(KEPT)
        oldest = list(connection.scalars(kept))[-1:]
        if oldest:
            connection.execute(sessions.delete().where(*ended, sessions.c.id < oldest[0]))

    def session(self, id: str) -> Session:
        with self._database.reading() as connection:
            return _session(only_row(connection, sa.select(sessions).where(sessions.c.id == id), "session", id))

    def sessions(
        self,
        *,
        launcher_id: str | None = None,
        states: Sequence[SessionState] = (),
        after: str | None = None,
        limit: int = 50,
    ) -> Page[Session]:
        """The newest first."""
        query = sa.select(sessions)
        if launcher_id:
            query = query.where(sessions.c.launcher_id == launcher_id)
        if states:
            query = query.where(sessions.c.state.in_(states))
        rows, following = self._database.page(paged(query, sessions.c.id, after is not None), "id", after, limit, {})
        return Page(tuple(map(_session, rows)), following)

    def live(self) -> tuple[Session, ...]:
        """Every session that holds a work directory, the oldest first."""
        query = sa.select(sessions).where(sessions.c.state.in_(LIVE)).order_by(sessions.c.id)
        with self._database.reading() as connection:
            return tuple(map(_session, connection.execute(query).mappings()))

    def move(self, id: str, came_from: Sequence[SessionState], state: SessionState, **values: Any) -> bool:
        """Let a session's state be another one, if it is in one of those it may come from; whether it was."""
        if state in ENDED:
            values = {"ended_at": _now(), "url": "", **values}
        with self._database.writing() as connection:
            changed = connection.execute(
                sessions.update()
                .where(sessions.c.id == id, sessions.c.state.in_(came_from))
                .values(state=state, **values)
            )
        return bool(changed.rowcount)

    # How


_KEPT_ONES = launchers.c.deleting.is_(False)


def _row_of_launcher(connection: sa.Connection, id: str, *, lock: bool = False) -> sa.RowMapping:
    query = sa.select(launchers).where(launchers.c.id == id, _KEPT_ONES)
    return only_row(connection, query, "launcher", id, lock=lock)


def _at_revision(connection: sa.Connection, id: str, revisions: Revisions) -> sa.RowMapping:
    found = _row_of_launcher(connection, id, lock=True)
    if revisions is not None and found["revision"] not in revisions:
        raise BuildError(RevisionStale(found["name"]))
    return found


def _launcher(row: Mapping[Any, Any]) -> Launcher:
    values = {name: value for name, value in row.items() if name not in ("works", "deleting")}
    lists = {"command": values["command"], "data": values["data"], "secrets": sorted(values["secrets"])}
    return Launcher(**{**values, **{name: tuple(value) for name, value in lists.items()}})


def _session(row: Mapping[Any, Any]) -> Session:
    return Session(**{**row, "lines": tuple(row["lines"])})


def _now() -> datetime:
    return datetime.now(UTC)

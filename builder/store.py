"""The records in SQL: the same tables and queries on SQLite and Postgres."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache, partial
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from builder.database import Database, only_row, paged
from builder.failures.served import NameTaken, RecordAbsent, RevisionStale, VersionPinned
from builder.ids import new_id
from builder.locked import Lock
from builder.records import (
    UNDER_WAY,
    Asked,
    Build,
    BuildState,
    Choices,
    Ended,
    Environment,
    EnvironmentState,
    Inventory,
    Maker,
    Outcome,
    Page,
    Provenance,
    Reason,
    Revisions,
    StepTime,
    Version,
    VersionPart,
    Wanted,
    Worker,
)
from builder.schema import builds, environments, versions, workers
from detectors.failures import BuildError

LEASE = 12.0
"""Seconds without a sign of life, after which a worker counts as dead."""

_BUILDS = sa.select(
    builds,
    sa.exists()
    .where(
        versions.c.environment_id == builds.c.environment_id,
        versions.c.number == builds.c.version,
        versions.c.build_id == builds.c.id,
    )
    .label("new_version"),
)
"""Builds as they are shown: with whether they made their version, which only the version knows."""

# To make a statement takes longer than to run it: those that are asked all the time are made once.
_ENVIRONMENTS = sa.select(*(column for column in environments.c if column is not environments.c.found_by))
_ENVIRONMENT = _ENVIRONMENTS.where(environments.c.id == sa.bindparam("id"))
_ENVIRONMENT_HELD = _ENVIRONMENT.with_for_update()
_BUILD = _BUILDS.where(builds.c.id == sa.bindparam("id"))
_CANCELLING = sa.select(builds.c.cancelling).where(builds.c.id == sa.bindparam("id"))
_OF_ENVIRONMENT = builds.c.environment_id == sa.bindparam("environment_id")
_UNDER_WAY_OF = sa.select(sa.func.count()).where(_OF_ENVIRONMENT, builds.c.state.in_(UNDER_WAY))
_NEWEST_OWN = (
    sa.select(builds.c.state)
    .where(
        _OF_ENVIRONMENT,
        builds.c.state.in_(("succeeded", "failed")),
        *(builds.c.asked[name].as_string().is_(None) for name in ("ref", "as_of")),
    )
    .order_by(builds.c.id.desc())
    .limit(1)
)
"""How the newest build of an environment's own ref and day ended that was not cancelled."""
_SUCCEEDED_SINCE = sa.select(
    sa.exists().where(_OF_ENVIRONMENT, builds.c.state == "succeeded", builds.c.id > sa.bindparam("id"))
)
"""Whether a build of an environment that was asked for later has succeeded already: they may run side by side."""
_TOUCH = (
    environments.update()
    .where(environments.c.id == sa.bindparam("touched"))
    .values(revision=environments.c.revision + 1)
)


def _in_turn(state: BuildState) -> sa.Select[int]:
    return sa.select(builds.c.turn).where(builds.c.state == state).order_by(builds.c.turn.desc()).limit(1)


_QUEUED_OF_OWNER = _in_turn("queued").join(environments).where(environments.c.owner == sa.bindparam("owner"))
_TURNS = sa.select(_QUEUED_OF_OWNER.scalar_subquery(), _in_turn("running").scalar_subquery())


@cache
def _environments(on: bool, *given: Literal["search", "state"]) -> sa.Select[Any]:
    """A page of those of which all that is given holds: the first one, or, `on`, another."""
    holds = {
        # The database lowers both: SQLite knows the cases of ASCII alone.
        "search": environments.c.found_by.like(sa.func.lower(sa.bindparam("search")), escape="/"),
        "state": environments.c.state == sa.bindparam("state"),
    }
    return paged(_ENVIRONMENTS.where(*(holds[name] for name in given)), environments.c.id, on)


@cache
def _builds(on: bool, *given: Literal["environment_id", "state"]) -> sa.Select[Any]:
    return paged(_BUILDS.where(*(builds.c[name] == sa.bindparam(name) for name in given)), builds.c.id, on)


@cache
def _versions(on: bool) -> sa.Select[Any]:
    return paged(_of_environment(), versions.c.number, on)


@cache
def _one_version(*parts: VersionPart) -> sa.Select[Any]:
    return _of_environment(*parts).where(versions.c.number == sa.bindparam("number"))


def _of_environment(*parts: VersionPart) -> sa.Select[Any]:
    columns = (column for column in versions.c if column.name in parts or not isinstance(column.type, sa.JSON))
    return sa.select(*columns).where(versions.c.environment_id == sa.bindparam("environment_id"))


class Store(Database):
    """What is remembered. What is not there raises BuildError(RecordAbsent)."""

    # Environments

    def create_environment(
        self,
        name: str,
        repository: str,
        ref: str | None,
        subdir: str,
        options: Choices,
        *,
        owner: str = "",
        exact: bool = True,
        built_for: str | None = None,
    ) -> Environment:
        """A new environment; with its first build, queued, where somebody is named whom that is for.

        Raises BuildError(NameTaken), or finds a free name like it unless it has to be `exact`.
        """
        id = new_id()
        row = {
            "id": id, "owner": owner, "repository": repository, "ref": ref, "subdir": subdir,
            "options": asdict(options), "state": "empty", "current_version": None, "pinned": False, "revision": 1,
            "created_at": _now(), "updated_at": _now(),
        }  # fmt: skip
        others = (*(f"{name[:90]}-{n}" for n in range(2, 20)), f"{name[:60]}-{id}")
        for free in (name, *(() if exact else others)):
            try:
                with self.writing() as connection:
                    connection.execute(environments.insert().values(name=free, **row))
                    if built_for is not None:
                        self._new_build(connection, id, "created", built_for, Asked())
            except IntegrityError:
                continue
            return self.environment(id)
        raise BuildError(NameTaken(name))

    def environment(self, id: str) -> Environment:
        with self.reading() as connection:
            return _environment(only_row(connection, _ENVIRONMENT, "environment", id))

    def environment_named(self, name: str) -> Environment:
        with self.reading() as connection:
            query = _ENVIRONMENTS.where(environments.c.name == name)
            return _environment(only_row(connection, query, "environment", name))

    def environments(
        self, *, search: str = "", state: str | None = None, after: str | None = None, limit: int = 50
    ) -> Page[Environment]:
        """The newest first; `search` looks in names and repositories."""
        looked_for = re.sub(r"[%_/]", r"/\g<0>", search)
        given = _given(search=search and f"%{looked_for}%", state=state)
        rows, following = self.page(_environments(after is not None, *given), "id", after, limit, given)
        return Page(tuple(map(_environment, rows)), following)

    def change_environment(self, id: str, changes: Mapping[str, Any], revisions: Revisions = None) -> Environment:
        """Change columns; of `options`, the members that are given.

        Raises BuildError(RevisionStale) where it is at none of `revisions`, and NameTaken.
        """
        try:
            with self.writing() as connection:
                found = self._at_revision(connection, id, revisions)
                options = replace(found.options, **changes.get("options", {}))
                _change(connection, found, **{**changes, "options": options})
        except IntegrityError:
            raise BuildError(NameTaken(str(changes.get("name", found.name)))) from None
        return self.environment(id)

    def delete_environment(self, id: str, revisions: Revisions = None) -> tuple[str, ...]:
        """Forget it with its versions and builds; the ids of these."""
        with self.writing() as connection:
            self._at_revision(connection, id, revisions)
            gone = tuple(connection.scalars(sa.select(builds.c.id).where(builds.c.environment_id == id)))
            for table in (versions, builds):
                connection.execute(table.delete().where(table.c.environment_id == id))
            connection.execute(environments.delete().where(environments.c.id == id))
        return gone

    # Builds

    def start_build(self, environment_id: str, reason: Reason, asked_by: str, asked: Asked) -> tuple[Build, bool]:
        """A new build, queued; or the one under way for the same inputs, and False.

        One index of the database decides which of many requests at once is the first. One that runs keeps who
        asked for it again, as it may have looked at its ref already.
        """
        while True:
            try:
                with self.writing() as connection:
                    return self._new_build(connection, environment_id, reason, asked_by, asked), True
            except IntegrityError:
                found = self._under_way(environment_id, asked)
                if found and (found.state == "queued" or self._asked_again(found, asked_by)):
                    return found, False

    def _asked_again(self, build: Build, asked_by: str) -> bool:
        """False where it has ended by now."""
        if build.asked_again_by is not None:
            return True
        with self.writing() as connection:
            still = builds.update().where(builds.c.id == build.id, builds.c.state.in_(UNDER_WAY))
            return bool(connection.execute(still.values(asked_again_by=asked_by)).rowcount)

    def _new_build(
        self, connection: sa.Connection, environment_id: str, reason: Reason, asked_by: str, asked: Asked
    ) -> Build:
        environment = _environment(only_row(connection, _ENVIRONMENT_HELD, "environment", environment_id))
        turn = _next_turn(connection, environment.owner)
        wanted = Wanted.of(environment)
        build = Build(new_id(), environment_id, "queued", reason, asked_by, asked, wanted, turn, _now())
        row = {column.name: getattr(build, column.name) for column in builds.c if column is not builds.c.inputs}
        plain = {"asked": asdict(asked), "wanted": asdict(wanted), "inputs": _inputs(environment, asked)}
        connection.execute(builds.insert(), {**row, **plain})
        _touch(connection, environment_id, state="building")
        return build

    def _under_way(self, environment_id: str, asked: Asked) -> Build | None:
        same = _BUILDS.where(
            builds.c.environment_id == environment_id,
            builds.c.inputs == _inputs(self.environment(environment_id), asked),
            builds.c.state.in_(UNDER_WAY),
            builds.c.cancelling.is_(False),
        )
        with self.reading() as connection:
            found = connection.execute(same).mappings().first()
        return _build(found) if found else None

    def build(self, id: str) -> Build:
        with self.reading() as connection:
            return _build(only_row(connection, _BUILD, "build", id))

    def builds(
        self,
        *,
        environment_id: str | None = None,
        state: str | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> Page[Build]:
        """The newest first."""
        given = _given(environment_id=environment_id, state=state)
        rows, following = self.page(_builds(after is not None, *given), "id", after, limit, given)
        return Page(tuple(map(_build, rows)), following)

    def under_way(self) -> tuple[Build, ...]:
        """Builds that have not ended, the oldest first."""
        query = _BUILDS.where(builds.c.state.in_(UNDER_WAY)).order_by(builds.c.id)
        with self.reading() as connection:
            return tuple(map(_build, connection.execute(query).mappings()))

    def counts(self) -> dict[str, int]:
        """How many builds are under way, by state."""
        query = sa.select(builds.c.state, sa.func.count()).where(builds.c.state.in_(UNDER_WAY)).group_by(builds.c.state)
        with self.reading() as connection:
            return {state: count for state, count in connection.execute(query)}

    def ended(self, since: datetime) -> tuple[Ended, ...]:
        """How builds have ended from a moment on, by day, the oldest first."""
        day, code = sa.func.date(builds.c.finished_at), builds.c.explanation["code"].as_string()
        query = sa.select(day, builds.c.state, code, sa.func.count()).where(builds.c.finished_at >= since)
        query = query.group_by(day, builds.c.state, code).order_by(day)
        with self.reading() as connection:
            found = connection.execute(query).all()
        return tuple(Ended(date.fromisoformat(str(day)), state, code or "", count) for day, state, code, count in found)

    def begin(self, id: str) -> Build | None:
        """Let a build run: queued, or running before its process ended. None when it has ended or is gone."""
        with self.writing() as connection:
            changed = connection.execute(
                builds.update()
                .where(builds.c.id == id, builds.c.state.in_(UNDER_WAY))
                .values(state="running", started_at=sa.func.coalesce(builds.c.started_at, _now()))
            )
        return self.build(id) if changed.rowcount else None

    def note_plan(self, id: str, commit: str, key: str, strategy: str) -> None:
        """Keep what a build's ref and files came to."""
        with self.writing() as connection:
            connection.execute(
                builds.update().where(builds.c.id == id).values(commit=commit, key=key, strategy=strategy)
            )

    def cancel(self, id: str) -> tuple[Build, bool]:
        """End a build that is queued, and say so; ask one that runs to end. One that has ended stays as it is."""
        with self.writing() as connection:
            held = _held(connection, id)
            if held is None:
                raise BuildError(RecordAbsent("build", id))
            environment, found = held
            if found.state == "queued":
                self._end(connection, environment, found, state="cancelled", cancelling=True)
            elif found.state == "running":
                connection.execute(builds.update().where(builds.c.id == id).values(cancelling=True))
        return self.build(id), found.state == "queued"

    def is_cancelling(self, id: str) -> bool:
        """Whether a build is to end: it was cancelled, or its environment is gone."""
        with self.reading() as connection:
            found = connection.scalar(_CANCELLING, {"id": id})
        return found is None or bool(found)

    def conclude(self, id: str, outcome: Outcome) -> Build | None:
        """Record what came of a build, once; None when it is gone. A second time changes nothing."""
        with self.writing() as connection:
            held = _held(connection, id)
            if held is None:
                return None
            environment, build = held
            if build.state in UNDER_WAY:
                self._conclude(connection, environment, build, outcome)
        return self.build(id)

    def _conclude(self, connection: sa.Connection, environment: Environment, build: Build, outcome: Outcome) -> None:
        end = partial(self._end, connection, environment, build)
        steps = [asdict(step) for step in (outcome.built or outcome).steps]
        if outcome.built:
            number, is_new = self._version_of(connection, environment, build, outcome)
            again = not is_new and number != environment.current_version and not _stays(connection, environment, build)
            words = f"{outcome.built.reason}; v{number} is used again" if again else outcome.built.reason
            end(state="succeeded", version=number, outcome=words, steps=steps)
        elif outcome.explanation:
            end(state="failed", explanation=dict(outcome.explanation), steps=steps)
        else:
            end(state="cancelled", steps=steps)

    def _end(self, connection: sa.Connection, environment: Environment, build: Build, **values: Any) -> None:
        connection.execute(builds.update().where(builds.c.id == build.id).values(finished_at=_now(), **values))
        changes: dict[str, Any] = {}
        if values.get("version") and not _stays(connection, environment, build):
            changes["current_version"] = values["version"]
        state = _state_after(connection, environment.id, changes.get("current_version", environment.current_version))
        _touch(connection, environment.id, state=state, **changes)

    def _version_of(
        self, connection: sa.Connection, environment: Environment, build: Build, outcome: Outcome
    ) -> tuple[int, bool]:
        """The number of the version with this very image, and whether it was made now as there was none."""
        built = outcome.built
        assert built and outcome.inventory and outcome.locked and outcome.provenance
        of_environment = versions.c.environment_id == build.environment_id
        same = sa.select(versions.c.number).where(
            of_environment, versions.c.reference == built.reference, versions.c.image_id == built.image_id
        )
        number: int | None = connection.scalar(same)
        if number is not None:
            return number, False
        number = (connection.scalar(sa.select(sa.func.max(versions.c.number)).where(of_environment)) or 0) + 1
        now = _now()
        ref = build.asked.ref or build.wanted.ref
        maker = Maker(build.id, build.reason, build.asked_by, ref, build.started_at, now)
        connection.execute(
            versions.insert().values(
                environment_id=build.environment_id,
                number=number,
                build_id=build.id,
                reference=built.reference,
                image_id=built.image_id,
                digest=built.digest,
                size=built.size,
                key=built.key,
                lock=built.lock,
                commit=built.commit,
                created_at=now,
                inventory=outcome.inventory.to_json(),
                locked=outcome.locked.to_json(),
                provenance=replace(outcome.provenance, build=maker).to_json(),
            )
        )
        return number, True

    # Versions

    def versions(self, environment_id: str, *, after: str | None = None, limit: int = 50) -> Page[Version]:
        """The newest first, without what is in them and how they were made."""
        self.environment(environment_id)
        on = None if after is None else int(after)
        given = {"environment_id": environment_id}
        rows, following = self.page(_versions(on is not None), "number", on, limit, given)
        return Page(tuple(map(_version, rows)), following)

    def version(self, environment_id: str, number: int, *parts: VersionPart) -> Version:
        """With those of its parts that are named."""
        with self.reading() as connection:
            return self._version(connection, environment_id, number, *parts)

    def use_version(
        self, environment_id: str, number: int, *, pinned: bool = False, revisions: Revisions = None
    ) -> Environment:
        """Let a version be the current one, and stay it where it is `pinned`.

        Raises BuildError: RevisionStale where the environment is at none of `revisions`, VersionPinned where another
        version is to stay the current one.
        """
        with self.writing() as connection:
            found = self._at_revision(connection, environment_id, revisions)
            self._version(connection, environment_id, number)
            if found.pinned and not pinned and found.current_version != number:
                raise BuildError(VersionPinned(found.name, found.current_version or 0, number))
            _change(connection, found, current_version=number, pinned=pinned or found.pinned)
        return self.environment(environment_id)

    def references_in_use(self) -> frozenset[str]:
        """Of the versions that are the current ones of their environments; none where nothing is remembered yet."""
        current = sa.and_(
            versions.c.environment_id == environments.c.id, versions.c.number == environments.c.current_version
        )
        with self.reading() as connection:
            if not sa.inspect(connection).has_table(versions.name):
                return frozenset()
            return frozenset(connection.scalars(sa.select(versions.c.reference).join(environments, current)))

    def _version(self, connection: sa.Connection, environment_id: str, number: int, *parts: VersionPart) -> Version:
        query, called = _one_version(*parts), f"{environment_id} v{number}"
        return _version(only_row(connection, query, "version", called, environment_id=environment_id, number=number))

    # Workers

    def beat(self, worker_id: str) -> bool:
        """Say that a worker is alive; False when it was taken for dead."""
        with self.writing() as connection:
            alive = workers.update().where(workers.c.id == worker_id).values(seen_at=_clock(connection))
            return bool(connection.execute(alive).rowcount)

    def join(self, worker_id: str, host: str, at_once: int) -> None:
        """Remember a worker that starts."""
        with self.writing() as connection:
            now = _clock(connection)
            row = {"id": worker_id, "host": host, "at_once": at_once, "started_at": now, "seen_at": now}
            connection.execute(workers.insert().values(**row))

    def leave(self, worker_id: str) -> None:
        """Forget a worker that ends."""
        with self.writing() as connection:
            connection.execute(workers.delete().where(workers.c.id == worker_id))

    def bury(self) -> frozenset[str]:
        """Forget the workers that are dead; the ids of those that are left."""
        with self.writing() as connection:
            last = _clock(connection) - timedelta(seconds=LEASE)
            connection.execute(workers.delete().where(workers.c.seen_at < last))
            return frozenset(connection.scalars(sa.select(workers.c.id)))

    def workers(self) -> tuple[Worker, ...]:
        """Those that are alive, the oldest first. The last one that dies is forgotten by nobody."""
        with self.reading() as connection:
            alive = workers.c.seen_at >= _clock(connection) - timedelta(seconds=LEASE)
            found = connection.execute(sa.select(workers).where(alive).order_by(workers.c.started_at)).mappings()
            return tuple(Worker(**row) for row in found)

    # How

    def _at_revision(self, connection: sa.Connection, id: str, revisions: Revisions) -> Environment:
        found = _environment(only_row(connection, _ENVIRONMENT_HELD, "environment", id))
        if revisions is not None and found.revision not in revisions:
            raise BuildError(RevisionStale(found.name))
        return found


def _given(**values: str | None) -> dict[Any, str]:
    return {name: value for name, value in values.items() if value}


def _held(connection: sa.Connection, build_id: str) -> tuple[Environment, Build] | None:
    """A build and its environment, which nobody else changes until the transaction ends; None when it is gone.

    Whoever holds both takes the environment first: in any other order two could wait for each other.
    """
    own = _ENVIRONMENTS.join(builds).where(builds.c.id == build_id).with_for_update(of=environments)
    environment = connection.execute(own).mappings().first()
    build = connection.execute(sa.select(builds).where(builds.c.id == build_id).with_for_update()).mappings().first()
    return (_environment(environment), _build(build)) if environment and build else None


def _change(connection: sa.Connection, found: Environment, **changes: Any) -> None:
    """Write what is to be different; where nothing is, it keeps its revision."""
    wanted = replace(found, **changes)
    if wanted != found:
        _touch(connection, found.id, **{**changes, "options": asdict(wanted.options)})


def _touch(connection: sa.Connection, id: str, **changes: Any) -> None:
    connection.execute(_TOUCH, {"touched": id, "updated_at": _now(), **changes})


def _state_after(connection: sa.Connection, environment_id: str, current_version: int | None) -> EnvironmentState:
    """What a build leaves its environment in: a failure counts until a later build of its own ref and day succeeds."""
    if connection.scalar(_UNDER_WAY_OF, {"environment_id": environment_id}):
        return "building"
    if connection.scalar(_NEWEST_OWN, {"environment_id": environment_id}) == "failed":
        return "failed"
    return "ready" if current_version else "empty"


def _stays(connection: sa.Connection, environment: Environment, build: Build) -> bool:
    """Whether an environment keeps its current version, whatever a build comes to."""
    if environment.current_version is None or environment.pinned:
        return environment.current_version is not None
    return bool(connection.scalar(_SUCCEEDED_SINCE, {"environment_id": environment.id, "id": build.id}))


def _next_turn(connection: sa.Connection, owner: str) -> int:
    """Owners take turns: a new build comes behind the owner's own last one, and behind what runs now.

    Self-clocked fair queueing, where each build weighs the same: https://doi.org/10.1109/INFCOM.1994.337677
    """
    own, now = connection.execute(_TURNS, {"owner": owner}).one()
    return max(own or 0, now or 0) + 1


def _clock(connection: sa.Connection) -> datetime:
    """The database's time: workers may be on machines whose clocks differ."""
    if connection.dialect.name == "sqlite":
        return _now()
    found: datetime = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
    return found


def _inputs(environment: Environment, asked: Asked) -> str:
    """What makes two requests ask for the same build: 64 hex digits."""
    wanted = Wanted.of(environment)
    own = [environment.repository, wanted.ref, wanted.subdir, asdict(wanted.options)]
    return hashlib.sha256(json.dumps([own, asdict(asked)], sort_keys=True).encode()).hexdigest()


def _now() -> datetime:
    return datetime.now(UTC)


def _environment(row: Mapping[Any, Any]) -> Environment:
    return Environment(**{**row, "options": _choices(row["options"])})


def _choices(row: Mapping[str, Any]) -> Choices:
    options: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
    return Choices(**options)


def _build(row: Mapping[Any, Any]) -> Build:
    values = dict(row)
    values.pop("inputs", None)
    values["asked"] = Asked(**values["asked"])
    values["wanted"] = Wanted(**{**values["wanted"], "options": _choices(values["wanted"]["options"])})
    values["steps"] = tuple([StepTime(**step) for step in values["steps"]])
    return Build(**values)


def _version(row: Mapping[Any, Any]) -> Version:
    read: dict[str, Callable[[Mapping[str, Any]], Any]] = {
        "inventory": Inventory.from_json, "locked": Lock.from_json, "provenance": Provenance.from_json,
    }  # fmt: skip
    return Version(**{name: read[name](value) if name in read else value for name, value in row.items()})

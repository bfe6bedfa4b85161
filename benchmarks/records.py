"""A store as a busy year leaves it: ten builds and two versions of every environment, written in bulk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from builder import schema
from builder.failures import explain
from builder.failures.served import BuilderLost
from builder.ids import new_id
from builder.locked import Lock, PythonPackage
from builder.records import Asked, Choices, Inventory, Package, Provenance, StepTime
from builder.store import Store

ENVIRONMENTS = 10_000
BUILDS = 100_000
AT_ONCE = 2_000
"""Rows of one insert."""

NOW = datetime.now(UTC)
KEY = "4a753886a0fc" * 5
OPTIONS = asdict(Choices(frontend="none"))
WANTED = {"ref": None, "subdir": "", "options": OPTIONS}
STEPS = [asdict(StepTime(f"[lock {n}/8] RUN --mount=type=cache lock", 0.1 * n, cached=n < 4)) for n in range(8)]
EXPLANATION = explain(BuilderLost("Its process was ended by signal 9")).to_json()
INVENTORY = Inventory(tuple(Package(f"package-{n}", f"{n}.0.1", "index", n < 5) for n in range(80)), ()).to_json()
LOCKED = Lock(tuple(PythonPackage(f"package-{n}", f"{n}.0.1", (f"sha256:{KEY}",) * 10) for n in range(80))).to_json()
PROVENANCE = Provenance(
    "https://github.com/ada/tides", KEY[:40], "", "pip", "3.10", KEY, "linux/amd64", (), {"uv": "0.13"}, "0.1.0", False
).to_json()


@dataclass(frozen=True, slots=True)
class Known:
    """Ids that requests are made of."""

    environments: tuple[str, ...]
    builds: tuple[str, ...]


def fill(url: str, repository: Path) -> Known:
    """Fill a new store with environments of one repository."""
    store = Store(url)
    store.migrate()
    store.close()
    known = Known(tuple(new_id() for _ in range(ENVIRONMENTS)), tuple(new_id() for _ in range(BUILDS)))
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        _insert(connection, schema.environments, (_environment(id, repository) for id in known.environments))
        _insert(
            connection,
            schema.builds,
            (_build(id, known.environments[n % ENVIRONMENTS], n) for n, id in enumerate(known.builds)),
        )
        _insert(
            connection,
            schema.versions,
            (_version(id, number, known.builds[n]) for n, id in enumerate(known.environments) for number in (1, 2)),
        )
    engine.dispose()
    return known


def _insert(connection: sa.Connection, table: sa.Table, rows: Iterator[dict[str, Any]]) -> None:
    while some := [row for _, row in zip(range(AT_ONCE), rows, strict=False)]:
        connection.execute(table.insert(), some)


def _environment(id: str, repository: Path) -> dict[str, Any]:
    return {
        "id": id, "name": f"environment-{id[-12:]}", "owner": "", "repository": str(repository), "subdir": "",
        "options": OPTIONS, "state": "ready", "current_version": 2, "pinned": False,
        "revision": 3, "created_at": NOW, "updated_at": NOW,
    }  # fmt: skip


def _build(id: str, environment_id: str, number: int) -> dict[str, Any]:
    failed = number % 20 == 0
    return {
        "id": id, "environment_id": environment_id, "state": "failed" if failed else "succeeded", "reason": "asked",
        "asked_by": "", "asked": asdict(Asked()), "wanted": WANTED, "inputs": KEY, "turn": 1,
        "commit": KEY[:40], "key": KEY, "strategy": "pip",
        "created_at": NOW, "started_at": NOW, "finished_at": NOW, "steps": STEPS,
        "explanation": EXPLANATION if failed else None, "outcome": "nothing that matters changed",
        "version": None if failed else 2, "cancelling": False,
    }  # fmt: skip


def _version(environment_id: str, number: int, build_id: str) -> dict[str, Any]:
    return {
        "environment_id": environment_id, "number": number, "build_id": build_id,
        "reference": f"launchyard/a:{KEY[:12]}-{number}", "image_id": f"sha256:{KEY}", "size": 880_000_000,
        "key": KEY, "lock": KEY, "commit": KEY[:40], "created_at": NOW, "inventory": INVENTORY,
        "locked": LOCKED, "provenance": PROVENANCE,
    }  # fmt: skip

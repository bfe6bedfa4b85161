"""Why conda's solver found no answer: facts for whoever has to change environment.yml.

The solver's own words name the last thing it tried, which is often not what to change. So it is asked
again with fewer specs, until no more can be left out: those that remain cannot be had together.
"""

import datetime
import difflib
import json
import time
from collections.abc import Awaitable, Callable

from rattler import Channel, Gateway, MatchSpec, RepoDataRecord, Version
from rattler.exceptions import SolverError

MARK = "launchyard-conda: "

PATIENCE = 60
"""Seconds after which no further question is asked; one to a large channel takes some two."""

SHOWN = 5
"""How many names or versions are told."""

Day = datetime.datetime | None
Solve = Callable[[list[str]], Awaitable[list[RepoDataRecord]]]


async def why(
    asked: dict[str, MatchSpec],
    solve: Solve,
    gateway: Gateway,
    channels: list[Channel],
    platforms: list[str],
    as_of: Day = None,
) -> str:
    """One line for specs, as they are written and as they are read: MARK and a JSON object.

    channels: the names of those that were asked
    absent:   names that no channel has -> names that are near
    versions: specs that fit no version -> versions that there are, the newest first
    together: specs that cannot be had together, each of them needed for that; empty where time ran out
    instead:  specs of these -> the version that goes with all the others
    """
    until = time.monotonic() + PATIENCE
    names = {name.normalized for name in await gateway.names(channels, platforms, channel_relations="disabled")}
    absent = [name for name in dict.fromkeys(map(_name, asked.values())) if name not in names]
    records = [
        record
        for record in await _records(list(map(_name, asked.values())), gateway, channels, platforms)
        if not (as_of and record.timestamp and record.timestamp > as_of)
    ]
    fitless = {
        text: _newest([r for r in records if r.name.normalized == _name(spec)])
        for text, spec in asked.items()
        if _name(spec) not in absent and not any(spec.matches(record) for record in records)
    }
    told = {
        "channels": [channel.name for channel in channels][:SHOWN],
        "absent": {name: difflib.get_close_matches(name, names, n=SHOWN, cutoff=0.7) for name in absent[:SHOWN]},
        "versions": dict(list(fitless.items())[:SHOWN]),
        "together": [],
        "instead": {},
    }
    if not absent and not fitless:
        told["together"] = await _together(list(asked), solve, until)
        told["instead"] = await _instead(list(asked), told["together"], solve, until)
    return MARK + json.dumps(told)


async def _records(
    names: list[str], gateway: Gateway, channels: list[Channel], platforms: list[str]
) -> list[RepoDataRecord]:
    found = await gateway.query(channels, platforms, names, recursive=False, channel_relations="disabled")
    return [record for records in found for record in records]


async def _together(specs: list[str], solve: Solve, until: float) -> list[str]:
    kept = list(specs)
    # The Python last, so that it stays where something else can go: it is what people change first.
    for spec in sorted(specs, key=lambda spec: _name(MatchSpec(spec)) == "python"):
        if time.monotonic() > until:
            return []
        fewer = [other for other in kept if other != spec]
        if fewer and not await _answer(fewer, solve):
            kept = fewer
    return kept


async def _instead(specs: list[str], together: list[str], solve: Solve, until: float) -> dict[str, str]:
    instead = {}
    for spec in together:
        name = _name(MatchSpec(spec))
        if time.monotonic() > until:
            break
        records = await _answer([name if other == spec else other for other in specs], solve)
        chosen = next((str(record.version) for record in records or () if record.name.normalized == name), None)
        if chosen:
            instead[spec] = chosen
    return instead


async def _answer(specs: list[str], solve: Solve) -> list[RepoDataRecord] | None:
    try:
        return await solve(specs)
    except SolverError:
        return None


def _newest(records: list[RepoDataRecord]) -> list[str]:
    versions = sorted({str(record.version) for record in records}, key=Version, reverse=True)
    return versions[:SHOWN]


def _name(spec: MatchSpec) -> str:
    return spec.name.normalized

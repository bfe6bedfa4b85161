"""Many readers of one build cost what one costs, but for what is sent."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from builder.api import stream
from builder.api.stream import LOOK, Streams
from builder.journal import Journal
from builder.records import Asked, Build, Choices
from builder.service import Service
from builder.store import Store
from tests.service import AWAY, PATIENCE, Running

pytestmark = pytest.mark.service

READERS = 50


def counted(patch: pytest.MonkeyPatch, kind: type, name: str, calls: list[str], then: Callable[[], None]) -> None:
    """Let a method say that it was called."""
    method = getattr(kind, name)

    def called(*rest: Any) -> Any:
        calls.append(name)
        result = method(*rest)
        then()
        return result

    patch.setattr(kind, name, called)


async def everything(streams: Streams, build_id: str, after: int = 0) -> bytes:
    return b"".join([piece async for piece in streams.of(build_id, after)])


async def of_many(streams: Streams, build_id: str, after: int = 0) -> list[bytes]:
    async with asyncio.timeout(PATIENCE):
        return await asyncio.gather(*(everything(streams, build_id, after) for _ in range(READERS)))


def test_a_journal_is_read_once_for_all_readers_at_one_place(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    build = service.rebuilt(service.built(name="read-once"), fresh=True)
    calls: list[str] = []
    counted(monkeypatch, Journal, "after", calls, lambda: None)
    texts = asyncio.run(of_many(Streams(service.embedded.service), build["id"]))
    assert len(set(texts)) == 1 and texts[0].count(b"event: end") == 1
    assert len(calls) == 1


def test_whether_a_build_has_ended_is_asked_once_for_all_who_wait(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = service.built(name="asked-once")
    build = service.under_way(environment)
    calls: list[str] = []
    counted(monkeypatch, Service, "has_ended", calls, service.engine.gate.set)
    made = service.embedded.service
    texts = asyncio.run(of_many(Streams(made), build["id"], made.journal_size(build["id"])))
    assert len(set(texts)) == 1 and texts[0].count(b"event: end") == 1
    assert len(calls) == 1


def test_a_stream_waits_for_a_database_that_is_away_and_goes_on(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = service.built(name="waited-for")
    build = service.under_way(environment)
    asked = []

    def away(service_: Service, build_id: str) -> bool:
        asked.append(build_id)
        if len(asked) == 3:
            service.engine.gate.set()
        raise AWAY

    monkeypatch.setattr(Service, "has_ended", away)
    monkeypatch.setattr(stream, "SURE", LOOK)
    made = service.embedded.service
    (text, *others) = asyncio.run(of_many(Streams(made), build["id"], made.journal_size(build["id"])))
    assert text.count(b"event: end") == 1 and len(asked) >= 3
    assert {other.replace(b": still here\n\n", b"") for other in others} == {text.replace(b": still here\n\n", b"")}


def test_a_journal_is_followed_while_the_database_is_away(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    build = service.rebuilt(service.built(name="by-its-journal"), fresh=True)

    def away(store: Store, id: str) -> None:
        raise AWAY

    monkeypatch.setattr(Store, "build", away)
    assert service.events(build["id"])[-1][1] == "end"


@pytest.fixture
def ended(service: Running) -> Build:
    """A build whose end is recorded, and not yet written to its journal."""
    store = service.embedded.store
    environment = store.create_environment(f"ended-{uuid.uuid4().hex}", str(service.repository), None, "", Choices())
    return store.cancel(store.start_build(environment.id, "asked", "", Asked())[0].id)[0]


def test_an_end_that_is_written_after_it_is_recorded_reaches_the_reader(
    service: Running, monkeypatch: pytest.MonkeyPatch, ended: Build
) -> None:
    is_over = Streams._is_over

    async def then_it_is_written(streams: Streams, build_id: str, after: int) -> bool:
        over = await is_over(streams, build_id, after)
        service.embedded.queue.end(ended)
        return over

    monkeypatch.setattr(Streams, "_is_over", then_it_is_written)
    text = asyncio.run(everything(Streams(service.embedded.service), ended.id))
    assert text.count(b"event: end") == 1


def test_a_stream_closes_whose_end_is_never_written(
    service: Running, monkeypatch: pytest.MonkeyPatch, ended: Build
) -> None:
    monkeypatch.setattr(stream, "WRITTEN", LOOK)
    assert asyncio.run(everything(Streams(service.embedded.service), ended.id)) == b""


def test_a_stream_says_that_it_is_alive_while_the_database_hangs(
    service: Running, monkeypatch: pytest.MonkeyPatch, ended: Build
) -> None:
    answers = threading.Event()
    monkeypatch.setattr(Service, "has_ended", lambda service, build_id: answers.wait(PATIENCE))
    monkeypatch.setattr(stream, "SURE", LOOK)
    monkeypatch.setattr(stream, "ALIVE", LOOK)

    async def first() -> bytes:
        try:
            async with asyncio.timeout(PATIENCE / 2):
                return await anext(Streams(service.embedded.service).of(ended.id, 0))
        finally:
            answers.set()

    assert asyncio.run(first()) == b": still here\n\n"

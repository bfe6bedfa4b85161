"""Previews: plans that are asked for again and again while somebody fills in a form."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from builder.service import Builder, BuildError, Request

REMEMBERED = 10.0
"""Seconds for which what a ref points at is believed."""

KEPT = 500


class Previews:
    """Plans by a Builder, remembered: a plan follows from its commit, and a ref's commit holds for a while."""

    def __init__(self, builder: Builder, clock: Callable[[], float] = time.monotonic) -> None:
        self._builder = builder
        self._clock = clock
        self._lock = threading.Lock()
        self._commits: OrderedDict[tuple[str, str | None], tuple[str, float]] = OrderedDict()
        self._plans: OrderedDict[Request, Mapping[str, Any]] = OrderedDict()

    def known(self, request: Request) -> Mapping[str, Any] | None:
        """What is remembered of a request, at once; None where it has to be asked for."""
        with self._lock:
            commit, until = self._commits.get((request.repository, request.ref), ("", 0.0))
            return self._plans.get(replace(request, ref=commit)) if until > self._clock() else None

    def of(self, request: Request) -> Mapping[str, Any]:
        """The published document of a plan, with its Dockerfile. Raises BuildError."""
        place = (request.repository, request.ref)
        if known := self.known(request):
            return known
        with self._lock:
            commit, until = self._commits.get(place, ("", 0.0))
            began = self._clock()
            pinned = replace(request, ref=commit) if until > began else request
            if commit and pinned is request:  # whoever comes while this one asks gets what is known
                _keep(self._commits, place, (commit, began + REMEMBERED))
        try:
            planned = self._builder.plan(pinned)
        except BuildError:
            if pinned is request:
                with self._lock:
                    self._commits.pop(place, None)
            raise
        document = {**planned.to_json(request.options.subdir), "dockerfile": planned.context.dockerfile}
        with self._lock:
            if pinned is request:
                _keep(self._commits, place, (planned.commit.id, began + REMEMBERED))
            _keep(self._plans, replace(request, ref=planned.commit.id), document)
        return document


def _keep(memory: OrderedDict[Any, Any], key: object, value: object) -> None:
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > KEPT:
        memory.popitem(last=False)

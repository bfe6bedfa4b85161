"""One build, and the program of the process in which the service does it.

The order goes in on standard input, which stays open: its end, for whatever reason, means stop. Events
come out on standard output, a line of JSON each. It imports no more than a build needs: each one waits for that.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

from builder.engine import Log, Step
from builder.failures import explain
from builder.locked import Lock
from builder.records import Built, Inventory, Outcome, Provenance
from builder.service import Builder, Request, Settings, Wish
from builder.stages import stage_of
from detectors.failures import BuildError

Emit = Callable[[str, Mapping[str, Any]], None]
"""Takes the type of an event and what it holds."""


@dataclass(frozen=True, slots=True)
class Order:
    """A build, as it is to be done."""

    request: Request
    wish: Wish
    settings: Settings
    allow_local: bool
    worker: str = "embedded"
    """Who does it."""


def perform(builder: Builder, order: Order, emit: Emit) -> Outcome:
    """Plan, build, list what is in the image, and note what it was made of."""

    def report(event: Step | Log) -> None:
        if isinstance(event, Log):
            emit("log", {"step": event.step, "text": event.text})
        elif event.started or event.error:
            emit("step", {**asdict(event), "stage": stage_of(event)})

    try:
        planned = builder.plan(order.request)
        emit("plan", {"commit": planned.commit.id, "key": planned.key, "strategy": planned.plan.strategy})
        built = builder.build(planned, order.wish, report)
        inventory, lock = builder.contents(built.reference)
        return Outcome(built, inventory, lock, builder.provenance(planned, order.request.options.subdir, built))
    except BuildError as error:
        return Outcome(explanation=explain(error.failure, to_command=False).to_json())


def outcome_to_json(outcome: Outcome) -> dict[str, Any]:
    """The form in which an outcome leaves its process, and in which it is kept until it is recorded."""
    return {
        "built": outcome.built and outcome.built.to_json(),
        "inventory": outcome.inventory and outcome.inventory.to_json(),
        "locked": outcome.locked and outcome.locked.to_json(),
        "provenance": outcome.provenance and outcome.provenance.to_json(),
        "explanation": outcome.explanation,
    }


def outcome_from_json(document: Mapping[str, Any]) -> Outcome:
    """The inverse of `outcome_to_json`."""
    return Outcome(
        document["built"] and Built.from_json(document["built"]),
        document["inventory"] and Inventory.from_json(document["inventory"]),
        document["locked"] and Lock.from_json(document["locked"]),
        document["provenance"] and Provenance.from_json(document["provenance"]),
        document["explanation"],
    )


def main() -> None:
    """Do the order on standard input."""
    from builder.buildkit import BuildKit

    signal.signal(signal.SIGTERM, _interrupt)
    order: Order = pickle.load(sys.stdin.buffer)  # what the service itself wrote
    threading.Thread(target=_stop_at_end_of_input, daemon=True).start()
    lines = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def emit(type: str, content: Mapping[str, Any]) -> None:
        lines.write(json.dumps({"type": type, "content": content}) + "\n")
        lines.flush()

    outcome = perform(Builder(order.settings, BuildKit(), allow_local=order.allow_local), order, emit)
    emit("outcome", outcome_to_json(outcome))


def _stop_at_end_of_input() -> None:
    # Not by sys.stdin: a thread that holds it keeps the interpreter from ending.
    while os.read(0, 1_024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _interrupt(number: int, frame: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()

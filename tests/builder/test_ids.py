"""Identifiers that sort by time."""

from __future__ import annotations

import time
import uuid

from builder.ids import new_id


def test_ids_are_different_and_sort_in_the_order_in_which_they_were_made() -> None:
    made = [new_id() for _ in range(10_000)]
    assert made == sorted(made) and len(set(made)) == len(made)


def test_an_id_is_a_uuid_of_version_7_and_holds_its_time() -> None:
    before = time.time() * 1_000 - 1
    found = uuid.UUID(new_id())
    assert (found.version, found.variant) == (7, uuid.RFC_4122)
    # Ten thousand ids within milliseconds run ahead of the clock by a few of them.
    assert before <= found.int >> 80 <= time.time() * 1_000 + 100

"""Identifiers that sort by time: UUID version 7."""

from __future__ import annotations

import os
import threading
import time
import uuid

_lock = threading.Lock()
_last = 0


def new_id() -> str:
    """A UUIDv7; those of one process come out in the order in which they were made.

    The 12 bits behind the milliseconds count on within one of them, method 1 of section 6.2:
    https://www.rfc-editor.org/rfc/rfc9562#section-5.7
    """
    global _last
    with _lock:
        _last = max(_last + 1, time.time_ns() // 1_000_000 << 12)
        milliseconds, count = _last >> 12, _last & 0xFFF
    tail = int.from_bytes(os.urandom(8), "big") & (1 << 62) - 1
    return str(uuid.UUID(int=milliseconds << 80 | 7 << 76 | count << 64 | 2 << 62 | tail))

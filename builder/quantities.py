"""Sizes, ages and dates, as people write them and as they read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from builder.failures.asked import DateInvalid
from detectors.failures import BuildError

_BYTES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def size_of(text: str) -> int:
    """Bytes of "20GB", "512m" or "1.5g"; powers of ten, as disks are sold. Raises ValueError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?", text.strip().lower())
    if not found:
        raise ValueError("a size is a number with B, kB, MB, GB or TB behind it, such as 20GB")
    return int(float(found[1]) * _BYTES[found[2]])


def duration_of(text: str) -> int:
    """Seconds of "30d", "12h" or "90m". Raises ValueError."""
    found = re.fullmatch(r"(\d{1,6})([smhdw])", text.strip().lower())
    if not found:
        raise ValueError("an age is a whole number with s, m, h, d or w behind it, such as 30d")
    return int(found[1]) * _SECONDS[found[2]]


def instant_of(text: str) -> str:
    """A date or a date and time of ISO 8601 as RFC 3339, UTC, whole seconds.

    A date means 00:00 of that day, and a time without a zone is UTC. Raises BuildError(DateInvalid).
    """
    try:
        found = datetime.fromisoformat(text.strip())
        found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise BuildError(DateInvalid(text[:60])) from None
    if found > datetime.now(UTC) + timedelta(days=1):  # clocks and zones differ
        raise BuildError(DateInvalid(text[:60], to_come=True))
    return found.replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def size_in_words(count: float) -> str:
    """ "659 MB" of bytes."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.1f} {unit}" if unit == "GB" and count < 99.95 else f"{count:.0f} {unit}"
        count /= 1_000
    return f"{count:.1f} TB"


def duration_in_words(seconds: float) -> str:
    """ "0.4 s", "2 min 5 s", "3 h" or "12 d" of seconds."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3_600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3_600} h" if whole < 2 * 86_400 else f"{whole // 86_400} d"

"""Which Python a plan is made for, and who said so."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from detectors import slip
from detectors.failures import BuildError, Location, PythonUnavailable, invalid
from detectors.layout import Layout
from detectors.plan import Choice, Ignored, Options, Warned
from detectors.source import Source, read

SUPPORTED = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
"""What pip, poetry and project environments are built with."""

DEFAULT = "3.10"

BEFORE = ("2022-01-01", "3.9")
"""Until then, many compiled packages had no builds for the default, which came out in October 2021 (PEP 619)."""

FIRST_DAYS = (("2020-10-05", "3.9"), ("2019-10-14", "3.8"), ("2018-06-27", "3.7"), ("", "3.6"))
"""When the oldest that is built with came out, and before it those that conda has: PEPs 596, 569 and 537."""

LATE_PATCH = 99
"""A patch level above any that exists: what an interpreter brought up to date has, for a bound like `<=3.11`."""

_VERSION = re.compile(r"(?:c?python-?)?([0-9]{1,4}\.[0-9]{1,4})(?:\.[0-9]{1,4})?(?:[-.]?dev)?", re.ASCII)

Admits = Callable[[tuple[int, int, int]], bool]
"""Whether a file's constraint allows a version."""


class Required(NamedTuple):
    """What pyproject.toml demands of the Python."""

    text: str
    origin: Location
    admits: Admits


class Chosen(NamedTuple):
    """The Python, and what was seen and not followed."""

    choice: Choice
    ignored: tuple[Ignored, ...] = ()
    warnings: tuple[Warned, ...] = ()


class _Pin(NamedTuple):
    """What a file of one line asks for."""

    location: Location
    written: str
    minor: str

    @property
    def choice(self) -> Choice:
        return Choice(self.minor, _origin(str(self.location), self.written, self.minor))


def choose(source: Source, layout: Layout, options: Options, required: Required | None = None) -> Chosen:
    """The Python of a pip, poetry or project environment.

    The option, then `.python-version`, then `runtime.txt`, as far as `required` allows them; then of
    what it allows the one nearest to the default, the newer of two. Patch levels are dropped: a build uses
    the newest. Raises BuildError with PythonUnavailable, or FileInvalid for a runtime.txt of another kind.
    """
    allowed = _allowed(required)
    pins, warnings = _pins(source, layout)
    if options.python is not None:
        return Chosen(by_option(options.python, allowed), _overruled(pins, "--python"), warnings)
    ignored: tuple[Ignored, ...] = ()
    for number, pin in enumerate(pins):
        if pin.minor in allowed:
            return Chosen(pin.choice, ignored + _overruled(pins[number + 1 :], pin.location.path), warnings)
        if required is None:
            raise BuildError(PythonUnavailable(pin.written, str(pin.location), SUPPORTED, by_file=True))
        reason = f"{required.origin} allows {required.text}; {pin.minor} is none of that, or has no builds"
        ignored += (Ignored(pin.location.path, reason),)
    usual = default(options)
    warnings += _not_yet_out(options)
    if required is None:
        return Chosen(usual, ignored, warnings)
    nearest = min(reversed(allowed), key=lambda minor: abs(_minor(minor) - _minor(usual.value)))
    return Chosen(Choice(nearest, f"{required.origin}: {required.text}"), ignored, warnings)


def default(options: Options) -> Choice:
    """The Python where nothing asks for one: of the day, where one is asked for."""
    day, version = BEFORE
    if options.as_of and options.as_of < day:
        return Choice(version, f"default before {day}")
    return Choice(DEFAULT, "default")


def default_of_conda(options: Options) -> Choice:
    """The same, of the Pythons that conda has."""
    older = older_of(options.as_of)
    return Choice(older, f"default of {str(options.as_of)[:10]}") if older else default(options)


def _not_yet_out(options: Options) -> tuple[Warned, ...]:
    older = older_of(options.as_of)
    if older is None:
        return ()
    day, first = FIRST_DAYS[0]
    message = f"Python {first} came out on {day}, after {str(options.as_of)[:10]}; an environment.yml with"
    return (
        Warned("as-of-python", f"{message} python={older} among its dependencies lets conda bring one of that day"),
    )


def older_of(as_of: str | None) -> str | None:
    """The newest Python of a day on which none that is built with was out; None for any later day."""
    if as_of is None or as_of >= FIRST_DAYS[0][0]:
        return None
    return next(version for day, version in FIRST_DAYS if as_of >= day)


def overruled(source: Source, layout: Layout, by: str) -> tuple[Ignored, ...]:
    """The files that would choose a Python, where another file does."""
    paths = (layout.path(name) for name in (".python-version", "runtime.txt"))
    return tuple(Ignored(path, f"{by} decides the Python") for path in paths if source.entry(path))


def meant(key: str, text: str, parse: Callable[[str], object]) -> tuple[str, ...]:
    """The line with the constraint that is meant by one that cannot be read; none where that would take guessing."""
    bare = re.sub(r"^python\s*", "", text.strip(), flags=re.IGNORECASE)
    if found := re.fullmatch(r"(3\.\d+)(?:\.\d+|\.[xX*])?\+?", bare):
        return (f'{key} = ">={found[1]}"',)
    mended = slip.meant(bare, slip.read_by(parse))
    return (f'{key} = "{mended[1][0]}"',) if mended and len(mended[1]) == 1 else ()


def minor_of(text: str) -> str | None:
    """ "3.10" of "3.10.13", "python-3.10" and their like; None for what names no Python."""
    match = _VERSION.fullmatch(text.strip())
    return match[1] if match else None


def _allowed(required: Required | None) -> tuple[str, ...]:
    if required is None:
        return SUPPORTED
    # A bound like `<=3.11` admits 3.11.0 and no later patch: better a minor version that it admits whole.
    late = tuple(minor for minor in SUPPORTED if required.admits((3, _minor(minor), LATE_PATCH)))
    allowed = late or tuple(
        minor for minor in SUPPORTED if any(required.admits((3, _minor(minor), patch)) for patch in range(40))
    )
    if not allowed:
        raise BuildError(PythonUnavailable(required.text, str(required.origin), SUPPORTED))
    return allowed


def by_option(python: str, allowed: tuple[str, ...] = SUPPORTED) -> Choice:
    """The Python that is asked for by option. Raises BuildError(PythonUnavailable)."""
    minor = minor_of(python)
    if minor not in allowed or minor is None:
        raise BuildError(PythonUnavailable(python, "option --python", allowed))
    return Choice(minor, _origin("option --python", python, minor))


def _pins(source: Source, layout: Layout) -> tuple[list[_Pin], tuple[Warned, ...]]:
    pins: list[_Pin] = []
    warnings: tuple[Warned, ...] = ()
    path = layout.path(".python-version")
    for line, text in _statement(source, path):
        minor = minor_of(text)
        if minor is None:  # pyenv's files also hold names of virtual environments, which mean nothing here.
            warnings += (Warned("python-version-unused", f"{path}:{line} names no Python version: {text[:40]}"),)
        else:
            pins.append(_Pin(Location(path, line), text, minor))
    path = layout.path("runtime.txt")
    for line, text in _statement(source, path):
        minor = minor_of(text)
        if minor is None:
            instead = tuple(f"python-{number}" for number in re.findall(r"3\.\d+", text)[:1])
            raise invalid(Location(path, line), "a Python version", text, "not of the form python-3.10", instead)
        pins.append(_Pin(Location(path, line), text, minor))
    return pins, warnings


def _statement(source: Source, path: str) -> list[tuple[int, str]]:
    """The first line that says something, with its number: no or one line."""
    text = read(source, path) or ""
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1)]
    return [(number, line) for number, line in lines if line and not line.startswith("#")][:1]


def _origin(place: str, written: str, minor: str) -> str:
    patch = f"{minor}." in written
    return f"{place}, patch level of {written} dropped" if patch else place


def _overruled(pins: list[_Pin], by: str) -> tuple[Ignored, ...]:
    return tuple(Ignored(pin.location.path, f"{by} decides the Python") for pin in pins)


def _minor(version: str) -> int:
    return int(version.partition(".")[2])

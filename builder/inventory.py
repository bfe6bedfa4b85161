"""What is in an image: its packages, what its build warned of, and how two images differ."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from builder.build import ENVIRONMENT
from builder.engine import Engine
from builder.failures.asked import RecordInvalid
from builder.locked import Lock
from builder.records import Difference, Inventory, MissingLibrary, Package
from detectors.failures import BuildError
from detectors.plan import Warned


def inventory(reference: str, engine: Engine) -> Inventory:
    """What an image of Launchyard's holds, by name.

    templates/files/tools/inventory.py and libraries.py describe the files.
    Raises BuildError(RecordInvalid): foreign code ran where these were written.
    """
    files = engine.read(reference, ENVIRONMENT)
    with _strictly():
        return _inventory(files)


def contents(reference: str, engine: Engine) -> tuple[Inventory, Lock]:
    """The same, and the lock that it was installed from."""
    files = engine.read(reference, ENVIRONMENT)
    with _strictly():
        return _inventory(files), Lock.from_json(json.loads(files["lock.json"]))


def _inventory(files: Mapping[str, bytes]) -> Inventory:
    packages = [Package.from_json(package) for package in json.loads(files.get("packages.json", b"[]"))]
    problems = [Warned(*map(str, problem)) for problem in json.loads(files.get("problems.json", b"[]"))]
    libraries = [MissingLibrary.from_json(library) for library in json.loads(files.get("libraries.json", b"[]"))]
    packages.sort(key=lambda package: canonical(package.name))
    return Inventory(tuple(packages), tuple(problems), tuple(libraries))


@contextmanager
def _strictly() -> Iterator[None]:
    try:
        yield
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise BuildError(RecordInvalid(ENVIRONMENT, f"{type(error).__name__}: {error}"[:300])) from None


def difference(before: Inventory, after: Inventory) -> Difference:
    """What came, went and changed from one image to another. A package is known by its name, wherever it is from."""
    old = {canonical(package.name): package for package in before.packages}
    new = {canonical(package.name): package for package in after.packages}
    both = [(old[name], new[name]) for name in old if name in new]
    return Difference(
        added=tuple(new[name] for name in new if name not in old),
        removed=tuple(old[name] for name in old if name not in new),
        changed=tuple((a, b) for a, b in both if (a.version, a.source) != (b.version, b.source)),
    )


def canonical(name: str) -> str:
    """https://packaging.python.org/en/latest/specifications/name-normalization/"""
    return re.sub(r"[-_.]+", "-", name).lower()

"""What is in an image: its packages, what its build warned of, and how two images differ."""

from __future__ import annotations

import json
import re

from builder.build import ENVIRONMENT
from builder.engine import Engine
from builder.failures.asked import RecordInvalid
from builder.records import Difference, Inventory, MissingLibrary, Package
from detectors.failures import BuildError
from detectors.plan import Warned


def inventory(reference: str, engine: Engine) -> Inventory:
    """What an image of Launchyard's holds, by name.

    templates/files/tools/inventory.py and libraries.py describe the files.
    Raises BuildError(RecordInvalid): foreign code ran where these were written.
    """
    files = engine.read(reference, ENVIRONMENT)
    try:
        packages = [Package.from_json(package) for package in json.loads(files.get("packages.json", b"[]"))]
        problems = [Warned(*map(str, problem)) for problem in json.loads(files.get("problems.json", b"[]"))]
        libraries = [MissingLibrary.from_json(library) for library in json.loads(files.get("libraries.json", b"[]"))]
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise BuildError(RecordInvalid(ENVIRONMENT, f"{type(error).__name__}: {error}"[:300])) from None
    packages.sort(key=lambda package: _canonical(package.name))
    return Inventory(tuple(packages), tuple(problems), tuple(libraries))


def difference(before: Inventory, after: Inventory) -> Difference:
    """What came, went and changed from one image to another. A package is known by its name, wherever it is from."""
    old = {_canonical(package.name): package for package in before.packages}
    new = {_canonical(package.name): package for package in after.packages}
    both = [(old[name], new[name]) for name in old if name in new]
    return Difference(
        added=tuple(new[name] for name in new if name not in old),
        removed=tuple(old[name] for name in old if name not in new),
        changed=tuple((a, b) for a, b in both if (a.version, a.source) != (b.version, b.source)),
    )


def _canonical(name: str) -> str:
    """https://packaging.python.org/en/latest/specifications/name-normalization/"""
    return re.sub(r"[-_.]+", "-", name).lower()

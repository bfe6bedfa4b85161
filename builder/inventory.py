"""What is in an image: its packages, what its build warned of, and how two images differ."""

from __future__ import annotations

import json
import re

from builder.build import ENVIRONMENT
from builder.engine import Engine
from builder.records import Difference, Inventory, Package
from detectors.plan import Warned


def inventory(reference: str, engine: Engine) -> Inventory:
    """What an image of Launchyard's holds, by name; templates/files/tools/inventory.py describes the files."""
    files = engine.read(reference, ENVIRONMENT)
    packages = (Package.from_json(package) for package in json.loads(files.get("packages.json", b"[]")))
    problems = json.loads(files.get("problems.json", b"[]"))
    return Inventory(
        tuple(sorted(packages, key=lambda package: _canonical(package.name))),
        tuple(Warned(*problem) for problem in problems),
    )


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

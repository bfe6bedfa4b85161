"""What is in an image, and how two images differ."""

from __future__ import annotations

import json
from collections.abc import Mapping

from builder import inventory as reading
from builder.build import ENVIRONMENT
from builder.context import Context
from builder.engine import BuildRequest
from builder.fake_engine import FakeEngine
from builder.inventory import difference
from builder.records import Inventory, MissingLibrary, Package


def inventory(*packages: tuple[str, str, str]) -> Inventory:
    return Inventory(tuple(Package(name, version, source, requested=True) for name, version, source in packages), ())


def test_packages_that_came_went_and_changed_are_told_apart() -> None:
    before = inventory(("attrs", "23.1", "index"), ("numpy", "1.26", "conda"), ("six", "1.16", "index"))
    after = inventory(("attrs", "23.1", "index"), ("numpy", "2.2", "conda"), ("tides", "1.0", "repository"))
    found = difference(before, after)
    assert [package.name for package in found.added] == ["tides"]
    assert [package.name for package in found.removed] == ["six"]
    assert [(a.version, b.version) for a, b in found.changed] == [("1.26", "2.2")]


def test_name_that_is_spelt_another_way_is_the_same_package() -> None:
    found = difference(inventory(("Ruamel.Yaml", "1", "index")), inventory(("ruamel-yaml", "2", "index")))
    assert (found.added, found.removed, len(found.changed)) == ((), (), 1)


def test_package_that_moved_from_conda_to_the_index_has_changed() -> None:
    found = difference(inventory(("numpy", "1.26", "conda")), inventory(("numpy", "1.26", "index")))
    assert len(found.changed) == 1


def image(documents: Mapping[str, object]) -> Inventory:
    """What is read of an image that holds these documents."""
    files = {f"environment/{name}": json.dumps(document).encode() for name, document in documents.items()}
    context = Context(f"FROM scratch\nCOPY environment/ {ENVIRONMENT}/\n", files)
    engine = FakeEngine()
    made = engine.build(BuildRequest(lambda stream: context.write_tar(stream, None, 0)), lambda event: None)
    return reading.inventory(made, engine)


def test_libraries_that_an_image_lacks_are_read() -> None:
    entry = {"library": "libGL.so.1", "packages": ["opencv"], "files": ["/opt/env/lib/cv2.so"], "debian": "libgl1"}
    unknown = {**entry, "library": "libtide.so.2", "packages": [], "debian": None}
    assert image({"libraries.json": [entry, unknown]}).missing_libraries == (
        MissingLibrary("libGL.so.1", ("opencv",), ("/opt/env/lib/cv2.so",), "libgl1"),
        MissingLibrary("libtide.so.2", (), ("/opt/env/lib/cv2.so",), None),
    )


def test_image_of_before_libraries_were_looked_for_lacks_none() -> None:
    package = {"name": "six", "version": "1.16.0", "source": "index", "requested": True}
    found = image({"packages.json": [package], "problems.json": []})
    assert (len(found.packages), found.missing_libraries) == (1, ())

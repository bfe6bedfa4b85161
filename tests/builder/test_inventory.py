"""How two images differ."""

from __future__ import annotations

from builder.inventory import difference
from builder.records import Inventory, Package


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

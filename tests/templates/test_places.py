"""Where an environment's packages are found, whichever tool has made it."""

from __future__ import annotations

from pathlib import Path

from tests.templates.conftest import load

places = load("places")


def test_link_that_conda_forge_puts_beside_its_python_counts_for_nothing(tmp_path: Path) -> None:
    site = tmp_path / "lib" / "python3.10" / "site-packages"
    site.mkdir(parents=True)
    (tmp_path / "lib" / "python3.1").symlink_to("python3.10")
    assert list(places.site_packages(tmp_path)) == [site]


def test_prefix_without_a_python_has_none(tmp_path: Path) -> None:
    assert list(places.site_packages(tmp_path)) == []

"""Names that people mean when they write another."""

from __future__ import annotations

import pytest

from builder.recognition import names


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("numpyy", "numpy"),
        ("nunpy", "numpy"),
        ("scikitlearn", "scikit-learn"),
        ("beatifulsoup4", "beautifulsoup4"),
        ("Pands", "pandas"),
        ("matplotlb", "matplotlib"),
        ("tensorflw", "tensorflow"),
        ("python_dateutils", "python-dateutil"),
    ],
)
def test_a_name_written_wrong_is_near_the_one_that_was_meant(written: str, meant: str) -> None:
    assert names.nearest(written)[0] == meant


def test_a_name_like_no_other_has_none_near() -> None:
    assert names.nearest("zzqxw-1234-no-such") == ()


@pytest.mark.parametrize(
    ("imported", "package"),
    [
        ("sklearn", "scikit-learn"),
        ("cv2", "opencv-python-headless"),
        ("PIL", "pillow"),
        ("yaml", "pyyaml"),
        ("bs4", "beautifulsoup4"),
    ],
)
def test_what_is_imported_is_found_under_the_name_of_its_package(imported: str, package: str) -> None:
    assert names.distribution(imported) == package


def test_every_package_that_is_offered_is_a_known_one() -> None:
    known = set(names.NAMES.read_text().split())
    assert len(known) > 1_000
    assert set(names.IMPORTS.values()) <= known
    assert not known & names.IMPORTS.keys()


@pytest.mark.parametrize("module", ["json", "os", "pathlib", "distutils"])
def test_modules_of_python_itself_are_known(module: str) -> None:
    assert names.part_of(module) == "Python"


def test_python_itself_is_asked_for_elsewhere() -> None:
    assert "runtime.txt" in names.part_of("python")


@pytest.mark.parametrize("name", ["pkg-resources", "pkg_resources", "python-apt", "ubuntu-drivers-common"])
def test_what_only_a_system_has_is_known(name: str) -> None:
    assert "Linux" in names.part_of(name)


def test_a_package_is_part_of_nothing() -> None:
    assert names.part_of("numpy") == ""
    assert not names.OF_LINUX & set(names.NAMES.read_text().split())

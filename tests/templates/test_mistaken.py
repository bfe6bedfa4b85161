"""What is told of a lock that installs and does not work."""

from __future__ import annotations

import tomllib

import pytest

from tests.templates.conftest import load

mistaken = load("mistaken")


def package(name: str, version: str, day: str, tag: str = "cp310-cp310-manylinux_2_17_x86_64") -> str:
    url = f"https://index.example/{name}-{version}-{tag}.whl"
    return (
        f'[[packages]]\nname = "{name}"\nversion = "{version}"\n'
        f'wheels = [{{ url = "{url}", upload-time = {day}T00:00:00Z, hashes = {{ sha256 = "66" }} }}]\n'
    )


def told(*packages: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = mistaken.problems(tomllib.loads("".join(packages)).get("packages", []))
    return found


NUMPY = package("numpy", "2.2.6", "2025-05-17")


def test_what_was_compiled_for_numpy_1_is_told_beside_numpy_2() -> None:
    ((code, words),) = told(NUMPY, package("pandas", "1.5.3", "2023-01-19"), package("six", "1", "2020-01-01"))
    assert code == "numpy-too-new"
    assert words.startswith("pandas 1.5.3: compiled for NumPy 1") and "numpy<2" in words


@pytest.mark.parametrize(
    "packages",
    [
        (NUMPY, package("pandas", "2.2.2", "2024-04-10")),
        (package("numpy", "1.26.4", "2024-02-05"), package("pandas", "1.5.3", "2023-01-19")),
        (NUMPY, package("seaborn", "0.11", "2022-01-01", "py3-none-any")),
        (package("pandas", "1.5.3", "2023-01-19"),),
        (NUMPY, '[[packages]]\nname = "pandas"\nversion = "1.5.3"\n'),
    ],
    ids=["newer", "numpy 1", "not compiled", "no numpy", "built from source"],
)
def test_nothing_is_told_of_what_fits(packages: tuple[str, ...]) -> None:
    assert told(*packages) == []


def test_sklearn_is_told_unless_what_is_meant_is_there_as_well() -> None:
    stub, real = package("sklearn", "0.0", "2015-01-01"), package("scikit-learn", "1.5.0", "2024-05-21")
    assert [code for code, _ in told(stub)] == ["package-mistaken"]
    assert told(stub, real) == []


def test_without_a_lock_nothing_is_told() -> None:
    assert told() == []

from __future__ import annotations

import pytest
import rattler
from hypothesis import given
from hypothesis import strategies as st

from detectors.failures import BuildError, FileInvalid, Location
from detectors.matchspec import MatchSpec, parse
from tests.detectors.asking import failure_of, survives, within_a_second

HERE = Location("environment.yml", 4, 5)

ACCEPTED = [
    ("python", "python", "python", ""),
    ("python=3.9", "python", "python=3.9", "3.9"),
    ("python =3.10", "python", "python=3.10", "3.10"),
    ("python = 3.10", "python", "python=3.10", "3.10"),
    ("python=3.9.*", "python", "python=3.9.*", "3.9"),
    ("python==3.9.18", "python", "python==3.9.18", "3.9.18"),
    ("python>=3.10,<3.12", "python", "python>=3.10,<3.12", ">=3.10,<3.12"),
    ("python >=3.10, <3.12", "python", "python>=3.10,<3.12", ">=3.10,<3.12"),
    ("python 3.10|3.11", "python", "python 3.10|3.11", "3.10|3.11"),
    ("Python=*", "python", "python=*", ""),
    ("numpy 1.26.*", "numpy", "numpy 1.26.*", "1.26"),
    ("numpy 1.26.4 py310_0", "numpy", "numpy 1.26.4 py310_0", "1.26.4"),
    ("numpy=1.26=py310h5f9d8c6_0", "numpy", "numpy=1.26=py310h5f9d8c6_0", "1.26"),
    ("blas=*=openblas", "blas", "blas=*=openblas", ""),
    ("conda-forge::numpy=1.26", "numpy", "conda-forge::numpy=1.26", "1.26"),
    ("conda-forge/label/dev::numpy", "numpy", "conda-forge/label/dev::numpy", ""),
    ("_openmp_mutex=4.5=2_gnu", "_openmp_mutex", "_openmp_mutex=4.5=2_gnu", "4.5"),
    ("six!=1.15.*", "six", "six!=1.15.*", "!=1.15.*"),
]


@pytest.mark.parametrize(("text", "name", "normal", "version"), ACCEPTED)
def test_spec_is_read(text: str, name: str, normal: str, version: str) -> None:
    assert parse(text, HERE) == MatchSpec(name, normal, version)


@pytest.mark.parametrize("normal", [normal for _, _, normal, _ in ACCEPTED])
def test_solver_understands_what_is_accepted(normal: str) -> None:
    rattler.MatchSpec(normal, strict=False)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "é",
        "numpy=>1.2",
        "a b c d",
        "a; rm -rf /",
        "$(id)",
        "numpy=1.26 # c",
        "a\nb",
        "https://x/y.conda",
        "a" * 301,
    ],
)
def test_anything_else_is_refused_with_its_place(text: str) -> None:
    failure = failure_of(lambda: parse(text, HERE))
    assert isinstance(failure, FileInvalid)
    assert failure.location == HERE


def test_brackets_are_refused_with_the_form_to_write() -> None:
    assert "name>=1.0,<2" in failure_of(lambda: parse("numpy[version='>=1.2']", HERE)).problem


@given(st.text(alphabet="ab1.=<>!~,|*: -_/[]", max_size=400))
@within_a_second
def test_any_text_parses_or_fails_by_name(text: str) -> None:
    survives(lambda: parse(text, HERE))


@given(st.from_regex(r"(c::)?[a-z]{1,3}( ?(=|==|>=|<|!=)[0-9]\.[0-9](\.\*)?(,<[0-9])?)?", fullmatch=True))
@within_a_second
def test_solver_understands_any_accepted_text(text: str) -> None:
    try:
        spec = parse(text, HERE)
    except BuildError:
        return
    rattler.MatchSpec(spec.text, strict=False)

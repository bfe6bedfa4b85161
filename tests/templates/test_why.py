"""Which packages the index is asked about, by what tools print."""

from __future__ import annotations

import pytest

from tests.templates.conftest import load

why = load("why")


@pytest.mark.parametrize(
    ("log", "built"),
    [
        ("  × Failed to build `pyyaml==5.4.1`\n", [("pyyaml", "5.4.1")]),
        ("  Downloading pandas-0.24.2.tar.gz (11.8 MB)\nERROR: Failed to build 'pandas' when getting\n",
         [("pandas", "0.24.2")]),
        ("  Using cached ruamel.yaml-0.15.1.zip\nerror: Failed building wheel for ruamel_yaml\n",
         [("ruamel_yaml", "0.15.1")]),
        ("ERROR: Failed to build 'pandas' when getting requirements to build wheel\n", []),
        ("  Downloading pandas-0.24.2.tar.gz (11.8 MB)\n", []),
    ],
)  # fmt: skip
def test_what_could_not_be_built_is_known_by_name_and_version(log: str, built: list[tuple[str, str]]) -> None:
    assert why.built(log) == built

"""What an environment's JupyterLab is made of: what is tried again when it changes, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.templates.conftest import load

try_jupyterlab = load("try_jupyterlab")


@pytest.fixture
def packages(tmp_path: Path) -> dict[str, Path]:
    """JupyterLab, with what it needs, what it needs by an extra, and what it would need for its tests."""
    needs = {
        "jupyterlab": ("jupyter-events", 'pluggy>=1; extra == "test"'),
        "jupyter-events": ("jsonschema[format_nongpl]>=4.18",),
        "jsonschema": ("attrs>=22", 'fqdn; extra == "format-nongpl"', "toolz; extra == 'other'"),
        "fqdn": (), "attrs": (), "toolz": (), "pluggy": (), "numpy": (),
    }  # fmt: skip
    made = {}
    for name, lines in needs.items():
        directory = tmp_path / f"{name}-1.dist-info"
        directory.mkdir()
        (directory / "METADATA").write_text("".join(f"Requires-Dist: {line}\n" for line in lines))
        made[name] = directory
    return made


def test_what_is_needed_counts_and_what_an_extra_needs_only_where_it_was_asked_for(packages: dict[str, Path]) -> None:
    assert try_jupyterlab.closure({"jupyterlab"}, packages) == {
        "jupyterlab", "jupyter-events", "jsonschema", "attrs", "fqdn",
    }  # fmt: skip


def test_what_is_not_installed_is_left_out(packages: dict[str, Path]) -> None:
    del packages["attrs"]
    assert "attrs" not in try_jupyterlab.closure({"jupyterlab", "absent"}, packages)

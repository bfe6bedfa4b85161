"""Dockerfiles: rendered once for what they are made of, and anew when a template is another."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder import context
from builder.context import render

GIVEN = {"bases": {"debian": "debian:bookworm-slim"}, "runtime_libraries": "libstdc++6"}


@pytest.fixture
def templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    made = (context._templates, context._templates_digest, context._rendered)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(context, "TEMPLATES", shutil.copytree(context.TEMPLATES, tmp_path / "templates"))
    made[0].cache_clear()
    yield tmp_path / "templates"
    for known in made:
        known.cache_clear()


def rendered_by_the_next_command() -> str:
    context._rendered.cache_clear()
    context._templates_digest.cache_clear()
    return render("parents/tools.Dockerfile.j2", **GIVEN)


@pytest.mark.usefixtures("templates")
def test_what_was_rendered_before_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    first = rendered_by_the_next_command()
    monkeypatch.delattr(context, "_templates")
    assert rendered_by_the_next_command() == first


def test_a_template_that_is_another_is_rendered_anew(templates: Path) -> None:
    first = rendered_by_the_next_command()
    with (templates / "parents/tools.Dockerfile.j2").open("a") as template:
        template.write("# another\n")
    assert rendered_by_the_next_command() == first + "# another\n"

"""Dockerfiles: rendered once for what they are made of, and anew when a template is another."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder import context
from builder.context import Context, render
from builder.failures.asked import TooLarge
from detectors.source import MappingSource
from tests.detectors.asking import failure_of

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


@pytest.mark.parametrize(
    ("sizes", "failure"),
    [
        ((500,), TooLarge("The file 0.bin", 500, 100, "limits.source_size")),
        ((60, 60, 60), TooLarge("What the build needs of the repository", 120, 100, "limits.source_size")),
    ],
)
def test_data_beside_the_source_that_goes_into_a_build_is_too_large_for_the_setting(
    sizes: tuple[int, ...], failure: TooLarge
) -> None:
    source = MappingSource({f"{n}.bin": b"x" * size for n, size in enumerate(sizes)})
    root = source.entry("")
    assert root
    context = Context("FROM scratch\n", {"source": root})
    assert failure_of(lambda: context.write_tar(io.BytesIO(), source, 100)) == failure
    context.write_tar(io.BytesIO(), source, sum(sizes))

"""`python -m tests.page` writes docs/failures.md: failures of fixtures, with the explanations they really end with.

Those of fixtures/failures were seen by `python -m tests.refresh --failures`, and hold in tests/images/test_failures.py;
those of fixtures/repos are found while planning, here and now.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from click import unstyle

from builder.failures import Blame, Explanation, explain
from builder.terminal import rendered
from detectors import detect
from detectors.failures import BuildError
from tests import failing, repositories

PAGE = Path(__file__).parent.parent / "docs" / "failures.md"

SHOWN = 14
"""Lines of a file that are shown."""

INTRODUCTION = """\
# Real failures

Each of these is a repository of [fixtures](../fixtures) that really fails in this way, and below it is what
`launchyard build` says, word for word. `launchyard explain LOGFILE` says the same of a log that came from anywhere.
This page is made by `python -m tests.page`; a test holds it to the fixtures.
"""

CHAPTERS: Mapping[str, tuple[str, ...]] = {
    "The repository is at fault: its address (exit code 65)": (
        "repository_absent", "repository_private", "repository_not_git", "repository_ref_absent",
        "repository_too_large",
    ),
    "The repository is at fault: its files (exit code 65)": (
        "none_readme_only", "none_misspelt", "none_one_folder_down", "conda_tab_indentation", "conda_duplicate_key",
        "conda_misspelt_key", "project_invalid_toml", "poetry_lock_unreadable", "pip_invalid_line", "pip_not_text",
        "pip_lfs_pointer", "pip_archive_broken", "pip_missing_file", "pip_credentials", "pip_python_unavailable",
        "hooks_apt_invalid",
    ),
    "The repository is at fault: what it asks of conda (exit code 65)": (
        "conda_package_absent", "conda_names_of_the_index", "conda_exported_on_windows", "conda_version_absent",
        "conda_unsatisfiable", "conda_unsatisfiable_default_python",
        "conda_pip_contradicts_conda", "conda_pip_needs_another_version", "conda_channel_absent",
    ),
    "The repository is at fault: what it asks of the index (exit code 65)": (
        "pip_package_absent", "pip_import_name", "pip_standard_library", "conda_pip_package_absent", "pip_sklearn",
        "pip_no_version", "pip_none_for_this_python", "project_none_for_this_python", "pip_no_wheel_for_this_python",
        "pip_other_platform", "pip_conflict", "pip_conflict_with_own_pin", "poetry_conflict", "project_conflict",
        "poetry_python_too_wide", "pip_yanked", "pip_published_later", "poetry_lock_newer", "poetry_unreadable",
    ),
    "The repository is at fault: what has no wheel and cannot be built as things are (exit code 65)": (
        "pip_psycopg2", "project_pygraphviz", "pip_library_missing", "pip_rust_missing", "pip_module_missing_in_build",
        "pip_source_broken", "pip_says_what_is_not_so", "poetry_readme_absent",
    ),
    "Something is unreachable, full or busy (exit code 75)": (
        "conda_channel_unreachable", "machine_index_unreachable", "machine_certificate_untrusted",
        "machine_base_unreachable", "machine_engine_gone", "machine_engine_goes_away", "machine_disk_full",
        "machine_out_of_memory", "repository_host_in_trouble",
    ),
    "A limit of the installation": ("machine_time_limit",),
}  # fmt: skip
"""The situations that are told, by who can mend them."""


def page() -> str:
    """The page, as it is to be."""
    return "\n".join((INTRODUCTION, *(line for title, names in CHAPTERS.items() for line in _chapter(title, names))))


def _chapter(title: str, names: tuple[str, ...]) -> Iterator[str]:
    yield f"## {title}\n"
    for name in names:
        directory = next(root / name for root in (failing.ROOT, repositories.ROOT) if (root / name).is_dir())
        explanation = _explanation(directory)
        yield f"### {explanation.title}\n"
        yield f"[{name}](../fixtures/{directory.parent.name}/{name})" + _circumstances(directory) + "\n"
        yield from _files(directory / "repository", explanation)
        yield _fenced(unstyle(rendered(explanation)), "text")


def _explanation(directory: Path) -> Explanation:
    """What a fixture comes to: as it was seen, or found now where no build is needed."""
    golden = directory / "explanation.json"
    if golden.exists():
        seen = json.loads(golden.read_text())
        blame = next(blame for blame in Blame if blame.value[0] == seen["blame"])
        return Explanation(seen["code"], seen["title"], seen["seen"], tuple(seen["fix"]), blame)
    fixture = repositories.load(directory)
    try:
        detect(fixture.source, fixture.options)
    except BuildError as error:
        return explain(error.failure)
    raise ValueError(f"{fixture.name} can be built")


def _circumstances(directory: Path) -> str:
    """What is special about the run, beside the repository."""
    told = []
    if asked := _json(directory / "options.json"):
        told.append(" ".join(f"`--{name} {value}`" for name, value in asked.items()))
    if settings := _json(directory / "settings.json"):
        values = (
            f"`{table}.{name} = {value}`" for table, members in settings.items() for name, value in members.items()
        )
        told.append(f"with the setting {', '.join(values)}")
    if host := _json(directory / "host.json"):
        told.append("on a host that answers " + ("as git does" if "git" in host else f"with status {host['status']}"))
    if engine := _json(directory / "engine.json"):
        told.append("without an engine" if engine["gone"] == "before" else "with an engine that is stopped meanwhile")
    return ": " + ", ".join(told) if told else ""


def _json(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return document


def _files(root: Path, explanation: Explanation) -> Iterator[str]:
    """The files that an explanation names, in short; all of a small repository where it names none."""
    every = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    words = f"{explanation.title}\n{explanation.seen}"
    named = [
        path for path in every if re.search(rf"(?<![\w/]){re.escape(str(path.relative_to(root)))}(?![\w/])", words)
    ]
    if explanation.code in ("no-environment", "repository-unavailable", "not-git", "ref-absent", "too-large"):
        return
    for path in named or every[:3]:
        try:
            lines = path.read_text().rstrip("\n").split("\n")
        except UnicodeDecodeError as error:
            lines = [ascii(error.object.decode("latin-1"))[1:-1][:200]]
        shown = "\n".join((*lines[:SHOWN], *(["…"] if len(lines) > SHOWN else [])))
        yield f"`{path.relative_to(root)}`\n"
        yield _fenced(shown, {".yml": "yaml", ".toml": "toml", ".py": "python"}.get(path.suffix, ""))


def _fenced(text: str, language: str) -> str:
    return f"```{language}\n{text}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(page())

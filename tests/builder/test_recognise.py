"""What a failed step says, as the tools print it, comes to the failure behind it."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from pathlib import Path

import pytest

from builder.engine import BuildFailed, BuildTimeout, DiskLow
from builder.failures import Blame, explain
from builder.failures.asked import EngineUnavailable, HostUnreachable
from builder.failures.built import (
    BuildModuleMissing,
    BuildNeeds,
    Conflict,
    DebianPackageAbsent,
    DiskFull,
    GitRequirementAbsent,
    HashMismatch,
    IndexUnreachable,
    Line,
    LockStale,
    ModuleMissing,
    NoneForPlatform,
    NoneForPython,
    NotYetPublished,
    NoVersion,
    NumpyTooNew,
    OutOfMemory,
    OwnBuildNeeds,
    OwnPackageUnclear,
    OwnReadmeAbsent,
    PackageNotFound,
    PoetryUnreadable,
    ProgramMissing,
    PythonsTooWide,
    SourceBroken,
    StepFailed,
    StepNotStarted,
    TimeExceeded,
    Unsatisfiable,
    Yanked,
)
from builder.recognise import recognise
from builder.stages import title
from detectors import detect
from detectors.plan import Options
from detectors.source import MappingSource

STEP = "[lock 1/1] RUN lock.py"
DECIDING = "deciding versions and fetching packages"
FAILED = Path(__file__).parent / "failed"
"""Ends of real builds: uv 0.13 on Debian 12 and Python 3.10, in what a build stage has; noise left out."""

UNSOLVED = "error: No solution found when resolving dependencies"
TOO_WIDE = (
    "Because scipy (1.13.1) requires Python >=3.9",
    " and scipy (1.14.0) requires Python >=3.10, scipy is forbidden.",
    "So, because scipy (1.16.0) requires Python >=3.11",
    " and study depends on scipy (^1.13), version solving failed.",
    "  • Check your dependencies Python requirement: The Python requirement can be specified via the `python` property",
    '    For scipy, a possible solution would be to set the `python` property to ">=3.9,<4.0"',
    '    For scipy, a possible solution would be to set the `python` property to ">=3.10,<4.0"',
    '    For scipy, a possible solution would be to set the `python` property to ">=3.11,<4.0"',
)
UNMATCHED = "Because non-package-mode depends on tides (^2) which doesn't match any versions, version solving failed."
PIP = "uv finds no answer; asking pip"


def failure(*lines: str, message: str = "did not complete successfully: exit code: 1") -> object:
    return recognise(BuildFailed(STEP, message, lines), python="3.10", timeout=60)


NOT_STARTED = "runc run failed: unable to start container process: read init-p: connection reset by peer"


def test_a_step_that_the_engine_could_not_start_is_no_fault_of_the_repository() -> None:
    found = failure(NOT_STARTED)
    assert found == StepNotStarted(DECIDING, NOT_STARTED)
    assert explain(found).blame is Blame.OUTSIDE


def test_the_same_words_among_those_of_a_step_are_the_steps_own() -> None:
    assert isinstance(failure("collecting", NOT_STARTED), StepFailed)


def failure_of(files: dict[str, str], *lines: str, subdir: str = "") -> object:
    """The same, of a repository."""
    source = MappingSource(files)
    plan = detect(source, Options(subdir=subdir))
    failed = BuildFailed(STEP, "did not complete successfully: exit code: 1", lines)
    return recognise(failed, python=plan.python.value, timeout=60, plan=plan, source=source)


def proof(*sentences: str) -> tuple[str, ...]:
    """What uv prints where it finds no answer."""
    return (UNSOLVED, *(f"{'         ' if number else '  cause: '}{text}" for number, text in enumerate(sentences)))


def why(name: str, *versions: str, **more: object) -> str:
    """The line that a build's question to the index prints."""
    answer = {"name": name, "python": "3.10", "absent": False, "versions": versions, "others": [], **more}
    return f"launchyard-why: {json.dumps(answer)}"


def seen(found: object) -> list[str]:
    return explain(found).seen.splitlines()


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"requirements.txt": "python==3.9\n"}, "in the line python-3.9."),
        ({"requirements.txt": "python\n"}, "in the line python-3.12."),
        ({"environment.yml": "dependencies:\n  - pip:\n    - python==3.9\n"}, "as in - python=3.9."),
    ],
)
def test_python_among_the_requirements_is_told_what_says_which_one_it_is(files: dict[str, str], told: str) -> None:
    found = failure_of(
        files,
        *proof(
            "Because python was not found in the package registry and you require python, we can conclude that your"
            " requirements are unsatisfiable.",
        ),
    )
    assert explain(found).fix[0].endswith(told)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("numpy-1.20", "Change requirements.txt:1 to: numpy==1.20"),
        ("matplotlib.pyplot", "Change requirements.txt:1 to: matplotlib"),
        ("sklearn.svm", "Change requirements.txt:1 to: scikit-learn"),
        ("google.colab", "Take requirements.txt:1 out: google-colab is part of Colab, Google's own service, and works"),
    ],
)
def test_a_line_that_names_more_than_a_package_is_told_the_package(line: str, told: str) -> None:
    name = line.replace(".", "-")
    found = failure_of(
        {"requirements.txt": f"{line}\n"},
        *proof(
            f"Because {name} was not found in the package registry and you require {name}, we can conclude that your"
            " requirements are unsatisfiable.",
        ),
    )
    assert explain(found).fix[0].startswith(told)


def test_what_a_version_needs_of_the_python_is_told_of_the_versions_that_were_asked_for() -> None:
    others = [{"version": "2.7.4", "python": "3.7 or 3.8 or 3.9"}, {"version": "1.15.0", "python": "3.6 or 3.7"}]
    found = failure_of(
        {"requirements.txt": "tensorflow==1.15.0\n"},
        *proof(
            "Because tensorflow==1.15.0 has no wheels with a matching Python version tag and you require"
            " tensorflow==1.15.0, we can conclude that your requirements are unsatisfiable.",
        ),
        "hint: You require CPython 3.10 (`cp310`), but we only found wheels for `tensorflow` (v1.15.0) with the"
        " following Python ABI tags: `cp36m`, `cp37m`",
        why("tensorflow", "2.21.0", others=others),
    )
    assert seen(found) == ["requirements.txt:1: tensorflow==1.15.0", "tensorflow 1.15.0 needs Python 3.6 or 3.7"]
    assert explain(found).fix[-1].endswith("python=3.7 among its dependencies.")


class TestHashes:
    HASH = "--hash=sha256:8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254"
    REQUIREMENTS = f"six==1.16.0 \\\n    {HASH}\nattrs==23.2.0\n"

    def test_a_requirement_without_a_hash_is_told_the_line_that_has_it(self) -> None:
        found = failure_of(
            {"requirements.txt": self.REQUIREMENTS},
            "ERROR: Hashes are required in --require-hashes mode, but they are missing from some requirements. Here is",
            "    attrs==23.2.0 --hash=sha256:99b8",
            "    idna==3.7 --hash=sha256:82fe",
        )
        assert seen(found)[:2] == [
            "requirements.txt:3: attrs==23.2.0: it has no hash",
            "idna==3.7, which another requirement needs: it has no hash",
        ]
        assert explain(found).fix[:2] == (
            "Change requirements.txt:3 to: attrs==23.2.0 --hash=sha256:99b8",
            "Add to requirements.txt the line: idna==3.7 --hash=sha256:82fe",
        )

    def test_a_requirement_that_names_no_one_version_is_told_how_all_get_hashes(self) -> None:
        found = failure_of(
            {"requirements.txt": f"attrs>=23 {self.HASH}\n"},
            "ERROR: In --require-hashes mode, all requirements must have their versions pinned with ==. These do not:",
            "    attrs>=23 from https://files.example.org/attrs.whl (from -r /work/requirements.txt (line 1))",
            "    six>=1.5 from https://files.example.org/six.whl (from attrs==23->-r /work/requirements.txt (line 1))",
        )
        assert seen(found)[0].startswith("requirements.txt:1: attrs>=23")
        assert seen(found)[1].startswith("six>=1.5, which another requirement needs")
        assert "uv pip compile --generate-hashes requirements.txt" in explain(found).fix[0]

    def test_a_directory_of_the_repository_has_no_hash(self) -> None:
        found = failure_of(
            {"requirements.txt": f"-e ./lib\nsix==1.16.0 {self.HASH}\n", "lib/setup.py": ""},
            "ERROR: The editable requirement file:///work/lib (from -r /work/requirements.txt (line 1)) cannot be"
            " installed when requiring hashes, because there is no single file to hash.",
        )
        assert seen(found)[0] == "requirements.txt:1: -e ./lib: it is no one file, and so has no hash"

    def test_the_proposed_command_takes_out_hashes_and_nothing_else(self, tmp_path: Path) -> None:
        found = failure_of({"requirements.txt": self.REQUIREMENTS}, "ERROR: Can't verify hashes for these requirements")
        (tmp_path / "requirements.txt").write_text(self.REQUIREMENTS)
        subprocess.run(shlex.split(explain(found).fix[0].partition(": ")[2]), check=True, cwd=tmp_path)
        assert (tmp_path / "requirements.txt").read_text() == "six==1.16.0\nattrs==23.2.0\n"


class TestPoetrysPythons:
    PROJECT = '[tool.poetry]\npackage-mode = false\n[tool.poetry.dependencies]\npython = "^3.8"\nscipy = "^1.13"\n'

    def test_a_project_that_allows_more_pythons_than_a_package_is_told_the_line_to_write(self) -> None:
        found = failure_of({"pyproject.toml": self.PROJECT}, *TOO_WIDE)
        assert isinstance(found, PythonsTooWide)
        assert "made for every Python that the project allows" in explain(found).title
        assert seen(found)[:2] == ['pyproject.toml:5: scipy = "^1.13"', 'pyproject.toml:4: python = "^3.8"']
        assert explain(found).fix == (
            'Change pyproject.toml:4 to: python = ">=3.9,<4.0"',
            'Or allow that Python alone which is built with: python = "~3.10"',
        )

    def test_a_log_alone_says_it_without_the_line(self) -> None:
        found = explain(recognise(BuildFailed(STEP, "exit code: 1", TOO_WIDE), python="", timeout=60))
        assert found.fix == ('Allow those alone for which there is one: python = ">=3.9,<4.0".',)

    def test_a_package_that_is_not_made_for_the_python_that_is_built_with_is_told_so(self) -> None:
        project = self.PROJECT.replace("^3.8", "~3.8 || ~3.9")
        found = failure_of({"pyproject.toml": project}, *(line for line in TOO_WIDE if ">=3.9" not in line))
        assert isinstance(found, NoneForPython)


class TestVersions:
    def test_a_version_that_does_not_exist_names_those_that_do(self) -> None:
        found = failure(
            *proof(
                "Because there is no version of six==99 and you require six==99, we can conclude that your"
                " requirements are unsatisfiable.",
            ),
            PIP,
            "ERROR: Could not find a version that satisfies the requirement six==99 (from versions: 1.15.0, 1.16.0)",
        )
        assert found == NoVersion("six", "==99", "3.10", ("1.16.0", "1.15.0"))

    def test_what_the_index_answered_counts_before_pips_list(self) -> None:
        found = failure(
            "ERROR: Could not find a version that satisfies the requirement six==99 (from versions: 1.15.0)",
            why("six", "1.17.0", "1.16.0"),
        )
        assert found == NoVersion("six", "==99", "3.10", ("1.17.0", "1.16.0"))

    def test_the_nearest_of_all_series_is_proposed_where_the_newest_are_far(self) -> None:
        found = failure_of(
            {"requirements.txt": "numpy==1.26.7\n"},
            "ERROR: Could not find a version that satisfies the requirement numpy==1.26.7 (from versions: 2.2.6)",
            why("numpy", "2.2.6", "2.2.5", series=["2.2.6", "2.1.3", "1.26.4", "1.25.2"]),
        )
        assert explain(found).fix[0] == "Change requirements.txt:1 to: numpy==1.26.4"

    @pytest.mark.parametrize(("asked", "instead"), [("2.1.0+cu118", "2.1.0"), ("1.7.1+cu110", "1.11.0")])
    def test_a_build_that_is_published_elsewhere_is_told_the_version_here_and_whose_index_has_it(
        self, asked: str, instead: str
    ) -> None:
        found = failure_of(
            {"requirements.txt": f"torch=={asked}\n"},
            f"ERROR: Could not find a version that satisfies the requirement torch=={asked} (from versions: 2.14.1)",
            why("torch", "2.14.1", series=["2.14.1", "2.1.2", "1.11.0"]),
        )
        label = asked.partition("+")[2]
        assert explain(found).fix[:2] == (
            f"Change requirements.txt:1 to: torch=={instead}",
            f"Or give the index that PyTorch names for builds with +{label}, with a line `--extra-index-url` and its"
            " address at the top of requirements.txt.",
        )

    def test_a_version_of_a_later_day_names_its_day_and_those_that_were_there(self) -> None:
        found = failure_of(
            {"requirements.txt": "six==1.17.0\n"},
            *proof(
                "Because there is no version of six==1.17.0 and you require six==1.17.0, we can conclude that your"
                " requirements are unsatisfiable.",
            ),
            "hint: `six` was filtered by `exclude-newer` to only include packages uploaded before 2021-01-01T00:00:00Z."
            " The requested version, v1.17.0, was published at 2024-12-04T17:35:26.475Z. Consider using"
            " `exclude-newer-package` to override the cutoff for this package.",
            why("six", "1.15.0", "1.14.0"),
        )
        assert explain(found).seen == "requirements.txt:1: six==1.17.0\nsix 1.17.0 was published on 2024-12-04"
        assert explain(found).fix[:2] == (
            "Change requirements.txt:1 to: six==1.15.0",
            "Versions that were there: 1.15.0, 1.14.0.",
        )

    def test_the_newest_version_of_a_later_day_is_told_of_where_any_would_do(self) -> None:
        found = failure(
            *proof(
                "Because there are no versions of six and you require six, we can conclude that your requirements are"
                " unsatisfiable.",
            ),
            "hint: `six` was filtered by `exclude-newer` to only include packages uploaded before 2006-01-01T00:00:00Z."
            " The latest version satisfying the requirement is v1.17.0, published at 2024-12-04T17:35:26.475Z.",
        )
        assert isinstance(found, NotYetPublished)
        assert (found.day, found.newest, found.published) == ("2006-01-01", "1.17.0", "2024-12-04")

    def test_an_index_that_says_no_days_is_at_fault_where_a_day_is_asked_for(self) -> None:
        found = failure(
            *proof(
                "Because there are no versions of tide and you require tide, we can conclude that your requirements are"
                " unsatisfiable.",
            ),
            "hint: `tide` was filtered by `exclude-newer` to only include packages uploaded before 2021-01-01T00:00:00Z"
            ". The latest version satisfying the requirement is v1.0. Consider using `exclude-newer-package`",
            why("tide", "1.0"),
        )
        assert explain(found).title == "The index does not say when versions of tide were published"

    def test_the_line_that_asks_is_shown_with_the_edit(self) -> None:
        found = failure_of(
            {"requirements.txt": "attrs\nsix == 99\n"},
            "ERROR: Could not find a version that satisfies the requirement six==99 (from versions: 1.15.0, 1.16.0)",
        )
        assert seen(found) == ["requirements.txt:2: six == 99"]
        assert explain(found).fix[0] == "Change requirements.txt:2 to: six == 1.16.0"

    def test_versions_for_other_pythons_say_which(self) -> None:
        found = failure(
            *proof(
                "Because the current Python version (3.10.13) does not satisfy Python>=3.12 and"
                " tides>=2.1,<=2.2 depends on Python>=3.12, we can conclude that tides>=2.1,<=2.2 cannot be used.",
                "And because only the following versions of tides are available:",
                "    tides<=2.2",
                "    tides>=3.0",
                "we can conclude that tides>=2.1,<3.0 cannot be used. (1)",
                "",
                "Because the current Python version (3.10.13) does not satisfy Python>=3.13 and tides==3.0 depends"
                " on Python>=3.13, we can conclude that tides==3.0 cannot be used.",
                "And because we know from (1) that tides>=2.1,<3.0 cannot be used, we can conclude that tides>=2.1"
                " cannot be used.",
                "And because you require tides>=2.1, we can conclude that your requirements are unsatisfiable.",
            ),
        )
        assert isinstance(found, NoneForPython)
        assert (found.name, found.specifier, found.python) == ("tides", ">=2.1", "3.10")
        assert found.needs == (("3.0", ">=3.13"), ("2.1 to 2.2", ">=3.12"))
        assert found.pythons == ("3.12", "3.13", "3.14")

    def test_wheels_for_another_python_are_not_taken_for_no_package(self) -> None:
        found = failure(*(FAILED / "tensorflow.txt").read_text().splitlines())
        assert isinstance(found, NoneForPython)
        assert found.needs == (("1.15.0", "2.7 or 3.5 or 3.6 or 3.7"),)

    def test_wheels_for_windows_alone_say_so(self) -> None:
        lines = (FAILED / "pywin32.txt").read_text().splitlines()
        found = failure_of({"requirements.txt": "pywin32==306\n"}, *lines)
        assert isinstance(found, NoneForPlatform)
        assert found.platforms == ("win32", "win_amd64")
        assert explain(found).fix[0] == 'Change requirements.txt:1 to: pywin32==306; sys_platform == "win32"'

    def test_yanked_versions_give_their_reasons(self) -> None:
        found = failure(
            *proof(
                "Because tides==2.0 was yanked (reason: wrong tides for the north) and only the following versions"
                " of tides are available:",
                "    tides<=2.0",
                "    tides==2.1",
                "we can conclude that all of:",
                "    tides>=2.0,<2.1",
                "    tides>2.1",
                " cannot be used.",
                "And because tides==2.1 was yanked and you require tides>=2, we can conclude that your requirements"
                " are unsatisfiable.",
            ),
        )
        assert found == Yanked("tides", ">=2", (("2.1", ""), ("2.0", "wrong tides for the north")))

    def test_poetrys_one_sentence_is_told_apart_by_what_the_index_has(self) -> None:
        said = (
            "Because non-package-mode depends on tides (^2) which doesn't match any versions, version solving failed."
        )
        yanked = [{"version": "2.1", "yanked": "wrong"}]
        newer = [{"version": "2.1", "python": ">=3.13"}]
        assert isinstance(failure(said), NoVersion)
        assert failure(said, why("tides", "1.0")) == NoVersion("tides", "^2", "3.10", ("1.0",))
        assert isinstance(failure(said, why("tides", absent=True)), PackageNotFound)
        assert failure(said, why("tides", "1.0", others=yanked)) == Yanked("tides", "^2", (("2.1", "wrong"),), ("1.0",))
        assert isinstance(failure(said, why("tides", "1.0", others=newer)), NoneForPython)

    def test_an_index_of_the_repositorys_own_may_have_what_ours_lacks(self) -> None:
        poetry = (
            '[tool.poetry]\npackage-mode = false\n[tool.poetry.dependencies]\npython = "^3.10"\ntides = "^2"\n'
            '[[tool.poetry.source]]\nname = "sea"\nurl = "https://index.example.org/simple/"\n'
        )
        said = (
            "Because non-package-mode depends on tides (^2) which doesn't match any versions, version solving failed."
        )
        assert isinstance(failure_of({"pyproject.toml": poetry}, said, why("tides", absent=True)), NoVersion)


class TestNames:
    def test_a_package_that_does_not_exist_is_named_with_its_nearest(self) -> None:
        found = failure("ERROR: Could not find a version that satisfies the requirement numpyy (from versions: none)")
        assert isinstance(found, PackageNotFound)
        assert (found.name, found.near[0]) == ("numpyy", "numpy")

    def test_a_package_that_another_one_asks_for_shows_the_way_to_it(self) -> None:
        found = failure_of(
            {"requirements.txt": "tides\n"},
            *proof(
                "Because moon was not found in the package registry and all versions of tides depend on moon>=9, we"
                " can conclude that all versions of tides cannot be used.",
                "And because you require tides, we can conclude that your requirements are unsatisfiable.",
            ),
        )
        assert seen(found) == ["requirements.txt:1: tides", "tides needs moon>=9"]
        assert "tides" in explain(found).fix[0]

    def test_a_name_on_the_index_that_only_points_at_another_is_not_what_is_meant(self) -> None:
        lines = (FAILED / "sklearn.txt").read_text().splitlines()
        found = failure_of({"requirements.txt": "sklearn==0.0\n"}, *lines)
        assert explain(found).title == "sklearn is not the package that is meant"
        assert explain(found).fix[0] == "Change requirements.txt:1 to: scikit-learn"


class TestConflicts:
    def test_both_chains_are_named_by_the_lines_that_asked(self) -> None:
        files = {"requirements.txt": "-r more.txt\ntides==1.0\n", "more.txt": "orbits\n"}
        found = failure_of(
            files,
            *proof(
                "Because all versions of gravity depend on moon>=2 and all versions of orbits depend on"
                " gravity==1.0, we can conclude that all versions of orbits depend on moon>=2.",
                "And because all versions of tides depend on moon<2, we can conclude that all versions of orbits and"
                " all versions of tides are incompatible.",
                "And because you require tides==1.0 and orbits, we can conclude that your requirements are"
                " unsatisfiable.",
            ),
            PIP,
            "ERROR: ResolutionImpossible: for help visit the documentation",
        )
        assert seen(found) == [
            "more.txt:1: orbits",
            "  orbits needs gravity==1.0, which needs moon>=2",
            "requirements.txt:2: tides==1.0",
            "  tides==1.0 needs moon<2",
        ]
        assert explain(found).title.endswith("no one version of moon fits it all")

    def test_poetrys_chains_are_read_alike(self) -> None:
        found = failure(
            "Because no versions of orbits match !=3.0",
            " and orbits (3.0) depends on gravity (>=1), every version of orbits requires gravity (>=1).",
            "And because no versions of gravity match >1, every version of orbits requires gravity (1).",
            "And because gravity (1.0) depends on moon (>=2)",
            " and tides (1.0) depends on moon (<2), orbits is incompatible with tides (1.0).",
            "So, because non-package-mode depends on both tides (1.0) and orbits (*), version solving failed.",
        )
        assert isinstance(found, Conflict)
        assert {side.way for side in found.sides} == {("orbits", "gravity>=1", "moon>=2"), ("tides 1.0", "moon<2")}

    def test_a_pin_of_ones_own_that_another_needs_otherwise_is_the_line_to_change(self) -> None:
        found = failure_of(
            {"requirements.txt": "pandas==2.2.3\nnumpy==1.20.0\n"},
            *proof(
                "Because pandas==2.2.3 depends on numpy>=1.22.4 and you require pandas==2.2.3, we can conclude that"
                " you require numpy>=1.22.4.",
                "And because you require numpy==1.20.0, we can conclude that your requirements are unsatisfiable.",
            ),
        )
        assert explain(found).fix[0] == "Change requirements.txt:2 to: numpy>=1.22.4"

    def test_one_package_asked_for_twice_names_both_lines(self) -> None:
        found = failure_of(
            {"requirements.txt": "tides==1.0\nTides==2.0\n"},
            *proof(
                "Because you require tides==1.0 and tides==2.0, we can conclude that your requirements are"
                " unsatisfiable.",
            ),
        )
        assert seen(found) == ["requirements.txt:1: tides==1.0", "requirements.txt:2: Tides==2.0"]

    def test_pips_own_list_of_causes_is_enough(self) -> None:
        found = failure(
            "ERROR: Cannot install orbits and tides==1.0 because these package versions have conflicting dependencies.",
            "The conflict is caused by:",
            "    tides 1.0 depends on moon<2",
            "    gravity 1.0 depends on moon>=2",
            "ERROR: ResolutionImpossible: for help visit the documentation",
        )
        assert isinstance(found, Conflict)
        assert (found.on, len(found.sides)) == ("moon", 2)

    def test_a_cause_that_no_line_names_belongs_to_the_line_that_is_left_over(self) -> None:
        found = failure_of(
            {"requirements.txt": "tides==1.0\norbits\n"},
            "ERROR: Cannot install -r /work/requirements.txt (line 1) and orbits because these package versions have"
            " conflicting dependencies.",
            "The conflict is caused by:",
            "    tides 1.0 depends on moon<2",
            "    gravity 1.0 depends on moon>=2",
        )
        assert seen(found) == [
            "requirements.txt:1: tides==1.0",
            "  tides needs moon<2",
            "requirements.txt:2: orbits",
            "  gravity needs moon>=2",
        ]
        assert explain(found).fix == ("Loosen tides (requirements.txt:1) or orbits (requirements.txt:2).",)

    def test_a_report_that_cannot_be_followed_is_shown_in_its_own_words(self) -> None:
        found = failure(
            *proof(
                "Because the tide is high and the moon is full, we can conclude that it is unsatisfiable.",
            ),
        )
        assert isinstance(found, Conflict)
        assert "the moon is full" in explain(found).seen


@pytest.mark.parametrize(
    ("log", "thing", "packages"),
    [
        ("psycopg2", "pg_config", ("libpq-dev",)),
        ("mysqlclient", "mysqlclient", ("default-libmysqlclient-dev",)),
        ("mysqlclient_old", "mysql_config", ("default-libmysqlclient-dev",)),
        ("pygraphviz", "graphviz/cgraph.h", ("libgraphviz-dev",)),
        ("gdal", "gdal-config", ("libgdal-dev",)),
        ("fiona", "gdal-config", ("libgdal-dev",)),
        ("h5py", "HDF5", ("libhdf5-dev",)),
        ("netcdf4", "hdf5", ("libhdf5-dev",)),
        ("pycairo", "cairo", ("libcairo2-dev",)),
        ("pygobject", "cairo", ("libcairo2-dev",)),
        ("manim", "pangocairo", ("libpango1.0-dev",)),
        ("tokenizers", "Rust", ("cargo",)),
        ("bcrypt", "Rust", ("cargo",)),
        ("cryptography", "Rust", ("cargo",)),
        ("cryptography_openssl", "openssl/opensslv.h", ("libssl-dev",)),
        ("cffi", "ffi.h", ("libffi-dev",)),
        ("pyaudio", "portaudio.h", ("portaudio19-dev",)),
        ("scipy", "OpenBLAS", ("libopenblas-dev",)),
        ("dbus", "dbus-1", ("libdbus-1-dev",)),
        ("pyodbc", "sql.h", ("unixodbc-dev",)),
        ("ldap", "lber.h", ("libldap2-dev", "libsasl2-dev")),
        ("lxml", "libxml2", ("libxml2-dev", "libxslt1-dev")),
        ("xmlsec", "xmlsec1", ("libxmlsec1-dev", "libxml2-dev")),
        ("pillow", "zlib", ("zlib1g-dev",)),
        ("pycurl", "curl-config", ("libcurl4-openssl-dev",)),
        ("pyicu", "icu-config", ("libicu-dev",)),
        ("pyproj", "proj", ("libproj-dev", "proj-bin")),
        ("rpy2", "R", ("r-base-dev",)),
        ("shapely", "geos_c", ("libgeos-dev",)),
        ("snappy", "snappy-c.h", ("libsnappy-dev",)),
        ("leveldb", "leveldb/db.h", ("libleveldb-dev",)),
        ("gmpy2", "gmp.h", ("libgmp-dev",)),
        ("matplotlib", "ft2build.h", ("libfreetype-dev",)),
        ("pocketsphinx", "swig", ("swig",)),
        ("pyscard", "swig", ("swig", "libpcsclite-dev")),
        ("pycups", "cups/http.h", ("libcups2-dev",)),
        ("pyfftw", "fftw3.h", ("libfftw3-dev",)),
        ("pygit2", "git2.h", ("libgit2-dev",)),
        ("sqlcipher", "sqlcipher/sqlite3.h", ("libsqlcipher-dev",)),
        ("ta", "ta-lib/ta_defs.h", ()),
    ],
)
def test_what_a_source_lacks_is_named_with_the_lines_for_apt(log: str, thing: str, packages: tuple[str, ...]) -> None:
    found = failure(*(FAILED / f"{log}.txt").read_text().splitlines())
    assert isinstance(found, BuildNeeds)
    assert (found.thing, found.packages) == (thing, packages)
    words = explain(found)
    assert thing in words.title
    assert all(package in words.fix[0] for package in packages)


@pytest.mark.parametrize("log", ["numpy", "tables", "rasterio", "pyarrow"])
def test_a_source_that_does_not_say_what_it_builds_with_is_told_from_one_that_lacks_a_header(log: str) -> None:
    found = failure(*(FAILED / f"{log}.txt").read_text().splitlines())
    assert isinstance(found, BuildModuleMissing)
    assert found.module in ("distutils", "pkg_resources")


@pytest.mark.parametrize("log", ["mpi4py", "orjson"])
def test_a_source_that_is_broken_otherwise_shows_its_last_words(log: str) -> None:
    lines = (FAILED / f"{log}.txt").read_text().splitlines()
    found = failure(*lines)
    assert isinstance(found, SourceBroken)
    assert found.lines[-1] in {line.removeprefix(" " * 9) for line in lines}


class TestSources:
    def test_the_line_goes_to_the_apt_txt_that_is_there(self) -> None:
        lines = (FAILED / "pyaudio.txt").read_text().splitlines()
        beside = failure_of({"binder/requirements.txt": "pyaudio\n", "binder/apt.txt": "tree\n"}, *lines)
        assert explain(beside).fix[0] == "Add to binder/apt.txt the line: portaudio19-dev"
        absent = failure_of({"requirements.txt": "pyaudio\n"}, *lines)
        assert explain(absent).fix[0] == "Create apt.txt with the line: portaudio19-dev"

    def test_the_line_that_asks_for_what_asks_is_shown(self) -> None:
        lines = (FAILED / "pygobject.txt").read_text().splitlines()
        assert seen(failure_of({"requirements.txt": "PyGObject==3.46.0\n"}, *lines)) == [
            "requirements.txt:1: PyGObject==3.46.0"
        ]

    def test_a_compiled_twin_is_offered_with_the_edit(self) -> None:
        lines = (FAILED / "psycopg2.txt").read_text().splitlines()
        fix = explain(failure_of({"requirements.txt": "psycopg2==2.9.9\n"}, *lines)).fix
        assert fix[1].endswith("Change requirements.txt:1 to: psycopg2-binary==2.9.9")

    def test_another_file_than_the_one_whose_hash_is_written(self) -> None:
        found = failure(
            "error: Failed to download and build `tides==1.0`",
            "  cause: Hash mismatch for `tides==1.0`",
            "",
            "         Expected:",
            "           sha256:87b5",
            "",
            "         Computed:",
            "           sha256:3303",
        )
        assert found == HashMismatch("tides", "1.0", ("Expected:", "sha256:87b5", "Computed:", "sha256:3303"))


class TestPoetry:
    CONFIGURATION = (
        "The Poetry configuration is invalid:",
        "  - data.authors must be array",
        "  - Additional properties are not allowed ('requires-poetry' was unexpected)",
    )

    def test_a_configuration_that_it_does_not_take_is_shown_with_its_lines(self) -> None:
        document = '[tool.poetry]\npackage-mode = false\nauthors = "Ada"\nrequires-poetry = ">=2"\n'
        files = {"pyproject.toml": f'{document}[tool.poetry.dependencies]\npython = "^3.10"\n'}
        found = failure_of(files, *self.CONFIGURATION)
        assert isinstance(found, PoetryUnreadable)
        assert [line.place for line in found.asked] == ["pyproject.toml:3", "pyproject.toml:4"]

    def test_what_is_no_constraint_is_shown(self) -> None:
        found = failure("", "Could not parse version constraint: newest")
        assert found == PoetryUnreadable((("constraint", "Could not parse version constraint: newest"),))

    def test_a_lock_of_another_pyproject_is_stale(self) -> None:
        said = "pyproject.toml changed significantly since poetry.lock was last generated. Run `poetry lock`."
        assert isinstance(failure(said), LockStale)


class TestHostileWords:
    def test_escapes_and_control_characters_are_taken_out(self) -> None:
        found = failure("one \x1b[31mred\x1b[0m \x1b]0;title\x07 \x00\x08two")
        assert found == StepFailed(DECIDING, 1, ("one red  two",))

    def test_an_answer_of_the_index_that_is_none_says_nothing(self) -> None:
        said = "ERROR: Could not find a version that satisfies the requirement six==99 (from versions: 1.16.0)"
        for answer in (
            "[" * 5_000,
            "7",
            '{"name": "six"}',
            '{"name": "six", "versions": [7, "\\u001b[1m", null]}',
            "{",
        ):
            found = failure(said, f"launchyard-why: {answer}")
            assert isinstance(found, NoVersion)
            assert found.available in ((), ("1.16.0",))

    def test_a_source_cannot_speak_for_the_resolver(self) -> None:
        found = failure(
            "error: Failed to build `harbour==1.0`",
            "  cause: Call to `backend.build_wheel` failed (exit status: 3)",
            "         [stdout]",
            f"         {UNSOLVED}",
            "           cause: Because numpy was not found in the package registry and you require numpy, we fail.",
            "         hint: `harbour` is often confused for `harbor`. Did you mean to install `harbor` instead?",
            f"         {why('harbour', absent=True)}",
        )
        assert isinstance(found, SourceBroken)

    @pytest.mark.parametrize(
        "head", ["", "error: Failed to build `x==1`", f"{UNSOLVED}\n  cause: Because a depends on b"]
    )
    def test_a_log_of_any_length_is_read_in_little_time(self, head: str) -> None:
        words = (
            "Package ",
            "requirement x ",
            "a and b depends on c ",
            "Because ",
            "[Errno 2] ",
            "'pkg-config' '",
            " (",
        )
        lines = (*head.split("\n"), *(word * 500 for word in words for _ in range(300)))
        began = time.process_time()
        assert failure(*lines) is not None
        assert time.process_time() - began < 5


class TestMachine:
    def test_an_index_that_does_not_answer_has_to_pip_no_package(self) -> None:
        found = failure(
            "WARNING: Retrying after connection broken by 'NewConnectionError('Failed to establish a new connection')'",
            "ERROR: Could not find a version that satisfies the requirement six (from versions: none)",
        )
        assert isinstance(found, IndexUnreachable)

    def test_a_source_that_cannot_be_fetched_is_not_broken(self) -> None:
        found = failure(
            "error: Failed to download and build `harbour==1.0`",
            "  cause: Failed to fetch: `http://172.17.0.1:41234/simple/harbour/harbour-1.0.tar.gz`",
            "  cause: error sending request for url (http://172.17.0.1:41234/simple/harbour/harbour-1.0.tar.gz)",
            "  cause: client error (Connect)",
            "  cause: tcp connect error",
            "  cause: Connection refused (os error 111)",
        )
        assert isinstance(found, IndexUnreachable)

    def test_a_full_disk_is_no_fault_of_the_repository(self) -> None:
        assert failure("write: No space left on device") == DiskFull(DECIDING, said="write: No space left on device")

    def test_a_killed_step_was_out_of_memory(self) -> None:
        assert failure(message="did not complete successfully: exit code: 137") == OutOfMemory(DECIDING)

    def test_a_step_over_its_time_names_the_setting(self) -> None:
        found = recognise(BuildTimeout(STEP, "timed out"), python="3.10", timeout=60)
        assert found == TimeExceeded(DECIDING, 60, "limits.build_time")


def test_a_conflict_of_condas_names_both_sides() -> None:
    found = failure(
        "conda cannot solve this environment:",
        "Cannot solve the request because of: python 3.9.* cannot be installed",
        "├─ numpy 2.2.* would require",
        "│  └─ python >=3.10,<3.11.0a0, which conflicts with python 3.9.*",
    )
    assert isinstance(found, Unsatisfiable)
    assert [spec.text for spec in found.specs] == ["python 3.9.*"]
    assert any("python >=3.10" in line for line in found.lines)


def test_an_unknown_failure_shows_the_last_lines_as_they_were() -> None:
    found = failure("one", "", "two", message="did not complete successfully: exit code: 3")
    assert found == StepFailed(DECIDING, 3, ("one", "two"))


def test_steps_have_words_of_their_own() -> None:
    assert title("[environment 1/2] RUN --mount=type=cache install.py group") == "installing packages"
    assert title("exporting to image") == "exporting to image"


def test_a_step_that_prints_the_engine_s_errors_is_not_the_engine() -> None:
    lines = (
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock",
        "error reading from server: EOF",
        "failed to resolve source metadata for example.org/base:1: no such host",
    )
    assert failure(*lines) == StepFailed(DECIDING, 1, lines)
    assert isinstance(failure(message=lines[0]), EngineUnavailable)


def test_a_disk_that_ran_low_is_told_with_what_was_left() -> None:
    found = recognise(DiskLow(STEP, 2_000, 3_000), python="3.10", timeout=60)
    assert found == DiskFull(DECIDING, 2_000, 3_000)
    assert "2,000 bytes free" in explain(found).seen
    assert explain(DiskFull(DECIDING)).seen == f"In the step: {DECIDING}"


CLONE = "  Running command git clone --filter=blob:none --quiet https://github.com/ada/tides /tmp/pip-req-build-x"
CLONED = "ERROR: Failed to build 'git+https://github.com/ada/tides' when git clone --filter=blob:none --quiet"


def test_a_requirement_in_a_repository_that_is_not_public_is_told_with_its_line() -> None:
    said = "  fatal: could not read Username for 'https://github.com': terminal prompts disabled"
    found = failure_of({"requirements.txt": "six\ngit+https://github.com/ada/tides\n"}, CLONE, said, CLONED)
    line = Line("requirements.txt", 2, "git+https://github.com/ada/tides")
    assert found == GitRequirementAbsent("https://github.com/ada/tides", (line,))


def test_a_requirement_whose_git_host_is_away_is_no_fault_of_the_repository() -> None:
    said = "      fatal: unable to access 'https://github.com/ada/tides/': Could not resolve host: github.com"
    found = failure("  cause: Git operation failed", said)
    assert found == HostUnreachable("https://github.com/ada/tides", "Could not resolve host: github.com")
    assert explain(found).blame is Blame.OUTSIDE
    refused = said.replace("Could not resolve host: github.com", "The requested URL returned error: 404")
    assert failure("  cause: Git operation failed", refused) == GitRequirementAbsent("https://github.com/ada/tides")


@pytest.mark.parametrize(
    "said",
    ["E: Unable to locate package libgl1-mesa-glxx", "E: Package 'libgl1-mesa-glxx' has no installation candidate"],
)
def test_a_package_that_debian_has_not_is_told_with_its_line(said: str) -> None:
    files = {"requirements.txt": "six\n", "apt.txt": "# graphics\nlibx11-6 libgl1-mesa-glxx\n"}
    found = failure_of(files, "Reading package lists...", said)
    line = Line("apt.txt", 2, "libx11-6 libgl1-mesa-glxx")
    assert found == DebianPackageAbsent("libgl1-mesa-glxx", "apt.txt", (line,))


BROKEN = "error: Failed to build `tides==1.0`"
BUILT = '{"version": "1.0", "pythons": ["3.7", "3.9"], "nearest": "1.3"}'


def answered(built: str) -> str:
    return f'launchyard-why: {{"name": "tides", "absent": false, "versions": [], "others": [], "built": {built}}}'


def explained(built: str, *, requirement: str = "tides==1.0", as_of: str | None = None) -> tuple[str, tuple[str, ...]]:
    source = MappingSource({"requirements.txt": f"{requirement}\n".encode()})
    failed = BuildFailed(STEP, "exit code: 1", (BROKEN, answered(built)))
    words = explain(
        recognise(failed, python="3.10", timeout=60, plan=detect(source, Options(as_of=as_of)), source=source)
    )
    return words.seen, words.fix


def test_for_a_package_that_could_not_be_built_the_nearest_wheels_are_named() -> None:
    seen, fix = explained(BUILT)
    assert "tides 1.0 has wheels for Python 3.7, 3.9" in seen
    assert fix[:2] == (
        "The nearest version with a wheel for Python 3.10 is 1.3. Change requirements.txt:1 to: tides==1.3",
        "Pythons that have a wheel of 1.0: 3.9. For the nearest, create runtime.txt with the line python-3.9, "
        "or give --python 3.9.",
    )


def test_a_python_that_only_conda_has_is_proposed_through_conda() -> None:
    _, fix = explained(BUILT.replace(', "3.9"', ""), requirement="tides")
    assert fix[:2] == (
        "The nearest version with a wheel for Python 3.10 is 1.3.",
        "Or let conda bring an older Python: an environment.yml with the dependencies python=3.7 and tides=1.0.",
    )


def test_what_tools_print_for_whoever_explains_is_not_among_the_last_words_of_a_build() -> None:
    words = explain(failure(BROKEN, "the sea is gone", answered(BUILT)))
    assert words.seen.splitlines()[-1] == "the sea is gone"
    assert "launchyard-" not in explain(failure("the sea is gone", answered(BUILT))).seen
    late = BuildTimeout(STEP, "timed out", ("the sea is gone", answered(BUILT)))
    assert "launchyard-" not in explain(recognise(late, python="3.10", timeout=60)).seen


def test_only_where_no_wheel_is_known_of_the_last_words_are_all_there_is_to_tell() -> None:
    unknown = "Launchyard does not know this failure"
    assert not any(unknown in line for line in explained(BUILT)[1])
    assert explained('{"version": "1.0", "pythons": ["3.4"]}')[1][-1].startswith(f"{unknown}; the lines above")
    assert explain(failure("error: Failed building wheel for tides")).fix[-1].startswith(f"{unknown}; the lines above")
    assert explain(SourceBroken("tides", "1.0", "3.10", ())).fix[-1] == f"{unknown}."


def test_what_pip_could_not_build_after_uv_gave_up_is_told_with_its_version_and_its_words() -> None:
    found = failure_of(
        {"requirements.txt": "harbour.old==0.24.2\n"},
        *proof("Because harbour-old==0.24.2 has invalid metadata and you require harbour-old==0.24.2, we can conclude"),
        PIP,
        "Collecting harbour.old==0.24.2 (from -r /work/requirements.txt (line 1))",
        "  Downloading https://index.example/harbour_old-0.24.2.tar.gz (11.8 MB)",
        "  error: subprocess-exited-with-error",
        "      ModuleNotFoundError: No module named 'pkg_resources'",
        "ERROR: Failed to build 'harbour.old' when getting requirements to build wheel",
        why("harbour-old", "0.25", built={"version": "0.24.2", "pythons": ["3.7"], "nearest": "0.25"}),
    )
    assert isinstance(found, BuildModuleMissing)
    assert (found.version, found.module) == ("0.24.2", "pkg_resources")
    assert explain(found).fix[0].endswith("is 0.25. Change requirements.txt:1 to: harbour.old==0.25")


def test_that_no_version_has_a_wheel_is_said_of_the_day_alone_whose_versions_were_asked_for() -> None:
    none = '{"version": "1.0", "pythons": [], "nearest": null}'
    assert explained(none)[1][0].startswith("No version of tides has a wheel for Python 3.10: leave it out")
    assert explained(none, as_of="2019-06-01T00:00:00Z")[1] == (
        "No version of tides from before 2019-06-01 has a wheel for Python 3.10: give --as-of a later day.",
        "Or let conda bring an older Python: an environment.yml with python=3.7 among its dependencies.",
    )
    assert explained(none, as_of="2021-06-01T00:00:00Z")[1][1] == "Or build with an older Python."


def test_a_python_that_nothing_has_any_more_is_not_proposed() -> None:
    _, fix = explained('{"version": "1.0", "pythons": ["3.4", "3.5"], "nearest": "1.3"}')
    assert fix[0].startswith("The nearest version with a wheel for Python 3.10 is 1.3.")
    assert not any("conda" in line for line in fix)


@pytest.mark.parametrize(
    "built", ['"1.0"', '{"version": "../x"}', '{"version": "9.9", "pythons": ["3.7"]}', '{"version": 1, "pythons": 2}']
)
def test_what_is_said_of_wheels_and_makes_no_sense_is_not_shown(built: str) -> None:
    seen, fix = explained(built)
    assert "wheels" not in seen
    assert fix[0] == "Ask for a version with a wheel for Python 3.10: most often a newer one."


@pytest.mark.parametrize(
    ("line", "kind", "fix"),
    [
        ("./postBuild: 3: wget: not found", ProgramMissing, "Create apt.txt with the line: wget"),
        ("/post-build/postBuild: line 2: dot: command not found", ProgramMissing, "apt.txt with the line: graphviz"),
        ("./postBuild: 1: sudo: not found", ProgramMissing, "Debian's packages go into apt.txt"),
        ("./postBuild: 1: conda: not found", ProgramMissing, "environment.yml"),
        ("./postBuild: 1: moonshine: not found", ProgramMissing, "create apt.txt with the line"),
        ("ModuleNotFoundError: No module named 'sklearn.tree'", ModuleMissing, "Add scikit-learn"),
        ("ValueError: numpy.dtype size changed, may indicate binary", NumpyTooNew, "numpy<2"),
        ("ImportError: numpy.core.multiarray failed to import", NumpyTooNew, "numpy<2"),
    ],
)
def test_what_a_script_lacks_is_named_with_where_to_ask_for_it(line: str, kind: type, fix: str) -> None:
    found = recognise(BuildFailed("[post 1/1] RUN post_build.py", "exit code: 127", (line,)), python="3.10", timeout=60)
    assert isinstance(found, kind)
    assert fix in " ".join(explain(found).fix)


@pytest.mark.parametrize(
    ("line", "fix"),
    [
        ("ValueError: No file/folder found for package tides", "package-mode = false"),
        ("error: Multiple top-level packages discovered in a flat-layout: ['a', 'b'].", "py-modules = []"),
        ("ValueError: Unable to determine which files to ship inside the wheel", "take [build-system] out"),
        ("ModuleNotFoundError: No module named 'numpy'", '"setuptools", "numpy"'),
    ],
)
def test_what_the_repositorys_own_package_does_not_say_is_named(line: str, fix: str) -> None:
    found = failure(
        "error: Failed to build `file:///work-package`", "  cause: The build backend returned an error", line
    )
    assert isinstance(found, OwnPackageUnclear | OwnBuildNeeds)
    assert fix in explain(found).fix[0]


@pytest.mark.parametrize(
    "said",
    [
        "         FileNotFoundError: Readme path `/work-package/README.md` does not exist.",
        "         OSError: Readme file does not exist: README.md",
        "         flit_core.config.ConfigError: Description file README.md does not exist",
        "         pdm.backend.exceptions.ValidationError: project.readme.file: Readme file not found ('README.md')",
        "         FileNotFoundError: [Errno 2] No such file or directory: 'README.md'",
    ],
)
def test_a_readme_that_was_never_committed_is_told_with_the_line_that_names_it(said: str) -> None:
    project = (
        '[project]\nname = "tides"\nversion = "1"\nreadme = "README.md"\n[build-system]\nrequires = ["hatchling"]\n'
    )
    broken = ("error: Failed to build `tides @ file:///work-package`", "  cause: The build backend returned an error")
    found = failure_of({"sub/pyproject.toml": project, "README.md": ""}, *broken, said, subdir="sub")
    line = Line("sub/pyproject.toml", 4, 'readme = "README.md"')
    assert found == OwnReadmeAbsent(".", "sub/README.md", (line,))
    assert explain(found).fix == (
        "Commit sub/README.md.",
        "Or take sub/pyproject.toml:4 out: a package needs no description.",
    )
    other = failure_of({"pyproject.toml": project, "readme.rst": ""}, *broken, said)
    assert explain(other).fix[0] == 'Change pyproject.toml:4 to: readme = "readme.rst"'


def test_a_readme_that_a_package_in_a_directory_lacks_is_told_with_its_path() -> None:
    broken = "error: Failed to build `tides @ file:///work/lib`"
    files = {"requirements.txt": "-e ./lib\n", "lib/setup.py": "", "lib/pyproject.toml": "[build-system]\n"}
    for said in ("OSError: Readme file does not exist: README.md", "Readme path `/work/lib/README.md` does not exist."):
        assert failure_of(files, broken, said) == OwnReadmeAbsent("lib", "lib/README.md")
        assert failure(broken, said) == OwnReadmeAbsent("lib", "lib/README.md")
    assert "or of what setup.py reads" in explain(failure(broken, said)).fix[1]
    astray = failure_of(files, "error: Failed to build `tides @ file:///work/../../lib`", said)
    assert isinstance(astray, OwnReadmeAbsent)


def test_a_package_that_is_made_for_no_linux_at_all_is_told_of_as_that() -> None:
    tags = "  cause: Because pywin32==228 has no wheels with a matching Python ABI tag and you require pywin32==228"
    hint = "hint: You require CPython 3.10 (`cp310`), but we only found wheels for `pywin32` (v228) with: `cp39`"
    others = [{"version": version, "platform": "win32, win_amd64"} for version in ("312", "311")]
    answer = json.dumps({"name": "pywin32", "absent": False, "versions": [], "others": others})
    found = failure(UNSOLVED, tags, hint, f"launchyard-why: {answer}")
    assert isinstance(found, NoneForPlatform)
    assert found.platforms == ("win32", "win_amd64")

"""The builder's commands, over an engine in memory."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import detectors
from builder.engine import BuildFailed
from builder.failures.asked import EngineUnavailable
from builder.fake_engine import FakeEngine
from builder.settings import Index
from detectors.failures import BuildError
from tests.command import Launchyard, foreign
from tests.conftest import MakeRepository, commit

SIX = {"requirements.txt": "six==1.16.0\n", "README.md": "Tides.\n"}


@pytest.fixture
def launchyard(tmp_path: Path) -> Launchyard:
    return Launchyard(tmp_path)


@pytest.fixture
def six(make_repository: MakeRepository) -> Path:
    return make_repository(SIX)


def raising(error: BaseException) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


# plan


def test_plan_says_what_was_chosen_and_why(launchyard: Launchyard, make_repository: MakeRepository) -> None:
    said = launchyard.ok(
        "plan", make_repository({**SIX, "runtime.txt": "python-3.11\n", "Pipfile": "", "apt.txt": "graphviz\n"})
    )
    assert re.search(r"^Strategy +pip +requirements\.txt: ", said, re.MULTILINE)
    assert re.search(r"^Python +3\.11 +runtime\.txt", said, re.MULTILINE)
    assert "Asked for\n  six==1.16.0\n" in said
    assert "System packages\n  graphviz\n" in said
    assert re.search(r"Ignored\n  Pipfile  \w", said)
    assert re.search(r"^Key  [0-9a-f]{64}$", said, re.MULTILINE)
    assert "\x1b" not in said


def test_plan_as_json_is_the_published_document(launchyard: Launchyard, six: Path) -> None:
    document = launchyard.json("plan", six, "--python", "3.12", "--frontend", "none")
    fits_the_schema(document)
    assert document["python"] == {"value": "3.12", "origin": "option --python"}
    assert document["frontend"] == "none"


def fits_the_schema(document: object) -> None:
    schema = json.loads(Path(detectors.__file__).with_name("plan.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(document)


def test_plan_without_an_environment_file_names_what_comes_near(
    launchyard: Launchyard, make_repository: MakeRepository
) -> None:
    repository = make_repository({"enviroment.yml": "dependencies: []\n"})
    result = launchyard("plan", repository)
    assert result.exit_code == 65
    assert result.stdout == ""
    assert result.stderr.startswith(
        "error: No environment file\n  In the root of the repository:\n    enviroment.yml\n"
    )
    assert "to do: Rename enviroment.yml to environment.yml." in result.stderr
    error = launchyard.error("plan", repository)
    assert (error["code"], error["blame"]) == ("no-environment", "repository")
    assert error["fix"] == ["Rename enviroment.yml to environment.yml."]


def test_plan_of_a_subdirectory(launchyard: Launchyard, make_repository: MakeRepository) -> None:
    document = launchyard.json("plan", make_repository({"lab/requirements.txt": "six\n"}), "--subdir", "lab")
    assert document["repository"]["subdir"] == "lab"
    assert document["files"][0]["path"] == "lab/requirements.txt"


def test_plan_takes_uncommitted_files_only_with_worktree(launchyard: Launchyard, six: Path) -> None:
    (six / "requirements.txt").write_text("numpy\n")
    assert launchyard.json("plan", six)["requested"] == ["six==1.16.0"]
    document = launchyard.json("plan", six, "--worktree")
    assert document["requested"] == ["numpy"]
    assert document["repository"]["commit"].endswith("+worktree")
    fits_the_schema(document)


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("2021-06-01", "2021-06-01T00:00:00Z"),
        ("2021-06-01T12:30:00+02:00", "2021-06-01T10:30:00Z"),
        ("2021-06-01T12:30:00.9Z", "2021-06-01T12:30:00Z"),
        ("commit", "2024-05-01T12:00:00Z"),
    ],
)
def test_as_of_means_an_instant_in_utc(launchyard: Launchyard, six: Path, asked: str, meant: str) -> None:
    assert launchyard.json("plan", six, "--as-of", asked)["inputs"]["as_of"] == meant


@pytest.mark.parametrize(
    "arguments",
    [
        ("--as-of", "yesterday"),
        ("--strategy", "nix"),
        ("--frontend", "emacs"),
        ("--colour",),
        ("--ref", "a..b"),
    ],
)  # fmt: skip
def test_wrong_use_is_told_apart_from_a_wrong_repository(
    launchyard: Launchyard, six: Path, arguments: tuple[str, ...]
) -> None:
    expected = 65 if arguments[0] == "--ref" else 2
    result = launchyard("plan", six, *arguments)
    assert result.exit_code == expected
    assert result.stderr
    assert launchyard("plan", six, *arguments, "--json").exit_code == expected
    assert launchyard.error("plan", six, *arguments)["title"]


def test_environment_that_is_not_committed_is_said_to_be_there(
    launchyard: Launchyard, make_repository: MakeRepository
) -> None:
    repository = make_repository({"README.md": "words"})
    (repository / "requirements.txt").write_text("six\n")
    result = launchyard("plan", repository)
    assert result.exit_code == 65
    assert "requirements.txt is there and not committed. --worktree takes it" in result.stderr


def test_a_pyproject_that_is_no_environment_is_not_said_to_be_uncommitted(
    launchyard: Launchyard, make_repository: MakeRepository
) -> None:
    result = launchyard("plan", make_repository({"pyproject.toml": "[tool.ruff]\n"}))
    assert result.exit_code == 65
    assert "not committed" not in result.stderr


def test_changes_that_are_not_committed_are_said_not_to_count(launchyard: Launchyard, six: Path) -> None:
    assert "Not committed" not in launchyard("plan", six).stderr
    (six / "README.md").write_text("of no matter\n")
    (six / "requirements.txt").write_bytes((six / "requirements.txt").read_bytes().replace(b"\n", b"\r\n"))
    assert "Not committed" not in launchyard("plan", six).stderr
    (six / "requirements.txt").write_text("six\nattrs\n")
    assert "Not committed, and so not built: the changes of requirements.txt." in launchyard("plan", six).stderr
    assert "Not committed" in launchyard("build", six).stderr
    for asked in (("--worktree",), ("--ref", "main")):
        assert "Not committed" not in launchyard("plan", six, *asked).stderr


def test_worktree_of_an_address_is_refused(launchyard: Launchyard) -> None:
    assert launchyard("plan", "https://github.com/lab/tides", "--worktree").exit_code == 2


def test_host_that_is_not_allowed_is_the_repositorys_fault(launchyard: Launchyard) -> None:
    result = launchyard("plan", "https://git.example.org/lab/tides")
    assert result.exit_code == 65
    assert "LAUNCHYARD_ALLOWED_HOSTS" in result.stderr


def test_plan_imports_nothing_that_starts_slowly(six: Path) -> None:
    script = (
        "import sys; from launcher.cli import main\n"
        "try: main(['plan', sys.argv[1]])\n"
        "finally: print(*set(sys.argv[2:]) & set(sys.modules), file=sys.stderr)"
    )
    slow = ("rich", "pydantic", "docker", "asyncio", "http", "builder.records", "jinja2")
    command = [sys.executable, "-c", script, str(six), *slow]
    # The first one remembers the settings, and the Dockerfiles of what it stands on.
    subprocess.run(command, capture_output=True, check=True, timeout=60)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert done.stderr.strip() == ""


# what goes wrong


def test_unexpected_exception_is_one_line_and_a_file(
    launchyard: Launchyard, six: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LAUNCHYARD_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("LAUNCHYARD_INDEX__URL", "https://ada:hunter2@index.example.org/simple")
    monkeypatch.setattr("builder.build.plan", raising(RuntimeError("at https://ada:hunter2@index.example.org/")))
    result = launchyard("plan", six)
    assert result.exit_code == 70
    assert "Traceback" not in result.output
    assert "RuntimeError: at https://***@index.example.org/" in result.stderr
    found = re.search(r"the details are in (\S+)\.$", result.stderr, re.MULTILINE)
    assert found
    written = Path(found[1])
    assert "Traceback" in written.read_text()
    assert "hunter2" not in written.read_text() + result.output
    assert written.stat().st_mode & 0o077 == 0


def test_traceback_is_shown_to_who_asks_for_it(
    launchyard: Launchyard, six: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAUNCHYARD_DEBUG", "1")
    monkeypatch.setattr("builder.build.plan", raising(RuntimeError("odd")))
    assert "Traceback" in launchyard("plan", six).stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(28, "No space left on device"), 75),
        (KeyboardInterrupt(), 130),
        (BuildError(EngineUnavailable("nothing answers")), 75),
        (BuildError(object()), 70),
    ],
)
def test_exit_code_says_whose_turn_it_is(
    launchyard: Launchyard, six: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    monkeypatch.setattr("builder.build.plan", raising(error))
    result = launchyard("plan", six)
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.strip()


def test_stopped_command_gives_one_json_document_that_says_so(
    launchyard: Launchyard, six: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builder.build.plan", raising(KeyboardInterrupt()))
    result = launchyard("plan", six, "--json")
    assert result.exit_code == 130
    error = json.loads(result.stdout)["error"]
    assert (error["code"], set(error)) == ("stopped", {"code", "title", "seen", "fix", "blame"})


# build


def test_build_prints_the_reference_and_nothing_else(launchyard: Launchyard, six: Path, tmp_path: Path) -> None:
    result = launchyard("build", six, "--metadata-file", tmp_path / "built.json", "--tag", "lab/tides:v1")
    assert result.exit_code == 0
    written = json.loads((tmp_path / "built.json").read_text())
    assert result.stdout == written["reference"] + "\n"
    assert "deciding versions" in result.stderr
    assert "Built in" in result.stderr
    members = "reference image_id digest size key commit lock reused reason seconds steps warnings"
    assert set(written) == set(members.split())
    assert written["reused"] is False
    tagged = launchyard.engine.inspect("lab/tides:v1")
    assert tagged
    assert tagged.id == written["image_id"]


def test_second_build_reuses_the_image_and_asks_the_engine_for_nothing(launchyard: Launchyard, six: Path) -> None:
    reference = launchyard.ok("build", six)
    asked = len(launchyard.engine.requests)
    result = launchyard("build", six)
    assert result.stdout == reference
    assert "Reused in 0.0 s: nothing that matters changed" in result.stderr
    assert len(launchyard.engine.requests) == asked


def test_commit_of_the_readme_reuses_the_image(launchyard: Launchyard, six: Path) -> None:
    first = launchyard.json("build", six)
    (six / "README.md").write_text("More tides.\n")
    commit(six, "more")
    second = launchyard.json("build", six)
    assert second["reused"] is True
    assert second["reference"] == first["reference"]
    assert second["commit"] != first["commit"]


def test_rebuild_finds_new_versions_and_diff_shows_them(
    launchyard: Launchyard, make_repository: MakeRepository
) -> None:
    repository = make_repository({"requirements.txt": "numpy\nsix\n"})
    before = launchyard.ok("build", repository).strip()
    launchyard.engine.index = {"six": "1.17.0", "numpy": "2.2.2"}
    assert launchyard.ok("build", repository).strip() == before
    after = launchyard.ok("build", repository, "--rebuild").strip()
    assert after != before
    assert launchyard.ok("diff", before, after) == "~  six  1.16.0 -> 1.17.0\n"
    assert launchyard.ok("diff", after, after) == "The same packages in both.\n"
    assert launchyard.json("diff", before, after)["changed"][0][1]["version"] == "1.17.0"


def test_owners_have_the_same_key_and_neither_images_nor_tags_in_common(launchyard: Launchyard, six: Path) -> None:
    key = launchyard.json("plan", six)["key"]
    references = {}
    for owner in ("", "ada", "grace"):
        launchyard.settings = replace(launchyard.settings, owner=owner)
        assert launchyard.json("plan", six)["key"] == key
        references[owner] = launchyard.ok("build", six).strip()
        assert launchyard.engine.requests[-1].owner == owner
    name = references[""].removeprefix("launchyard/")
    assert "/" not in name
    assert references == {
        "": f"launchyard/{name}",
        "ada": f"launchyard/ada/{name}",
        "grace": f"launchyard/grace/{name}",
    }
    built = len(launchyard.engine.requests)
    launchyard.settings = replace(launchyard.settings, owner="ada")
    assert launchyard.ok("build", six).strip() == references["ada"]
    assert len(launchyard.engine.requests) == built
    ids = {image.id for image in map(launchyard.engine.inspect, references.values()) if image}
    assert len(ids) == 3


@pytest.mark.parametrize("written", [b"", b"[", b"1", b"[1]", b'[["code"]]', b"[" * 100_000])
def test_a_record_that_foreign_code_has_spoilt_is_explained(
    launchyard: Launchyard, six: Path, monkeypatch: pytest.MonkeyPatch, written: bytes
) -> None:
    read = {"problems.json": written, "packages.json": written, "lock.json": b""}
    monkeypatch.setattr(FakeEngine, "read", lambda self, reference, directory: read)
    error = launchyard.error("build", six)
    assert (error["code"], error["blame"]) == ("record-invalid", "repository")


def test_failed_rebuild_leaves_the_last_good_image_in_use(launchyard: Launchyard, six: Path) -> None:
    reference = launchyard.ok("build", six)
    launchyard.engine.index = {}
    result = launchyard("build", six, "--rebuild")
    assert result.exit_code == 65
    assert result.stdout == ""
    assert "error: There is no package six" in result.stderr
    assert "failed  deciding versions" in result.stderr
    assert launchyard.ok("build", six) == reference


def test_name_that_no_image_can_have_is_refused_before_anything_is_built(launchyard: Launchyard, six: Path) -> None:
    assert launchyard.error("build", six, "--tag", "Lab Tides")["code"] == "reference-invalid"
    assert launchyard.engine.requests == []


def test_metadata_file_in_a_directory_that_is_not_there_is_refused_before_anything_is_built(
    launchyard: Launchyard, six: Path, tmp_path: Path
) -> None:
    assert launchyard("build", six, "--metadata-file", tmp_path / "absent" / "built.json").exit_code == 2
    assert launchyard.engine.requests == []


def test_push_gives_the_digest_of_the_registry(launchyard: Launchyard, six: Path) -> None:
    result = launchyard("build", six, "--push")
    assert result.exit_code == 75
    assert launchyard.error("build", six, "--push")["code"] == "push-failed"
    launchyard.engine.registries.add("launchyard")
    assert launchyard.json("build", six, "--push")["digest"].startswith("sha256:")


def test_words_of_a_failed_step_cannot_steer_the_terminal(
    launchyard: Launchyard, six: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ("\x1b[31mred\x1b[0m", "\x1b]0;title\x07bell\x07", "plain")
    failed = BuildFailed("[lock 2/2] RUN lock", "exit code: 9", lines)
    monkeypatch.setattr(type(launchyard.engine), "build", raising(failed))
    result = launchyard("build", six)
    assert result.exit_code == 65
    assert "  red\n  bell\n  plain\n" in result.stderr


# packages


def test_packages_are_those_in_the_image(launchyard: Launchyard, six: Path) -> None:
    reference = launchyard.ok("build", six).strip()
    assert launchyard.ok("packages", reference) == "six  1.16.0  index  asked for\n"
    listed = launchyard.json("packages", reference, "--requested")["packages"]
    assert listed == [{"name": "six", "version": "1.16.0", "source": "index", "requested": True}]


LACKING = {
    "libraries.json": [
        {"library": "libGL.so.1", "packages": ["opencv"], "files": ["/opt/env/lib/cv2.so"], "debian": "libgl1"},
        {"library": "libtide.so.2", "packages": ["six"], "files": ["/opt/env/lib/six.so"], "debian": None},
    ],
    "problems.json": [["library-missing", "libGL.so.1 is needed by opencv"], ["kernel", "There is no kernel"]],
}


def test_missing_libraries_follow_the_packages_and_are_not_said_twice(launchyard: Launchyard, six: Path) -> None:
    launchyard.engine.documents = LACKING
    built = launchyard("build", six)
    assert "warning: libGL.so.1 is needed by opencv\n" in built.stderr
    result = launchyard("packages", built.stdout.strip())
    assert result.stdout == (
        "six  1.16.0  index  asked for\n\nMissing libraries\n"
        "  libGL.so.1    needed by opencv  apt.txt: libgl1\n"
        "  libtide.so.2  needed by six\n"
    )
    assert result.stderr == "warning: There is no kernel\n"


def test_what_a_build_warned_of_is_said_again_when_its_image_is_reused(launchyard: Launchyard, six: Path) -> None:
    launchyard.engine.documents = LACKING
    built, reused = launchyard.json("build", six), launchyard.json("build", six)
    assert (built["reused"], reused["reused"]) == (False, True)
    assert [warned["code"] for warned in built["warnings"]] == ["library-missing", "kernel"]
    assert reused["warnings"] == built["warnings"]


def test_missing_libraries_as_json_are_whole(launchyard: Launchyard, six: Path) -> None:
    launchyard.engine.documents = LACKING
    document = launchyard.json("packages", launchyard.ok("build", six).strip())
    assert document["missing_libraries"] == LACKING["libraries.json"]
    assert [warned["code"] for warned in document["warnings"]] == ["library-missing", "kernel"]


def test_image_that_is_not_there_or_not_launchyards_has_no_packages(launchyard: Launchyard) -> None:
    assert launchyard.error("packages", "lab/tides")["code"] == "image-absent"
    foreign(launchyard.engine)
    assert launchyard.error("packages", "lab/tides")["code"] == "image-foreign"
    assert launchyard("packages", "lab/tides").exit_code == 2


# dockerfile


def test_dockerfile_is_printed_as_it_is_built(launchyard: Launchyard, six: Path) -> None:
    text = launchyard.ok("dockerfile", six)
    assert text.startswith("FROM scratch AS request\n")
    assert launchyard.json("dockerfile", six)["dockerfile"] == text


def test_context_is_written_with_those_of_its_parents(launchyard: Launchyard, six: Path, tmp_path: Path) -> None:
    output = tmp_path / "context"
    said = launchyard.ok("dockerfile", six, "--frontend", "none", "--output", output)
    assert (output / "Dockerfile").read_text() == launchyard.ok("dockerfile", six, "--frontend", "none")
    assert (output / "source" / "requirements.txt").read_text() == "six==1.16.0\n"
    assert (output / "parents" / "tools" / "Dockerfile").exists()
    assert (output / "parents" / "none" / "session" / "start").stat().st_mode & 0o111
    commands = [line for line in said.splitlines() if line.startswith("docker buildx build ")]
    assert [line.rpartition(" ")[2] for line in commands] == [
        f"{output}/parents/tools",
        f"{output}/parents/none",
        str(output),
    ]
    assert "io.launchyard.key=" in commands[-1]


def test_context_keeps_a_link_that_leads_out_of_the_repository(
    launchyard: Launchyard, make_repository: MakeRepository, tmp_path: Path
) -> None:
    repository = make_repository({"requirements.txt": "six\n", "postBuild": "#!/bin/sh\n"})
    (repository / "data").symlink_to("/data/shared")
    commit(repository)
    launchyard.ok("dockerfile", repository, "--output", tmp_path / "context")
    assert (tmp_path / "context" / "repository" / "data").readlink() == Path("/data/shared")


def test_context_is_not_written_over_files_of_a_persons_own(launchyard: Launchyard, six: Path, tmp_path: Path) -> None:
    assert launchyard("dockerfile", six, "--output", six).exit_code == 2
    assert not (six / "Dockerfile").exists()


def test_no_secret_is_written_or_printed_with_a_context(launchyard: Launchyard, six: Path, tmp_path: Path) -> None:
    index = Index(url="https://ada:hunter2@index.example.org/simple")
    launchyard.settings = replace(launchyard.settings, index=index)
    said = launchyard.ok("dockerfile", six, "--output", tmp_path / "context")
    assert "PIP_INDEX_URL=https://USER:PASSWORD@index.example.org/simple" in said
    assert "--secret=id=settings,src=settings.env" in said
    everything = "".join(
        path.read_text(errors="replace") for path in (tmp_path / "context").rglob("*") if path.is_file()
    )
    assert "hunter2" not in said + everything

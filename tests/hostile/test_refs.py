"""Refs that are options or more than a name, that mean two things, and that move."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from builder.service import Builder, Planned, Request
from tests.command import Launchyard
from tests.conftest import MakeRepository, commit, git, write_repository
from tests.forge import Backend, Host, hosting
from tests.hostile.asking import command, refused

INVALID, ABSENT = "ref-invalid", "ref-absent"

REFS = [
    ("--upload-pack=touch${IFS}x", INVALID),
    ("-oProxyCommand=x", INVALID),
    ("--output=x", INVALID),
    ("--all", INVALID),
    ("-", INVALID),
    ("--", INVALID),
    ("", INVALID),
    ("a..b", INVALID),
    ("main...v1", INVALID),
    ("^main", INVALID),
    ("HEAD@{1}", INVALID),
    ("@{-1}", INVALID),
    ("@", INVALID),
    ("main~1", INVALID),
    ("main^{tree}", INVALID),
    (":/words", INVALID),
    ("main:requirements.txt", INVALID),
    ("refs/heads/*", INVALID),
    ("ma?n", INVALID),
    ("[m]ain", INVALID),
    ("../../HEAD", INVALID),
    ("/etc/passwd", INVALID),
    ("main.lock", INVALID),
    ("a/.b", INVALID),
    ("a//b", INVALID),
    ("main\n", INVALID),
    ("main\nv1", INVALID),
    ("ma\x00in", INVALID),
    ("ma\x1b[31min", INVALID),
    ("ma\u202ein", INVALID),
    ("a b", INVALID),
    ("a\\b", INVALID),
    ("a" * 10_000, INVALID),
    ("$(id)", ABSENT),
    ("`id`", ABSENT),
    ("';id;'", ABSENT),
    ("{main}", ABSENT),
    ("mian", ABSENT),
    ("0" * 40, ABSENT),
    ("refs/pull/1/head", ABSENT),
    ("ext::sh", INVALID),
]


@pytest.fixture
def launchyard(tmp_path: Path) -> Launchyard:
    return Launchyard(tmp_path / "installation")


def make(directory: Path) -> Path:
    """A repository with a branch and a tag named v1 that are different commits."""
    write_repository(directory, {"requirements.txt": "six\n"})
    git(directory, "-c", "tag.gpgSign=false", "tag", "--annotate", "--message=x", "v1")
    git(directory, "switch", "--quiet", "--create", "v1")
    (directory / "requirements.txt").write_text("numpy\n")
    commit(directory)
    git(directory, "switch", "--quiet", "main")
    return directory


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that no test changes."""
    return make(tmp_path_factory.mktemp("still") / "repository")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make(tmp_path / "repository")


@pytest.fixture
def forge(launchyard: Launchyard, tmp_path: Path) -> Iterator[str]:
    with hosting(Backend, tmp_path) as host:
        launchyard.settings = replace(launchyard.settings, allowed_hosts=(host.address,))
        yield f"{host.address}/repository"


@pytest.mark.parametrize(("ref", "code"), REFS, ids=lambda text: ascii(text)[:30])
def test_a_ref_of_a_local_repository_that_is_none_is_explained(
    ref: str, code: str, still: Path, launchyard: Launchyard
) -> None:
    answer = refused(launchyard, "plan", still, f"--ref={ref}")
    assert answer.code == code
    assert "no branch, tag or commit" in answer.words if code == ABSENT else "not the name of a branch" in answer.words
    assert "\x1b[31m" not in answer.shown


@pytest.mark.parametrize(("ref", "code"), [row for row in REFS if row[1] == ABSENT], ids=lambda text: text[:30])
def test_a_ref_that_a_host_has_not_is_explained(ref: str, code: str, still: Path, launchyard: Launchyard) -> None:
    with hosting(Backend, still.parent) as host:
        launchyard.settings = replace(launchyard.settings, allowed_hosts=(host.address,))
        answer = refused(launchyard, "plan", f"{host.address}/repository", f"--ref={ref}")
    assert answer.code == code
    assert f"no branch, tag or commit {ref}" in answer.words


def test_no_ref_reaches_the_options_of_git_from_a_process(still: Path) -> None:
    for ref in ("--upload-pack=x", "--output=made", "-cx"):
        done = command("plan", still, f"--ref={ref}")
        assert done.returncode == 65
        assert "not the name of a branch, a tag or a commit" in done.stderr
        assert "Traceback" not in done.stderr
    assert not list(still.rglob("made"))


def test_a_branch_comes_before_a_tag_of_its_name_and_the_plan_says_so(
    repository: Path, forge: str, launchyard: Launchyard
) -> None:
    tagged, branched = git(repository, "rev-parse", "main"), git(repository, "rev-parse", "refs/heads/v1")
    for place in (repository, forge):
        document = launchyard.json("plan", place, "--ref=v1")
        assert document["repository"]["commit"] == branched
        assert document["requested"] == ["numpy"]
        assert document["warnings"][0]["code"] == "ref-ambiguous"
        assert "v1 is a branch and a tag; the branch is taken" in launchyard.ok("plan", place, "--ref=v1")
        asked_whole = launchyard.json("plan", place, "--ref=refs/tags/v1")
        assert asked_whole["repository"]["commit"] == tagged
        assert asked_whole["warnings"] == []


def test_a_branch_and_a_tag_on_one_commit_are_nothing_to_warn_of(
    repository: Path, forge: str, launchyard: Launchyard
) -> None:
    git(repository, "tag", "--annotate", "--force", "--message=x", "v1", "refs/heads/v1")
    for place in (repository, forge):
        assert launchyard.json("plan", place, "--ref=v1")["warnings"] == []


def planned(launchyard: Launchyard, place: object, ref: str) -> Planned:
    builder = Builder(launchyard.settings, launchyard.engine, allow_local=True)
    return builder.plan(Request(str(place), ref))


def contents(planned: Planned) -> dict[str, bytes]:
    """The files that a build of the plan is given."""
    if planned.plan.needs_source:
        planned.commit.source.fetch_all()
    stream = io.BytesIO()
    planned.context.write_tar(stream, planned.commit.source, 1_000_000)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as tar:
        files = {member.name: tar.extractfile(member) for member in tar if member.isfile()}
        return {name: file.read() for name, file in files.items() if file}


def test_a_ref_that_moves_after_the_plan_changes_nothing_of_the_build(
    repository: Path, forge: str, launchyard: Launchyard
) -> None:
    (repository / "postBuild").write_text("#!/bin/sh\necho before\n")
    before = commit(repository)
    for number, place in enumerate((repository, forge)):
        plan = planned(launchyard, place, "main")
        assert plan.commit.id == before
        (repository / "postBuild").write_text(f"#!/bin/sh\necho after {number}\n")
        (repository / "requirements.txt").write_text(f"after{number}\n")
        assert commit(repository) != before
        files = contents(plan)
        assert files["source/requirements.txt"] == b"six\n"
        assert files["repository/postBuild"] == b"#!/bin/sh\necho before\n"
        git(repository, "reset", "--quiet", "--hard", before)


class Moving(Backend):
    """A host whose branch moves as soon as it has been named."""

    def answer(self) -> None:
        super().answer()
        repository = self.root / "repository"
        if self.command == "POST" and not (repository / "moved").exists():
            (repository / "moved").touch()
            (repository / "requirements.txt").write_text("moved\n")
            commit(repository)


def test_a_ref_that_moves_while_it_is_planned_is_the_commit_it_was_first(
    make_repository: MakeRepository, launchyard: Launchyard, tmp_path: Path
) -> None:
    repository = make_repository({"requirements.txt": "six\n"})
    first = git(repository, "rev-parse", "main")
    with hosting(Moving, tmp_path) as host:
        launchyard.settings = replace(launchyard.settings, allowed_hosts=(host.address,))
        plan = planned(launchyard, f"{host.address}/repository", "main")
        assert git(repository, "rev-parse", "main") != first
        assert plan.commit.id == first
        assert contents(plan)["source/requirements.txt"] == b"six\n"


class Inventing(Host):
    """A host that answers with refs whose names are lines of their own."""

    REFS = (
        " HEAD\0multi_ack\n",
        " refs/heads/a\nrefs/heads/b\n\x1b[31m",
        " refs/heads/\n",
        " x\n",
        " refs/tags/../../y\n",
    )

    def answer(self) -> None:
        lines = ["# service=git-upload-pack\n", *("1" * 40 + ref for ref in self.REFS)]
        packets = [f"{len(line) + 4:04x}{line}" for line in lines]
        body = packets[0] + "0000" + "".join(packets[1:]) + "0000"
        kind = {"Content-Type": "application/x-git-upload-pack-advertisement"}
        self.send(200, kind if self.command == "GET" else {}, body.encode())


@pytest.mark.parametrize("ref", [None, "a", "main"])
def test_refs_that_a_host_invents_come_to_an_explanation(
    ref: str | None, launchyard: Launchyard, tmp_path: Path
) -> None:
    with hosting(Inventing, tmp_path) as host:
        launchyard.settings = replace(launchyard.settings, allowed_hosts=(host.address,))
        answer = refused(launchyard, "plan", f"{host.address}/repository", *([f"--ref={ref}"] if ref else []))
    assert answer.code in (ABSENT, "host-unreachable", "repository-unavailable")
    assert "\x1b[31m" not in answer.shown

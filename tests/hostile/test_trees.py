"""Trees that are too large, too deep, not what their names say, or not of this repository."""

from __future__ import annotations

import io
import stat
import tarfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from builder.service import Builder, Request
from tests.command import Launchyard
from tests.conftest import MakeRepository, commit, git
from tests.forge import Backend, Host, hosting
from tests.hostile.asking import command, refused
from tests.hostile.objects import DIRECTORY, FILE, LINK, SCRIPT, SUBMODULE, Objects, TreeEntry, repository_of

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"
SECONDS = 8
"""Of processor time for asking twice, which takes one at the most; without bounds a row takes minutes."""

ELSEWHERE = "1" * 40
"""A commit, or an object, that is not in the repository."""


def requirements(*entries: TreeEntry) -> Callable[[Objects], str]:
    """A tree with a requirements.txt of one package."""
    return lambda o: o.tree(*entries, (FILE, "requirements.txt", o.six))


def named(mode: str, content: bytes, name: str = "requirements.txt") -> Callable[[Objects], str]:
    return lambda o: o.tree((mode, name, o.blob(content)))


def a_million_in_one(o: Objects) -> str:
    return o.raw_tree(_million(o.six))


@cache
def _million(blob: str) -> bytes:
    entries = (f"{FILE} {n:07d}\0".encode() + bytes.fromhex(blob) for n in range(1_000_000))
    return b"".join((*entries, f"{FILE} requirements.txt\0".encode() + bytes.fromhex(blob)))


def a_million_in_a_thousand(o: Objects) -> str:
    thousand = o.files(FILE, (f"{n:04d}" for n in range(1_000)), o.six)
    return o.files(DIRECTORY, (f"{n:04d}" for n in range(1_000)), thousand)


def a_hundred_large_ones(o: Objects) -> str:
    large = [o.files(FILE, (f"{n:06d}{m}" for n in range(100_000)), o.six) for m in range(4)]
    return o.tree(*((DIRECTORY, f"{n:03d}", large[n % 4]) for n in range(100)))


def beyond_counting(o: Objects, *entries: TreeEntry) -> str:
    """Ten to the power of thirteen files in fourteen objects."""
    tree = o.files(FILE, "0123456789", o.six)
    for _ in range(11):
        tree = o.files(DIRECTORY, "0123456789", tree)
    return o.files(DIRECTORY, "0123456789", tree, *entries)


def bottomless(o: Objects, *entries: TreeEntry) -> str:
    tree = o.files(FILE, "0", o.six)
    for _ in range(5_000):
        tree = o.tree((DIRECTORY, "d", tree))
    return o.tree((DIRECTORY, "d", tree), *entries)


REFUSED = [
    ("link out", named(LINK, b"../../etc/passwd"), "path-outside", "leads out of the repository"),
    ("link to the root", named(LINK, b"/etc/passwd"), "path-outside", "requirements.txt -> /etc/passwd"),
    ("link that is deep", named(LINK, b"a/" * 1_900 + b"a"), "path-absent", "does not exist"),
    ("link to itself", named(LINK, b"requirements.txt"), "path-outside", "leads out of the repository"),
    ("link to nowhere", named(LINK, b"absent"), "path-absent", "requirements.txt does not exist"),
    ("link with a NUL", named(LINK, b"a\0b"), "path-absent", "requirements.txt does not exist"),
    ("link of 5 MB", named(LINK, b"a/" * 2_500_000), "file-too-large", "4,000 are read at most"),
    ("directory", lambda o: o.tree((DIRECTORY, "requirements.txt", o.tree())), "not-afile", "is a directory, where"),
    ("submodule", lambda o: o.tree((SUBMODULE, "requirements.txt", ELSEWHERE)), "not-afile", "is a submodule, where"),
    ("50 MB", named(FILE, b"#" * 50_000_000), "file-too-large", "50,000,000 bytes; 1,000,000 are read at most"),
    ("50 MB of YAML", named(FILE, b"#" * 50_000_000, "environment.yml"), "file-too-large", "environment.yml"),
    ("pointer", named(FILE, POINTER), "lfs-pointer", "git lfs untrack requirements.txt"),
    ("pointer to a start", lambda o: requirements((SCRIPT, "start", o.blob(POINTER)))(o), "lfs-pointer", "start is"),
    ("no such blob", lambda o: o.tree((FILE, "requirements.txt", ELSEWHERE)), "address-invalid", "lacks an object"),
    ("no such tree", requirements((DIRECTORY, "binder", ELSEWHERE)), "address-invalid", "lacks an object"),
    ("blob as tree", lambda o: requirements((DIRECTORY, "binder", o.six))(o), "file-invalid", "binder is not valid"),
    ("tree as blob", lambda o: o.tree((FILE, "environment.yml", o.tree())), "file-invalid", "t is empty"),
    ("up", lambda o: requirements((FILE, "../x", o.six))(o), "file-invalid", "git fsck"),
    ("parent", lambda o: requirements((DIRECTORY, "..", o.tree()))(o), "file-invalid", "git fsck"),
    ("git directory", lambda o: requirements((DIRECTORY, ".git", o.tree()))(o), "file-invalid", "git fsck"),
    ("no name", lambda o: requirements((FILE, "", o.six))(o), "file-invalid", "git fsck"),
    ("no mode", lambda o: requirements(("x", "y", o.six))(o), "file-invalid", "git fsck"),
    ("nothing", lambda o: o.tree(), "no-environment", "In the root of the repository:\n  nothing"),
    ("a million in one", a_million_in_one, "directory-too-large", "5,000,000 are read at most"),
    ("a million in a thousand", a_million_in_a_thousand, "no-environment", "  0000/\n    0000"),
    ("large ones", a_hundred_large_ones, "no-environment", "  000/\n    0000000"),
    ("beyond counting", beyond_counting, "no-environment", "  0/\n    0/\n    1/"),
    ("a name of 4 MB", named(FILE, b"", "requirements" + ".txt" * 1_000_000), "no-environment", "requirements.txt.txt"),
]  # fmt: skip


@pytest.fixture
def launchyard(tmp_path: Path) -> Launchyard:
    return Launchyard(tmp_path / "installation")


@pytest.mark.parametrize(("tree", "code", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_tree_that_is_none_is_explained(
    tree: Callable[[Objects], str], code: str, words: str, launchyard: Launchyard, tmp_path: Path
) -> None:
    repository = repository_of(tmp_path / "repository", tree)
    began = time.process_time()
    answer = refused(launchyard, "plan", repository)
    assert time.process_time() - began < SECONDS
    assert answer.code == code, answer.words
    assert words in answer.words
    assert len(answer.words) < 10_000


@pytest.mark.parametrize("target", [b"real.txt", b"./real.txt", b"../repository/real.txt"])
def test_a_link_is_followed_inside_the_repository_only(target: bytes, launchyard: Launchyard, tmp_path: Path) -> None:
    repository = repository_of(
        tmp_path / "repository",
        lambda o: o.tree((FILE, "real.txt", o.six), (LINK, "requirements.txt", o.blob(target))),
    )
    if b"repository" in target:
        assert refused(launchyard, "plan", repository).code == "path-outside"
    else:
        assert launchyard.json("plan", repository)["requested"] == ["six"]


@pytest.mark.parametrize("line", ["-r", "-c", "-e"])
@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("../../etc/passwd", "path-outside"),
        ("sub/../../../etc/passwd", "path-outside"),
        ("/etc/passwd", "path-outside"),
        ("sub", {"-r": "not-afile", "-c": "not-afile", "-e": "not-adirectory"}),
        ("link", "path-outside"),
        ("sub/requirements.txt", "path-absent"),
        ("'we\nird.txt'", "file-invalid"),
    ],
)
def test_a_line_leads_nowhere_but_to_files_of_the_repository(
    line: str, target: str, code: str | dict[str, str], launchyard: Launchyard, tmp_path: Path
) -> None:
    def tree(o: Objects) -> str:
        text = f"{line} {target}\n".encode()
        return o.tree(
            (LINK, "link", o.blob(b"/etc/passwd")),
            (FILE, "requirements.txt", o.blob(text)),
            (SUBMODULE, "sub", ELSEWHERE),
        )

    answer = refused(launchyard, "plan", repository_of(tmp_path / "repository", tree))
    assert answer.code == (code if isinstance(code, str) else code[line])
    assert "root:" not in answer.shown


def test_a_submodule_is_said_to_be_one(launchyard: Launchyard, tmp_path: Path) -> None:
    entries = [(SUBMODULE, name, ELSEWHERE) for name in ("binder", "sub")]
    repository = repository_of(tmp_path / "repository", requirements(*entries))
    answer = refused(launchyard, "plan", repository, "--subdir=sub")
    assert answer.code == "not-adirectory"
    assert "sub is a submodule, where a directory is needed" in answer.words
    assert refused(launchyard, "plan", repository, "--subdir=sub/deeper").code == "directory-absent"
    document = launchyard.json("plan", repository)
    assert document["ignored"] == [{"path": "binder", "reason": "a submodule is not read"}]


def test_a_million_files_beside_the_environment_cost_nothing(launchyard: Launchyard, tmp_path: Path) -> None:
    def tree(o: Objects) -> str:
        return o.tree((DIRECTORY, "data", a_million_in_a_thousand(o)), (DIRECTORY, "one", a_million_in_one(o)),
                      (FILE, "requirements.txt", o.six))  # fmt: skip

    assert launchyard.json("plan", repository_of(tmp_path / "repository", tree))["requested"] == ["six"]


@pytest.mark.parametrize(
    ("tree", "code", "words"),
    [
        (beyond_counting, "too-many-files", "more than 100,000 files"),
        (bottomless, "path-too-long", "more than 4,000 characters"),
        (a_million_in_one, "directory-too-large", "holds too many files"),
    ],
)
def test_a_build_that_needs_it_all_is_bounded(
    tree: Callable[..., str], code: str, words: str, launchyard: Launchyard, tmp_path: Path
) -> None:
    def with_script(o: Objects) -> str:
        below = (DIRECTORY, "z", tree(o))
        return o.tree((SCRIPT, "postBuild", o.blob(b"#!/bin/sh\n")), (FILE, "requirements.txt", o.six), below)

    repository = repository_of(tmp_path / "repository", with_script)
    result = launchyard("dockerfile", repository, "--output", tmp_path / "output")
    assert result.exit_code == 65, result.exception
    assert words in result.stderr
    assert launchyard("plan", repository).exit_code == 0


NAMES = [
    "a\nb",
    "a'b",
    'a"b',
    "$(id)",
    "`id`",
    "a b",
    "--option",
    "-",
    "é",
    "\udcff",
    "\x1b[31m",
    "a\\b",
    "*",
    "~",
    "…" * 80,
]


def test_any_name_goes_into_a_context_as_it_is(launchyard: Launchyard, tmp_path: Path) -> None:
    def tree(o: Objects) -> str:
        entries = [(FILE, name.encode(errors="surrogateescape"), o.six) for name in NAMES]
        return o.tree((SCRIPT, "postBuild", o.six), (FILE, "requirements.txt", o.six), *entries)

    repository = repository_of(tmp_path / "repository", tree)
    builder = Builder(launchyard.settings, launchyard.engine, allow_local=True)
    planned = builder.plan(Request(str(repository)))
    assert not any(name in planned.context.dockerfile for name in NAMES[:5])
    stream = io.BytesIO()
    planned.context.write_tar(stream, planned.commit.source, 1_000_000)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as tar:
        assert {f"repository/{name}" for name in NAMES} <= set(tar.getnames())


def test_names_cannot_pass_for_words_of_launchyard(launchyard: Launchyard, tmp_path: Path) -> None:
    def tree(o: Objects) -> str:
        forged = o.tree((FILE, "requirements.txt", o.six))
        return o.tree(*((DIRECTORY, name.encode(errors="surrogateescape"), forged) for name in NAMES),
                      (FILE, "requirement.txt\nto do: run it\x1b[2J", o.six))  # fmt: skip

    answer = refused(launchyard, "plan", repository_of(tmp_path / "repository", tree))
    assert answer.code == "no-environment"
    assert "\x1b" not in answer.shown
    assert "\nto do: run it" not in answer.shown
    assert "a\\nb/" in answer.words


def test_paths_cannot_pass_for_words_of_launchyard(make_repository: MakeRepository, launchyard: Launchyard) -> None:
    document = '[project]\nname = "a"\nversion = "1"\n[tool.uv.sources]\nx = {path = "x\\nto do: run it\\u001b[2J"}\n'
    answer = refused(launchyard, "plan", make_repository({"pyproject.toml": document}))
    assert answer.code == "path-absent"
    assert "\x1b" not in answer.shown
    assert "\nto do: run it" not in answer.shown


# What a repository that was handed on as an archive may have in its own .git


def trap(tmp_path: Path) -> tuple[Path, str]:
    """A program that leaves a mark when it is run, and the mark."""
    program, mark = tmp_path / "trap", tmp_path / "sprung"
    program.write_text(f"#!/bin/sh\necho sprung >> {mark}\ncat\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return mark, str(program)


@pytest.mark.parametrize("worktree", [[], ["--worktree"]], ids=["commit", "worktree"])
def test_no_program_that_a_repository_names_is_run(
    worktree: list[str], make_repository: MakeRepository, launchyard: Launchyard, tmp_path: Path
) -> None:
    repository = make_repository({"requirements.txt": "six\n", ".gitattributes": "* filter=x diff=x merge=x text\n"})
    inner = make_repository({"a": "a"}, "inner")
    inner.rename(repository / "sub")
    commit(repository)
    mark, program = trap(tmp_path)
    for directory in (repository, repository / "sub"):
        for name in (
            "filter.x.clean", "filter.x.smudge", "filter.x.process", "diff.x.textconv", "diff.x.command",
            "diff.external", "core.fsmonitor", "core.pager", "core.editor", "core.sshCommand", "core.askPass",
            "core.alternateRefsCommand", "core.gitProxy", "credential.helper", "pager.rev-parse", "alias.rev-parse",
            "trailer.x.command", "gpg.program", "uploadpack.packObjectsHook",
        ):  # fmt: skip
            git(directory, "config", name, f"!{program}" if name[:5] in ("alias", "crede") else program)
        git(directory, "config", "core.hooksPath", str(tmp_path / "hooks"))
    (tmp_path / "hooks").mkdir()
    for hook in ("post-index-change", "reference-transaction", "fsmonitor-watchman", "pre-commit", "post-checkout"):
        (tmp_path / "hooks" / hook).symlink_to(program)
    (repository / "requirements.txt").write_text("numpy\n")
    (repository / "sub" / "a").write_text("changed\n")
    mark.unlink(missing_ok=True)
    requested = launchyard.json("plan", repository, *worktree)["requested"]
    assert requested == (["numpy"] if worktree else ["six"])
    assert not mark.exists()


@pytest.mark.parametrize(
    ("lacking", "worktree", "code"),
    [
        ("HEAD:requirements.txt", [], "address-invalid"),
        ("HEAD:requirements.txt", ["--worktree"], "no-environment"),
        ("HEAD^{tree}", [], "address-invalid"),
        ("HEAD", [], "address-invalid"),
        ("HEAD", ["--ref=main"], "ref-absent"),
    ],
)
def test_a_repository_that_lacks_an_object_sends_nobody_to_get_it(
    lacking: str,
    worktree: list[str],
    code: str,
    make_repository: MakeRepository,
    launchyard: Launchyard,
    tmp_path: Path,
) -> None:
    with hosting(Host, tmp_path) as host:
        repository = make_repository({"requirements.txt": "six\n"})
        name = git(repository, "rev-parse", lacking)
        mark, program = trap(tmp_path)
        for key, value in (
            ("core.repositoryFormatVersion", "1"), ("extensions.partialClone", "origin"),
            ("remote.origin.url", f"{host.address}/x"), ("remote.origin.promisor", "true"),
            ("credential.helper", f"!{program}"),
        ):  # fmt: skip
            git(repository, "config", key, value)
        (repository / ".git" / "objects" / name[:2] / name[2:]).unlink()
        (repository / "requirements.txt").unlink()
        answer = refused(launchyard, "plan", repository, *worktree)
        assert answer.code == code
        assert host.asked == []
    assert not mark.exists()


def test_a_repository_brings_no_settings_of_its_own(
    make_repository: MakeRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LAUNCHYARD_CONFIG", raising=False)
    (tmp_path / "secret").write_text("key\n")
    trusting = f'certificates = "{tmp_path}/secret"\n[index]\nurl = "https://a.example/"\n'
    files = {"requirements.txt": "six\n", "launchyard.toml": trusting}
    repository = make_repository(files)
    variables = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    for directory, place in ((repository, "."), (repository, str(repository))):
        done = command("plan", place, directory=directory, variables=variables)
        assert done.returncode == 2, done.stderr
        assert "A repository cannot bring settings" in done.stderr
    assert command("plan", repository, directory=tmp_path, variables=variables).returncode == 0
    named = {**variables, "LAUNCHYARD_CONFIG": str(repository / "launchyard.toml")}
    assert command("plan", ".", directory=repository, variables=named).returncode == 0
    git(repository, "rm", "--quiet", "--cached", "launchyard.toml")
    git(repository, "commit", "--quiet", "--message=mine")
    assert command("plan", ".", directory=repository, variables=variables).returncode == 0


def test_objects_of_another_format_are_said_to_be(launchyard: Launchyard, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    git(repository, "init", "--quiet", "--initial-branch=main", "--object-format=sha256")
    (repository / "requirements.txt").write_text("six\n")
    commit(repository)
    with hosting(Backend, tmp_path) as host:
        launchyard.settings = replace(launchyard.settings, allowed_hosts=(host.address,))
        for place in (repository, f"{host.address}/repository"):
            answer = refused(launchyard, "plan", place)
            assert answer.code == "objects-unread"
            assert "SHA-256" in answer.words


def test_a_remote_tree_is_held_to_the_same(launchyard: Launchyard, tmp_path: Path) -> None:
    with hosting(Backend, tmp_path) as host:
        launchyard.settings = replace(launchyard.settings, allowed_hosts=(host.address,))
        for name, tree, code, _ in REFUSED:
            if name in ("link out", "submodule", "50 MB", "pointer", "up", "git directory", "a million in a thousand"):
                directory = name.replace(" ", "-")
                repository_of(tmp_path / directory, tree)
                assert refused(launchyard, "plan", f"{host.address}/{directory}").code == code, name

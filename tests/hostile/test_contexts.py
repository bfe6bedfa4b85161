"""What a repository says is data of a build: in no line of a Dockerfile, and no file that BuildKit obeys."""

from __future__ import annotations

import io
import json
import os
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.build import MAX_LABEL, Planned, image_labels
from builder.buildkit import BuildKit
from builder.context import Context, environment
from builder.engine import BuildFailed, BuildRequest
from builder.service import Builder, Request
from builder.settings import Settings
from detectors import CHAIN
from detectors.plan import Choice, Evidence, FileRef, Ignored, Plan, Warned
from detectors.source import MappingSource
from tests.command import Launchyard
from tests.conftest import MakeRepository, commit

PLACES = ("request/", "source/", "package/", "repository/", "start")
"""Where a context may have files; BuildKit itself looks for Dockerfile and .dockerignore at its root alone."""

WORDS = st.text(min_size=1).map(lambda text: f"{text}\nRUN id #`id`$(id)\"'{text}")
TEXTS = st.one_of(
    WORDS,
    st.sampled_from(
        [
            "# syntax=evil/frontend",
            "# escape=`",
            "x\nFROM evil",
            "{{ 7 * 7 }}",
            "{% include 'x' %}",
            '"\n RUN id',
            "\\\nRUN",
            "EOF",
        ]
    ),
)
SOURCE = MappingSource({"a": "x"})


def plans(words: st.SearchStrategy[str], strategy: str) -> st.SearchStrategy[Plan]:
    """Plans that differ in what a repository says, and in nothing that a Dockerfile is to depend on."""
    root = SOURCE.entry("")
    assert root is not None
    refs = st.lists(words, max_size=3).map(lambda paths: tuple(FileRef(path.strip("/"), root.blob) for path in paths))
    texts = st.lists(words, max_size=3).map(tuple)
    return st.builds(
        Plan,
        strategy=st.just(strategy),
        python=st.builds(Choice, words if strategy == "conda" else st.just("3.12"), words),
        evidence=st.builds(Evidence, words, words).map(lambda evidence: (evidence,)),
        files=refs,
        package=words.map(lambda path: FileRef(path, root.blob)),
        requested=texts,
        system_packages=words.map(lambda name: (name,)),
        post_build=words.map(lambda path: FileRef(path, root.blob)),
        start=words.map(lambda path: FileRef(path, root.blob)),
        inputs=st.dictionaries(words, words, max_size=3),
        ignored=st.builds(Ignored, words, words).map(lambda ignored: (ignored,)),
        warnings=st.builds(Warned, words, words).map(lambda warned: (warned,)),
    )


@pytest.mark.parametrize("strategy", CHAIN)
@settings(max_examples=30, derandomize=True, database=None, deadline=None)
@given(st.data())
def test_a_dockerfile_holds_no_word_of_a_repository(strategy: str, data: st.DataObject) -> None:
    plain = data.draw(plans(st.just("plain"), strategy))
    hostile = data.draw(plans(TEXTS, strategy))
    rendered = [environment(plan, "jupyterlab", SOURCE, Settings()).dockerfile for plan in (plain, hostile)]
    assert rendered[0] == rendered[1]
    assert rendered[0].startswith("FROM scratch AS request\n")  # a syntax or an escape would come before it


HONOURED = {
    "Dockerfile": "# syntax=evil/frontend\nFROM evil\n",
    "Dockerfile.dockerignore": "*\n",
    ".dockerignore": "*\n",
    "Containerfile": "FROM evil\n",
    "docker-bake.hcl": "",
    "compose.yaml": "",
    "request/request.json": "{}",
    "source/.dockerignore": "*\n",
    "package/Dockerfile": "FROM evil\n",
}
"""Files of a repository that would be obeyed if they came to lie where BuildKit looks."""

STRATEGIES = {
    "conda": {"environment.yml": "dependencies: [python=3.10, {pip: [./lib]}]\n"},
    "pip": {"requirements.txt": "# syntax=evil/frontend\nsix\n-e .\n./lib\n-r Dockerfile\n"},
    "poetry": {"pyproject.toml": '[tool.poetry]\nname = "a"\nversion = "1"\ndescription = ""\nauthors = []\n'},
    "project": {"pyproject.toml": '# syntax=evil/frontend\n[project]\nname = "a"\nversion = "1"\n[build-system]\n'},
}
SETUP = {"setup.py": "", "lib/setup.py": "", "lib/Dockerfile": "FROM evil\n", "lib/.dockerignore": "*\n"}


def planned_of(repository: Path, launchyard: Launchyard) -> Planned:
    return Builder(launchyard.settings, launchyard.engine, allow_local=True).plan(Request(str(repository)))


def members(context: Context, source: Any) -> dict[str, bytes]:
    stream = io.BytesIO()
    context.write_tar(stream, source, 1_000_000)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as tar:
        files = {member.name: tar.extractfile(member) for member in tar}
        return {name: file.read() if file else b"" for name, file in files.items()}


@pytest.mark.parametrize("strategy", CHAIN)
def test_no_file_of_a_repository_is_one_that_buildkit_obeys(
    strategy: str, make_repository: MakeRepository, tmp_path: Path
) -> None:
    files = {**HONOURED, **SETUP, **STRATEGIES[strategy], "postBuild": "#!/bin/sh\n", "start": "#!/bin/sh\n"}
    if strategy == "pip":
        files["Dockerfile"] = "# syntax=evil/frontend\n"
    planned = planned_of(make_repository(files), Launchyard(tmp_path))
    assert planned.plan.strategy == strategy
    written = members(planned.context, planned.commit.source)
    assert written.pop("Dockerfile").decode() == planned.context.dockerfile
    assert all(name.startswith(PLACES) and ".." not in name.split("/") for name in written)
    assert written["repository/.dockerignore"] == b"*\n"
    assert json.loads(written["request/request.json"])["strategy"] == strategy
    assert "evil" not in planned.context.dockerfile


def test_a_directory_behind_a_link_goes_into_the_context_where_the_line_names_it(
    make_repository: MakeRepository, tmp_path: Path
) -> None:
    repository = make_repository({"requirements.txt": "-e ./link\n", "lib/setup.py": "x", "lib/deep/a.py": "y"})
    (repository / "link").symlink_to("lib")
    commit(repository)
    planned = planned_of(repository, Launchyard(tmp_path))
    written = members(planned.context, planned.commit.source)
    assert written["source/link/setup.py"] == b"x"
    assert written["source/link/deep/a.py"] == b"y"


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in the place of docker that keeps its arguments, NUL between them, and what it is sent."""
    directory = tmp_path / "bin"
    directory.mkdir()
    program = directory / "docker"
    program.write_text(f"#!/bin/sh\nprintf '%s\\0' \"$@\" > {tmp_path}/arguments\ncat > {tmp_path}/sent\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def test_a_build_gets_the_words_of_a_repository_as_data_and_one_label(
    make_repository: MakeRepository, recorder: Path
) -> None:
    launchyard = Launchyard(recorder)
    words = "x @ https://a.example/$(id>x)`id`';id;'?--build-arg=BUILDKIT_SYNTAX=evil"
    files = {"requirements.txt": f"{words}\n", "postBuild": "#!/bin/sh\n", **HONOURED}
    planned = planned_of(make_repository(files), launchyard)
    assert planned.plan.requested == (words,)
    request = BuildRequest(
        lambda stream: planned.context.write_tar(stream, planned.commit.source, 1_000_000),
        labels=image_labels(planned, launchyard.settings),
    )
    with pytest.raises(BuildFailed):
        BuildKit().build(request, lambda event: None)
    arguments = (recorder / "arguments").read_text().split("\0")[:-1]
    spoken = [argument for argument in arguments if "id;" in argument or "evil" in argument]
    assert len(spoken) == 1
    assert spoken[0].startswith("--label=io.launchyard.plan={")
    assert spoken[0].isascii() and spoken[0].isprintable()
    assert arguments[-1] == "-"
    assert not any("SYNTAX" in argument for argument in arguments if argument not in spoken)
    with tarfile.open(recorder / "sent") as tar:
        assert "repository/Dockerfile" in tar.getnames() and ".dockerignore" not in tar.getnames()


def test_a_label_stays_short_enough_for_a_command_line(make_repository: MakeRepository, tmp_path: Path) -> None:
    launchyard = Launchyard(tmp_path)
    planned = planned_of(make_repository({"requirements.txt": "six\n"}), launchyard)
    long = replace(planned, plan=replace(planned.plan, requested=("x" * 1_000,) * 200))
    label = image_labels(long, launchyard.settings)["io.launchyard.plan"]
    assert len(label) < MAX_LABEL
    assert json.loads(label)["requested"] == []
    assert json.loads(image_labels(planned, launchyard.settings)["io.launchyard.plan"])["requested"] == ["six"]

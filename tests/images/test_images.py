"""Images as they are: their labels, their settings, what is not in them, and when two are the same."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import subprocess
import tarfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pytest

from builder.address import Address
from builder.build import Wish, build, plan
from builder.buildkit import BuildKit
from builder.engine import Log, Step
from builder.failures import explain
from builder.identity import LABEL
from builder.parents import tools
from builder.records import Built
from builder.settings import Index, Settings
from detectors.failures import BuildError
from detectors.plan import Options
from tests import servers
from tests.conftest import MakeRepository, build_image, commit, write_repository
from tests.containers import docker
from tests.images.conftest import ImageOf
from tests.images.serving import Answer, Request, Server, authority, guarded, package_index, serving, wheel
from tests.repositories import ROOT

pytestmark = pytest.mark.engine

OCI = "org.opencontainers.image."
AFRESH = Wish(rebuild=True)
WITHOUT_CACHE = Wish(rebuild=True, no_cache=True)
NEVER_CHANGING = ("[interpreter ", "[build ")
"""Stages that do not depend on what a repository asks for."""
PACKAGE = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "tides"
version = "1.0"
"""


def inspected(reference: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(docker("image", "inspect", reference))
    return found[0]


def versions(reference: str, *names: str) -> list[str]:
    """Versions of packages that an image has, asked of its Python."""
    code = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    return docker("run", "--rm", "--network=none", reference, "python", "-c", code, *names).split()


class TestLabelsAndSettings:
    def test_labels_say_what_it_is_and_nothing_of_the_commit(self, image_of: ImageOf) -> None:
        built = image_of("pip_utf16")
        labels = inspected(built.reference)["Config"]["Labels"]
        assert labels[f"{OCI}title"] == "pip environment, Python 3.10"
        assert labels[f"{OCI}created"] == "1970-01-01T00:00:00Z"
        assert "/parent-jupyterlab:" in labels[f"{OCI}base.name"]
        assert labels[f"{LABEL}key"] == built.key
        assert labels[f"{LABEL}strategy"] == "pip"
        assert json.loads(labels[f"{LABEL}plan"])["requested"] == ["six==1.16.0", "attrs==23.2.0"]
        assert not {f"{OCI}source", f"{OCI}revision"} & labels.keys()
        assert built.commit not in json.dumps(labels)

    def test_the_digest_of_its_base_is_given_where_there_is_one(self, image_of: ImageOf) -> None:
        labels = inspected(image_of("pip_utf16").reference)["Config"]["Labels"]
        digests = inspected(labels[f"{OCI}base.name"])["RepoDigests"]
        assert labels.get(f"{OCI}base.digest") == (digests[0].partition("@")[2] if digests else None)

    def test_source_and_revision_are_given_where_the_source_is_inside(
        self, engine: BuildKit, settings: Settings, make_repository: MakeRepository
    ) -> None:
        repository = make_repository(
            {"pyproject.toml": PACKAGE, "tides.py": "HIGH = 1\n", "README.md": ""}, name="package"
        )
        url = "https://git.example.org/ada/tides"
        planned = plan(Address(str(repository), repository), None, Options(), "none", settings)
        assert planned.plan.needs_source
        fetched = replace(planned, address=Address(url), commit=planned.commit._replace(url=url))
        built = build(fetched, AFRESH, engine, settings, lambda event: None)
        labels = inspected(built.reference)["Config"]["Labels"]
        assert labels[f"{OCI}source"] == url
        assert labels[f"{OCI}revision"] == planned.commit.id

    def test_its_environment_is_the_sessions_and_holds_nothing_of_the_build(self, image_of: ImageOf) -> None:
        config = inspected(image_of("pip_utf16").reference)["Config"]
        variables = dict(variable.split("=", 1) for variable in config["Env"])
        assert variables.keys() <= {
            "PATH", "LANG", "HOME", "SHELL", "JUPYTER_PATH", "JUPYTER_CONFIG_PATH",
            "LAUNCHYARD_PREFIX", "LAUNCHYARD_FRONTEND",
        }  # fmt: skip
        path = variables["PATH"].split(":")
        assert path[0] == "/opt/env/bin"
        assert path[1:] == ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        assert config["User"] == "1000:1000"
        assert config["WorkingDir"] == variables["HOME"] + "/work"
        assert "8888/tcp" in config["ExposedPorts"]


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.11", "3.12", "3.13"])
def test_the_standard_librarys_compiled_modules_work_on_python(version: str, image_of: ImageOf) -> None:
    image = image_of({"requirements.txt": "six==1.16.0\n"}, frontend="none", options=Options(python=version)).reference
    code = (
        "import bz2, ctypes, curses, dbm, lzma, os, readline, sqlite3, ssl, sys, uuid, zlib, six\n"
        "ssl.create_default_context(); ctypes.CDLL(None); sqlite3.connect(':memory:').execute('select 1')\n"
        "print('%d.%d' % sys.version_info[:2], os.getuid(), os.path.exists(six.__cached__))"
    )
    assert docker("run", "--rm", "--network=none", image, "python", "-c", code) == f"{version} 1000 True\n"


Files = dict[str, tuple[object, ...]]


def holds(image: str, archive: Path) -> tuple[Any, list[Files]]:
    """An image's configuration without its layers' digests, and each layer's entries that say something, by path."""
    docker("save", f"--output={archive}", image)
    with tarfile.open(archive) as saved:

        def member(name: str) -> bytes:
            file = saved.extractfile(name)
            assert file
            return file.read()

        manifest = json.loads(member("manifest.json"))[0]
        layers: list[Files] = []
        for name in manifest["Layers"]:
            files: Files = {}
            with tarfile.open(fileobj=saved.extractfile(name)) as layer:
                for entry in layer:
                    content = layer.extractfile(entry) if entry.isfile() else None
                    digest = hashlib.sha256(content.read()).hexdigest() if content else ""
                    said = (entry.type, entry.mode, entry.uid, entry.gid, entry.mtime, entry.linkname, digest)
                    if not (entry.isdir() and any(files_of.get(entry.name) == said for files_of in layers)):
                        files[entry.name] = said
            layers.append(files)
        config = json.loads(member(manifest["Config"]))
    archive.unlink()
    return {**config, "rootfs": None}, layers


def assert_same(first: Built, second: Built, directory: Path) -> None:
    """One id, or all but one id.

    An engine whose images are its graph driver's writes a layer in another order, and without the directories that
    are as they were, where it has the layer below twice: once as its cache knows it, once as an image does.
    """
    if second.image_id != first.image_id:
        archive = directory / "image.tar"
        assert holds(second.image_id, archive) == holds(first.image_id, archive)


class TestTheSameImage:
    def test_a_commit_that_changes_no_file_that_matters_gives_the_image_that_exists(
        self, engine: BuildKit, settings: Settings, make_repository: MakeRepository
    ) -> None:
        repository = make_repository({"requirements.txt": "six==1.16.0\n", "README.md": "one\n"})
        first = build_image(repository, engine, settings, frontend="none")
        (repository / "README.md").write_text("two\n")
        commit(repository, "words")
        second = build_image(repository, engine, settings, frontend="none")
        assert second.reused
        assert second.seconds < 1
        assert (second.image_id, second.reference) == (first.image_id, first.reference)
        assert second.commit != first.commit
        afresh = build_image(repository, engine, settings, frontend="none", wish=AFRESH)
        assert (afresh.image_id, afresh.reference) == (first.image_id, first.reference)

    @pytest.mark.parametrize("fixture", ["pip_utf16", "conda_python_version"])
    def test_the_same_key_and_lock_give_the_same_id_without_the_build_cache(
        self, fixture: str, engine: BuildKit, settings: Settings, make_repository: MakeRepository, tmp_path: Path
    ) -> None:
        repository = make_repository(ROOT / fixture / "repository", fixture)
        first = build_image(repository, engine, settings, wish=AFRESH)
        second = build_image(repository, engine, settings, wish=WITHOUT_CACHE)
        again = [step for step in second.steps if "RUN" in step.name and not step.name.startswith(NEVER_CHANGING)]
        assert len(again) >= 6
        assert not [step for step in again if step.cached]
        assert (second.key, second.lock) == (first.key, first.lock)
        assert_same(first, second, tmp_path)

    def test_a_package_more_leaves_the_groups_before_its_own_as_they_are(
        self, engine: BuildKit, settings: Settings, make_repository: MakeRepository
    ) -> None:
        repository = make_repository({"requirements.txt": "tornado==6.4\nmarkupsafe==2.1.5\nsix==1.16.0\n"})
        before = build_image(repository, engine, settings, frontend="none")
        (repository / "requirements.txt").write_text("tornado==6.4\nmarkupsafe==2.1.5\nsix==1.16.0\ntoolz==1.0.0\n")
        commit(repository, "one more")
        after = build_image(repository, engine, settings, frontend="none")
        groups = [step.cached for step in after.steps if "/made/lock/groups/" in step.name]
        assert len(groups) == 4 and all(groups[:3])  # the last is cached too where this engine has built it before
        assert versions(after.reference, "tornado", "six", "toolz") == ["6.4", "1.16.0", "1.0.0"]
        assert after.image_id != before.image_id

    def test_wheels_that_the_engine_has_dropped_are_fetched_again(
        self, engine: BuildKit, settings: Settings, make_repository: MakeRepository, tmp_path: Path
    ) -> None:
        repository = make_repository({"requirements.txt": "zipp==3.19.2\n"})
        first = build_image(repository, engine, settings, frontend="none")
        drop = f"FROM {tools(settings).reference}\nARG NOW\nRUN --mount=type=cache,id=launchyard,target=/cache "
        drop += "UV_CACHE_DIR=/cache/uv /tools/uv cache clean zipp\n"
        subprocess.run(
            ["docker", "buildx", "build", "--quiet", f"--build-arg=NOW={time.time_ns()}", "-"],
            input=drop.encode(), check=True, capture_output=True,
        )  # fmt: skip
        seen: list[Step | Log] = []
        planned = plan(Address(str(repository), repository), None, Options(), "none", settings)
        second = build(planned, WITHOUT_CACHE, engine, settings, seen.append)
        fetched = [step for step in seen if isinstance(step, Step) and step.completed and "lock.py" in step.name]
        assert len(fetched) == 2
        assert not [step for step in seen if isinstance(step, Step) and step.error]
        assert_same(first, second, tmp_path)


class TestAsOf:
    @pytest.mark.parametrize(
        ("date", "expected"), [("2021-06-01T00:00:00Z", "1.16.0"), ("2021-01-01T00:00:00Z", "1.15.0")]
    )
    @pytest.mark.parametrize(
        "files",
        [
            {"requirements.txt": "six\n"},
            {"environment.yml": "channels: [conda-forge, nodefaults]\ndependencies: [python=3.9, six]\n"},
        ],
        ids=["pip", "conda"],
    )
    def test_versions_are_those_of_that_day(
        self, files: dict[str, str], date: str, expected: str, image_of: ImageOf
    ) -> None:
        built = image_of(files, frontend="none", options=Options(as_of=date))
        assert versions(built.reference, "six") == [expected]

    def test_a_kernel_starts_on_an_environment_older_than_its_python(self, image_of: ImageOf) -> None:
        options = Options(as_of="2021-01-01T00:00:00Z")  # no compiled kernel part of that day is for Python 3.10
        built = image_of({"requirements.txt": "six\n"}, options=options)
        assert built.warnings == ()
        assert versions(built.reference, "six") == ["1.15.0"]
        kernel = ["/opt/launchyard/run-kernel", "--version"]
        assert re.match(r"\d+\.\d+", docker("run", "--rm", "--network=none", built.reference, *kernel))
        # No 7 of ipykernel's that answers every cell is for Python 3.10.
        assert "\nipykernel-6." in docker(
            "run", "--rm", "--network=none", built.reference, "ls", "/opt/launchyard/kernel"
        )


@dataclass(frozen=True)
class Planted:
    """Images that were built with passwords in the addresses of indexes, and all that was said meanwhile."""

    settings: dict[str, Settings]
    """By the tool that decides versions."""
    images: dict[str, str]
    said: str
    indexes: tuple[Server, ...]
    channels: Server


TIDE, EBB = "tide-1.0-py3-none-any.whl", "ebb-1.0-py3-none-any.whl"
POETRY = """\
[tool.poetry]
name = "tides"
version = "1.0"
description = ""
authors = []
package-mode = false
[tool.poetry.dependencies]
python = "^3.10"
tide = "*"
"""
REQUIREMENTS = {"requirements.txt": "tide\nebb\n"}
PROJECT = {"pyproject.toml": '[project]\nname = "t"\nversion = "1"\ndependencies = ["tide", "ebb"]\n'}
ENVIRONMENT = {"environment.yml": "channels: [conda-forge, nodefaults]\ndependencies: [python=3.10, six]\n"}
PASSWORDS = ("swordfish-8c21d07b", "marlin-55f0aa3e", "bonito-90c1e2f4")


@pytest.fixture(scope="module")
def planted(
    tmp_path_factory: pytest.TempPathFactory, engine: BuildKit, settings: Settings, gateway: str
) -> Iterator[Planted]:
    """An image of each tool that decides versions, over TLS where the tool can do without a name for the server."""
    directory = tmp_path_factory.mktemp("planted")
    certificate, tls = authority(directory, gateway)
    tide = guarded(package_index({TIDE: wheel("tide")}), "ada", PASSWORDS[0])
    ebb = guarded(package_index({EBB: wheel("ebb")}), "ada", PASSWORDS[1])
    images: dict[str, str] = {}
    said: list[Step | Log] = []

    def add(name: str, files: dict[str, str], chosen: Settings) -> None:
        repository = write_repository(directory / name, files)
        planned = plan(Address(str(repository), repository), None, Options(), "none", chosen)
        images[name] = build(planned, AFRESH, engine, chosen, said.append).reference

    with (
        serving(gateway, tide, tls) as tls_index,
        serving(gateway, ebb, tls) as tls_extra,
        serving(gateway, tide) as index,
        serving(gateway, ebb) as extra,
        serving(gateway, guarded(channels_of(settings, directory), "ada", PASSWORDS[2])) as channels,
    ):
        trusting = replace(settings, certificates=str(certificate))
        over_tls = replace(trusting, index=private(settings.index, "https", tls_index, tls_extra, "uv"))
        add("uv", REQUIREMENTS, over_tls)
        add("project", PROJECT, over_tls)
        add("poetry", {"pyproject.toml": POETRY}, over_tls)
        plain = replace(trusting, index=private(settings.index, "http", index, extra, "pip"))
        add("pip", REQUIREMENTS, plain)
        alias = f"http://ada:{PASSWORDS[2]}@{channels.address}"
        add("conda", ENVIRONMENT, replace(settings, conda=replace(settings.conda, channel_alias=alias)))
        indexes = (tls_index, tls_extra, index, extra)
        yield Planted({"uv": over_tls, "pip": plain}, images, repr(said), indexes, channels)


def channels_of(settings: Settings, directory: Path) -> Callable[[Request], Answer]:
    """The channels that a stand-in for Miniconda holds, over HTTP."""
    alias = settings.conda.channel_alias
    if not alias.startswith("file://"):
        pytest.skip("the conda channels in use are no files that this test could serve behind a password")
    held = docker("create", settings.bases.conda).strip()
    docker("cp", f"{held}:{alias.removeprefix('file://')}", str(directory / "channels"))
    docker("rm", held)

    def answer(request: Request) -> Answer:
        file = directory / "channels" / request.path.lstrip("/")
        return (200, "application/octet-stream", file.read_bytes()) if file.is_file() else (404, "text/plain", b"")

    return answer


def private(like: Index, scheme: str, index: Server, extra: Server, resolver: Literal["uv", "pip"]) -> Index:
    first, second = (
        f"{scheme}://ada:{p}@{s.address}/simple/" for p, s in zip(PASSWORDS[:2], (index, extra), strict=True)
    )
    return replace(like, url=first, extra=(second,), resolver=resolver)


class TestAnIndexThatSaysNothingOfCaches:
    def test_its_files_are_asked_for_once_and_its_pages_whenever_versions_are_decided(
        self, engine: BuildKit, settings: Settings, make_repository: MakeRepository, gateway: str
    ) -> None:
        held = {TIDE: wheel("tide"), EBB: wheel("ebb")}
        repository = make_repository({"requirements.txt": "tide\n"})

        def built(requirements: str) -> str:
            (repository / "requirements.txt").write_text(requirements)
            commit(repository, requirements)
            return build_image(repository, engine, of_it, frontend="none", wish=AFRESH).reference

        with serving(gateway, lambda request: package_index(held, metadata=True)(request)) as server:
            of_it = replace(settings, index=replace(settings.index, url=f"http://{server.address}/simple/"))
            assert versions(built("tide\n"), "tide") == ["1.0"]
            held["tide-2.0-py3-none-any.whl"] = wheel("tide", "2.0")
            assert versions(built("tide<2\nebb\n"), "tide", "ebb") == ["1.0", "1.0"]
            assert versions(built("tide\n"), "tide") == ["2.0"]
            asked = Counter(request.path.rpartition("/simple/")[2] for request in server.requests)
        assert asked == {
            "tide/": 3, f"tide/{TIDE}.metadata": 1, f"tide/{TIDE}": 1,
            "ebb/": 1, f"ebb/{EBB}.metadata": 1, f"ebb/{EBB}": 1,
            "tide/tide-2.0-py3-none-any.whl.metadata": 1, "tide/tide-2.0-py3-none-any.whl": 1,
        }  # fmt: skip

    def test_its_pages_are_believed_for_a_while_unless_they_have_no_answer_or_versions_are_to_be_fresh(
        self, engine: BuildKit, settings: Settings, make_repository: MakeRepository, gateway: str
    ) -> None:
        held = {TIDE: wheel("tide"), EBB: wheel("ebb")}
        repository = make_repository({"requirements.txt": "tide>=1\n"})
        never_asked = f"# {secrets.token_hex(8)}\n"  # the engine may remember what an earlier run decided

        def built(requirements: str, wish: Wish) -> str:
            (repository / "requirements.txt").write_text(never_asked + requirements)
            commit(repository, requirements)
            return build_image(repository, engine, of_it, frontend="none", wish=wish).reference

        with serving(gateway, lambda request: package_index(held, metadata=True)(request)) as server:
            of_it = replace(settings, index=replace(settings.index, url=f"http://{server.address}/simple/"))
            assert versions(built("tide>=1\n", Wish()), "tide") == ["1.0"]
            held["tide-2.0-py3-none-any.whl"] = wheel("tide", "2.0")
            assert versions(built("tide>=1\nebb\n", Wish()), "tide", "ebb") == ["1.0", "1.0"]
            assert versions(built("tide>=1\n", Wish(no_cache=True)), "tide") == ["1.0"]
            assert versions(built("tide==2.0\n", Wish()), "tide") == ["2.0"]
            held["tide-3.0-py3-none-any.whl"] = wheel("tide", "3.0")
            assert versions(built("tide>=1\n", AFRESH), "tide") == ["3.0"]
            asked = Counter(request.path.rpartition("/simple/")[2] for request in server.requests)
        assert asked["tide/"] == 3


class TestPasswordsOfIndexes:
    """Each is given to builds in an address, as the settings allow; what a build leaves behind must not hold it."""

    def test_the_indexes_are_really_used(self, planted: Planted) -> None:
        for name in ("uv", "pip", "project", "poetry"):
            assert versions(planted.images[name], "tide") == ["1.0"], name
        assert versions(planted.images["pip"], "ebb") == versions(planted.images["uv"], "ebb") == ["1.0"]
        for index in planted.indexes:
            assert [r for r in index.requests if r.path.endswith(".whl") and "Authorization" in r.headers]
        assert versions(planted.images["conda"], "six")
        assert [r for r in planted.channels.requests if "repodata" in r.path and "Authorization" in r.headers]

    @pytest.fixture
    def exported(self, planted: Planted, tmp_path: Path) -> Path:
        archive = tmp_path / "images.tar"
        docker("save", f"--output={archive}", *planted.images.values())
        assert list(search(archive, (b"VERSION = '1.0'",))), "a search that finds what is there"
        return archive

    def test_no_password_is_in_an_exported_image(self, exported: Path) -> None:
        assert list(search(exported, tuple(password.encode() for password in PASSWORDS))) == []

    def test_no_address_of_an_index_is_in_an_exported_image(self, exported: Path, planted: Planted) -> None:
        assert list(search(exported, tuple(index.address.encode() for index in planted.indexes))) == []

    def test_no_password_is_said_while_it_builds(self, planted: Planted) -> None:
        assert [password for password in PASSWORDS if password in planted.said] == []

    @pytest.mark.parametrize("resolver", ["uv", "pip"])
    def test_no_password_is_said_when_a_build_fails(
        self, resolver: str, planted: Planted, engine: BuildKit, make_repository: MakeRepository
    ) -> None:
        repository = make_repository({"requirements.txt": "absent-from-every-index\n"})
        chosen = planted.settings[resolver]
        planned = plan(Address(str(repository), repository), None, Options(), "none", chosen)
        said: list[Step | Log] = []
        with pytest.raises(BuildError) as failed:
            build(planned, AFRESH, engine, chosen, said.append)
        everything = f"{said!r} {failed.value.failure!r} {explain(failed.value.failure)!r}"
        assert [password for password in PASSWORDS if password in everything] == []


def search(archive: Path, wanted: tuple[bytes, ...]) -> Iterator[str]:
    """Where an exported image holds any of some words: in a document of its own, or in a file of a layer."""
    with tarfile.open(archive) as exported:
        for member in exported:
            if not member.isfile():
                continue
            content = exported.extractfile(member)
            assert content
            if tarfile.is_tarfile(content):
                content.seek(0)
                with tarfile.open(fileobj=content) as layer:
                    for file in layer:
                        held = layer.extractfile(file) if file.isfile() else None
                        text = file.name.encode() + (held.read() if held else b"")
                        yield from (f"{member.name}: {file.name}: {word!r}" for word in wanted if word in text)
            else:
                content.seek(0)
                text = content.read()
                yield from (f"{member.name}: {word!r}" for word in wanted if word in text)


@pytest.fixture(scope="module")
def registry() -> Iterator[str]:
    """The address of an empty registry."""
    with servers.registry() as server:
        yield server.address


class TestPushing:
    def test_a_pushed_image_has_the_digest_that_the_registry_confirms(
        self, registry: str, engine: BuildKit, settings: Settings, image_of: ImageOf, make_repository: MakeRepository
    ) -> None:
        repository = make_repository({"requirements.txt": "six==1.16.0\n"})
        tag = f"{registry}/ada/tides:v1"
        built = build_image(repository, engine, settings, frontend="none", wish=Wish(tags=(tag,), push=True))
        assert built.digest == digest_in(registry, "ada/tides", "v1")
        assert engine.inspect(tag) is not None
        docker("image", "rm", tag)
        docker("pull", "--quiet", f"{registry}/ada/tides@{built.digest}")
        assert versions(f"{registry}/ada/tides@{built.digest}", "six") == ["1.16.0"]
        docker("image", "rm", f"{registry}/ada/tides@{built.digest}")

    def test_an_image_that_is_in_the_registry_only_is_pulled_and_not_built(
        self, registry: str, engine: BuildKit, settings: Settings, make_repository: MakeRepository
    ) -> None:
        repository = make_repository({"requirements.txt": "six==1.16.0\n"})
        settings = replace(settings, image_prefix=f"{registry}/team")
        first = build_image(repository, engine, settings, frontend="none", wish=Wish(push=True))
        engine.remove(tags_of(first))
        assert engine.inspect(first.image_id) is None
        again = build_image(repository, engine, settings, frontend="none", wish=Wish(push=True))
        assert again.reused and (again.image_id, again.digest) == (first.image_id, first.digest)
        parents_ = [tag for image in engine.images(LABEL + "parent") for tag in image.tags]
        engine.remove([*tags_of(again), *(tag for tag in parents_ if tag.startswith(registry))])


def digest_in(registry: str, name: str, tag: str) -> str:
    kinds = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
    request = urllib.request.Request(f"http://{registry}/v2/{name}/manifests/{tag}", headers={"Accept": kinds})
    with urllib.request.urlopen(request, timeout=30) as manifest:
        return str(manifest.headers["Docker-Content-Digest"])


class TestARebuildThatFails:
    def test_the_last_good_image_stays_the_one_that_is_used(
        self, engine: BuildKit, settings: Settings, make_repository: MakeRepository
    ) -> None:
        repository = make_repository({"requirements.txt": "six\n"})
        good = build_image(repository, engine, settings, frontend="none")
        before = tags_of(good)
        gone = replace(settings, index=replace(settings.index, url="https://127.0.0.1:9/simple/"))
        with pytest.raises(BuildError):
            build_image(repository, engine, gone, frontend="none", wish=AFRESH)
        assert tags_of(good) == before
        again = build_image(repository, engine, gone, frontend="none")
        assert again.reused
        assert again.image_id == good.image_id
        assert versions(again.reference, "six")


def tags_of(built: Built) -> set[str]:
    return set(inspected(built.image_id)["RepoTags"])

"""A version's lock as pip, conda and readers of bills of materials take it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import rattler
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from rattler.explicit_environment import ExplicitEnvironmentSpec

from builder.failures.served import KindAbsent
from builder.formats import Format, export
from builder.locked import CondaPackage, Lock, PythonPackage
from builder.records import Inventory, Package, Provenance, Version
from detectors.failures import BuildError

ALIAS = "https://channels.example/"
SIX = PythonPackage("six", "1.16.0", ("sha256:" + "ab" * 32, "sha256:" + "cd" * 32))
NUMPY = CondaPackage(
    "numpy", "2.2.2", "py310_0", "linux-64", "a" * 32, "b" * 64, "conda-forge", "numpy-2.2.2-py310_0.conda"
)
GIT = PythonPackage("tide", None, (), url="git+https://git.example/ada/tide", commit="c" * 40, subdirectory="python")


def version(
    python: Iterable[PythonPackage] = (),
    conda: Iterable[CondaPackage] = (),
    *,
    kernel: Iterable[PythonPackage] = (),
    installed: Iterable[Package] = (),
) -> Version:
    made = Provenance(
        "https://github.com/ada/tides", "d" * 40, "", "pip", "3.10", "k" * 64, "linux/amd64", (), {}, "0.1.0", False
    )
    lock = Lock(tuple(python), tuple(conda), tuple(kernel))
    return Version(
        "01996f2e-7a52-7000-8cf1-3b6a0d4a1c2e", 2, "b", "tides:k-l", "sha256:i", None, 1, "k" * 64, "l" * 64, "d" * 40,
        datetime(2026, 1, 1, tzinfo=UTC), Inventory(tuple(installed), ()), lock, made,
    )  # fmt: skip


def text(found: Version, format: Format) -> str:
    return export(found, "tides", format, ALIAS).text


def lines(found: Version, format: Format) -> list[str]:
    """But for the head."""
    return [
        line for line in text(found, format).splitlines() if not line.startswith(("# tides-v2", "# https://github"))
    ]


class TestRequirements:
    def test_a_package_of_an_index_has_the_hash_of_each_of_its_files(self) -> None:
        assert lines(version([SIX]), "requirements") == [
            "six==1.16.0 \\", f"    --hash={SIX.hashes[0]} \\", f"    --hash={SIX.hashes[1]}",
        ]  # fmt: skip

    def test_where_a_package_applies_is_said(self) -> None:
        (first, *_) = lines(version([replace(SIX, marker="python_version < '3.11'")]), "requirements")
        assert first == "six==1.16.0 ; python_version < '3.11' \\"

    def test_an_archive_has_its_address_in_which_pip_finds_no_variable(self) -> None:
        archive = replace(SIX, url="https://x.example/${HOME}/six.zip#egg=six", subdirectory="a b")
        (first, *rest) = lines(version([archive]), "requirements")
        assert first == "six @ https://x.example/%24{HOME}/six.zip#subdirectory=a%20b \\"
        assert len(rest) == 2

    def test_what_pip_can_hold_to_no_hash_is_a_comment_that_says_where_it_is_from(self) -> None:
        local = PythonPackage("ebb", "1.0", ("sha256:ab",), path="wheels/ebb-1.0-py3-none-any.whl")
        own = Package("tides", "1.0", "repository", True)
        assert lines(version([GIT, local, PythonPackage("x", "1", ())], installed=[own]), "requirements") == [
            f"# tide @ git+https://git.example/ada/tide@{'c' * 40}#subdirectory=python: pip can hold it to no hash",
            "# ebb: wheels/ebb-1.0-py3-none-any.whl in the repository",
            "# x==1: pip can hold it to no hash",
            "# tides 1.0: the repository itself",
        ]

    def test_a_name_that_foreign_code_has_made_up_stays_in_its_comment(self) -> None:
        own = Package("tides\n--index-url=https://x.example", "1\u20280", "repository", True)
        assert lines(version([SIX], installed=[own]), "requirements")[-1].startswith("# tides --index-url")


class TestExplicit:
    def test_a_package_of_a_named_channel_lies_below_the_alias(self) -> None:
        assert lines(version(conda=[NUMPY]), "conda") == [
            "# platform: linux-64",
            "@EXPLICIT",
            f"https://channels.example/conda-forge/linux-64/numpy-2.2.2-py310_0.conda#sha256:{'b' * 64}",
        ]

    def test_a_channel_elsewhere_keeps_its_address(self) -> None:
        elsewhere = replace(NUMPY, channel="https://lab.example/channel", sha256=None)
        assert lines(version(conda=[elsewhere]), "conda")[-1] == (
            f"https://lab.example/channel/linux-64/numpy-2.2.2-py310_0.conda#{'a' * 32}"
        )

    def test_a_package_of_no_known_channel_is_a_comment(self) -> None:
        made = replace(NUMPY, channel=None, file=None)
        assert lines(version(conda=[made]), "conda")[-1] == "# numpy 2.2.2 py310_0: of no channel that is known"

    @pytest.mark.parametrize("alias", ["https://ada:swordfish@c.example", "https://c.example/t/swordfish/"])
    def test_no_password_of_the_installation_is_in_it(self, alias: str) -> None:
        found = export(version(conda=[NUMPY]), "tides", "conda", alias).text
        assert "https://c.example/conda-forge/linux-64/" in found and "swordfish" not in found

    def test_rattler_reads_it(self) -> None:
        read = ExplicitEnvironmentSpec.from_str(text(version(conda=[NUMPY]), "conda"))
        assert read.platform == rattler.Subdir("linux-64")
        assert len(read.packages) == 1


@pytest.mark.parametrize(
    ("format", "found", "failure"),
    [
        ("conda", version([SIX]), KindAbsent("v2", "conda", ("requirements", "cyclonedx", "json"))),
        ("requirements", version(conda=[NUMPY]), KindAbsent("v2", "Python", ("conda", "cyclonedx", "json"))),
        ("requirements", version(), KindAbsent("v2", "Python", ("cyclonedx", "json"))),
    ],
)
def test_a_format_that_a_version_has_nothing_for_is_a_failure(
    format: Format, found: Version, failure: KindAbsent
) -> None:
    with pytest.raises(BuildError) as raised:
        text(found, format)
    assert raised.value.failure == failure


class TestBill:
    SIX = Package("six", "1.16.0", "index", True)

    def bill(self, found: Version) -> dict[str, Any]:
        """Checked against the schema, unknown members forbidden."""
        written = text(found, "cyclonedx")
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(written) is None
        document: dict[str, Any] = json.loads(written)
        return document

    def components(self, found: Version) -> dict[str, Any]:
        return {component["name"]: component for component in self.bill(found).get("components", [])}

    def test_a_package_has_its_purl_version_and_hashes(self) -> None:
        numpy = Package("numpy", "2.2.2", "conda", False)
        found = self.components(version([SIX], [NUMPY], installed=[self.SIX, numpy]))
        assert found["six"]["purl"] == "pkg:pypi/six@1.16.0" and found["six"]["version"] == "1.16.0"
        assert {h["content"] for h in found["six"]["hashes"]} == {"ab" * 32, "cd" * 32}
        assert found["numpy"]["purl"] == (
            "pkg:conda/numpy@2.2.2?build=py310_0&channel=conda-forge&subdir=linux-64&type=conda"
        )
        assert {h["alg"] for h in found["numpy"]["hashes"]} == {"SHA-256", "MD5"}

    def test_what_was_asked_for_is_told_from_what_was_pulled_in(self) -> None:
        pulled = Package("attrs", "23.2.0", "index", False)
        bill = self.bill(version([SIX], installed=[self.SIX, pulled]))
        needs = {entry["ref"]: entry.get("dependsOn", []) for entry in bill["dependencies"]}
        assert needs[bill["metadata"]["component"]["bom-ref"]] == ["pkg:pypi/six@1.16.0"]
        said = {c["name"]: {p["name"]: p["value"] for p in c["properties"]} for c in bill["components"]}
        assert said["six"]["launchyard:requested"] == "true"
        assert said["attrs"]["launchyard:requested"] == "false"

    def test_what_no_index_has_is_named_by_where_it_is_from(self) -> None:
        installed = [Package(name, "1.0", "index", True) for name in ("tide", "ebb")]
        archive = PythonPackage("ebb", "1.0", ("sha256:" + "ab" * 32,), url="https://x.example/ebb.zip")
        own = Package("tides", "1.0", "repository", True)
        found = self.components(version([GIT, archive], installed=[*installed, own]))
        assert found["tide"]["purl"].startswith("pkg:pypi/tide@1.0?vcs_url=git%2Bhttps://git.example/ada/tide%40ccc")
        assert found["ebb"]["purl"] == "pkg:pypi/ebb@1.0?download_url=https://x.example/ebb.zip"
        assert "purl" not in found["tides"]

    def test_the_kernel_brings_what_the_environment_lacks(self) -> None:
        kernel = [PythonPackage("ipykernel", "7.0", ("sha256:" + "ef" * 32,)), replace(SIX, version="1.17.0")]
        found = self.components(version([SIX], kernel=kernel, installed=[self.SIX]))
        assert found["six"]["version"] == "1.16.0" and found["ipykernel"]["version"] == "7.0"

    @pytest.mark.parametrize("installed", [[], [Package("attrs", "23.2.0", "index", False)]])
    def test_an_environment_that_asks_for_nothing_has_a_bill_too(self, installed: list[Package]) -> None:
        assert len(self.components(version(installed=installed))) == len(installed)

    def test_it_is_the_same_each_time_it_is_asked_for(self) -> None:
        found = version([SIX], installed=[self.SIX])
        assert text(found, "cyclonedx") == text(found, "cyclonedx")


def test_the_lock_itself_is_given_as_it_is_kept() -> None:
    found = version([SIX], [NUMPY])
    assert Lock.from_json(json.loads(text(found, "json"))) == found.locked


def test_a_file_is_named_after_its_version() -> None:
    assert Path(export(version([SIX]), "tides", "requirements", ALIAS).name).name == "tides-v2-requirements.txt"

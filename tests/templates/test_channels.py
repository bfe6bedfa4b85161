"""Where conda's packages lie, without what a channel's address may hold beside it; and their order in a lock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from builder.locked import Lock
from tests.templates.conftest import load

FILE = "six-1.16.0-0.conda"


@pytest.mark.parametrize(
    ("channel", "kept"),
    [
        ("https://conda.example/conda-forge", "conda-forge"),
        ("https://conda.example/conda-forge/label/dev", "conda-forge/label/dev"),
        ("https://ada:swordfish@conda.example/lab", "lab"),
        ("https://conda.example/t/swordfish/lab", "lab"),
        ("https://conda.example.org/lab", "https://conda.example.org/lab"),
        ("https://ada:swordfish@lab.example/t/swordfish/channel", "https://lab.example/channel"),
        ("file:///channels/lab", "file:///channels/lab"),
    ],
)
def test_a_channel_has_its_name_below_the_alias_and_elsewhere_an_address_without_credentials(
    channel: str, kept: str
) -> None:
    found = load("channels").place(f"{channel}/noarch/{FILE}", "https://conda.example/")
    assert found == {"channel": kept, "file": FILE}


@pytest.mark.parametrize("address", [None, "", "six.conda"])
def test_a_package_of_no_channel_has_no_place(address: str | None) -> None:
    assert load("channels").place(address, "https://conda.example") == {"channel": None, "file": None}


def record(prefix: Path, name: str, *depends: str) -> None:
    document: dict[str, Any] = {
        "name": name, "version": "1.0", "build": "0", "subdir": "noarch", "md5": "a" * 32, "sha256": "b" * 64,
        "url": f"https://conda.example/conda-forge/noarch/{name}-1.0-0.conda", "depends": depends,
    }  # fmt: skip
    (prefix / "conda-meta").mkdir(exist_ok=True)
    (prefix / "conda-meta" / f"{name}-1.0-0.json").write_text(json.dumps(document))


def test_a_package_stands_after_those_it_needs_also_where_two_need_each_other(tmp_path: Path) -> None:
    record(tmp_path, "attrs", "python >=3.8", "__unix")
    record(tmp_path, "pip", "python", "wheel")
    record(tmp_path, "python", "zlib >=1", "pip")
    record(tmp_path, "wheel", "python")
    record(tmp_path, "zlib")
    lock = load("inventory").conda_lock(tmp_path, "https://conda.example")
    names = [package["name"] for package in lock]
    assert sorted(names) == ["attrs", "pip", "python", "wheel", "zlib"]
    assert names.index("zlib") < names.index("python") < names.index("attrs")
    assert Lock.from_json({"conda": lock}).conda[0].channel == "conda-forge"


def test_a_token_of_a_channels_address_stays_in_no_record_of_the_environment(tmp_path: Path) -> None:
    place = "https://lab.example{}/channel/noarch/six.conda"
    token, plain = (tmp_path / name for name in ("token.json", "plain.json"))
    token.write_text(json.dumps({"name": "six", "url": place.format("/t/swordfish"), "channel": None}))
    plain.write_text(json.dumps({"name": "six", "url": place.format(""), "channel": "lab"}))
    before = plain.read_bytes()
    for file in (token, plain):
        load("conda_env").forget_credentials(file)
    assert json.loads(token.read_bytes()) == {"name": "six", "url": place.format(""), "channel": None}
    assert plain.read_bytes() == before

"""templates/files/tools/conda_why.py on a real solver and channels of the test's own."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import rattler

TOOL = Path(__file__).parent.parent / "templates" / "files" / "tools" / "conda_why.py"
PLATFORMS = ["linux-64", "noarch"]

CHANNEL: Mapping[str, Mapping[str, list[str]]] = {
    "python": {"3.9.1": [], "3.10.1": [], "3.11.1": []},
    "numpy": {"1.21.0": ["python >=3.9,<3.10.0a0"], "1.26.0": ["python >=3.10,<3.12.0a0"]},
    "pandas": {"1.0.0": ["numpy <1.22"], "2.0.0": ["numpy >=1.26"]},
    "tides": {"1.0": ["__cuda >=12"]},
    "six": {"1.16.0": []},
}


@pytest.fixture(scope="module")
def why() -> ModuleType:
    specification = importlib.util.spec_from_file_location("conda_why", TOOL)
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def channel(tmp_path: Path) -> rattler.Channel:
    for subdir in PLATFORMS:
        packages = CHANNEL if subdir == "linux-64" else {}
        records = {
            f"{name}-{version}-0.conda": {
                "name": name, "version": version, "build": "0", "build_number": 0, "depends": depends,
                "subdir": subdir, "sha256": "0" * 64, "size": 1,
                "timestamp": int(datetime(2020 + number, 1, 1, tzinfo=UTC).timestamp()) * 1_000,
            }
            for name, versions in packages.items()
            for number, (version, depends) in enumerate(versions.items())
        }  # fmt: skip
        (tmp_path / subdir).mkdir()
        document = {"info": {"subdir": subdir}, "packages": {}, "packages.conda": records}
        (tmp_path / subdir / "repodata.json").write_text(json.dumps(document))
    return rattler.Channel(tmp_path.as_uri())


def told(why: ModuleType, channel: rattler.Channel, *specs: str, as_of: datetime | None = None) -> Any:
    gateway = rattler.Gateway()

    async def solve(asked: list[str]) -> Any:
        return await rattler.solve(
            [channel],
            [rattler.MatchSpec(spec) for spec in asked],
            gateway=gateway,
            platforms=["linux-64", "noarch"],
            virtual_packages=[],
            channel_relations="disabled",
        )

    line = asyncio.run(
        why.why({spec: rattler.MatchSpec(spec) for spec in specs}, solve, gateway, [channel], PLATFORMS, as_of)
    )
    assert line.startswith("launchyard-conda: ")
    assert "\n" not in line
    return json.loads(line.removeprefix("launchyard-conda: "))


def test_names_that_no_channel_has_come_with_those_that_are_near(why: ModuleType, channel: rattler.Channel) -> None:
    found = told(why, channel, "python=3.10", "numppy", "zzzz")
    assert found["absent"] == {"numppy": ["numpy"], "zzzz": []}
    assert (found["versions"], found["together"]) == ({}, [])


def test_versions_that_there_are_not_come_with_those_that_there_are(why: ModuleType, channel: rattler.Channel) -> None:
    found = told(why, channel, "python=3.10", "numpy=1.20", "pandas>3")
    assert found["versions"] == {"numpy=1.20": ["1.26.0", "1.21.0"], "pandas>3": ["2.0.0", "1.0.0"]}


def test_of_a_past_day_only_what_there_was_is_told(why: ModuleType, channel: rattler.Channel) -> None:
    found = told(why, channel, "numpy=1.26", as_of=datetime(2020, 6, 1, tzinfo=UTC))
    assert found["versions"] == {"numpy=1.26": ["1.21.0"]}


def test_what_cannot_be_had_together_is_told_without_what_has_no_part_in_it(
    why: ModuleType, channel: rattler.Channel
) -> None:
    found = told(why, channel, "six", "python=3.11", "pandas=1")
    assert found["together"] == ["python=3.11", "pandas=1"]
    assert found["instead"] == {"python=3.11": "3.9.1", "pandas=1": "2.0.0"}


def test_a_conflict_that_no_python_has_part_in_is_told(why: ModuleType, channel: rattler.Channel) -> None:
    found = told(why, channel, "numpy=1.26", "pandas=1", "six")
    assert found["together"] == ["numpy=1.26", "pandas=1"]
    assert found["instead"] == {"numpy=1.26": "1.21.0", "pandas=1": "2.0.0"}


def test_what_cannot_be_had_at_all_stands_alone(why: ModuleType, channel: rattler.Channel) -> None:
    found = told(why, channel, "six", "tides")
    assert (found["together"], found["instead"]) == (["tides"], {})


def test_without_time_no_question_is_asked(
    why: ModuleType, channel: rattler.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(why, "PATIENCE", -1)
    found = told(why, channel, "python=3.11", "pandas=1")
    assert (found["together"], found["instead"]) == ([], {})

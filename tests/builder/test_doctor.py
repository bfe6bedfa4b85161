"""What doctor can know of the engine's disk, and what it says where it cannot."""

from __future__ import annotations

import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest

from builder.doctor import MIN_DISK, doctor
from builder.doctor import _engine_disk as engine_disk
from builder.settings import load

pytestmark = pytest.mark.engine

ABSENT = "launchyard-nothing:none"


def test_the_disk_of_images_is_the_engines_and_not_what_its_path_is_on_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=MIN_DISK - 1))
    found = {}
    for check in doctor(load()):
        found[check.name] = check
        if check.name == "disk for records":
            break
    assert found["disk for images"].ok and "on the engine's disk" in found["disk for images"].found
    assert not found["disk for records"].ok


def test_nothing_is_said_of_the_engines_disk_where_no_image_is_here_to_look() -> None:
    settings = load()
    nobody = replace(settings, bases=replace(settings.bases, debian=ABSENT, python=ABSENT, pythons={}))
    check = engine_disk(nobody, ABSENT)
    assert check.ok and not check.needed and check.found.startswith("not asked: ")

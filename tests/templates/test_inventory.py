"""What an image says of itself that nobody sees before it is used."""

from __future__ import annotations

import json
from pathlib import Path

from tests.templates.conftest import load

inventory = load("inventory")


def install(prefix: Path, name: str, place: Path, *, editable: bool) -> None:
    directory = prefix / "lib" / "python3.10" / "site-packages" / f"{name}-1.0.dist-info"
    directory.mkdir(parents=True)
    origin = {"url": place.as_uri(), "dir_info": {"editable": editable}}
    (directory / "direct_url.json").write_text(json.dumps(origin))


def test_package_in_a_place_that_the_image_has_not_is_told_of(tmp_path: Path) -> None:
    here, gone = tmp_path / "here", tmp_path / "gone"
    here.mkdir()
    install(tmp_path, "tides", gone, editable=True)
    install(tmp_path, "waves", here, editable=True)
    install(tmp_path, "winds", gone, editable=False)
    ((code, words),) = inventory.editable_gone(tmp_path)
    assert code == "editable-gone"
    assert words.startswith(f"tides cannot be imported: it is installed in place, and its place {gone} ")

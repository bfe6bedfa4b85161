"""What an installation keeps on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from builder.fake_engine import FakeEngine
from builder.settings import Settings
from builder.space import space


def test_what_is_kept_is_counted_by_what_it_is(tmp_path: Path) -> None:
    settings = replace(Settings(), state_dir=str(tmp_path / "state"), cache_dir=str(tmp_path / "cache"))
    (tmp_path / "state").mkdir()
    before = space(settings, FakeEngine())
    (tmp_path / "cache" / "git").mkdir(parents=True)
    (tmp_path / "cache" / "git" / "pack").write_bytes(b"x" * 1_000_000)
    after = space(settings, FakeEngine())
    grown = {what: size - before.kept[what] for what, size in after.kept.items() if size != before.kept[what]}
    assert grown.keys() == {"repositories and other caches"}
    assert 1_000_000 <= grown["repositories and other caches"] < 1_100_000
    assert 0 < after.free <= after.total

"""What builds leave in the engine when they are interrupted or killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder import buildkit
from builder.docker import READ, ask, docker, remove_container
from builder.scratch import clear_all, new_scratch
from builder.service import load

pytestmark = pytest.mark.engine


def left_by(scratch: Path) -> list[str]:
    return docker("container", "ls", "--all", "--quiet", f"--filter=label={READ}={scratch}").split()


def test_what_a_killed_build_made_to_read_its_image_goes_with_its_directory(tmp_path: Path) -> None:
    killed, alive = (new_scratch(str(tmp_path), worker) for worker in ("killed", "alive"))
    for scratch in (killed, alive):
        ask("container", "create", f"--label={READ}={scratch}", "--entrypoint=/none", load().bases.debian)
    try:
        clear_all(str(tmp_path), but=["alive"])
        assert (left_by(killed), killed.exists()) == ([], False)
        assert len(left_by(alive)) == 1 and alive.exists()
    finally:
        for container in left_by(alive):
            remove_container(container)


def test_what_is_interrupted_while_its_container_is_made_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask_and_be_interrupted(*arguments: str) -> str:
        ask(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(buildkit, "ask", ask_and_be_interrupted)
    with pytest.raises(KeyboardInterrupt):
        buildkit.BuildKit().read(load().bases.debian, "/etc")
    assert left_by(tmp_path) == []


def test_a_container_that_is_not_there_is_removed_already() -> None:
    remove_container("launchyard-test-none-of-this-name")

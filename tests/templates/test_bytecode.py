"""Byte-code of what a step has left, on the Python that runs the tests."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "templates/files/tools/bytecode.py"


def test_what_a_step_left_is_compiled_and_only_the_modules_among_it(tmp_path: Path) -> None:
    root = tmp_path / "site"
    modules = [root / "tides.py", root / "charts.py" / "level.py"]  # a directory may be called like a module
    others = [root / "node_modules" / "gyp.py", root / "notes.txt"]
    for file in (*modules, *others):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("HIGH = 7\n")
    (root / "gone.py").symlink_to(root / "nowhere.py")
    listed = b"".join(bytes(path) + b"\0" for path in (root, *root.rglob("*")))
    subprocess.run([sys.executable, str(SCRIPT), "--new", str(tmp_path / "cache")], input=listed, check=True)
    compiled = [Path(importlib.util.cache_from_source(str(module))) for module in modules]
    assert sorted(root.rglob("*.pyc")) == sorted(compiled)
    assert {path.stat().st_mtime for path in compiled} == {0}

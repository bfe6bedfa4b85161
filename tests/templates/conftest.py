from __future__ import annotations

import importlib
import sys
from typing import Any

from builder.context import TEMPLATES

TOOLS = TEMPLATES / "files/tools"


def load(name: str) -> Any:
    """The module of a tool that runs inside builds, which is no part of a package."""
    sys.path.insert(0, str(TOOLS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(TOOLS))

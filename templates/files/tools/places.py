"""Where things lie in an environment. Standard library of Python 3.9: an environment's own interpreter reads it too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def site_packages(prefix: Path) -> Iterator[Path]:
    """The directory below a prefix that packages are in, where there is one.

    conda-forge's Python 3.10 has a link beside it, for those who took 3.10 for the number 3.1:
    https://github.com/conda-forge/python-feedstock/issues/611
    """
    for library in prefix.glob("lib/python3*"):
        if not library.is_symlink():
            yield from library.glob("site-packages")

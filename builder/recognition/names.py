"""Names that people mean when they write another.

names.txt: the 3,000 packages most downloaded from the Python Package Index in November 2026, and packages of
science that are less so; names alone, normalised, the most downloaded first. Read only when a package was not found.
"""

from __future__ import annotations

import re
import sys
from difflib import SequenceMatcher, get_close_matches
from functools import cache
from pathlib import Path

from builder.recognition.said import canonical

NAMES = Path(__file__).with_name("names.txt")

IMPORTS = {
    "attr": "attrs",
    "beautifulsoup": "beautifulsoup4",
    "bio": "biopython",
    "bs4": "beautifulsoup4",
    "cairo": "pycairo",
    "crypto": "pycryptodome",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "faiss": "faiss-cpu",
    "fitz": "pymupdf",
    "gi": "pygobject",
    "git": "gitpython",
    "github": "pygithub",
    "hdf5": "h5py",
    "huggingface": "huggingface-hub",
    "hydra": "hydra-core",
    "jose": "python-jose",
    "jwt": "pyjwt",
    "kafka": "kafka-python",
    "ldap": "python-ldap",
    "magic": "python-magic",
    "mpi": "mpi4py",
    "mpl-toolkits": "matplotlib",
    "mysqldb": "mysqlclient",
    "nacl": "pynacl",
    "netcdf": "netcdf4",
    "np": "numpy",
    "ogr": "gdal",
    "opencv": "opencv-python-headless",
    "openssl": "pyopenssl",
    "osgeo": "gdal",
    "osr": "gdal",
    "past": "future",
    "pd": "pandas",
    "pil": "pillow",
    "plt": "matplotlib",
    "pptx": "python-pptx",
    "pylab": "matplotlib",
    "pyplot": "matplotlib",
    "pyside": "pyside6",
    "python-opencv": "opencv-python-headless",
    "pytorch": "torch",
    "rest-framework": "djangorestframework",
    "serial": "pyserial",
    "shapefile": "pyshp",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "skopt": "scikit-optimize",
    "slugify": "python-slugify",
    "snappy": "python-snappy",
    "sns": "seaborn",
    "socks": "pysocks",
    "telegram": "python-telegram-bot",
    "tensorflow-gpu": "tensorflow",
    "tf": "tensorflow",
    "umap": "umap-learn",
    "usb": "pyusb",
    "websocket": "websocket-client",
    "wx": "wxpython",
    "yaml": "pyyaml",
    "zmq": "pyzmq",
    "zope": "zope-interface",
}
"""What is imported, abbreviated or commonly miswritten under a name, by the package that brings it.

From the packages' own documentation; where a package comes in several builds, the one for a server.
"""

OF_CONDA = {
    "annoy": "python-annoy",
    "blosc": "python-blosc",
    "build": "python-build",
    "community": "python-louvain",
    "ggplot2": "r-ggplot2",
    "java": "openjdk",
    "kaleido": "python-kaleido",
    "msgpack": "msgpack-python",
    "node": "nodejs",
    "opencv-contrib-python": "opencv",
    "opencv-contrib-python-headless": "opencv",
    "opencv-python": "opencv",
    "opencv-python-headless": "opencv",
    "psycopg2-binary": "psycopg2",
    "pyqt5": "pyqt",
    "r": "r-base",
    "tables": "pytables",
    "tidyverse": "r-tidyverse",
    "torch": "pytorch",
    "torch-cluster": "pytorch_cluster",
    "torch-geometric": "pytorch_geometric",
    "torch-scatter": "pytorch_scatter",
    "torch-sparse": "pytorch_sparse",
}
"""What conda-forge calls a package that has another name on the index, or as people speak of it."""

_OF_SYSTEMS = {
    "Windows": re.compile(
        r"vc|vc14_runtime|vs20\d\d_(?:runtime|win-64)|ucrt|msvc_runtime|pywin32|pywin32-ctypes|pywinpty|winpty|wincertstore"
        r"|win_inet_pton|win_unicode_console|windows-curses|m2w64-[\w-]+|msys2-conda-epoch|icc_rt|menuinst"
        r"|(?:console|powershell)_shortcut\w*"
    ),
    "macOS": re.compile(r"appnope|libcxx|libcxxabi|python\.app|pyobjc-[\w-]+|cctools(?:_\w+-\d+)?|ld64|\w+_osx-\w+"),
}
"""Packages that conda's channels have for one system alone, by their names."""

OF_LINUX = frozenset(
    {
        "apturl", "brlapi", "cloud-init", "command-not-found", "cupshelpers", "hidpidaemon", "language-selector",
        "onboard", "pkg-resources", "pop-transition", "python-apt", "sepolicy", "subscription-manager",
        "ubuntu-advantage-tools", "ubuntu-drivers-common", "ubuntu-pro-client", "ubuntu-release-upgrader", "ufw",
        "unattended-upgrades", "usb-creator", "virt-manager", "xkit",
    }
)  # fmt: skip
"""Distributions of Linux bring these, `pip freeze` lists them with the rest, and no index has them. Of packages in
Debian, Ubuntu and Fedora; that the Python Package Index has none of the names was looked up in November 2026."""

REMOVED_MODULES = frozenset({"asynchat", "asyncore", "distutils", "imp", "smtpd"})
"""Of the standard library of some Python that is built with, and not of all: https://docs.python.org/3/whatsnew/3.12.html"""


def nearest(name: str) -> tuple[str, ...]:
    """At most three well-known names that look like this one, the nearest first."""
    wanted = canonical(name)
    known = _known()
    bare = wanted.replace("-", "")
    same = [other for other in known if other.replace("-", "") == bare and other != wanted]
    close = [other for other in get_close_matches(wanted, known, 10, 0.8) if other != wanted]
    close.sort(key=lambda other: (-round(SequenceMatcher(None, other, wanted).ratio(), 2), known.index(other)))
    return tuple(dict.fromkeys([*same, *close]))[:3]


@cache
def _known() -> list[str]:
    return NAMES.read_text().split()


def is_known(requirement: str) -> bool:
    """Whether a requirement is one of a package that is well known."""
    return canonical(re.split(r"[^\w.-]", requirement)[0]) in _known()


def distribution(name: str) -> str | None:
    """The package that brings what is imported under a name, where the two differ."""
    return IMPORTS.get(canonical(name))


def conda_name(name: str) -> str | None:
    """What conda-forge calls a package that the index, or an import, calls otherwise."""
    package = distribution(name)
    return OF_CONDA.get(package or canonical(name)) or package


def system_of(name: str) -> str:
    """The system that alone has a package of conda's, "Windows" or "macOS"; "" where that is not known."""
    return next((system for system, names in _OF_SYSTEMS.items() if names.fullmatch(name)), "")


def part_of(name: str) -> str:
    """What brings a thing of this name that no index has: Python itself, or a system; "" for others."""
    if canonical(name) == "python":
        return "the image, and which one is said by a runtime.txt with a line such as python-3.12"
    if name in sys.stdlib_module_names or name in REMOVED_MODULES:
        return "Python"
    if canonical(name) == "google-colab":
        return "Colab, Google's own service, and works there alone"
    return "a Linux system, whose own packages `pip freeze` lists" if canonical(name) in OF_LINUX else ""

"""A lock is read strictly: what it holds goes into lines of other tools' files."""

from __future__ import annotations

import json
from typing import Any

import pytest

from builder.locked import CondaPackage, Lock, PythonPackage

PYTHON = {"name": "six", "version": "1.16.0", "hashes": ["sha256:ab"]}
CONDA = {
    "name": "six", "version": "1.16.0", "build": "pyhd8ed1ab_0", "subdir": "noarch", "channel": "conda-forge",
    "file": "six-1.16.0-pyhd8ed1ab_0.conda", "md5": "a" * 32, "sha256": "b" * 64,
}  # fmt: skip


def test_a_lock_is_written_as_the_image_has_it() -> None:
    document = {"pylock": [PYTHON], "conda": [CONDA], "pylock.kernel": [{**PYTHON, "name": "ipykernel"}]}
    assert Lock.from_json(document).to_json() == document


def test_what_a_lock_does_not_know_of_a_package_is_none() -> None:
    lock = Lock.from_json(
        {"pylock": [{"name": "tide", "version": None, "hashes": []}], "conda": [{**CONDA, "md5": None}]}
    )
    assert lock.python == (PythonPackage("tide", None, ()),)
    assert lock.conda[0].md5 is None and isinstance(lock.conda[0], CondaPackage)


@pytest.mark.parametrize(
    "spoilt",
    [
        {"name": "six\n--index-url=https://x.example"},
        {"version": "1 --hash=sha256:ab"},
        {"hashes": ["sha256:ab\nx"]},
        {"hashes": "sha256:ab"},
        {"marker": "python_version > '3'\u2028six"},
        {"marker": "no marker"},
        {"url": "https://x.example/a b"},
        {"url": "https://x.example/\x1b[2J"},
        {"path": "\x9b2J"},
        {"path": "a\nb"},
        {"name": 1},
    ],
)
def test_a_word_that_could_end_its_line_is_no_lock(spoilt: dict[str, Any]) -> None:
    Lock.from_json({"pylock": [PYTHON]})
    with pytest.raises((ValueError, TypeError)):
        Lock.from_json({"pylock": [{**PYTHON, **spoilt}]})


@pytest.mark.parametrize("spoilt", [{"channel": "a#b"}, {"file": "six.conda\n"}, {"file": "a/b.conda"}, {"md5": "A"}])
def test_a_place_that_no_conda_package_has_is_no_lock(spoilt: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(spoilt))):
        Lock.from_json({"conda": [{**CONDA, **spoilt}]})


@pytest.mark.parametrize("document", ["[]", "1", '{"pylock": 1}', '{"conda": [1]}', '{"pylock": [[]]}'])
def test_another_document_is_no_lock(document: str) -> None:
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        Lock.from_json(json.loads(document))

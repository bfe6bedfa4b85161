"""A package index described in JSON: names, their versions, and what is odd about each.

    {"tides": {"1.0": {}, "2.0": {"requires": ["moon<2"], "requires-python": ">=3.12", "yanked": "wrong tides"}}}

"upload-time" is when it was published, which the JSON form alone says. A version is a wheel; with "source", the files
of a source distribution by their paths, it is that alone.
"""

from __future__ import annotations

import gzip
import hashlib
import html
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from typing import Any

from tests.images.serving import Answer, Request, wheel

JSON = "application/vnd.pypi.simple.v1+json"
"""https://packaging.python.org/en/latest/specifications/simple-repository-api/"""

ABSENT: Answer = (404, "text/plain", b"no such package")


def described(packages: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Callable[[Request], Answer]:
    """Answers as an index of these packages does, in JSON or HTML as it is asked."""
    pages = {
        name: [(*_file(name, version, about), about) for version, about in versions.items()]
        for name, versions in packages.items()
    }
    files = {filename: content for page in pages.values() for filename, content, _ in page}

    def answer(request: Request) -> Answer:
        name = request.path.rstrip("/").rpartition("/")[2]
        if name in files:
            return 200, "application/octet-stream", files[name]
        if name not in pages:
            return ABSENT
        page = [_entry(*file) for file in pages[name]]
        if JSON in request.headers.get("Accept", ""):
            document = {"meta": {"api-version": "1.0"}, "name": name, "files": page}
            return 200, JSON, json.dumps(document).encode()
        return 200, "text/html", f"<!DOCTYPE html><html><body>{' '.join(map(_link, page))}</body></html>".encode()

    return answer


def _file(name: str, version: str, about: Mapping[str, Any]) -> tuple[str, bytes]:
    stem = f"{name.replace('-', '_')}-{version}"
    if "source" in about:
        return f"{stem}.tar.gz", _source(stem, about["source"])
    tag = about.get("tag", "py3-none-any")
    needs = about.get("requires", ()), about.get("requires-python", "")
    return f"{stem}-{tag}.whl", wheel(name.replace("-", "_"), version, *needs)


def _source(stem: str, files: Mapping[str, str]) -> bytes:
    name, _, version = stem.rpartition("-")
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as archive:
        for path, text in {"PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", **files}.items():
            member = tarfile.TarInfo(f"{stem}/{path}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


def _entry(filename: str, content: bytes, about: Mapping[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = {"filename": filename, "url": filename}
    entry["hashes"] = {"sha256": hashlib.sha256(content).hexdigest()}
    return entry | {key: about[key] for key in ("requires-python", "yanked", "upload-time") if key in about}


def _link(entry: Mapping[str, Any]) -> str:
    odd = "".join(
        f' data-{key}="{html.escape(str(entry[key]))}"' for key in ("requires-python", "yanked") if key in entry
    )
    return f'<a href="{entry["url"]}#sha256={entry["hashes"]["sha256"]}"{odd}>{entry["filename"]}</a>'

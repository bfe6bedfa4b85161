"""Ask the index about packages that could not be had: lock.py does, after a failed lock, and install.py after a build.

Prints a line for each that there is something to say of, for whoever explains the failure:

    launchyard-why: {"name": "tides", "python": "3.10", "absent": false, "versions": ["2.0", "1.2"],
                     "series": ["2.0", "1.2"],
                     "others": [{"version": "3.0", "python": ">=3.13"}, {"version": "2.1", "yanked": "wrong"},
                                {"version": "2.0", "platform": "win32, win_amd64"}],
                     "built": {"version": "1.2", "pythons": ["3.7", "3.8"], "nearest": "2.0"}}

`built` is there where a version had to be built: for which Pythons it has a wheel, and which is the next version with
one for this Python, the last before it where none follows, or null. Versions are those that this Python could have,
others those that it could not; newest first, at most five of a kind. `series` are the newest of each major and minor.
The answers of an index, and the names, which come from a log, are other people's words: all is bounded.
Format: https://packaging.python.org/en/latest/specifications/simple-repository-api/
"""

import base64
import json
import os
import platform
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from html.parser import HTMLParser
from urllib.parse import unquote, urljoin, urlsplit

sys.path.append("/tools/pip")

from pip._vendor.packaging.specifiers import InvalidSpecifier, SpecifierSet
from pip._vendor.packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from pip._vendor.packaging.version import InvalidVersion

MARK = "launchyard-why: "
MAX_NAMES = 5
MAX_VERSIONS = 5
MAX_SERIES = 20
MAX_TEXT = 200
MAX_ANSWER = 20_000_000
"""Bytes; the longest page seen has some 5 MB."""
MAX_TIME = 20
"""Seconds for all of it."""

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"

NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
SUSPECTS = re.compile(
    rf"no versions? of ({NAME})"
    rf"|only (?:the following versions of )?({NAME})\S* (?:is|are) available"
    rf"|({NAME})[<>=!~]\S* (?:was|were) yanked"
    rf"|({NAME})[<>=!~]\S* depends? on Python"
    rf"|({NAME})[<>=!~]\S* (?:has|have) no [^\n]*wheels"
    rf"|satisfies the requirement ({NAME})"
    rf"|depends on ({NAME}) \([^()\n]*\) which doesn't match any versions"
    rf"|({NAME}) \([^()\n]*\) (?:which )?requires Python"
)
"""What uv, pip and Poetry say of a package of which they found no version that would do."""

BUILT = re.compile(rf"Failed to (?:download and )?build `({NAME})==([^`\s]+)`")
"""What uv says of a version without a wheel whose source could not be built."""

BUILT_BY_PIP = re.compile(rf"Failed to build '({NAME})'|Failed building wheel for ({NAME})")
SOURCE = re.compile(rf"(?:Downloading|Using cached) (?:\S*/)?({NAME})-(\d[\w.!+]*)\.(?:tar\.gz|zip)\b")
"""pip says the name alone, and the version where it takes the source."""


def ask(names, as_of=None, built=()):
    """Print what the indexes say of packages, the versions that came after a time (RFC 3339) left out.

    `built` are pairs of names and versions that had to be built.
    """
    until = time.monotonic() + MAX_TIME
    minor = python_minor()
    versions = {canonicalize_name(name): version for name, version in built}
    for name in list(dict.fromkeys([*map(canonicalize_name, names), *versions]))[:MAX_NAMES]:
        if not re.fullmatch(NAME, name) or len(name) > 100:
            continue
        pages = [files(index, name, until) for index in indexes()]
        known = [entry for page in pages if page for entry in page]
        if any(page is None for page in pages):  # not asked, or no answer: nothing is known for certain
            continue
        said = answer(name, known, minor, as_of, versions.get(name))
        print(MARK + json.dumps(said), file=sys.stderr, flush=True)


def suspects(log):
    """The packages of which a log says that no version could be had, in its order."""
    found = ("".join(match.groups(default="")) for match in SUSPECTS.finditer(log[-200_000:]))
    return list(dict.fromkeys(found))[:MAX_NAMES]


def built(log):
    """(name, version) of each package of which a log says that its source could not be built, in its order."""
    log = log[-200_000:]
    sources = {canonicalize_name(name): version for name, version in SOURCE.findall(log)}
    by_pip = (one or other for one, other in BUILT_BY_PIP.findall(log))
    versions = ((name, sources.get(canonicalize_name(name))) for name in by_pip)
    found = (*BUILT.findall(log), *((name, version) for name, version in versions if version))
    return list(dict.fromkeys(found))[:MAX_NAMES]


def withdrawn(log):
    """[code, message] of each version that was taken although its authors withdrew it, as uv and pip warn of it."""
    uv = re.findall(rf"warning: `({NAME})==(\S+)` is yanked(?: \(reason: \"(.*)\"\))?", log[-200_000:])
    pip = re.findall(
        rf"yanked version: '({NAME})' candidate \(version (\S+) at .*\n(?:Reason for being yanked: (.*))?",
        log[-200_000:],
    )
    told = dict.fromkeys((name, version, given(reason)) for name, version, reason in [*uv, *pip])
    return [
        ("version-withdrawn", f"{name} {version} was withdrawn by its authors" + (f": {reason}" if reason else ""))
        for name, version, reason in list(told)[:10]
    ]


def given(reason):
    return "" if reason.strip() == "<none given>" else "".join(c for c in reason.strip()[:MAX_TEXT] if c.isprintable())


def answer(name, entries, minor, as_of, built=None):
    """What the entries of an index come to: a document as above."""
    by_version = {}
    for entry in entries:
        if as_of and str(entry.get("upload-time") or "") > as_of:
            continue
        try:
            version, tags = parsed(entry["filename"])
        except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion, TypeError, KeyError):
            continue
        by_version.setdefault(version, []).append((entry, tags))
    newest = sorted(by_version, reverse=True)
    reasons = {version: reason(by_version[version], minor) for version in newest}
    usable = [version for version in newest if reasons[version] is None]
    stable = [version for version in usable if not version.is_prerelease]
    others = [
        {"version": str(version), **reasons[version]}
        for kind in ("python", "yanked", "platform")
        for version in [v for v in newest if reasons[v] and kind in reasons[v]][:MAX_VERSIONS]
    ]
    found = {
        "name": name, "python": f"3.{minor}", "absent": not entries,
        "versions": [str(version) for version in (stable or usable)[:MAX_VERSIONS]],
        "series": [str(version) for version in series(stable)], "others": others,
    }  # fmt: skip
    return found | ({"built": wheels(by_version, built, stable, minor)} if built else {})


def series(newest):
    """The first of each major and minor, where the newest are first."""
    first = {}
    for version in newest:
        first.setdefault(version.release[:2], version)
    return list(first.values())[:MAX_SERIES]


def wheels(by_version, built, stable, minor):
    """Of a version that had to be built, what is above."""
    mine = next((files for version, files in by_version.items() if str(version) == built), ())
    made_for = {cpython(tag.interpreter) for _, tags in mine for tag in tags or () if is_for_here(tag)}
    with_wheel = [v for v in stable if any(tags and fits(entry, tags, minor) for entry, tags in by_version[v])]
    newer = [v for v in with_wheel if all(v > other for other in by_version if str(other) == built)]
    nearest = newer[-1:] or with_wheel[:1]
    return {
        "version": built,
        "pythons": [f"3.{other}" for other in sorted(made_for - {None})],
        "nearest": str(nearest[0]) if nearest else None,
    }


def reason(files, minor):
    """None for a version that this Python could have; else what it is for, or why it was withdrawn."""
    fitting = [entry for entry, tags in files if fits(entry, tags, minor)]
    if any(entry.get("yanked") in (None, False) for entry in fitting):
        return None
    if fitting:
        return {"yanked": next((e["yanked"] for e in fitting if isinstance(e["yanked"], str)), "")[:MAX_TEXT]}
    refused = [entry["requires-python"] for entry, _ in files if not admits(entry, minor)]
    here = [tag for _, tags in files for tag in tags or () if is_for_here(tag)]
    pythons = {made_for for tag in here if (made_for := cpython(tag.interpreter))}
    if all(tags is not None for _, tags in files) and not here:
        platforms = sorted({tag.platform for _, tags in files for tag in tags})
        return {"platform": ", ".join(platforms[:MAX_VERSIONS])[:MAX_TEXT]}
    if not refused and not pythons:
        return {"interpreter": "another"}
    others = " or ".join(f"3.{other}" for other in sorted(pythons))
    return {"python": (refused[0] if refused else others)[:MAX_TEXT]}


def fits(entry, tags, minor):
    return admits(entry, minor) and (tags is None or any(runs(tag, minor) for tag in tags))


def admits(entry, minor):
    needs = entry.get("requires-python")
    try:
        return not isinstance(needs, str) or SpecifierSet(needs).contains(f"3.{minor}.99")
    except InvalidSpecifier:
        return True


def runs(tag, minor):
    """Whether a wheel's tag is for this Python, on Linux."""
    if not is_for_here(tag):
        return False
    if tag.interpreter == "py3" or re.fullmatch(r"py3\d+", tag.interpreter):
        return tag.interpreter == "py3" or int(tag.interpreter[3:]) <= minor
    made_for = cpython(tag.interpreter)
    return made_for == minor or (tag.abi == "abi3" and made_for is not None and made_for <= minor)


def is_for_here(tag):
    return tag.platform == "any" or ("linux" in tag.platform and tag.platform.endswith(platform.machine()))


def cpython(interpreter):
    found = re.fullmatch(r"cp3(\d+)", interpreter)
    return int(found[1]) if found else None


def parsed(filename):
    """(version, tags of a wheel or None)."""
    if filename.endswith(".whl"):
        _, version, _, tags = parse_wheel_filename(filename)
        return version, tags
    _, version = parse_sdist_filename(filename)
    return version, None


def files(index, name, until):
    """The files that an index has of a package, [] when it has no such package, None when it gives no answer."""
    address = urlsplit(urljoin(index.rstrip("/") + "/", name + "/"))
    if address.scheme not in ("http", "https"):
        return None
    request = urllib.request.Request(
        address._replace(netloc=address.netloc.rpartition("@")[2]).geturl(), headers={"Accept": ACCEPT}
    )
    if address.username:
        pair = f"{unquote(address.username)}:{unquote(address.password or '')}"
        request.add_unredirected_header("Authorization", "Basic " + base64.b64encode(pair.encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=max(0.1, min(10, until - time.monotonic()))) as response:
            return entries(read(response, until), response.headers.get_content_type())
    except urllib.error.HTTPError as error:
        with error:
            return [] if error.code in (404, 410) else None
    except (OSError, ValueError):
        return None


def read(response, until):
    content = b""
    while part := response.read(65_536):
        content += part
        if len(content) > MAX_ANSWER or time.monotonic() > until:
            raise OSError("too much, or too late")
    return content


def entries(content, kind):
    if kind.endswith("json"):
        document = json.loads(content)
        found = document.get("files") if isinstance(document, dict) else None
        return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else None
    page = Page()
    page.feed(content.decode(errors="replace"))
    return page.entries


class Page(HTMLParser):
    """The files of an index's page in HTML."""

    def __init__(self):
        super().__init__()
        self.entries = []

    def handle_starttag(self, tag, attributes):
        link = dict(attributes)
        if tag == "a" and link.get("href"):
            entry = {"filename": unquote(urlsplit(link["href"]).path.rpartition("/")[2])}
            if "data-requires-python" in link:
                entry["requires-python"] = link["data-requires-python"]
            if "data-yanked" in link:
                entry["yanked"] = link["data-yanked"] or True
            self.entries.append(entry)


def indexes():
    """The indexes of the installation; those that a repository names are not asked."""
    extra = os.environ.get("PIP_EXTRA_INDEX_URL", "").split()
    return [os.environ.get("PIP_INDEX_URL") or default_index(), *extra]


def default_index():
    from pip._internal.models.index import PyPI

    return PyPI.simple_url


def python_minor():
    python = os.environ.get("LAUNCHYARD_PYTHON") or sys.executable
    code = "import sys; print(sys.version_info[1])"
    return int(subprocess.run([python, "-c", code], capture_output=True, text=True, check=True, timeout=10).stdout)

"""An Engine in memory, for tests and trials without Docker. The contract test holds it to the real one.

It reads the contexts it is given: FROM and COPY of the last stage make an image's files, and RUN of
`false` or `exit N` fails. An environment's lock is what its request asks for, in the versions of
`index`: change one, and a rebuild finds it.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
import tarfile
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from builder.build import ENVIRONMENT
from builder.engine import BuildFailed, BuildRequest, Image, Log, Report, Step
from builder.failures.asked import PushFailed
from detectors.failures import BuildError


@dataclass(frozen=True, slots=True)
class _Stored:
    image: Image
    files: Mapping[str, bytes]
    """By absolute path."""
    layers: tuple[int, ...] = ()


@dataclass(slots=True)
class FakeEngine:
    """Keeps images in a dictionary, and remembers what it was asked to build."""

    index: Mapping[str, str] = field(default_factory=dict)
    """Packages that there are: name to newest version."""
    documents: Mapping[str, object] = field(default_factory=dict)
    """What builds of an environment leave beside its packages, by name of the file."""
    registries: set[str] = field(default_factory=set)
    """Hosts that take a push."""
    pushed: dict[str, _Stored] = field(default_factory=dict)
    """What they have, by reference; engines may share it."""
    in_use: set[str] = field(default_factory=set)
    """Ids of images that containers were made from."""
    requests: list[BuildRequest] = field(default_factory=list)
    _stored: dict[str, _Stored] = field(default_factory=dict)
    _tags: dict[str, str] = field(default_factory=dict)

    def inspect(self, reference: str) -> Image | None:
        stored = self._stored.get(self._tags.get(_full(reference), reference))
        return self._image(stored) if stored else None

    def layers(self, reference: str) -> tuple[int, ...]:
        return self._stored[self._tags.get(_full(reference), reference)].layers

    def build(self, request: BuildRequest, report: Report) -> str:
        self.requests.append(request)
        context = _read(request)
        base, files, layers = self._run(context, report)
        labels = {**base.labels, **request.labels}
        made = [
            sorted((path, hashlib.sha256(content).hexdigest()) for path, content in files.items()),
            sorted(labels.items()),
        ]
        image_id = "sha256:" + hashlib.sha256(json.dumps(made).encode()).hexdigest()
        size = base.size + sum(map(len, files.values()))
        self._stored.setdefault(image_id, _Stored(Image(image_id, (), labels, size), files, layers))
        return image_id

    def usage(self) -> Mapping[str, int]:
        return {"the engine's images": sum(stored.image.size for stored in self._stored.values())}

    def tag(self, image_id: str, *references: str) -> None:
        self._tags |= {_full(reference): image_id for reference in references}

    def push(self, reference: str) -> str:
        host = reference.partition("/")[0]
        if host not in self.registries:
            raise BuildError(PushFailed(reference, f"no registry answers at {host}"))
        stored = self._stored[self._tags[_full(reference)]]
        digest = "sha256:" + hashlib.sha256(stored.image.id.encode()).hexdigest()
        pushed = _Stored(stored.image._replace(digest=digest), stored.files, stored.layers)
        self.pushed[_full(reference)] = self._stored[stored.image.id] = pushed
        return digest

    def pull(self, reference: str) -> Image | None:
        stored = self.pushed.get(_full(reference))
        if stored is None or reference.partition("/")[0] not in self.registries:
            return None
        self._stored.setdefault(stored.image.id, stored)
        self.tag(stored.image.id, reference)
        return self.inspect(reference)

    def read(self, reference: str, directory: str) -> Mapping[str, bytes]:
        stored = self._stored[self._tags.get(_full(reference), reference)]
        below = directory.rstrip("/") + "/"
        return {path.removeprefix(below): content for path, content in stored.files.items() if path.startswith(below)}

    def images(self, label: str) -> Iterable[Image]:
        name, equals, value = label.partition("=")
        found = (stored.image for stored in reversed(self._stored.values()))
        return tuple(
            self._image(self._stored[image.id])
            for image in found
            if name in image.labels and (not equals or image.labels[name] == value)
        )

    def tidy(self) -> None:
        pass  # what is in memory goes with its process

    def remove(self, references: Iterable[str]) -> None:
        for reference in references:
            image_id = self._tags.get(_full(reference), reference)
            others = [tag for tag, tagged in self._tags.items() if tagged == image_id and tag != _full(reference)]
            if image_id in self.in_use and not others:
                continue
            self._tags.pop(_full(reference), None)
            if not others:
                self._stored.pop(image_id, None)

    def _image(self, stored: _Stored) -> Image:
        tags = tuple(tag for tag, image_id in self._tags.items() if image_id == stored.image.id)
        return stored.image._replace(tags=tags)

    def _run(self, context: Mapping[str, bytes], report: Report) -> tuple[Image, dict[str, bytes], tuple[int, ...]]:
        """The base of the last stage, and the files and the layers of the image."""
        last = context["Dockerfile"].decode().replace("\\\n", " ").rpartition("\nFROM ")[2].removeprefix("FROM ")
        first, *instructions = last.splitlines()
        parent = self._stored.get(self._tags.get(_full(first.split()[0]), ""))
        files = dict(parent.files) if parent else {}
        layers = list(parent.layers) if parent else []
        if "request/request.json" in context:
            files |= self._environment(json.loads(context["request/request.json"]), report)
        steps = [line for line in instructions if line.startswith(("COPY ", "RUN "))]
        for number, line in enumerate(steps, 2):
            step = f"[stage-0 {number}/{len(steps) + 1}] {line}"
            _step(step, report, _refused(step, line))
            new: dict[str, bytes] = {}
            if copied := re.fullmatch(r"COPY (?!--)(\S+) (\S+)", line):
                new = _copied(context, copied[1], copied[2])
                files |= new
            layers.append(sum(map(len, new.values())))
        return (parent.image if parent else Image("", (), {}, 0)), files, tuple(layers)

    def _environment(self, request: Mapping[str, object], report: Report) -> dict[str, bytes]:
        """What the lock and env stages of an environment come to."""
        names = request["requested_names"]
        assert isinstance(names, list)
        absent = next((name for name in names if name not in self.index), None)
        said = f"ERROR: Could not find a version that satisfies the requirement {absent} (from versions: none)"
        _step(
            "[lock 2/2] RUN lock",
            report,
            BuildFailed("[lock 2/2] RUN lock", "exit code: 1", (said,)) if absent else None,
        )
        _step("[environment 2/2] RUN install", report, None)
        source = "conda" if request["strategy"] == "conda" else "index"
        packages = [{"name": n, "version": self.index[n], "source": source, "requested": True} for n in names]
        lock = _lock(source, {name: self.index[name] for name in names})
        made = {"packages.json": packages, "lock.json": lock, "problems.json": [], **self.documents}
        return {f"{ENVIRONMENT}/{name}": json.dumps(document).encode() for name, document in made.items()}


def _lock(source: str, versions: Mapping[str, str]) -> dict[str, object]:
    """A lock of templates/files/tools/inventory.py's, as if each package were one file made of its name."""
    files = {name: f"{name}-{version}-0.conda" for name, version in versions.items()}
    digests = {name: hashlib.sha256(file.encode()).hexdigest() for name, file in files.items()}
    if source == "conda":
        place = {"build": "0", "subdir": "noarch", "channel": "conda-forge", "md5": None}
        return {"conda": [{"name": n, "version": v, "file": files[n], "sha256": digests[n], **place}
                          for n, v in versions.items()]}  # fmt: skip
    pylock = [{"name": n, "version": v, "hashes": [f"sha256:{digests[n]}"]} for n, v in versions.items()]
    return {"conda": [], "pylock": pylock}


def _read(request: BuildRequest) -> dict[str, bytes]:
    with tempfile.TemporaryFile() as stream:
        request.write_context(stream)
        stream.seek(0)
        with tarfile.open(fileobj=stream) as tar:
            members = ((member.name, tar.extractfile(member)) for member in tar if member.isfile())
            return {name: content.read() for name, content in members if content}


def _copied(context: Mapping[str, bytes], source: str, target: str) -> dict[str, bytes]:
    if source in context:
        return {posixpath.join(target, posixpath.basename(source)) if target.endswith("/") else target: context[source]}
    below = source.rstrip("/") + "/"
    return {
        posixpath.join(target, path.removeprefix(below)): c for path, c in context.items() if path.startswith(below)
    }


def _refused(step: str, line: str) -> BuildFailed | None:
    found = re.fullmatch(r"RUN (?:echo (?P<said>\S+) *; *)?(?:false|exit (?P<code>[1-9]\d*))", line)
    if not found:
        return None
    message = f'process "/bin/sh -c {line[4:]}" did not complete successfully: exit code: {found["code"] or 1}'
    return BuildFailed(step, message, (found["said"],) if found["said"] else ())


def _step(name: str, report: Report, failed: BuildFailed | None) -> None:
    began = time.time()
    report(Step(name, began))
    if failed:
        for line in failed.lines:
            report(Log(name, line + "\n"))
        report(Step(name, began, time.time(), error=failed.message))
        raise failed
    report(Step(name, began, time.time()))


def _full(reference: str) -> str:
    """A reference with its tag, as an engine lists it."""
    return reference if ":" in reference.rpartition("/")[2] else f"{reference}:latest"

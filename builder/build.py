"""The main job: from an address and a ref to a tagged image."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from builder import context, identity, parents
from builder.address import Address
from builder.context import Context
from builder.engine import BuildFailed, BuildRequest, Engine, Image, Log, Report, Step
from builder.failures.asked import RecordInvalid, ReferenceInvalid
from builder.locks import LockTimeout, held
from builder.repository import Commit, open_commit
from builder.settings import Settings
from builder.settings import secrets as passwords
from builder.stages import WAITING
from detectors import detect
from detectors.failures import BuildError
from detectors.plan import SCHEMA, Options, Plan, Warned

if TYPE_CHECKING:
    from builder.records import Built, StepTime

ENVIRONMENT = "/opt/launchyard/environment"
"""Where an image keeps what `packages` and `diff` read."""


MAX_LABEL = 60_000
"""Characters of the plan in a label: Linux takes arguments of 131,072 bytes, and labels are arguments."""


@dataclass(frozen=True, slots=True)
class Planned:
    """Everything that is known before an engine is asked."""

    address: Address
    commit: Commit
    plan: Plan
    frontend: str
    context: Context
    key: str

    def to_json(self, subdir: str = "") -> dict[str, object]:
        """The published document that detectors/plan.schema.json describes."""
        return {
            "schema": SCHEMA,
            "repository": {"url": self.commit.url, "commit": self.commit.id, "subdir": subdir},
            **self.plan.to_json(),
            "frontend": self.frontend,
            "key": self.key,
        }


class Wish(NamedTuple):
    """How a person wants it built; nothing here changes what is in the image, but for fresh versions."""

    rebuild: bool = False
    """Decide versions by what the indexes have now."""
    tags: tuple[str, ...] = ()
    push: bool = False
    no_cache: bool = False
    """Run every step again that depends on what is asked for; what was downloaded is kept."""

    @property
    def again(self) -> bool:
        """Whether to build although the image is there."""
        return self.rebuild or self.no_cache


def plan(
    address: Address,
    ref: str | None,
    options: Options,
    frontend: str,
    settings: Settings,
    *,
    worktree: bool = False,
) -> Planned:
    """Resolve, fetch, detect, render and identify. Needs git, and no engine.

    `options.as_of` may be "commit", for the time of the commit. Raises BuildError.
    """
    commit = open_commit(address, ref, settings, worktree=worktree)
    options = replace(options, as_of=_as_of(options.as_of, commit), keep_defaults=settings.conda.keep_defaults,
                      pip_resolver=settings.index.resolver)  # fmt: skip
    found = detect(commit.source, options)
    found = replace(found, warnings=(*commit.warnings, *found.warnings))
    rendered = context.environment(found, frontend, commit.source, settings)
    return Planned(address, commit, found, frontend, rendered, identity.key_of(rendered, settings.platform))


def build(planned: Planned, wish: Wish, engine: Engine, settings: Settings, report: Report) -> Built:
    """Give the image of a plan: the one that exists, or one that is built now.

    Tags move only once a build has succeeded, so a failed or interrupted one leaves the last good
    image in use. Raises BuildError.
    """
    began = time.time()
    name = identity.name_of(settings.image_prefix, settings.owner, planned.address.slug)
    image = _found(planned, wish, name, engine, settings)
    if image and not wish.again:
        built = _reused(planned, name, image, "nothing that matters changed", began, engine, settings)
        return _published(built, name, wish, engine)
    waiting = Step(WAITING)

    def wait() -> None:
        nonlocal waiting
        waiting = replace(waiting, started=time.time())
        report(waiting)

    try:
        with held(Path(settings.state_dir, "locks", planned.key), settings.limits.build_time, wait) as waited:
            if waited:
                report(replace(waiting, completed=time.time()))
                image = known(planned.key, name, engine, settings.owner)
            if image and (not wish.again or _finished(planned.key, settings) >= began):
                reason = "built just now by a request for the same"
                built = _reused(planned, name, image, reason, began, engine, settings)
            else:
                built = _build(planned, wish, name, image, engine, settings, report)
                _remember(planned, built, settings)
    except LockTimeout:
        from builder.failures.built import TimeExceeded

        raise BuildError(TimeExceeded(WAITING, settings.limits.build_time, "limits.build_time")) from None
    return _published(built, name, wish, engine)


def _found(planned: Planned, wish: Wish, name: str, engine: Engine, settings: Settings) -> Image | None:
    """The image of a plan, of this engine, or of the registry to which another one has pushed it."""
    image = known(planned.key, name, engine, settings.owner)
    wanted = wish.push and not wish.again and names_registry(name)
    if image is None and wanted and engine.pull(_by_key(name, planned.key)):
        image = known(planned.key, name, engine, settings.owner)
    return image


def _by_key(name: str, key: str) -> str:
    return f"{name}:{key[: identity.SHORT]}"


def known(key: str, name: str, engine: Engine, owner: str = "") -> Image | None:
    """The image of a key that this owner has: this repository's, or another's of the same content."""

    def fits(image: Image) -> bool:
        label = image.labels.get
        return label(identity.LABEL + "key") == key and label(identity.LABEL + "owner", "") == owner

    own = engine.inspect(_by_key(name, key))
    if own and fits(own):
        return own
    for image in engine.images(f"{identity.LABEL}key={key}"):
        if fits(image) and any(tag.endswith(f":{key[: identity.SHORT]}") for tag in image.tags):
            return image
    return None


def secrets(settings: Settings) -> dict[str, bytes]:
    """What a build may use and must not keep: the indexes, proxies and certificates of the installation."""
    index = settings.index
    addresses = (index.url, *index.extra)
    variables = {
        "PIP_INDEX_URL": index.url,
        "PIP_EXTRA_INDEX_URL": " ".join(index.extra),
        # pip takes no notice of an index without TLS unless it is told to, and these are the operator's word.
        "PIP_TRUSTED_HOST": " ".join(
            urlsplit(a).netloc.rpartition("@")[2] for a in addresses if a.startswith("http://")
        ),
        "UV_DEFAULT_INDEX": index.url,
        "UV_INDEX": " ".join(index.extra),
        # pip looks at all indexes alike; uv does so only when told.
        "UV_INDEX_STRATEGY": "unsafe-best-match" if index.extra else "",
        "LAUNCHYARD_CHANNEL_ALIAS": settings.conda.channel_alias,
        "http_proxy": settings.http_proxy,
        "https_proxy": settings.https_proxy,
        "no_proxy": settings.no_proxy,
    }
    lines = "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items() if value)
    certificates = Path(settings.certificates).read_bytes() if settings.certificates else b""
    return {"settings": lines.encode(), "certificates": certificates}


def _build(
    planned: Planned, wish: Wish, name: str, before: Image | None, engine: Engine, settings: Settings, report: Report
) -> Built:
    from concurrent.futures import ThreadPoolExecutor

    from builder.records import Built

    began = time.time()
    steps: dict[str, Step] = {}
    if planned.plan.needs_source:
        planned.commit.source.fetch_all()
    base = parents.session(planned.frontend, settings)
    request = BuildRequest(
        write_context=lambda stream: planned.context.write_tar(
            stream, planned.commit.source, settings.limits.source_size
        ),
        arguments=_arguments(wish),
        owner=settings.owner,
        secrets=secrets(settings),
        hidden=passwords(settings),
        limits=settings.limits,
        watch=parents.tools(settings).reference,
    )
    try:
        *_, standing = parents.ensure((parents.tools(settings), base), engine, settings, request.secrets, report)
        labels = image_labels(planned, settings) | _base_digest(standing)
        image_id = _made(replace(request, labels=labels), engine, _noted(steps, report))
    except BuildFailed as failed:
        from builder.recognise import recognise

        raise BuildError(
            recognise(
                failed,
                python=planned.plan.python.value,
                timeout=settings.limits.build_time,
                plan=planned.plan,
                source=planned.commit.source,
            )
        ) from None
    with ThreadPoolExecutor(2) as beside:  # most of an answer's time is its command's start
        layers = beside.submit(engine.layers, image_id)
        found = beside.submit(engine.inspect, image_id)
        record = _record(image_id, engine)
    for step in _sized(steps, layers.result()):
        steps[step.name] = step
        report(step)
    image = found.result()
    lock = record.lock[: identity.SHORT]
    reference = f"{name}:{identity.immutable_tag(planned.key, lock)}"
    _tag(image_id, reference, planned, name, engine)
    return Built(
        reference=reference,
        image_id=image_id,
        digest=None,
        size=image.size if image else 0,
        key=planned.key,
        commit=planned.commit.id,
        lock=lock,
        reused=bool(before and before.id == image_id),
        reason=_reason(before, image_id, planned.key, lock),
        seconds=time.time() - began,
        steps=tuple(map(_step_time, steps.values())),
        warnings=(*planned.plan.warnings, *record.problems),
    )


_WHEELS_GONE = re.compile(r"install\.py (group|rest).*exit code: 75$", re.DOTALL)
"""What templates/files/tools/install.py ends with when a group's wheels are not in the cache."""


def _arguments(wish: Wish) -> dict[str, str]:
    if not wish.again:
        return {}
    now = time.time_ns()
    decide = {"FRESH": f"pages-{now}" if wish.rebuild else f"steps-{now}"}
    return decide | ({"FETCH": str(now)} if wish.no_cache else {})


def _made(request: BuildRequest, engine: Engine, report: Report) -> str:
    """Build; and once more where the engine is why it failed.

    It may have dropped the wheels that an unchanged `lock` step had left, and then that step decides anew; or it
    could not start a step.
    """

    def forward(event: Step | Log) -> None:
        if not (isinstance(event, Step) and _WHEELS_GONE.search(event.error)):
            report(event)

    try:
        return engine.build(request, forward)
    except BuildFailed as failed:
        if failed.not_started:
            return engine.build(request, report)
        if not _WHEELS_GONE.search(failed.message):
            raise
    return engine.build(replace(request, arguments={**request.arguments, "FETCH": f"all-{time.time_ns()}"}), report)


class _Record(NamedTuple):
    """What an image keeps about its environment, as far as a build needs it."""

    lock: str
    """The SHA-256 of the lock."""
    problems: tuple[Warned, ...]


def _record(image_id: str, engine: Engine) -> _Record:
    """Foreign code ran where this was written: nothing in it is taken for granted. Raises BuildError(RecordInvalid)."""
    files = engine.read(image_id, ENVIRONMENT)
    try:
        problems = tuple(Warned(*map(str, problem)) for problem in json.loads(files["problems.json"]))
        return _Record(hashlib.sha256(files["lock.json"]).hexdigest(), problems)
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise BuildError(RecordInvalid(ENVIRONMENT, f"{type(error).__name__}: {error}"[:300])) from None


def _reused(
    planned: Planned, name: str, image: Image, reason: str, began: float, engine: Engine, settings: Settings
) -> Built:
    from builder.records import Built

    lock, problems = _lock_of(image, planned.key), _problems(planned.key, image, settings)
    if lock is None or problems is None:
        record = _record(image.id, engine)
        lock, problems = record.lock[: identity.SHORT], record.problems
    reference = f"{name}:{identity.immutable_tag(planned.key, lock)}"
    # The immutable tag is given anew: its time is the time of last use, by which `prune` goes.
    _tag(image.id, reference, planned, name, engine, tuple(tag for tag in image.tags if tag != reference))
    return Built(reference, image.id, image.digest, image.size, planned.key, planned.commit.id, lock, True, reason,
                 time.time() - began, warnings=(*planned.plan.warnings, *problems))  # fmt: skip


def _lock_of(image: Image, key: str) -> str | None:
    """What the immutable tag says of an image's lock."""
    immutable = (tag for tag in image.tags if f":{key[: identity.SHORT]}-" in tag)
    return next((tag.rpartition("-")[2] for tag in immutable), None)


def _tag(image_id: str, reference: str, planned: Planned, name: str, engine: Engine, has: tuple[str, ...] = ()) -> None:
    tags = (reference, *(f"{name}:{tag}" for tag in identity.movable_tags(planned.key, planned.commit.id)))
    engine.tag(image_id, *(tag for tag in tags if tag not in has))


def _published(built: Built, name: str, wish: Wish, engine: Engine) -> Built:
    engine.tag(built.image_id, *map(check_reference, wish.tags))
    if not wish.push:
        return built
    digests = [engine.push(reference) for reference in _to_push(built, name, wish.tags)]
    return replace(built, digest=digests[0])


def _to_push(built: Built, name: str, tags: tuple[str, ...]) -> tuple[str, ...]:
    """An image's own names go out where the prefix names a registry, or where there is no other.

    The one by its key comes last: other engines take what has it for whole.
    """
    return (built.reference, *tags, _by_key(name, built.key)) if names_registry(name) or not tags else tags


def names_registry(name: str) -> bool:
    """Whether the name of an image, or the beginning of one, has a registry's host in front.

    https://github.com/distribution/reference
    """
    host, _, rest = name.partition("/")
    return bool(rest) and (host == "localhost" or "." in host or ":" in host)


def check_reference(text: str) -> str:
    """A reference a person gave. Raises BuildError(ReferenceInvalid)."""
    if not context.REFERENCE.fullmatch(text) or len(text) > 250:
        raise BuildError(ReferenceInvalid(ascii(text)[1:-1][:100]))
    return text


def image_labels(planned: Planned, settings: Settings) -> dict[str, str]:
    """OCI's and Launchyard's own labels. What depends on the commit is here only when the source is inside."""
    plan_ = planned.plan
    essence = {"strategy": plan_.strategy, "python": plan_.python.value, "requested": plan_.requested,
               "system_packages": plan_.system_packages, "frontend": planned.frontend}  # fmt: skip
    if len(json.dumps(essence)) > MAX_LABEL:
        essence |= {"requested": (), "system_packages": ()}
    base = parents.session(planned.frontend, settings).reference
    labels = {
        "org.opencontainers.image.title": f"{plan_.strategy} environment, Python {plan_.python.value}",
        "org.opencontainers.image.created": "1970-01-01T00:00:00Z",
        "org.opencontainers.image.base.name": base,
        identity.LABEL + "key": planned.key,
        identity.LABEL + "strategy": plan_.strategy,
        identity.LABEL + "frontend": planned.frontend,
        identity.LABEL + "plan": json.dumps(essence, sort_keys=True),
    }
    if settings.owner:
        labels[identity.LABEL + "owner"] = settings.owner
    if plan_.needs_source and not planned.address.local:
        labels["org.opencontainers.image.source"] = planned.commit.url
    if plan_.needs_source:
        labels["org.opencontainers.image.revision"] = planned.commit.id
    return labels


def _base_digest(base: Image | None) -> dict[str, str]:
    """An engine knows a manifest's digest of what a registry, or its containerd store, has given one."""
    return {"org.opencontainers.image.base.digest": base.digest} if base and base.digest else {}


def _reason(before: Image | None, image_id: str, key: str, lock: str) -> str:
    if before is None:
        return "nothing like it was built before"
    if before.id == image_id:
        return "asked for afresh: nothing new"
    if _lock_of(before, key) == lock:
        return "asked for afresh: the same versions, in an image that differs"
    return "asked for afresh: versions changed"


def _step_time(step: Step) -> StepTime:
    """What is kept of a step that has ended."""
    from builder.records import StepTime

    assert step.started and step.completed
    return StepTime(step.name, round(step.completed - step.started, 3), step.cached, step.size)


def _sized(steps: Mapping[str, Step], layers: Sequence[int]) -> Iterator[Step]:
    """The steps of an image's last stage, which made its uppermost layers, with the size of each."""
    found = [(step, match) for step in steps.values() if (match := _OF_THE_IMAGE.match(step.name))]
    last = max((match["stage"] for _, match in found), default="")  # "stage-9" where "environment" is not the last
    for step, match in found:
        above = int(match["of"]) - int(match["number"]) + 1
        if match["stage"] == last and match["number"] != "1" and above <= len(layers):
            yield replace(step, size=layers[-above])


_OF_THE_IMAGE = re.compile(r"\[(?P<stage>environment|stage-\d+) (?P<number>\d+)/(?P<of>\d+)\]")
"""A step of the templates' last stages, in BuildKit's words."""


def _noted(steps: dict[str, Step], report: Report) -> Callable[[Step | Log], None]:
    def forward(event: Step | Log) -> None:
        # What the first of two tries ran is no less work for being cached in the second.
        if isinstance(event, Step) and event.started and event.completed and not (event.cached and event.name in steps):
            steps[event.name] = event
        report(event)

    return forward


def _as_of(wanted: str | None, commit: Commit) -> str | None:
    if wanted != "commit":
        return wanted
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(commit.time))


def _finished(key: str, settings: Settings) -> float:
    """When the last build of a key ended here: seconds since 1970, 0 for never."""
    try:
        return _finish(key, settings).stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _remember(planned: Planned, built: Built, settings: Settings) -> None:
    """Note that a build of a key has ended, and what is wrong with its image: to read it from there takes 0.1 s."""
    problems = built.warnings[len(planned.plan.warnings) :]
    told = [(problem.code, problem.message) for problem in problems]
    _finish(planned.key, settings).write_text(json.dumps([built.image_id, told]))


def _problems(key: str, image: Image, settings: Settings) -> tuple[Warned, ...] | None:
    """What is wrong with an image, where the last build of its key has made it here."""
    try:
        image_id, told = json.loads(_finish(key, settings).read_bytes())
    except (FileNotFoundError, ValueError):  # of a release before it was kept, or cut off
        return None
    return tuple(Warned(*problem) for problem in told) if image_id == image.id else None


def _finish(key: str, settings: Settings) -> Path:
    return Path(settings.state_dir, "locks", f"{key}.finished")

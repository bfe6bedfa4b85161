"""The JSON of the service's requests and answers, with examples; the OpenAPI document is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Generic, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from builder.records import BuildState, EnvironmentState, Reason, Record
from builder.settings import OWNER

ID = "^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$"
EXAMPLE_ID = "01996f2e-7a52-7000-8cf1-3b6a0d4a1c2e"
EXAMPLE_OTHER_ID = "01996f2e-7a60-7000-9b1d-0a2f5b7c8d9e"
EXAMPLE_REPOSITORY = "https://github.com/ada/tides"
EXAMPLE_IMAGE = "launchyard/ada-tides:4a753886a0fc-9c92ceca3791"
EXAMPLE_COMMIT = "41e467da501466dc1a16fa7e16de79308a386403"
EXAMPLE_KEY = "4a753886a0fc0e8dfb092baa904dcf3e0317c918a25a6939d821d59a1b6d4909"
EXAMPLE_HASH = "sha256:8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254"
EXAMPLE_LOCK = {
    "pylock": [{"name": "six", "version": "1.16.0", "hashes": [EXAMPLE_HASH]}],
    "conda": [],
    "pylock.kernel": [],
}
EXAMPLE_REQUIREMENTS = f"six==1.16.0 \\\n    --hash={EXAMPLE_HASH}\n"

FORMS = {
    ID: "an id as an answer gives it",
    (NAME := r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"): "letters, digits and ._-, 100 at most, the first no sign",
    (OF_OWNER := rf"^{OWNER.pattern}$"): "small letters and digits, with single ._- between them",
    (TEXT := r"^[^\x00-\x1f\x7f]*$"): "text without control characters",
    (REF := r"^[^\x00-\x20\x7f]+$"): "one word, such as main",
    (PYTHON := r"^[0-9]+(\.[0-9]+){0,2}$"): "a version, such as 3.12",
    (AS_OF := r"^(commit|[0-9TZ:.+ -]+)$"): "a date, such as 2021-06-01, or commit",
}
"""What a text is to be by a pattern, in words."""

Name = Annotated[str, StringConstraints(pattern=NAME)]
Owner = Annotated[str, StringConstraints(pattern=OF_OWNER, max_length=100)]
Text = Annotated[str, StringConstraints(pattern=TEXT, max_length=1_000)]
Ref = Annotated[str, StringConstraints(pattern=REF, max_length=250)]
AsOf = Annotated[
    str,
    StringConstraints(pattern=AS_OF, max_length=40),
    Field(description="Versions as the index had them then: an ISO 8601 date or time, or `commit`."),
]


def problem_of(error: Mapping[str, Any]) -> str:
    """What is wrong with a value, of one of pydantic's errors."""
    form = FORMS.get((error.get("ctx") or {}).get("pattern", ""))
    return f"expected is {form}" if form else str(error["msg"])


class Given(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Shown(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class Choices(Given):
    """What is decided by hand; everything else follows from the repository."""

    model_config = ConfigDict(
        extra="forbid",
        from_attributes=True,
        json_schema_extra={"examples": [{"strategy": "poetry", "groups": ["plots"], "as_of": "2021-06-01"}]},
    )
    strategy: Literal["conda", "pip", "poetry", "project"] | None = None
    python: Annotated[str, StringConstraints(pattern=PYTHON, max_length=20)] | None = None
    frontend: Literal["jupyterlab", "vscodium", "none"] = "jupyterlab"
    groups: list[Name] = Field(default=[], max_length=50, description="Dependency groups to add (poetry, project).")
    extras: list[Name] = Field(default=[], max_length=50, description="Extras of the project itself to add.")
    as_of: AsOf | None = None


class Wanted(Given):
    """A repository, and what is decided by hand."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"repository": EXAMPLE_REPOSITORY, "ref": "main"}]}
    )
    repository: str = Field(min_length=1, max_length=2_000, description="The https address of a public repository.")
    ref: Ref | None = Field(default=None, description="A branch, a tag or a commit; by default HEAD.")
    subdir: Text = Field(default="", description="The directory that holds the environment's file.")
    options: Choices = Choices()


class NewEnvironment(Wanted):
    """An environment to create."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"repository": EXAMPLE_REPOSITORY, "name": "tides", "ref": "main"}]},
    )
    name: Name | None = Field(default=None, description="Unique; by default made of owner and repository.")
    owner: Owner | None = Field(
        default=None, description="Whose builds these are: owners share no cache and no image, and take turns."
    )
    asked_by: Text = Field(default="", max_length=100, description="Who asks, to be remembered with the build.")


class EnvironmentChange(Given):
    """What is to be different. Nothing is built by it; the next build follows it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"ref": "release"}]})
    name: Name = ""
    ref: Ref | None = None
    subdir: Text = ""
    options: Choices = Choices()


class AskedBuild(Given):
    """A rebuild; without anything, what the environment's ref has now."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"fresh": True}]})
    fresh: bool = Field(default=False, strict=True, description="Decide versions anew, although nothing changed.")
    as_of: AsOf | None = None
    ref: Ref | None = Field(default=None, description="This one instead of the environment's, this once.")
    asked_by: Text = Field(default="", max_length=100, description="Who asks, to be remembered with the build.")


class Environment(Shown):
    """An environment; its current version stays in use while a rebuild runs, and when it fails."""

    id: str = Field(examples=[EXAMPLE_ID])
    name: str = Field(examples=["tides"])
    owner: str = Field(examples=[""])
    repository: str = Field(examples=[EXAMPLE_REPOSITORY])
    ref: str | None = Field(examples=["main"])
    subdir: str = Field(examples=[""])
    options: Choices
    state: EnvironmentState = Field(
        description="`building` while a build is under way, `failed` when the newest of its own ref and `as_of` "
        "failed, `empty` without an image.",
        examples=["ready"],
    )
    current_version: int | None = Field(examples=[2])
    pinned: bool = Field(description="What builds come to does not become the current one.")
    created_at: datetime
    updated_at: datetime


class Created(Environment):
    """A new environment, with its first build."""

    build: Build


class StepTime(Shown):
    name: str = Field(examples=["[lock 1/1] RUN lock"])
    seconds: float = Field(examples=[0.68])
    cached: bool
    size: int | None = Field(
        default=None, description="Bytes of the layer of the image that it made; null where it made none."
    )


class AskedFor(Shown):
    """What a build was to do differently from its environment's own way."""

    ref: str | None = Field(default=None, examples=[None])
    as_of: str | None = Field(default=None, examples=[None])
    fresh: bool = False


class Explanation(BaseModel):
    """A failure in words."""

    code: str = Field(examples=["package-not-found"])
    title: str = Field(examples=["There is no package numpie"])
    seen: str = Field(examples=["requirements.txt:3: numpie"])
    fix: list[str] = Field(examples=[["Correct the name in line 3."]])
    blame: Literal["usage", "repository", "outside", "launchyard"]


class Build(Shown):
    """One attempt to bring an environment's image up to date."""

    id: str = Field(examples=[EXAMPLE_OTHER_ID])
    environment_id: str = Field(examples=[EXAMPLE_ID])
    state: BuildState = Field(examples=["succeeded"])
    reason: Reason = Field(examples=["asked"])
    asked_by: str
    asked: AskedFor = AskedFor()
    commit: str | None = Field(examples=[EXAMPLE_COMMIT])
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    steps: list[StepTime] = Field(description="What ran, once it has ended: also of one that failed.")
    explanation: Explanation | None = Field(description="Why it failed.", examples=[None])
    outcome: str = Field(description="How its image came to be, in words.", examples=["nothing that matters changed"])
    version: int | None = Field(description="The version that it made, or found to be right already.", examples=[2])
    new_version: bool = Field(
        description="It made that version. False where there was nothing new, and where it came to no version.",
        examples=[False],
    )


class Version(Shown):
    """An image of an environment."""

    number: int = Field(examples=[2])
    reference: str = Field(examples=[EXAMPLE_IMAGE])
    digest: str | None = Field(description="The manifest's, where a registry has given one.", examples=[None])
    image_id: str = Field(examples=["sha256:" + EXAMPLE_KEY])
    size: int = Field(description="Bytes.", examples=[880_000_000])
    key: str = Field(examples=[EXAMPLE_KEY])
    lock: str = Field(description="The first 12 digits of its SHA-256, as in the tag.", examples=["9c92ceca3791"])
    commit: str = Field(examples=[EXAMPLE_COMMIT])
    build_id: str = Field(examples=[EXAMPLE_OTHER_ID])
    created_at: datetime


class CurrentImage(BaseModel):
    """What a launcher should use now."""

    environment_id: str = Field(examples=[EXAMPLE_ID])
    version: int = Field(examples=[2])
    reference: str = Field(examples=[EXAMPLE_IMAGE])
    digest: str | None = Field(examples=[None])
    image_id: str = Field(examples=["sha256:" + EXAMPLE_KEY])


class Listed(Shown, Generic[Record]):
    items: list[Record]
    next: str | None


class Environments(Listed[Environment]):
    pass


class Builds(Listed[Build]):
    pass


class Versions(Listed[Version]):
    pass


class Package(Shown):
    name: str = Field(examples=["numpy"])
    version: str = Field(examples=["2.2.2"])
    source: str = Field(description="`conda`, `index` or `repository`.", examples=["index"])
    requested: bool = Field(description="Asked for by the repository, not pulled in.")


class Warned(Shown):
    code: str = Field(examples=["library-missing"])
    message: str = Field(examples=["libGL.so.1, which opencv-python needs, is in no package of the image"])


class Packages(Shown):
    """What is actually installed in a version."""

    packages: list[Package]
    warnings: list[Warned]


class Base(Shown):
    """An image that a build stood on."""

    name: str = Field(examples=["python:3.10-slim-bookworm"])
    digest: str | None = Field(description="The manifest's, where a registry has given one.", examples=[EXAMPLE_HASH])
    image_id: str | None = Field(description="Where the engine had it as an image.", examples=[None])


class Maker(Shown):
    """The build that made a version."""

    id: str = Field(examples=[EXAMPLE_OTHER_ID])
    reason: Reason = Field(examples=["asked"])
    asked_by: str
    ref: str | None = Field(description="What was asked for; by default HEAD.", examples=["main"])
    started_at: datetime | None
    finished_at: datetime


class Provenance(Shown):
    """What a version was made of, with what, and by which build."""

    repository: str = Field(examples=[EXAMPLE_REPOSITORY])
    commit: str = Field(examples=[EXAMPLE_COMMIT])
    subdir: str = Field(examples=[""])
    strategy: str = Field(examples=["pip"])
    python: str = Field(examples=["3.10"])
    key: str = Field(examples=[EXAMPLE_KEY])
    platform: str = Field(examples=["linux/amd64"])
    bases: list[Base]
    tools: dict[str, str] = Field(
        description="Versions of those that decide and install versions.", examples=[{"uv": "0.9.4", "pip": "25.3"}]
    )
    launchyard: str = Field(description="Its version.", examples=["0.1.0"])
    reused: bool = Field(
        description="The image was there, made by another build: of its bases this has what its labels say."
    )
    build: Maker


class PackageChange(BaseModel):
    before: Package
    after: Package


class Difference(BaseModel):
    """What one version has that another has not."""

    added: list[Package]
    removed: list[Package]
    changed: list[PackageChange]


class Preview(BaseModel):
    """A plan, as detectors/plan.schema.json describes it, and its Dockerfile."""

    model_config = ConfigDict(extra="allow")
    key: str = Field(examples=[EXAMPLE_KEY])
    strategy: str = Field(examples=["pip"])
    python: dict[str, str] = Field(examples=[{"value": "3.10", "origin": "default"}])
    frontend: str = Field(examples=["jupyterlab"])
    repository: dict[str, str] = Field(examples=[{"url": EXAMPLE_REPOSITORY, "commit": EXAMPLE_COMMIT, "subdir": ""}])
    dockerfile: str = Field(examples=["FROM debian:bookworm-slim\n"])


class Problem(Explanation):
    """RFC 9457, with the members of an explanation."""

    type: str = Field(examples=["urn:launchyard:problem:package-not-found"])
    status: int = Field(examples=[422])
    detail: str = Field(description="What was seen.", examples=["requirements.txt:3: numpie"])


class Health(BaseModel):
    status: Literal["ok"]


Created.model_rebuild()

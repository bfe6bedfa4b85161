"""A build's contexts as directories, and the commands that make the same layers from them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from builder import parents
from builder.build import Planned, image_labels, secrets
from builder.buildkit import confinement
from builder.context import Context
from builder.parents import Parent
from builder.settings import Conda, Settings

SECRETS_FILE = "settings.env"
"""What the commands call the file of an installation's indexes and proxies; whoever runs them writes it."""

PARENTS = "parents"
"""Where the contexts of the images that the build stands on are, below the directory that was asked for."""


@dataclass(frozen=True, slots=True)
class Export:
    """What was written, and how to build from it."""

    directory: Path
    commands: tuple[tuple[str, ...], ...]
    """In the order in which they are to be run: the parents first."""
    secret_variables: tuple[str, ...]
    """Lines that `settings.env` needs, their credentials left out; empty when no such file is needed."""

    def lines(self) -> Iterator[str]:
        """The commands as a person would run them in a shell."""
        if self.secret_variables:
            yield f"# Write {SECRETS_FILE} first; it is a secret of the build and part of no image:"
            yield from (f"#   {variable}" for variable in self.secret_variables)
        for command in self.commands:
            yield shlex.join(command)


def export(planned: Planned, directory: Path, settings: Settings) -> Export:
    """Write the context of a plan, and below `parents/` those of the images it stands on.

    No secret is written. Raises BuildError.
    """
    variables = _secret_variables(settings)
    if planned.plan.needs_source:
        planned.commit.source.fetch_all()
    planned.context.write_directory(directory, planned.commit.source, settings.limits.source_size)
    commands = []
    for parent in (parents.tools(settings), parents.session(planned.frontend, settings)):
        below = directory / PARENTS / parent.name
        _whole(parent).write_directory(below, None, 0)
        commands.append(_command(below, parents.labels(parent), settings, variables, parent.reference))
    commands.append(_command(directory, image_labels(planned, settings), settings, variables))
    return Export(directory, tuple(commands), variables)


def _whole(parent: Parent) -> Context:
    return Context(parent.context.dockerfile, {**parent.context.files, **parent.fetches()})


def _command(
    context: Path, labels: Mapping[str, str], settings: Settings, variables: tuple[str, ...], tag: str = ""
) -> tuple[str, ...]:
    return (
        "docker", "buildx", "build", "--load", "--provenance=false", "--sbom=false", "--build-arg=SOURCE_DATE_EPOCH=0",
        *(f"--label={name}={value}" for name, value in sorted(labels.items())),
        *confinement(settings.owner, settings.limits),
        *((f"--secret=id=settings,src={SECRETS_FILE}",) if variables else ()),
        *((f"--secret=id=certificates,src={settings.certificates}",) if settings.certificates else ()),
        *((f"--tag={tag}",) if tag else ()),
        str(context),
    )  # fmt: skip


def _secret_variables(settings: Settings) -> tuple[str, ...]:
    """Lines of the settings that a build gets as a secret, without user names and passwords."""
    default = f"LAUNCHYARD_CHANNEL_ALIAS={shlex.quote(Conda().channel_alias)}"
    lines = secrets(settings)["settings"].decode().splitlines()
    return tuple(re.sub(r"//[^/@\s]*@", "//USER:PASSWORD@", line) for line in lines if line != default)

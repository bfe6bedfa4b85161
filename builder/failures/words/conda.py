"""Words for what conda's channels have no answer to."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from builder.failures import Blame
from builder.failures.built import (
    ChannelAbsent,
    ChannelsLack,
    ChannelUnreachable,
    Demand,
    ExportedElsewhere,
    PipContradictsConda,
    Unsatisfiable,
)
from builder.failures.words.common import Words, joined, nearest
from builder.recognition.names import conda_name, is_known, part_of

SHOWN = 8
"""Lines of an exported file that are shown of a kind."""


def of_conda(failure: object) -> Words | None:
    match failure:
        case ChannelsLack():
            first, _, versions = failure.missing[0]
            where = " and ".join(failure.channels) or "the channels"
            title = (
                f"No version of {_spec_name(first)} fits {first.text}"
                if versions
                else f"There is no package {first.text}"
            )
            if len(failure.missing) > 1:
                title = f"Not to be had: {', '.join(asked.text for asked, _, _ in failure.missing)}"
            return (
                title,
                "\n".join(line for missing in failure.missing for line in _lacking(*missing, where)),
                tuple(_in_its_place(*missing, dict(failure.specs)) for missing in failure.missing),
                Blame.REPOSITORY,
            )
        case ExportedElsewhere():
            where = f"on {failure.system}" if failure.system else "with builds that the channels do not have"
            return (
                f"{failure.path} was exported {where}",
                joined(
                    *(f"{_asked(asked)}: only {failure.system} has it" for asked in failure.foreign[:SHOWN]),
                    *_and_more(failure.builds),
                    "A build, which stands behind the second =, is made for one system" * bool(failure.builds),
                ),
                _exported(failure),
                Blame.REPOSITORY,
            )
        case Unsatisfiable():
            texts = [asked.text for asked in failure.specs]
            together = " and ".join(filter(None, (", ".join(texts[:-1]), *texts[-1:]))) or "What is asked of conda"
            return (
                f"{together} cannot be installed" + " together" * (len(texts) != 1),
                "\n".join((*(_asked(asked) for asked in failure.specs), *failure.lines)),
                _either(
                    tuple(
                        _instead(asked, version)
                        for asked in failure.specs
                        for spec, version in failure.instead
                        if spec == asked.text
                    )
                )
                or ("Loosen or remove one of these.",),
                Blame.REPOSITORY,
            )
        case PipContradictsConda():
            return (
                f"The pip: list contradicts the conda part about {failure.name}",
                f"{_asked(failure.conda)} (conda installs {failure.name} {failure.installed})\n"
                f"{_asked(failure.pip)} (below pip:"
                + (")" if _same(failure) else f", needs {failure.name}{failure.wanted})"),
                _agreement(failure),
                Blame.REPOSITORY,
            )
        case ChannelAbsent():
            return (
                f"There is no channel {failure.channel.text}",
                _asked(failure.channel),
                (f"Take {failure.channel.text} out of the channels, or correct its name.",),
                Blame.REPOSITORY,
            )
        case ChannelUnreachable():
            return (
                f"The channel {failure.channel.text} cannot be reached",
                f"{_asked(failure.channel)}\n{failure.detail}",
                (
                    "Try again.",
                    f"If it goes on, check that the address is right{_at(failure.channel)};"
                    " channels given by a name are below the setting conda.channel_alias.",
                ),
                Blame.OUTSIDE,
            )
    return None


def _asked(asked: Demand) -> str:
    match asked.origin:
        case "":
            return asked.text
        case "default":
            return f"{asked.text}: Launchyard's default, as environment.yml names none"
        case origin:
            return f"{origin}: {asked.text}"


def _at(asked: Demand) -> str:
    path, _, line = asked.origin.partition(":")
    return f" in {path}, line {line}" if line else ""


def _spec_name(asked: Demand) -> str:
    return re.split(r"[^\w.:/-]", asked.text)[0].rpartition("::")[2]


def _lacking(asked: Demand, near: tuple[str, ...], versions: tuple[str, ...], where: str) -> tuple[str, ...]:
    none = "none of that name" if asked.text == _spec_name(asked) else "none that fits"
    has = f"{where} has {f'{_spec_name(asked)} ' + ', '.join(versions) if versions else none}"
    return (_asked(asked), f"  {has}" + (f"; near are {', '.join(near)}" if near else ""))


def _in_its_place(
    asked: Demand, near: tuple[str, ...], versions: tuple[str, ...], specs: Mapping[str, str] | None = None
) -> str:
    name = _spec_name(asked)
    if versions:
        version = re.search(r"[ =<>!~]+([0-9]\S*)", asked.text)
        return _changed(asked, f"{name}={nearest(version[1] if version else '', versions)}")
    spec = (specs or {}).get(name, asked.text)
    if other := conda_name(name):
        return f"conda's name for {name} is {other}. {_changed(asked, _renamed(spec, other))}"
    if part := part_of(name):
        return f"Take {asked.origin or name} out: {name} is part of {part}."
    if is_known(name):
        requirement = re.sub(r"^([\w.-]+) *=(?!=)", r"\1==", spec)
        moved = f"write - {requirement} below `- pip:`, and take it out{_at(asked)}"
        return f"{name} is a package of the Python index: {moved}."
    if near:
        return f"If {near[0]} is meant: {_changed(asked, near[0])}"
    return f"Check {asked.text}{_at(asked)}; a package of the Python index goes below `- pip:`."


def _renamed(spec: str, name: str) -> str:
    """A spec of another package; the index numbers some with a fourth part that conda does not know."""
    bounds = re.sub(r"^(?:\S+::)?[\w.-]+", "", spec)
    return name + re.sub(r"(\d+\.\d+\.\d+)\.\d+", r"\1", "" if re.search(r"=0\.0\b", bounds) else bounds)


def _and_more(builds: tuple[Demand, ...]) -> tuple[str, ...]:
    more = len(builds) - SHOWN
    return (*map(_asked, builds[:SHOWN]), *((f"  and {more} more like it",) if more > 0 else ()))


def _exported(failure: ExportedElsewhere) -> tuple[str, ...]:
    path = shlex.quote(failure.path)
    names = ", ".join(_spec_name(asked) for asked in failure.foreign)
    out = rf"sed -i -E 's/^( *- *[^=]+=[^=]+)=[^=]+$/\1/' {path}"
    return (
        f"Where the environment is, write it anew: conda env export --from-history > {path}"
        " (what pip installed is not in it, and goes below `- pip:`).",
        *((f"Or take the builds out: {out}",) if failure.builds else ()),
        *((f"{'And' if failure.builds else 'Or'} take out what only {failure.system} has: {names}.",) if names else ()),
    )


def _changed(asked: Demand, spec: str) -> str:
    if asked.origin.partition(":")[2]:
        return f"Change {asked.origin} to: - {spec}"
    return f"Ask for {spec} in place of {asked.text}."


def _either(fixes: tuple[str, ...]) -> tuple[str, ...]:
    return (*fixes[:1], *(f"Or {fix[0].lower()}{fix[1:]}" for fix in fixes[1:]))


def _instead(asked: Demand, version: str) -> str:
    if _spec_name(asked) == "python":
        version = ".".join(version.split(".")[:2])
    spec = f"{_spec_name(asked)}={version}"
    match asked.origin:
        case "default":
            return f"Add to the dependencies of environment.yml: - {spec}"
        case "option --python":
            return f"Give --python {version}."
    return _changed(asked, spec)


def _same(failure: PipContradictsConda) -> bool:
    return _spec_name(failure.pip).lower() == failure.name


def _agreement(failure: PipContradictsConda) -> tuple[str, ...]:
    if _same(failure):
        return (
            f"Take out {_asked(failure.pip)}, to have {failure.name} {failure.installed} of conda's.",
            f"Or take out {_asked(failure.conda)}, to have {failure.pip.text} of the index.",
        )
    return (
        _changed(failure.conda, f"{failure.name}{failure.wanted}"),
        f"Or ask for another version of {_spec_name(failure.pip)}{_at(failure.pip)}.",
    )

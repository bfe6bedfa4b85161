"""The conda strategy: an environment.yml.

Format: https://docs.conda.io/projects/conda/en/stable/user-guide/tasks/manage-environments.html
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from detectors import gpu, near, python
from detectors.failures import BuildError, Location, PythonUnavailable, invalid, one_line
from detectors.gpu import Named
from detectors.layout import Layout, locate, ref
from detectors.plan import Choice, Evidence, Ignored, Options, Plan, Warned
from detectors.source import Source, read

if TYPE_CHECKING:
    from detectors.matchspec import MatchSpec
    from detectors.requirements import Requirements
    from detectors.yamlfile import Node

CPU_ENTRY = f"put `--extra-index-url {gpu.CPU_INDEX}` before it in the pip: list, or ask conda for pytorch"

FILES = ("environment.yml", "environment.yaml")

KEYS = ("name", "channels", "dependencies", "prefix", "variables", "platforms")
"""conda's, and the one by which conda-lock knows for what machines it locks."""

MAX_UNKNOWN = 5
"""How many keys that mean nothing are told of."""

OLDEST = (3, 6)
"""The oldest Python that uv installs packages of an index for."""

PYTHONS = (*(f"3.{minor}" for minor in range(OLDEST[1], 9)), *python.SUPPORTED)
"""Those known; channels may have others that are newer."""

_CHANNEL = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9_.-]*(?:/[A-Za-z0-9][A-Za-z0-9_.-]*)*"
    r"|https://[A-Za-z0-9.-]+(?::[0-9]+)?(?:/[A-Za-z0-9._~-]+)*/?"
)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def detect(source: Source, options: Options) -> Plan | None:
    """Plan a conda environment for a repository with an environment.yml (or .yaml).

    Returns None when the repository has none. Raises BuildError with FileInvalid and the place at
    fault, PythonUnavailable, or what the requirements of a `pip:` list raise.
    """
    layout = locate(source, options)
    path = next((layout.path(name) for name in FILES if source.entry(layout.path(name))), None)
    text = read(source, path) if path else None
    if path is None or text is None:
        return None
    # Late: plans of other strategies must not pay for these imports.
    from detectors import yamlfile

    environment = _Environment(source, layout, path, _mapping(yamlfile.parse(path, text), text))
    return environment.plan(options)


def asked(source: Source, plan: Plan) -> tuple[Named, ...]:
    """The packages that a plan's environment.yml names, its pip: list first, and where. Raises as `detect` does."""
    from detectors import yamlfile

    path = plan.files[0].path
    text = read(source, path) or ""
    layout = Layout(plan.inputs["directory"], posixpath.dirname(path))
    environment = _Environment(source, layout, path, _mapping(yamlfile.parse(path, text), text))
    return environment.asked()


class _Environment:
    """One environment.yml on its way to a plan."""

    def __init__(self, source: Source, layout: Layout, path: str, document: dict[str, Node]) -> None:
        self._source = source
        self._layout = layout
        self._path = path
        self._document = document
        self._warnings: list[Warned] = []

    def plan(self, options: Options) -> Plan:
        self._keys()
        specs, pip_lines = self._dependencies()
        requested = [spec.text for spec, _ in specs]
        channels = self._channels(options)
        pip = self._pip(pip_lines)
        choice, texts = self._python(specs, options)
        if not any(spec.name == "pip" for spec, _ in specs):
            texts.append("pip")  # with any Python, as conda does: add_pip_as_python_dependency in its settings
            if pip.lines:
                self._warn("pip-added", f"{self._path} has a pip: list and no pip among its dependencies; it is added")
        if "prefix" in self._document:
            self._warn("prefix-ignored", f"{self._document['prefix'].location} is a path of another machine")
        _texts(self._document.get("platforms"), "a list of platforms")
        return Plan(
            strategy="conda",
            python=choice,
            evidence=(Evidence(self._path, f"dependencies: {len(specs)} of conda's, {len(pip.lines)} of pip's"),),
            files=(ref(self._source, self._path), *pip.files),
            trees=pip.trees,
            requested=(*requested, *pip.requested),
            inputs={
                "directory": self._layout.project,
                "channels": channels,
                "specs": [text if options.keep_defaults else _without_defaults(text) for text in texts],
                "pip": list(pip.lines),
                "variables": self._variables(),
                "as_of": options.as_of,
            },
            ignored=self._ignored(),
            warnings=(
                *self._warnings,
                *_unchecked(pip),
                *pip.warnings,
                *gpu.warn_of_conda(Named(spec.name, frozenset(), spec.text, location) for spec, location in specs),
                *gpu.warn(pip.named, pip.indexes, CPU_ENTRY),
            ),
        )

    def asked(self) -> tuple[Named, ...]:
        specs, pip_lines = self._dependencies()
        return (
            *self._pip(pip_lines).named,
            *(Named(spec.name, frozenset(), spec.version or "", location) for spec, location in specs),
        )

    def _keys(self) -> None:
        """Tell of keys that mean nothing; one that is all but a known one is a slip, and its packages would be lost."""
        unknown = [key for key in self._document if key not in KEYS]
        for key in unknown:
            meant = next((known for known in KEYS if known not in self._document and near.close(key, known)), None)
            if meant:
                location = self._document[key].key or Location(self._path)
                problem = f"conda has no such key, and one that is called {meant}:"
                raise invalid(location, "an environment", f"{key}:", problem)
        if unknown:
            shown = ", ".join(one_line(key) for key in unknown[:MAX_UNKNOWN])
            more = f" and {len(unknown) - MAX_UNKNOWN} more" if len(unknown) > MAX_UNKNOWN else ""
            pip = "; a pip: list belongs among the dependencies" if "pip" in unknown else ""
            self._warn("keys-unknown", f"{self._path}: conda has no key {shown}{more}: ignored{pip}")

    def _dependencies(self) -> tuple[list[tuple[MatchSpec, Location]], list[tuple[int, str]]]:
        from detectors import matchspec, slip
        from detectors.yamlfile import Node

        specs: list[tuple[MatchSpec, Location]] = []
        pip: list[tuple[int, str]] = []
        for node in _nodes(self._document.get("dependencies"), "a list of dependencies"):
            match node.value:
                case str(text):
                    specs.append((matchspec.parse(text, node.location), node.location))
                case {"pip": Node(value=str(text)) as lines, **others} if not others:
                    raise invalid(lines.location, "a list of requirements", text, slip.OF_PIP, tuple(text.split()))
                case {"pip": lines, **others} if not others:
                    for entry, text in _texts(lines, "a list of requirements"):
                        pip += [(entry.location.line, line) for line in text.splitlines()]
                case _:
                    problem = "neither name=version nor pip: with a list"
                    raise invalid(node.location, "a dependency", _first_key(node), problem, _as_spec(node))
        return specs, pip

    def _channels(self, options: Options) -> list[str]:
        written = []
        for node, text in _texts(self._document.get("channels"), "a list of channels"):
            if not _CHANNEL.fullmatch(text):
                raise invalid(node.location, "a channel", text, "neither a name nor an https:// address")
            written.append(text)
        if not written:
            self._warn("channels-missing", f"{self._path} names no channels; conda-forge is used")
            return ["conda-forge"]
        if "defaults" in written and not options.keep_defaults:
            self._warn("defaults-replaced", f"{self._path} asks for the channel defaults; conda-forge is used instead")
            written = ["conda-forge" if channel == "defaults" else channel for channel in written]
        elif "nodefaults" not in written and "defaults" not in written:
            self._warn("nodefaults-added", f"{self._path} does not say nodefaults; it is taken as said")
        return list(dict.fromkeys(channel for channel in written if channel != "nodefaults")) or ["conda-forge"]

    def _python(self, specs: list[tuple[MatchSpec, Location]], options: Options) -> tuple[Choice, list[str]]:
        pins = [(spec, location) for spec, location in specs if spec.name == "python"]
        stated = [(spec, location) for spec, location in pins if spec.version]
        if options.python is not None:
            choice = by_option(options.python)
            if stated:
                self._warn("python-replaced", f"{stated[0][1]}: {stated[0][0].text} is replaced by option --python")
        elif stated:
            version = ",".join(spec.version for spec, _ in stated)
            choice = Choice(version, f"{self._path}:{stated[0][1].line}")
            _check_age(choice)
            return choice, [spec.text for spec, _ in specs]
        else:
            choice = python.default_of_conda(options)
        others = [spec.text for spec, _ in specs if spec.name != "python"]
        return choice, [f"python={choice.value}", *others]

    def _pip(self, lines: list[tuple[int, str]]) -> Requirements:
        from detectors import requirements

        return requirements.parse_lines(self._source, self._path, self._layout.project, lines)

    def _variables(self) -> dict[str, str]:
        node = self._document.get("variables")
        if node is None or node.value is None:
            return {}
        if not isinstance(node.value, dict):
            raise invalid(node.location, "a mapping of variables", "variables", "another type")
        for name, value in node.value.items():
            if not _VARIABLE.fullmatch(name):
                raise invalid(value.location, "a variable's name", name, "letters, digits and _ only")
            if isinstance(value.value, list | dict) or "\0" in (value.value or ""):
                raise invalid(value.location, "a variable's value", name, "not one text")
        return {name: str(value.value or "") for name, value in node.value.items()}

    def _ignored(self) -> tuple[Ignored, ...]:
        others = [self._layout.path(name) for name in FILES if self._layout.path(name) != self._path]
        twin = tuple(Ignored(path, f"{self._path} comes first") for path in others if self._source.entry(path))
        return twin + python.overruled(self._source, self._layout, posixpath.basename(self._path))

    def _warn(self, code: str, message: str) -> None:
        self._warnings.append(Warned(code, message))


def _without_defaults(spec: str) -> str:
    """A spec that asks for the channel `defaults`, of the channel that is used instead."""
    return spec if not spec.startswith("defaults::") else f"conda-forge::{spec.removeprefix('defaults::')}"


def by_option(version: str) -> Choice:
    """The Python that is asked for by option; whether channels have it is not known here.

    Raises BuildError(PythonUnavailable).
    """
    choice = Choice(version, "option --python")
    if not re.fullmatch(r"[0-9]+\.[0-9]+(\.[0-9]+)?", version, re.ASCII):
        raise BuildError(PythonUnavailable(version, choice.origin, PYTHONS))
    _check_age(choice)
    return choice


def _check_age(choice: Choice) -> None:
    """Raises BuildError(PythonUnavailable) for what only Pythons before OLDEST satisfy."""
    for bound in choice.value.split(",") if "|" not in choice.value else ():
        match = re.match(r"(<=?|==?|)([0-9]{1,4}(?:\.[0-9]{1,4})*)", bound)
        if match is None:
            continue
        version = tuple(map(int, match[2].split(".")))
        oldest = OLDEST[: len(version)]
        if version < oldest or (match[1] == "<" and version == oldest):
            by_file = choice.origin != "option --python"
            raise BuildError(PythonUnavailable(choice.value, choice.origin, PYTHONS, by_file))


def _mapping(node: Node, text: str) -> dict[str, Node]:
    if not isinstance(node.value, dict):
        problem = "it is empty" if node.value is None else "not a mapping with dependencies"
        raise invalid(node.location, "an environment", text, problem)
    return node.value


def _nodes(node: Node | None, format: str) -> list[Node]:
    if node is None or node.value is None:
        return []
    if not isinstance(node.value, list):
        found = str(_first_key(node))
        if dash := re.match(r"-([\w.=<>~-]+)", found):
            raise invalid(node.location, format, dash[0], "no space behind the dash", (f"- {dash[1]}",))
        raise invalid(node.location, format, found, "another type", _as_entries(node, format))
    return node.value


def _as_entries(node: Node, format: str) -> tuple[str, ...]:
    """The list that is meant by one text, or by a mapping of names to versions."""
    if isinstance(node.value, str):
        return (f"{format.rpartition(' ')[2]}: [{node.value}]",) if re.fullmatch(r"[\w./:=-]+", node.value) else ()
    entries = node.value.items() if isinstance(node.value, dict) else ()
    specs = [f"- {name}={version.value}" for name, version in entries if isinstance(version.value, str)]
    return tuple(specs) if len(specs) == len(entries) else ()


def _texts(node: Node | None, format: str) -> list[tuple[Node, str]]:
    texts = []
    for entry in _nodes(node, format):
        if not isinstance(entry.value, str):
            raise invalid(entry.location, format, _first_key(entry), "another type")
        texts.append((entry, entry.value))
    return texts


def _as_spec(node: Node) -> tuple[str, ...]:
    """The spec that is meant by `numpy: 1.26`."""
    keys = node.value if isinstance(node.value, dict) else {}
    texts = [f"{name}={version.value}" for name, version in keys.items() if isinstance(version.value, str)]
    return tuple(texts) if len(texts) == 1 and re.fullmatch(r"[\w.-]+=[\w.*]+", texts[0], re.ASCII) else ()


def _first_key(node: Node) -> str:
    """What to show of a value at fault."""
    match node.value:
        case str(text):
            return text
        case {**keys} if keys:
            return f"{next(iter(keys))}:"
        case _:
            return ""


def _unchecked(pip: Requirements) -> tuple[Warned, ...]:
    message = "the packages of the pip section are not held to the hashes that it gives"
    return (Warned("hashes-unchecked", message),) if pip.hashed else ()

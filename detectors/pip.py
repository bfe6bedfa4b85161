"""The pip strategy: a requirements.txt."""

from __future__ import annotations

from detectors import gpu, python
from detectors.gpu import Named
from detectors.layout import locate
from detectors.plan import Evidence, Options, Plan, Warned
from detectors.source import Source

FILE = "requirements.txt"

CPU_LINE = f"put the line `--extra-index-url {gpu.CPU_INDEX}` before it"


def detect(source: Source, options: Options) -> Plan | None:
    """Plan a pip environment for a repository with a requirements.txt.

    Returns None when the repository has none. Raises BuildError with PythonUnavailable, or what
    `requirements.parse` raises.
    Format: https://pip.pypa.io/en/stable/reference/requirements-file-format/
    """
    layout = locate(source, options)
    path = layout.path(FILE)
    if source.entry(path) is None:
        return None
    # Late: plans of other strategies must not pay for packaging.
    from detectors import requirements

    read = requirements.parse(source, path, layout.project)
    chosen = python.choose(source, layout, options)
    warnings = [*chosen.warnings, *read.warnings, *gpu.warn(read.named, read.indexes, CPU_LINE)]
    if not read.requested:
        warnings.append(Warned("requirements-empty", f"{path} asks for no package"))
    # pip holds what it finds to the hashes that are written down; uv's compiler does not.
    resolver = "pip" if read.hashed else options.pip_resolver
    if options.as_of and resolver == "pip":
        resolver = "uv"
        unchecked = ", and does not hold them to the hashes" if read.hashed else ""
        warnings.append(Warned("as-of-uv", f"pip cannot resolve as of a date; uv decides the versions{unchecked}"))
    return Plan(
        strategy="pip",
        python=chosen.choice,
        evidence=(Evidence(path, f"requirements: {len(read.requested)}"),),
        files=read.files,
        trees=read.trees,
        requested=read.requested,
        inputs={"requirements": path, "directory": layout.project, "resolver": resolver, "as_of": options.as_of},
        ignored=chosen.ignored,
        warnings=tuple(warnings),
    )


def asked(source: Source, plan: Plan) -> tuple[Named, ...]:
    """The packages that a plan's requirements files name, and where. Raises as `detect` does."""
    from detectors import requirements

    return requirements.parse(source, plan.inputs["requirements"], plan.inputs["directory"]).named

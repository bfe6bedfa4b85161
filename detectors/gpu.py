"""Packages whose build on the default index brings gigabytes for a GPU."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from detectors.failures import Location
from detectors.plan import Warned

CPU_INDEX = "https://download.pytorch.org/whl/cpu"

TORCH = frozenset({"torch", "torchvision", "torchaudio"})
_ALWAYS = TORCH | {"tensorflow-gpu", "vllm", "xformers"}
_WITH_EXTRA = {
    "tensorflow": re.compile("and-cuda"),
    "jax": re.compile(r"cuda.*"),
    "jaxlib": re.compile(r"cuda.*"),
}
_PATTERN = re.compile(r"(cupy-cuda|jax-cuda|nvidia-)[0-9a-z-]+")


@dataclass(frozen=True, slots=True)
class Named:
    """A package asked for by name: what an index will be asked."""

    name: str
    extras: frozenset[str]
    specifier: str
    location: Location


def warn(requirements: Iterable[Named], indexes: Iterable[str], remedy: str) -> tuple[Warned, ...]:
    """At most one warning `gpu-packages`, naming the packages and what gives the CPU build.

    None where an index of CPU builds, or a CPU build itself ("2.5.1+cpu"), is asked for.
    """
    if any("/cpu" in index for index in indexes):
        return ()
    wide = [r for r in requirements if _brings_cuda(r)]
    if not wide:
        return ()
    names = ", ".join(f"{r.name} ({r.location})" for r in wide[:5])
    fix = remedy if any(_normal(r.name) in TORCH for r in wide) else "name the CPU package instead"
    return (Warned("gpu-packages", f"{names}: gigabytes of CUDA libraries for a GPU; for the CPU build, {fix}"),)


def _brings_cuda(requirement: Named) -> bool:
    if "+cpu" in requirement.specifier:
        return False
    name = _normal(requirement.name)
    extra = _WITH_EXTRA.get(name)
    if extra is not None:
        return any(extra.fullmatch(_normal(e)) for e in requirement.extras)
    return name in _ALWAYS or bool(_PATTERN.fullmatch(name))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()

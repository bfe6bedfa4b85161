"""Packages whose build on the default index brings gigabytes for a GPU."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from detectors.failures import Location
from detectors.plan import Warned

CPU_INDEX = "https://download.pytorch.org/whl/cpu"

TORCH = frozenset({"torch", "torchvision", "torchaudio"})
NEED_TORCH = frozenset({
    "accelerate", "bitsandbytes", "botorch", "captum", "easyocr", "fastai", "flair", "gpytorch", "kornia", "lightning",
    "monai", "openai-whisper", "peft", "pyro-ppl", "pytorch-lightning", "sentence-transformers", "spacy-transformers",
    "stanza", "timm", "torchdata", "torchmetrics", "torchsde", "torchtext", "trl", "ultralytics",
})  # fmt: skip
"""What cannot be installed without torch, by the Requires-Dist of their newest versions in November 2026."""

_ALWAYS = TORCH | NEED_TORCH | {"tensorflow-gpu", "vllm", "xformers"}
_WITH_EXTRA = {
    "transformers": re.compile("torch"),
    "tensorflow": re.compile("and-cuda"),
    "jax": re.compile(r"cuda.*"),
    "jaxlib": re.compile(r"cuda.*"),
}
_PATTERN = re.compile(r"(cupy-cuda|jax-cuda|nvidia-)[0-9a-z-]+")
_OF_CONDA = re.compile(r"cuda|^cudnn |^cupy |^(pytorch|tensorflow|jaxlib)-gpu ")


class Named(NamedTuple):
    """A package asked for by name: what an index will be asked."""

    name: str
    extras: frozenset[str]
    specifier: str
    location: Location


def warn(requirements: Iterable[Named], indexes: Iterable[str], remedy: str) -> tuple[Warned, ...]:
    """At most one warning `gpu-packages`, naming the packages and what gives the CPU build.

    None where an index of CPU builds, or a CPU build itself ("2.5.1+cpu"), is asked for.
    """
    requirements = list(requirements)
    own = [r for r in requirements if _normal(r.name) == "torch" and "+cpu" in r.specifier]
    if own or any("/cpu" in index for index in indexes):
        return ()
    wide = [r for r in requirements if _brings_cuda(r)]
    of_torch = any(_normal(r.name) in TORCH | NEED_TORCH | {"transformers"} for r in wide)
    return _warning(wide, remedy if of_torch else "name the CPU package instead")


def warn_of_conda(specs: Iterable[Named]) -> tuple[Warned, ...]:
    """The same for packages of conda's channels, which by themselves give CPU builds where there is no GPU."""
    wide = [s for s in specs if _OF_CONDA.search(f"{s.name} {s.specifier}")]
    return _warning(wide, "take out what names CUDA: without it conda gives the CPU build")


def _warning(wide: list[Named], remedy: str) -> tuple[Warned, ...]:
    if not wide:
        return ()
    names = ", ".join(f"{r.name} ({r.location})" for r in wide[:5])
    return (Warned("gpu-packages", f"{names}: gigabytes of CUDA libraries for a GPU; for the CPU build, {remedy}"),)


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

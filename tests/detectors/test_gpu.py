from __future__ import annotations

import pytest

from detectors.failures import Location
from detectors.gpu import Named, warn


def named(name: str, *extras: str, specifier: str = "") -> Named:
    return Named(name, frozenset(extras), specifier, Location("requirements.txt", 2))


@pytest.mark.parametrize(
    "requirement",
    [named("torch"), named("Torch.Vision".replace(".", "")), named("tensorflow", "and-cuda"), named("jax", "cuda12"),
     named("jax", "cuda12_local"), named("cupy-cuda12x"), named("nvidia_cublas_cu12"), named("tensorflow-gpu")],
)  # fmt: skip
def test_package_that_brings_cuda_is_named(requirement: Named) -> None:
    (warning,) = warn([named("six"), requirement], [], "do this")
    assert warning.code == "gpu-packages"
    assert f"{requirement.name} (requirements.txt:2)" in warning.message
    assert "six" not in warning.message


def test_remedy_is_for_torch() -> None:
    assert "do this" in warn([named("torch")], [], "do this")[0].message
    assert "do this" not in warn([named("cupy-cuda12x")], [], "do this")[0].message


def test_package_that_cannot_do_without_torch_brings_it_along() -> None:
    (warning,) = warn([named("Sentence_Transformers")], [], "do this")
    assert "do this" in warning.message
    assert warn([named("torch", specifier="==2.5.1+cpu"), named("sentence-transformers")], [], "do this") == ()


@pytest.mark.parametrize(
    "requirement",
    [named("tensorflow"), named("jax"), named("torch", specifier="==2.5.1+cpu"), named("transformers"), named("cupy")],
)
def test_package_for_any_machine_is_no_warning(requirement: Named) -> None:
    assert warn([requirement], [], "") == ()


def test_index_of_cpu_builds_is_no_warning() -> None:
    assert warn([named("torch")], ["--extra-index-url https://download.pytorch.org/whl/cpu"], "") == ()

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from detectors import pip
from detectors.plan import Options
from detectors.source import MappingSource
from tests.detectors.asking import codes, plan, survives, within_a_second


def test_repository_without_the_file_is_not_pips() -> None:
    assert pip.detect(MappingSource({"environment.yml": ""}), Options()) is None


def test_inputs_name_the_file_and_the_directory() -> None:
    result = plan({"sub/requirements.txt": "six\n"}, subdir="sub")
    expected = {"requirements": "sub/requirements.txt", "directory": "sub", "resolver": "uv", "as_of": None}
    assert result.inputs == expected


def test_empty_file_is_an_environment_with_a_warning() -> None:
    result = plan({"requirements.txt": "\n# later\n"})
    assert (result.strategy, result.requested, codes(result)) == ("pip", (), ["requirements-empty"])


def test_date_is_resolved_by_uv_with_a_warning_where_pip_was_to_decide() -> None:
    result = plan({"requirements.txt": "six"}, as_of="2024-06-01T00:00:00Z", pip_resolver="pip")
    assert (result.inputs["resolver"], result.inputs["as_of"]) == ("uv", "2024-06-01T00:00:00Z")
    assert codes(result) == ["as-of-uv"]


def test_date_is_no_warning_where_uv_decides_anyhow() -> None:
    assert codes(plan({"requirements.txt": "six"}, as_of="2024-06-01T00:00:00Z")) == []


def test_source_is_needed_for_local_directories_only() -> None:
    assert plan({"requirements.txt": "-e .", "setup.py": ""}).needs_source
    assert not plan({"requirements.txt": "six", "setup.py": ""}).needs_source


def test_torch_is_warned_of_with_the_line_that_helps() -> None:
    (warning,) = plan({"requirements.txt": "six\ntorch==2.2.0\n"}).warnings
    assert warning.code == "gpu-packages"
    assert "requirements.txt:2" in warning.message
    assert "--extra-index-url https://download.pytorch.org/whl/cpu" in warning.message


def test_groups_and_extras_are_unused_with_a_warning() -> None:
    assert codes(plan({"requirements.txt": "six"}, groups=("dev",))) == ["groups-unused"]


@given(st.binary())
@within_a_second
def test_any_bytes_give_a_plan_or_fail_by_name(content: bytes) -> None:
    survives(lambda: plan({"requirements.txt": content, "runtime.txt": content, "apt.txt": content}))

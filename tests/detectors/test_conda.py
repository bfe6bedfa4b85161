from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors import conda
from detectors.failures import FileInvalid, Location, PythonUnavailable
from detectors.plan import Choice, Options, Plan
from detectors.source import MappingSource
from tests.detectors.asking import codes, failure, plan, survives, within_a_second

QUIET = "channels: [conda-forge, nodefaults]\n"


def asked(text: str, files: dict[str, str | bytes] | None = None, **options: Any) -> Plan:
    return plan({"environment.yml": text, **(files or {})}, **options)


def refused(text: str) -> FileInvalid:
    found = failure({"environment.yml": text})
    assert isinstance(found, FileInvalid), found
    return found


def test_repository_without_the_file_is_not_condas() -> None:
    assert conda.detect(MappingSource({"requirements.txt": ""}), Options()) is None


def test_quiet_file_gives_no_warnings() -> None:
    assert asked(QUIET + "dependencies: [python=3.9, six]").warnings == ()


@pytest.mark.parametrize(
    ("dependencies", "choice", "specs"),
    [
        ("[python=3.9]", Choice("3.9", "environment.yml:2"), ["python=3.9"]),
        ("[python =3.10]", Choice("3.10", "environment.yml:2"), ["python=3.10"]),
        ("['python>=3.10,<3.12']", Choice(">=3.10,<3.12", "environment.yml:2"), ["python>=3.10,<3.12"]),
        ("['python>=3.9', 'python<3.12']", Choice(">=3.9,<3.12", "environment.yml:2"), ["python>=3.9", "python<3.12"]),
        ("[six, python]", Choice("3.10", "default"), ["python=3.10", "six"]),
        ("[six]", Choice("3.10", "default"), ["python=3.10", "six"]),
        ("", Choice("3.10", "default"), ["python=3.10"]),
        ("[conda-forge::python=3.11.4]", Choice("3.11.4", "environment.yml:2"), ["conda-forge::python=3.11.4"]),
    ],
)
def test_python_is_what_the_file_says(dependencies: str, choice: Choice, specs: list[str]) -> None:
    result = asked(QUIET + f"dependencies: {dependencies}")
    assert (result.python, result.inputs["specs"]) == (choice, [*specs, "pip"])


def test_python_where_the_file_names_none_is_of_the_day_that_is_asked_for() -> None:
    result = asked(QUIET + "dependencies: [six]", as_of="2019-06-01T00:00:00Z")
    assert result.python == Choice("3.7", "default of 2019-06-01")
    assert codes(result) == []
    assert asked(QUIET + "dependencies: [six]", as_of="2021-06-01T00:00:00Z").python.value == "3.9"


def test_option_replaces_the_python_of_the_file() -> None:
    result = asked(QUIET + "dependencies: [python=3.9, six]", python="3.12")
    assert result.python == Choice("3.12", "option --python")
    assert result.inputs["specs"] == ["python=3.12", "six", "pip"]
    assert codes(result) == ["python-replaced"]
    assert codes(asked(QUIET + "dependencies: [six]", python="3.12")) == []


def test_option_that_is_no_version_is_refused() -> None:
    assert isinstance(failure({"environment.yml": QUIET}, python="3.x"), PythonUnavailable)


@pytest.mark.parametrize(
    ("channels", "used", "warnings"),
    [
        ("channels: [conda-forge, nodefaults]", ["conda-forge"], []),
        ("channels: [conda-forge]", ["conda-forge"], ["nodefaults-added"]),
        ("channels: [defaults]", ["conda-forge"], ["defaults-replaced"]),
        ("channels: [bioconda, defaults, conda-forge]", ["bioconda", "conda-forge"], ["defaults-replaced"]),
        ("channels: [nodefaults]", ["conda-forge"], []),
        ("channels: []", ["conda-forge"], ["channels-missing"]),
        ("channels:", ["conda-forge"], ["channels-missing"]),
        ("", ["conda-forge"], ["channels-missing"]),
        ("channels: ['https://c.example.org:8443/lab', nodefaults]", ["https://c.example.org:8443/lab"], []),
        ("channels: [conda-forge/label/dev, nodefaults]", ["conda-forge/label/dev"], []),
    ],
)
def test_channels_without_defaults(channels: str, used: list[str], warnings: list[str]) -> None:
    result = asked(f"{channels}\ndependencies: [python=3.9]")
    assert (result.inputs["channels"], codes(result)) == (used, warnings)


def test_defaults_are_kept_on_demand() -> None:
    result = asked("channels: [defaults, bioconda]\ndependencies: [python=3.9]", keep_defaults=True)
    assert (result.inputs["channels"], codes(result)) == (["defaults", "bioconda"], [])


@pytest.mark.parametrize(
    "channel",
    [
        "file:///srv",
        "/srv/channel",
        "http://c.example.org",
        "https://u:hunter2@c.example.org",
        "../x",
        "a b",
        "-c",
        "é",
    ],
)
def test_channel_of_another_form_is_refused(channel: str) -> None:
    found = refused(f"channels:\n  - {channel}\n")
    assert found.location == Location("environment.yml", 2, 5)
    assert "hunter2" not in found.found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a\n- b",
        "just text",
        "channels: conda-forge",
        "channels: [[a]]",
        "dependencies: six",
        "dependencies: {six: 1}",
        "dependencies: [[six]]",
        "dependencies: [~]",
        "dependencies: [{python: 3.10}]",
        "dependencies: [{pip: [six], python: 3}]",
        "dependencies: [{pip: six}]",
        "dependencies: [{pip: [[six]]}]",
        "dependencies: ['a;b']",
        "platforms: linux-64",
        "platforms: [{a: b}]",
        "variables: [a]",
        "variables: {a-b: c}",
        "variables: {a: [b]}",
        'variables: {a: "\\0"}',
    ],
)
def test_file_of_another_shape_is_refused(text: str) -> None:
    assert refused(text).location.path == "environment.yml"


def test_variables_are_kept_as_text() -> None:
    text = QUIET + 'variables: {A: 3.10, B: yes, C: , _d: "two\\nlines"}'
    assert asked(text).inputs["variables"] == {"A": "3.10", "B": "yes", "C": "", "_d": "two\nlines"}


def test_prefix_is_ignored_with_a_warning() -> None:
    assert codes(asked(QUIET + "dependencies: [python=3.9]\nprefix: /home/ada/env")) == ["prefix-ignored"]


def test_pip_list_is_read_as_requirements() -> None:
    text = QUIET + "dependencies:\n  - pip\n  - pip:\n      - -r more.txt\n      - -e .\n      - six  # old\n"
    result = asked(text, {"more.txt": "attrs\n", "setup.py": ""})
    assert result.inputs["pip"] == ["-r more.txt", "-e .", "six"]
    assert [f.path for f in result.files] == ["environment.yml", "more.txt"]
    assert [t.path for t in result.trees] == [""]
    assert result.requested == ("pip", "attrs", "-e .", "six")
    assert result.needs_source


def test_spec_of_the_channel_defaults_is_of_the_one_that_is_used_instead() -> None:
    text = "channels: [defaults]\ndependencies: ['defaults::python=3.9']"
    assert asked(text).inputs["specs"] == ["conda-forge::python=3.9", "pip"]
    assert asked(text, keep_defaults=True).inputs["specs"] == ["defaults::python=3.9", "pip"]
    assert asked(text).requested == ("defaults::python=3.9",)


def test_python_comes_with_pip_as_conda_gives_it() -> None:
    assert asked(QUIET + "dependencies: [python=3.9]").inputs["specs"] == ["python=3.9", "pip"]
    assert asked(QUIET + "dependencies: [pip=24, python=3.9]").inputs["specs"] == ["pip=24", "python=3.9"]


def test_pip_list_without_pip_is_told_of() -> None:
    assert codes(asked(QUIET + "dependencies:\n  - python=3.9\n  - pip: [six]\n")) == ["pip-added"]
    assert codes(asked(QUIET + "dependencies:\n  - python=3.9\n  - pip:\n")) == []


@pytest.mark.parametrize("version", ["=2.7", "=3.5", "=3.5.2", "<3", "<3.6", "<=3.5", ">=2.7,<3", " 2.7.*"])
def test_python_too_old_for_packages_of_an_index_is_refused(version: str) -> None:
    found = failure({"environment.yml": QUIET + f"dependencies: ['python{version}']"})
    assert isinstance(found, PythonUnavailable)
    assert (found.origin, found.supported[0]) == ("environment.yml:2", "3.6")


@pytest.mark.parametrize("version", ["=3.6", "=3", "<4", "<=3.6", "<3.6.5", ">=2.7", "=2.7|=3.8", "=3.15"])
def test_python_that_may_be_new_enough_is_left_to_conda(version: str) -> None:
    assert asked(QUIET + f"dependencies: ['python{version}']").python.origin == "environment.yml:2"


@pytest.mark.parametrize(
    "spec", ["pytorch-cuda=12.1", "cudatoolkit=11.3", "tensorflow-gpu", "pytorch=2.1.0=py3.10_cuda12.1_cudnn8_0"]
)
def test_what_names_cuda_is_told_of(spec: str) -> None:
    result = asked(QUIET + f"dependencies: [python=3.9, '{spec}']")
    (warning,) = result.warnings
    assert warning.code == "gpu-packages"
    assert warning.message.startswith(f"{spec.split('=')[0]} (environment.yml:2:")


def test_default_python_is_of_the_day_that_is_asked_for() -> None:
    result = asked(QUIET + "dependencies: [six]", as_of="2021-06-01T00:00:00Z")
    assert result.inputs["specs"] == ["python=3.9", "six", "pip"]


def test_line_of_the_pip_list_is_named() -> None:
    assert refused(QUIET + "dependencies:\n  - pip:\n      - six\n      - six=1\n").location.line == 5


def test_environment_yaml_counts_and_comes_second() -> None:
    assert plan({"environment.yaml": QUIET}).evidence[0].path == "environment.yaml"
    both = plan({"environment.yaml": QUIET, "environment.yml": QUIET})
    assert both.evidence[0].path == "environment.yml"
    assert [i.path for i in both.ignored] == ["environment.yaml"]


def test_other_statements_of_a_python_are_ignored_by_name() -> None:
    result = asked(QUIET, {"runtime.txt": "python-3.6", ".python-version": "2.7"})
    assert [i.path for i in result.ignored] == [".python-version", "runtime.txt"]
    assert result.python.value == "3.10"


@given(st.text())
@within_a_second
def test_any_text_gives_a_plan_or_fails_by_name(text: str) -> None:
    survives(lambda: asked(text))


KEYS = st.sampled_from(["dependencies", "channels", "variables", "prefix", "platforms", "pip", "name", "x"])
TREES = st.recursive(
    st.text(alphabet="abpiyton3.=<>- :/~#'\"", max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, TREES, max_size=5))
@within_a_second
def test_any_shape_gives_a_plan_or_fails_by_name(document: dict[str, object]) -> None:
    import yaml

    survives(lambda: asked(yaml.safe_dump(document)))


@pytest.mark.parametrize(
    ("key", "meant"), [("dependancies", "dependencies"), ("Channel", "channels"), ("dependecies", "dependencies")]
)
def test_key_that_is_all_but_a_known_one_is_a_slip(key: str, meant: str) -> None:
    found = refused(f"name: analysis\n{key}: [six]\n")
    assert (found.location, found.found) == (Location("environment.yml", 2, 1), f"{key}:")
    assert f"called {meant}:" in found.problem


def test_key_beside_the_known_one_that_it_is_close_to_is_ignored() -> None:
    assert codes(asked(QUIET + "channel: x\ndependencies: [six]\n")) == ["keys-unknown"]


def test_many_unknown_keys_are_one_short_warning() -> None:
    (warning,) = asked(QUIET + "dependencies: [six]\n" + "".join(f"key{n}: 1\n" for n in range(900))).warnings
    assert "key0, key1, key2, key3, key4 and 895 more" in warning.message

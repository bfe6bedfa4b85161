"""Settings: a file, then variables, over defaults; checked, and remembered once checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.failures.asked import SettingsInvalid
from builder.settings import REMEMBERED, Settings, load, secrets
from detectors.failures import BuildError


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))


def wrong(environ: dict[str, str], directory: Path) -> tuple[tuple[str, str], ...]:
    with pytest.raises(BuildError) as caught:
        load(environ, directory)
    assert isinstance(caught.value.failure, SettingsInvalid)
    return caught.value.failure.places


def test_without_a_source_they_are_the_defaults(tmp_path: Path) -> None:
    found, defaults = load({}, tmp_path), Settings()
    assert (found.bases, found.index, found.limits) == (defaults.bases, defaults.index, defaults.limits)
    assert found.allowed_hosts == defaults.allowed_hosts


def test_a_variable_comes_before_the_file_and_the_file_before_the_default(tmp_path: Path) -> None:
    (tmp_path / "launchyard.toml").write_text('image_prefix = "lab"\n[limits]\nbuild_time = 60\nsource_size = 9\n')
    settings = load(
        {"LAUNCHYARD_LIMITS__BUILD_TIME": "7", "LAUNCHYARD_ALLOWED_HOSTS": "a.example,b.example:80"}, tmp_path
    )
    assert (settings.image_prefix, settings.limits.build_time, settings.limits.source_size) == ("lab", 7, 9)
    assert settings.allowed_hosts == ("a.example", "b.example:80")
    assert settings.bases == Settings().bases


def test_nothing_between_commas_is_nothing_in_a_list(tmp_path: Path) -> None:
    assert load({"LAUNCHYARD_HOSTS": ""}, tmp_path).hosts == ()
    assert load({"LAUNCHYARD_HOSTS": "api,,worker,"}, tmp_path).hosts == ("api", "worker")


def test_what_was_checked_is_remembered_and_the_same(tmp_path: Path) -> None:
    environ = {"LAUNCHYARD_BASES__DEBIAN": "mirror.example/debian:12"}
    first = load(environ, tmp_path)
    assert (tmp_path / "XDG_CACHE_HOME" / "launchyard" / "settings.json").exists()
    assert load(environ, tmp_path) == first
    assert load({**environ, "LAUNCHYARD_IMAGE_PREFIX": "x"}, tmp_path).image_prefix == "x"


def test_settings_that_come_in_turns_are_checked_once_each_and_the_last_few_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = [{"LAUNCHYARD_IMAGE_PREFIX": f"lab-{number}"} for number in range(REMEMBERED + 1)]
    oldest, *kept = [(environ, load(environ, tmp_path)) for environ in turns]

    monkeypatch.delattr("builder.settings._validate")
    assert [load(environ, tmp_path) for environ, _ in kept] == [settings for _, settings in kept]
    with pytest.raises(NameError):
        load(oldest[0], tmp_path)


def test_settings_with_a_password_are_not_written_down(tmp_path: Path) -> None:
    settings = load({"LAUNCHYARD_INDEX__URL": "https://ada:s3cret@index.example/simple"}, tmp_path)
    assert set(secrets(settings)) == {"ada:s3cret", "s3cret"}
    assert not (tmp_path / "XDG_CACHE_HOME" / "launchyard" / "settings.json").exists()


def test_each_mistake_names_its_setting(tmp_path: Path) -> None:
    assert wrong({"LAUNCHYARD_LIMITS__BUILD_TIME": "soon"}, tmp_path)[0][0] == "limits.build_time"
    assert wrong({"LAUNCHYARD_BASES__DEBAIN": "x"}, tmp_path) == (("LAUNCHYARD_BASES__DEBAIN", "no such setting"),)
    assert wrong({"LAUNCHYARD_CONFIG": str(tmp_path / "none.toml")}, tmp_path)[0][0] == "LAUNCHYARD_CONFIG"
    (tmp_path / "launchyard.toml").write_text("colour = 1\n")
    assert wrong({}, tmp_path)[0][0] == "colour"
    (tmp_path / "launchyard.toml").write_text("image_prefix = \n")
    assert "launchyard.toml" in wrong({}, tmp_path)[0][0]


@pytest.mark.parametrize(
    ("name", "value", "setting"),
    [
        ("CERTIFICATES", "/no/such.pem", "certificates"),
        ("IMAGE_PREFIX", "Bad Prefix", "image_prefix"),
        ("INDEX__URL", "not a url", "index.url"),
        ("INDEX__EXTRA", "https://index.example.org/simple,ftp://b", "index.extra"),
        ("LIMITS__BUILD_TIME", "-5", "limits.build_time"),
        ("LIMITS__BUILD_MEMORY", "0", "limits.build_memory"),
    ],
)
def test_what_would_fail_only_in_a_build_is_a_mistake_at_once(
    name: str, value: str, setting: str, tmp_path: Path
) -> None:
    assert [place for place, _ in wrong({f"LAUNCHYARD_{name}": value}, tmp_path)] == [setting]


def test_no_settings_file_counts_where_the_empty_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "launchyard.toml").write_text("owner = 'ada'\n")
    assert load({}, tmp_path).owner == "ada"
    assert load({"LAUNCHYARD_CONFIG": "/dev/null"}, tmp_path).owner == ""


def test_an_owner_is_a_component_of_an_image_s_name(tmp_path: Path) -> None:
    assert load({"LAUNCHYARD_OWNER": "team-a.1"}, tmp_path).owner == "team-a.1"
    for owner in ("Team", "a/b", "../a", "a b", "-a", "a,id=launchyard"):
        assert wrong({"LAUNCHYARD_OWNER": owner}, tmp_path)[0][0] == "owner"


def test_the_token_of_a_channel_is_a_password(tmp_path: Path) -> None:
    settings = load({"LAUNCHYARD_CONDA__CHANNEL_ALIAS": "https://conda.example/t/to-k3n"}, tmp_path)
    assert secrets(settings) == ("to-k3n",)
    assert not (tmp_path / "XDG_CACHE_HOME" / "launchyard" / "settings.json").exists()


def test_what_make_engine_reads_is_no_setting_and_no_mistake(tmp_path: Path) -> None:
    assert load({"LAUNCHYARD_ENGINE_DIR": "/srv/engine"}, tmp_path) == load({}, tmp_path)

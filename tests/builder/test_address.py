"""What a person may give as a repository, and what never reaches git."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builder.address import check_ref, parse
from builder.failures import explain
from builder.failures.asked import AddressInvalid, HostNotAllowed, HostNotPublic, RefInvalid
from builder.settings import Settings
from detectors.failures import BuildError

SETTINGS = Settings(allowed_hosts=("github.com", "git.example.org:8443", "http://127.0.0.1:9418"))
ANYWHERE = replace(SETTINGS, allowed_hosts=("*",))


def refused(address: str, settings: Settings = SETTINGS, *, allow_local: bool = False) -> object:
    with pytest.raises(BuildError) as caught:
        parse(address, settings, allow_local=allow_local)
    return caught.value.failure


@pytest.mark.parametrize(
    ("address", "slug"),
    [
        ("https://github.com/Owner/My.Repo.git", "owner-my-repo"),
        ("https://github.com/owner/repository/", "owner-repository"),
        ("https://git.example.org:8443/group/sub/project", "sub-project"),
        ("http://127.0.0.1:9418/tides", "tides"),
    ],
)
def test_an_allowed_host_is_taken_and_names_the_image(address: str, slug: str) -> None:
    assert parse(address, SETTINGS, allow_local=False).slug == slug


@pytest.mark.parametrize(
    "address",
    [
        "--upload-pack=touch /tmp/x",
        "-oProxyCommand=x",
        "ext::sh -c id",
        "file:///etc",
        "/etc",
        "ssh://git@github.com/o/r",
        "git@github.com:o/r",
        "git://github.com/o/r",
        "https://github.com",
        "https://github.com/o/r?x=1",
        "https://github.com:port/o/r",
        "https://[::1/o/r",
        "https://github.com/o/r\nhttps://elsewhere.example/",
        "https://github.com/o/r with spaces",
        "https://github.com/" + "a" * 10_000,
        "",
    ],
)
def test_what_is_no_address_of_a_public_repository_is_refused(address: str) -> None:
    assert isinstance(refused(address), AddressInvalid)


def test_credentials_are_refused_and_not_echoed() -> None:
    failure = refused("https://ada:s3cret@github.com/o/r")
    assert isinstance(failure, AddressInvalid)
    assert "s3cret" not in repr(failure)


def test_an_allowed_host_without_encryption_is_refused_with_the_address_that_is_meant() -> None:
    assert refused("http://github.com/o/r") == AddressInvalid(
        "http://github.com/o/r", "only https is taken", "https://github.com/o/r"
    )


@pytest.mark.parametrize("address", ["https://elsewhere.example/o/r", "https://git.example.org/o/r"])
def test_a_host_that_is_not_named_is_refused(address: str) -> None:
    assert isinstance(refused(address), HostNotAllowed)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
        "10.0.0.1",
    ],
)
def test_every_public_host_does_not_stand_for_this_machine_or_its_network(host: str) -> None:
    assert isinstance(refused(f"https://{host}/o/r", ANYWHERE), HostNotPublic)


def test_a_path_that_counts_from_where_a_process_runs_is_no_services(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse(".", SETTINGS, allow_local=True).local == tmp_path
    with pytest.raises(BuildError) as caught:
        parse(".", SETTINGS, allow_local=True, relative=False)
    assert "whole path" in explain(caught.value.failure).fix[0]
    assert parse(str(tmp_path), SETTINGS, allow_local=True, relative=False).local == tmp_path


def test_a_path_is_taken_only_where_local_ones_are(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "my papers"):
        path.mkdir(exist_ok=True)
        assert parse(str(path), SETTINGS, allow_local=True).local == path.resolve()
    assert isinstance(refused(str(tmp_path)), AddressInvalid)


@pytest.mark.parametrize(
    ("typed", "fix"),
    [
        ("./absent", "Give a path that is here, or an address such as https://github.com/owner/repository."),
        ("github.com/ada/tides", "Give https://github.com/ada/tides."),
        ("https:/github.com/ada/tides", "Give https://github.com/ada/tides."),
        ("https//github.com/ada/tides", "Give https://github.com/ada/tides."),
        ("https:///github.com/ada/tides", "Give https://github.com/ada/tides."),
        ("htps://github.com/ada/tides", "Give https://github.com/ada/tides."),
        ("file:///srv/tides", "Give an address such as https://github.com/owner/repository."),
    ],
)
def test_what_to_give_instead_is_said(typed: str, fix: str) -> None:
    assert explain(refused(typed, allow_local=True)).fix == (fix,)


@pytest.mark.parametrize("ref", ["main", "v1.2", "feature/tides", "a" * 40])
def test_a_plain_ref_is_taken(ref: str) -> None:
    assert check_ref(ref) == ref


@pytest.mark.parametrize(
    "ref",
    [
        "",
        "-x",
        "--upload-pack=x",
        "a..b",
        "HEAD@{1}",
        "a b",
        "a\nb",
        "a~1",
        "a^",
        "a:b",
        "x.lock",
        "/a",
        "a/",
        "@",
        "a//b",
    ],
)
def test_what_git_would_read_as_more_than_a_name_is_refused(ref: str) -> None:
    with pytest.raises(BuildError) as caught:
        check_ref(ref)
    assert isinstance(caught.value.failure, RefInvalid)

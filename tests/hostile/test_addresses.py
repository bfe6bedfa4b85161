"""Addresses that are options, paths, other transports, secrets, or ways into a private network."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from builder.address import Address
from builder.repository import open_commit
from tests.command import Launchyard
from tests.conftest import MakeRepository, git
from tests.forge import Backend, Host, Server, hosting
from tests.hostile.asking import command, refused

INVALID, NOT_ALLOWED, NOT_PUBLIC = "address-invalid", "host-not-allowed", "host-not-public"

ADDRESSES = [
    # Options of git and of ssh
    ("--upload-pack=touch${IFS}x", INVALID, "starts with a dash"),
    ("-oProxyCommand=x", INVALID, "starts with a dash"),
    ("--", INVALID, "starts with a dash"),
    ("-", INVALID, "starts with a dash"),
    # Other transports
    ("ext::sh -c id", INVALID, "white space"),
    ("ext::sh", INVALID, "only https addresses"),
    ("fd::17", INVALID, "only https addresses"),
    ("file:///etc", INVALID, "only https addresses"),
    ("FILE:///etc", INVALID, "only https addresses"),
    ("git://github.com/o/r", INVALID, "Give https://github.com/o/r."),
    ("ssh://git@github.com/o/r", INVALID, "Give https://github.com/o/r."),
    ("ssh://-oProxyCommand=x/o/r", INVALID, "only https addresses"),
    ("git@github.com:o/r.git", INVALID, "Give https://github.com/o/r.git."),
    ("git+ssh://git@github.com:22/o/r", INVALID, "Give https://github.com/o/r."),
    ("ftp://github.com/o/r", INVALID, "only https addresses"),
    ("javascript:alert(1)", INVALID, "only https addresses"),
    ("https::github.com/o/r", INVALID, "only https addresses"),
    # What is no address at all
    ("", INVALID, "is empty"),
    (" https://github.com/o/r", INVALID, "white space"),
    ("https://github.com/o/r\n", INVALID, "white space"),
    ("https://github.com/o/r\nhttps://elsewhere.example/o/r", INVALID, "white space"),
    ("https://github.com/o/r\x00", INVALID, "control characters"),
    ("https://github.com/o/r\x1b[31m", INVALID, "control characters"),
    ("https://github.com/o/\u202er", INVALID, "control characters"),
    ("https://github.com/o\\r", INVALID, "control characters"),
    ("https://github.com\\@elsewhere.example/o/r", INVALID, "control characters"),
    ("https://github.com/" + "a" * 10_000, INVALID, "longer than 2,000"),
    ("https://github.com", INVALID, "names no repository"),
    ("https://github.com///", INVALID, "names no repository"),
    ("https://github.com/o/r?ref=x", INVALID, "names no repository"),
    ("https://github.com/o/r#x", INVALID, "names no repository"),
    ("https://github.com/$(id)/`id`", INVALID, "names no repository"),
    ("https://github.com/o/r'\"", INVALID, "names no repository"),
    ("https://github.com/o/r%0aHost:x", INVALID, "names no repository"),
    ("https:///o/r", INVALID, "host"),
    ("https://:443/o/r", INVALID, "host"),
    ("https://github.com:port/o/r", INVALID, "cannot be read"),
    ("https://github.com:99999/o/r", INVALID, "cannot be read"),
    ("https://[::1/o/r", INVALID, "cannot be read"),
    ("https://[::1%25lo]/o/r", INVALID, "host"),
    ("https://-oProxyCommand/o/r", INVALID, "host"),
    ("https://git_hub.com;id/o/r", INVALID, "host"),
    ("https://github.com%2f@elsewhere.example/o/r", INVALID, "user name"),
    ("https://github.com%2eelsewhere.example/o/r", INVALID, "host"),
    # What no operator has named
    ("https://elsewhere.example/o/r", NOT_ALLOWED, "Allowed are github.com"),
    ("https://github.com:8443/o/r", NOT_ALLOWED, "github.com:8443"),
    ("https://github.com.elsewhere.example/o/r", NOT_ALLOWED, "github.com.elsewhere.example"),
    ("http://github.com/o/r", INVALID, "https://github.com/o/r"),
    ("https://127.0.0.1/o/r", NOT_ALLOWED, "127.0.0.1"),
    ("https://localhost/o/r", NOT_ALLOWED, "localhost"),
]

LOCAL = [
    "/etc",
    "/",
    ".",
    "..",
    "./r",
    "~",
    "~root/r",
    "~nobody-here/r",
    "//host/share",
    "a" * 400,
    "r/../../etc",
    "%2e",
]

PRIVATE = [
    "127.0.0.1", "127.1", "127.255.255.254", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001",
    "0", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "169.254.169.254", "2852039166",
    "0xa9fea9fe", "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "127.0.0.1.",
    "[::]", "[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:169.254.169.254]",
    "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]", "[2002:7f00:1::]", "[2001:0:7f00:1::]",
    "[fe80::1]", "[fec0::1]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]", "[2001:db8::1]",
    "localhost", "LOCALHOST",
]  # fmt: skip

SECRETS = [
    "https://ada:s3cret@github.com/o/r",
    "https://s3cret@github.com/o/r",
    "https://ada:s3cret@elsewhere.example/o/r",
    "HTTPS://ada:s3cret@github.com/o/r",
    "http://ada:s3cret@github.com/o/r",
    "https://ada:s3cret%40github.com/o/r",
    "https://ada:s3cret\uff03@github.com/o/r",
    "https://ada:x/s3cret@github.com/o/r",
    "https://ada:x@s3cret@github.com/o/r",
    "https://ada:s3cret@github.com/o/r with a space",
    "https://ada:s3cret@github.com/o/r\n",
    "https://ada:s3cret@github.com/" + "a" * 10_000,
    "https://" + "a" * 10_000 + ":s3cret@github.com/o/r",
    "https:ada:s3cret@github.com/o/r",
    "//ada:s3cret@github.com/o/r",
    "ada:s3cret@github.com:o/r",
    "s3cret@github.com:o/r",
    "ssh://ada:s3cret@github.com/o/r",
    "-https://ada:s3cret@github.com/o/r",
    "https://github.com/o/r?access_token=s3cret",
    "https://github.com/o/r#s3cret",
]


@pytest.fixture
def launchyard(tmp_path: Path) -> Launchyard:
    return Launchyard(tmp_path)


@pytest.fixture
def anywhere(launchyard: Launchyard) -> Launchyard:
    """An installation that takes every public host."""
    launchyard.settings = replace(launchyard.settings, allowed_hosts=("*",))
    return launchyard


@pytest.mark.parametrize(("address", "code", "words"), ADDRESSES, ids=lambda text: ascii(text)[:40])
def test_an_address_that_is_none_is_explained(
    address: str, code: str, words: str, launchyard: Launchyard, tmp_path: Path
) -> None:
    answer = refused(launchyard, "plan", "--", address)
    assert answer.code == code
    assert words in answer.words
    assert "\x1b[31m" not in answer.shown
    assert not (tmp_path / "cache").exists()  # git was not asked


@pytest.mark.parametrize("address", [*LOCAL, "file:///etc", "file:.", "ext::sh"], ids=lambda text: text[:20])
def test_a_path_of_the_machine_is_none_of_a_service(address: str, tmp_path: Path) -> None:
    answer = refused(Launchyard(tmp_path, allow_local=False), "plan", "--", address)
    assert answer.code == INVALID
    assert "only https addresses are fetched" in answer.words


@pytest.mark.parametrize("path", LOCAL, ids=lambda text: text[:20])
def test_a_path_without_a_repository_is_explained_where_paths_are_taken(
    path: str, launchyard: Launchyard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "r").mkdir()
    monkeypatch.chdir(tmp_path)
    answer = refused(launchyard, "plan", "--", path)
    assert answer.code == INVALID
    assert "not a git repository" in answer.words or "nor a directory here" in answer.words


@pytest.mark.parametrize("host", PRIVATE)
def test_a_private_host_is_not_public_however_it_is_spelt(host: str, anywhere: Launchyard) -> None:
    answer = refused(anywhere, "plan", f"https://{host}/o/r")
    assert answer.code in (NOT_PUBLIC, INVALID)
    assert "is not a public host" in answer.words or "not one of plain letters" in answer.words


@pytest.mark.parametrize("host", ["①②⑦.0.0.1", "%31%32%37.0.0.1", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "127。0。0。1", "[fe80::1%25eth0]"])
def test_a_host_in_other_letters_is_none(host: str, anywhere: Launchyard) -> None:
    answer = refused(anywhere, "plan", f"https://{host}/o/r")
    assert answer.code == INVALID
    assert "host" in answer.words


@pytest.mark.parametrize("address", SECRETS, ids=lambda text: ascii(text)[:40])
def test_a_secret_in_an_address_is_refused_and_never_echoed(address: str, launchyard: Launchyard) -> None:
    answer = refused(launchyard, "plan", "--", address)
    assert answer.code == INVALID
    assert "s3cret" not in answer.shown
    assert "a" * 200 not in answer.shown


def test_the_command_refuses_options_addresses_and_secrets_as_a_process(tmp_path: Path) -> None:
    for arguments, exit_code, words in (
        (["plan", "--upload-pack=x"], 2, "No such option"),
        (["plan", "-oProxyCommand=x"], 2, "No such option"),
        (["plan", "--", "--upload-pack=x"], 65, "starts with a dash"),
        (["build", "https://ada:s3cret@github.com/o/r"], 65, "public repositories need none"),
        (["run", "https://ada:s3cret@github.com/o/r"], 65, "public repositories need none"),
        (["dockerfile", "https://2130706433/o/r"], 65, "2130706433 is not a public host"),
    ):
        done = command(*arguments, variables={"LAUNCHYARD_ALLOWED_HOSTS": "*", "XDG_CACHE_HOME": str(tmp_path)})
        assert done.returncode == exit_code, done.stderr
        assert words in done.stderr
        assert "Traceback" not in done.stderr
        assert "s3cret" not in done.stdout + done.stderr


def test_git_goes_where_the_name_was_seen_to_lead_and_asks_nobody_again(
    make_repository: MakeRepository, launchyard: Launchyard, tmp_path: Path
) -> None:
    make_repository({"requirements.txt": "six\n"})
    with hosting(Backend, tmp_path) as forge:
        # Nothing answers for a name of .invalid: it is found because its address is given to git.
        address = Address(f"http://tides.invalid:{forge.server_port}/repository", checked=("127.0.0.1",))
        found = open_commit(address, None, launchyard.settings)
        assert found.id == git(tmp_path / "repository", "rev-parse", "HEAD")
        assert forge.asked
        assert found.source.content(found.source.list()[0]) == b"six\n"


class Redirecting(Host):
    """Sends every request on to the host at its root."""

    def answer(self) -> None:
        self.send(301, {"Location": f"{(self.root / 'target').read_text()}{self.path}"})


class Dumb(Host):
    """A host without git's protocol, whose files say that the objects are elsewhere."""

    def answer(self) -> None:
        target = (self.root / "target").read_text()
        ref = b"0123456789012345678901234567890123456789\trefs/heads/main\n"
        known = {"info/refs": ref, "HEAD": b"ref: refs/heads/main\n", "info/http-alternates": f"{target}/\n".encode(),
                 "info/alternates": f"{target}/\n".encode()}  # fmt: skip
        path = self.path.partition("?")[0].removeprefix("/repository/").removeprefix("objects/")
        self.send(200 if path in known else 404, {}, known.get(path, b""))


@pytest.fixture
def inner(tmp_path: Path) -> Iterator[Server]:
    """A host that nobody is to be sent to."""
    with hosting(Host, tmp_path) as server:
        (tmp_path / "target").write_text(server.address)
        yield server


@pytest.mark.parametrize(
    ("kind", "code", "words"),
    [
        (Redirecting, "address-moved", "redirects are not followed"),
        (Dumb, "host-unreachable", "cannot be reached"),
        (Host, "repository-unavailable", "no such public repository"),
    ],
)
def test_a_host_leads_nobody_to_another(
    kind: type[Host], code: str, words: str, inner: Server, launchyard: Launchyard, tmp_path: Path
) -> None:
    with hosting(kind, tmp_path) as outer:
        launchyard.settings = replace(launchyard.settings, allowed_hosts=(outer.address,))
        answer = refused(launchyard, "plan", f"{outer.address}/repository", "--ref", "main")
        assert outer.asked
    assert answer.code == code
    assert words in answer.words
    assert inner.asked == []


class Silent(Host):
    """Takes a request and never answers it."""

    released = threading.Event()

    def answer(self) -> None:
        self.released.wait(60)


def test_a_host_that_never_answers_is_given_up(launchyard: Launchyard, tmp_path: Path) -> None:
    limits = replace(launchyard.settings.limits, fetch_time=1)
    with hosting(Silent, tmp_path) as host:
        launchyard.settings = replace(launchyard.settings, allowed_hosts=(host.address,), limits=limits)
        answer = refused(launchyard, "plan", f"{host.address}/repository")
        Silent.released.set()
    assert answer.code == "host-unreachable"
    assert "timed out after 1 s" in answer.words

"""The typed client, and the commands that are made of it, over a socket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from click.testing import CliRunner, Result

from builder.api.stream import Streams
from builder.client import Client, ServiceProblem
from builder.documents import AskedBuild, Choices, NewEnvironment
from builder.failures.served import RecordAbsent, ServiceUnreachable
from builder.service import BuildError, Service
from launcher.cli import main
from tests.service import AWAY, Running, address_of

pytestmark = pytest.mark.service


@pytest.fixture
def address(service: Running) -> Iterator[str]:
    with address_of(service) as made:
        yield made


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    with Client(address) as made:
        yield made


def first_build(service: Running, name: str) -> str:
    """The id of the build of a new environment, which has ended."""
    environment = service.built(name=name)
    id: str = service.get(f"/environments/{environment['id']}/builds")["items"][0]["id"]
    return id


def command(address: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["remote", "--server", address, *arguments])


def test_an_environment_is_created_followed_used_and_deleted(service: Running, client: Client) -> None:
    new = NewEnvironment(repository=str(service.repository), name="client", options=Choices(python="3.12"))
    created = client.create(new)
    types = [event.type for event in client.events(created.build.id)]
    assert types[0] == "state" and types[-1] == "end"
    assert client.build(created.build.id).state == "succeeded"
    assert client.image(created.id).version == 1
    assert [package.name for package in client.packages(created.id, 1).packages] == ["six"]
    again = client.rebuild(created.id, AskedBuild(fresh=True))
    list(client.events(again.id))
    assert client.newest_build(created.id) == client.build(again.id)
    assert client.diff(created.id, 1, 1).changed == [] and client.use(created.id, 1).current_version == 1
    client.delete(created.id)
    with pytest.raises(BuildError) as raised:
        client.named("client")
    assert raised.value.failure == RecordAbsent("environment", "client")


def test_a_build_is_followed_past_a_moment_in_which_the_database_is_away(
    service: Running, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = first_build(service, "database-away")
    check = Service.check_followed
    asked = []

    def away_at_first(service: Service, id: str) -> None:
        asked.append(id)
        if len(asked) == 1:
            raise AWAY
        check(service, id)

    monkeypatch.setattr(Service, "check_followed", away_at_first)
    assert [event.type for event in client.events(build)][-1] == "end"
    assert len(asked) > 1


def test_what_is_wrong_for_good_is_not_asked_again(client: Client) -> None:
    with pytest.raises(ServiceProblem) as raised:
        list(client.events("01a218b8-1a37-7000-a8d5-2f9735343e08"))
    assert raised.value.status == 404


def test_what_a_finished_build_said_is_read_though_its_stream_closed_before(
    service: Running, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = first_build(service, "closed-early")
    whole = Streams.of

    async def closes_early(streams: Streams, build_id: str, after: int) -> AsyncIterator[bytes]:
        async for piece in whole(streams, build_id, after):
            if after == 0:
                yield piece.partition(b"\n\n")[0] + b"\n\n"
                return
            yield piece

    monkeypatch.setattr(Streams, "of", closes_early)
    ids = [event.id for event in client.events(build)]
    monkeypatch.undo()
    assert ids == [id for id, _, _ in service.events(build)]


def test_a_list_is_read_to_its_end(service: Running, client: Client) -> None:
    made = {service.create(name=f"many-{n}")["id"] for n in range(60)}
    assert {environment.id for environment in client.environments(search="many-")} == made


def test_what_the_service_says_reaches_the_caller(client: Client) -> None:
    with pytest.raises(ServiceProblem) as raised:
        client.create(NewEnvironment(repository="https://example.org/a/b"))
    assert raised.value.explanation.code == "host-not-allowed" and raised.value.explanation.fix


def test_a_service_that_does_not_answer_is_said_to_be_away() -> None:
    with Client("http://127.0.0.1:1") as client, pytest.raises(BuildError) as raised:
        client.build("x")
    assert isinstance(raised.value.failure, ServiceUnreachable)


def test_what_a_version_holds_and_how_it_was_made_reaches_the_caller(service: Running, client: Client) -> None:
    environment = service.built(name="versions-by-client")
    (version,) = client.versions(environment["id"])
    assert version.number == 1
    assert "six==1.16.0" in client.lock(environment["id"], 1, "requirements")
    assert client.provenance(environment["id"], 1).commit == version.commit


def test_remote_commands_show_the_versions_of_an_environment(service: Running, address: str) -> None:
    environment = service.built(name="by-version")
    service.push("six\nnumpy\n")
    assert service.rebuilt(environment)["version"] == 2
    service.push("six\n")
    listed = [line.split()[:2] for line in command(address, "versions", "by-version").stdout.splitlines()]
    assert listed == [["*", "v2"], ["v1", listed[1][1]]]
    assert command(address, "diff", "by-version", "1").stdout.split() == ["+", "numpy", "2.2.2"]
    packages = command(address, "packages", "by-version", "--version", "v1").stdout.split()
    assert packages[:3] == ["six", "1.16.0", "index"]
    used = command(address, "use", "by-version", "1")
    assert service.engine.inspect(used.stdout.strip())
    assert [package.split()[0] for package in command(address, "packages", "by-version").stdout.splitlines()] == ["six"]
    shown = json.loads(command(address, "versions", "by-version", "--json").stdout)
    assert [version["number"] for version in shown["versions"]] == [2, 1]


def test_remote_lock_is_the_file_and_nothing_else(service: Running, address: str) -> None:
    environment = service.built(name="lock-by-command")
    path = f"/api/v1/environments/{environment['id']}/versions/1/lock?format="
    for format in ("json", "requirements", "cyclonedx"):
        result = command(address, "lock", "lock-by-command", "--format", format)
        assert (result.exit_code, result.stdout) == (0, service.http.get(path + format).text)
    result = command(address, "lock", "lock-by-command", "--format", "conda")
    assert result.exit_code == 2 and "holds no conda packages" in result.stderr and result.stdout == ""


def test_remote_provenance_names_commit_bases_and_tools(service: Running, address: str) -> None:
    environment = service.built(name="provenance-by-command")
    commit = service.get(f"/environments/{environment['id']}/versions/1")["commit"]
    result = command(address, "provenance", "provenance-by-command")
    assert ["Commit", commit, "HEAD"] in [line.split() for line in result.stdout.splitlines()]
    assert ["Tool", "poetry", "1.8.3"] in [line.split() for line in result.stdout.splitlines()]
    shown = json.loads(command(address, "provenance", "provenance-by-command", "--version", "1", "--json").stdout)
    assert shown["commit"] == commit


def test_remote_create_of_the_directory_one_is_in_is_of_that_one(
    service: Running, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(service.repository)
    command(address, "create", ".", "--name", "from-here", "--wait")
    (made,) = service.get("/environments?search=from-here")["items"]
    assert made["repository"] == str(service.repository)


def test_remote_create_takes_what_the_api_takes(service: Running, address: str) -> None:
    given = ("--ref", "main", "--python", "3.12", "--group", "plots", "--group", "maps", "--extra", "all")
    made = command(address, "create", str(service.repository), "--name", "all-given", *given, "--as-of", "2021-06-01")
    assert made.exit_code == 0, made.output
    (environment,) = service.get("/environments?search=all-given")["items"]
    assert (environment["ref"], environment["options"]) == (
        "main",
        {
            "strategy": None, "python": "3.12", "frontend": "jupyterlab", "groups": ["plots", "maps"],
            "extras": ["all"], "as_of": "2021-06-01",
        },
    )  # fmt: skip


def test_remote_create_waits_and_prints_the_reference(service: Running, address: str) -> None:
    result = command(address, "create", str(service.repository), "--name", "by-command", "--wait")
    assert result.exit_code == 0, result.output
    reference = result.stdout.strip()
    assert service.engine.inspect(reference)
    status = command(address, "status", "by-command")
    assert status.stdout.split()[:4] == ["by-command", "ready", "v1", reference]


def test_remote_rebuild_says_that_nothing_is_new(service: Running, address: str) -> None:
    service.built(name="nothing-new-by-command")
    result = command(address, "rebuild", "nothing-new-by-command", "--wait")
    assert result.exit_code == 0 and "v1: nothing that matters changed" in result.stderr


def test_remote_rebuild_that_fails_explains_it_with_the_repositorys_exit_code(service: Running, address: str) -> None:
    service.built(name="fails-by-command")
    service.push("no-such-package\n")
    result = command(address, "rebuild", "fails-by-command", "--wait")
    log = command(address, "log", "fails-by-command")
    service.push("six\n")
    assert result.exit_code == 65 and "no-such-package" in result.stderr
    assert "Could not find a version" in log.stdout and "to do: " in log.stderr
    status = command(address, "status", "fails-by-command")
    assert status.exit_code == 0 and "no-such-package" in status.stderr and "to do: " in status.stderr
    shown = json.loads(command(address, "status", "fails-by-command", "--json").stdout)
    assert shown["environments"][0]["state"] == "failed"


def test_remote_status_says_why_the_environments_own_ref_failed_and_not_another(service: Running, address: str) -> None:
    environment = service.built(name="two-failures")
    service.push("no-such-package\n")
    service.rebuilt(environment)
    service.push("six\n")
    assert command(address, "rebuild", "two-failures", "--ref", "nowhere", "--wait").exit_code == 65
    status = command(address, "status", "two-failures")
    assert "no-such-package" in status.stderr and "nowhere" not in status.stderr


def test_remote_pin_keeps_the_version_in_use_until_unpin(service: Running, address: str) -> None:
    service.built(name="pinned-by-command")
    pinned = command(address, "pin", "pinned-by-command")
    assert service.engine.inspect(pinned.stdout.strip())
    assert "v1, pinned" in command(address, "status", "pinned-by-command").stdout
    assert json.loads(command(address, "unpin", "pinned-by-command", "--json").stdout)["pinned"] is False
    assert json.loads(command(address, "pin", "pinned-by-command", "v1", "--json").stdout)["pinned"] is True
    assert command(address, "unpin", "pinned-by-command").stdout == pinned.stdout


def test_remote_rebuild_beside_a_pinned_version_prints_what_was_built(service: Running, address: str) -> None:
    environment = service.built(name="beside-a-pinned")
    pinned = command(address, "pin", "beside-a-pinned").stdout
    service.push("six\n# beside a pinned version\n")
    built = command(address, "rebuild", "beside-a-pinned", "--wait")
    service.push("six\n")
    assert "v2: " in built.stderr and built.stdout != pinned
    assert built.stdout.strip() == service.get(f"/environments/{environment['id']}/versions/2")["reference"]


def test_remote_change_changes_what_is_given_and_undoes_what_is_named(service: Running, address: str) -> None:
    environment = service.built(name="to-change", options={"frontend": "none", "python": "3.12", "extras": ["fast"]})
    given = ("--name", "changed", "--ref", "main", "--python", "3.11", "--group", "plots")
    changed = json.loads(command(address, "change", "to-change", *given, "--json").stdout)
    assert (changed["name"], changed["ref"]) == ("changed", "main")
    options = {"strategy": None, "python": "3.11", "groups": ["plots"], "extras": ["fast"], "as_of": None}
    assert changed["options"] == {**options, "frontend": "none"}
    undo = [word for name in ("ref", "python", "frontend", "extras", "as-of") for word in ("--undo", name)]
    said = command(address, "change", "changed", *undo, "--strategy", "pip")
    assert said.stderr == "The next build follows it: launchyard remote rebuild changed\n"
    undone = service.get(f"/environments/{environment['id']}")
    options.update(strategy="pip", python=None, extras=[], frontend="jupyterlab")
    assert (undone["ref"], undone["options"]) == (None, options)


def test_remote_change_refuses_what_no_build_could_follow(service: Running, address: str) -> None:
    environment = service.built(name="unchanged")
    refused = {
        (): "say what is to be different",
        ("--python", "three"): "a version",
        ("--as-of", "2021-99-01"): "2021-99",
    }
    for given, said in refused.items():
        result = command(address, "change", "unchanged", *given)
        assert result.exit_code == 2 and said in result.stderr
    assert service.get(f"/environments/{environment['id']}") == environment


def test_remote_cancel_ends_all_builds_under_way(service: Running, address: str) -> None:
    environment = service.built(name="cancelled-by-command")
    service.engine.gate.clear()
    path = f"/environments/{environment['id']}/builds"
    asked = [service.post(path, {"fresh": True, "ref": ref}) for ref in (None, "main")]
    result = command(address, "cancel", "cancelled-by-command")
    assert (result.exit_code, set(result.stdout.split())) == (0, {build["id"] for build in asked})
    assert {service.ended(build["id"])["state"] for build in asked} == {"cancelled"}
    again = command(address, "cancel", "cancelled-by-command")
    assert (again.exit_code, again.stdout) == (0, "") and "No build" in again.stderr
    assert json.loads(command(address, "cancel", "cancelled-by-command", "--json").stdout) == {"builds": []}


def test_remote_rebuild_that_waits_ends_as_its_build_does_with_json_too(service: Running, address: str) -> None:
    environment = service.built(name="codes")
    failed = command(address, "rebuild", "codes", "--ref", "nowhere", "--wait", "--json")
    assert failed.exit_code == 65 and json.loads(failed.stdout)["explanation"]["code"] == "ref-absent"
    build = service.under_way(environment)
    assert "The build goes on" in command(address, "log", "codes").stderr
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(command, address, "rebuild", "codes", "--fresh", "--wait")
        service.until(lambda: service.embedded.store.build(build["id"]).asked_again_by is not None)
        service.post(f"/builds/{build['id']}/cancel", status=200)
        cancelled = waits.result(20)
    assert (cancelled.exit_code, cancelled.stdout) == (130, "") and "The build was cancelled." in cancelled.stderr
    assert "The build was cancelled." in command(address, "log", "codes").stderr
    assert service.get(f"/environments/{environment['id']}")["state"] == "ready"


def test_remote_delete_forgets_an_environment(service: Running, address: str) -> None:
    service.built(name="deleted-by-command")
    result = command(address, "delete", "deleted-by-command", "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, {"deleted": "deleted-by-command"})
    assert service.get("/environments?search=deleted-by-command")["items"] == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("cancel", "nowhere"), 2, "There is no such environment"),
        (("pin", "nowhere", "v"), 2, "no version, such as 3 or v3"),
        (("rebuild", "nowhere"), 2, "There is no such environment"),
        (("create", "https://example.org/a/b"), 65, "not allowed"),
        (("create", "https://git.example/a/b", "--name", "a/b"), 2, "name: expected is letters, digits"),
        (("create", "https://git.example/a/b", "--python", "3,12"), 2, "python: expected is a version, such as 3.12"),
        (("create", "https://git.example/a/b", "--group", "a b"), 2, "groups.0: expected is letters, digits"),
        (("create", ""), 2, "repository: String should have at least 1 character"),
        (("lock", "nowhere"), 2, "There is no such environment"),
        (("provenance", "nowhere", "--version", "x"), 2, "no version, such as 3 or v3"),
    ],
)
def test_remote_commands_that_cannot_be_done_say_why(
    address: str, arguments: tuple[str, ...], code: int, words: str
) -> None:
    result = command(address, *arguments)
    assert result.exit_code == code and words in result.stderr

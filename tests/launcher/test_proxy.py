"""Sessions through the service, over real sockets: who is let in, and what passes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.cookies import SimpleCookie
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from builder.api import connections
from launcher.records import Instance, SessionRequest
from launcher.runtimes.fake import FakeRuntime
from launcher.serve import application
from tests.launching import Launching, launching_service
from tests.service import GatedEngine, listening, opened, outlast

pytestmark = pytest.mark.service


@dataclass(slots=True)
class ServingRuntime(FakeRuntime):
    """Sessions that a program of the test's answers for."""

    place: str = field(default="")

    def start(self, request: SessionRequest) -> Instance:
        started = FakeRuntime.start(self, request)
        with self.changed:
            served = replace(started, url=f"{self.place}{request.base_path}")
            self._sessions[request.name] = served
        return served


async def told(request: Request) -> Response:
    """What a session was asked, as it sees it."""
    asked = {
        "method": request.method,
        "path": request.scope["raw_path"].decode(),
        "query": request.url.query,
        "headers": dict(request.headers),
        "body": len(await request.body()),
    }
    answer = JSONResponse(asked, 418 if "teapot" in request.url.path else 200)
    answer.set_cookie("own", "1")
    answer.set_cookie("other", "2")
    return answer


async def slowly(request: Request) -> Response:
    """Two parts, the second only once the first was seen."""
    SEEN.clear()

    async def parts() -> Any:
        import asyncio

        yield b"first"
        await asyncio.to_thread(SEEN.wait, 10)
        yield b"second"

    return StreamingResponse(parts(), media_type="text/event-stream")


SEEN = threading.Event()


async def unread(request: Request) -> Response:
    """Nothing, whatever was sent: half a body is no error of this program's."""
    return Response()


async def echo(socket: WebSocket) -> None:
    protocols = socket.scope["subprotocols"]
    await socket.accept(protocols[-1] if protocols else None)
    await socket.send_json({"path": socket.url.path, "query": socket.url.query, "headers": dict(socket.headers)})
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            ENDED.set()
            return
        if message.get("text") == "end":
            await socket.close(4001, "as asked")
            return
        if message.get("bytes") is not None:
            await socket.send_bytes(message["bytes"])
        else:
            await socket.send_text(message["text"])


async def refuse(socket: WebSocket) -> None:
    await socket.close()


ENDED = threading.Event()

UPSTREAM = Starlette(
    routes=[
        WebSocketRoute("/{path:path}/refused", refuse),
        WebSocketRoute("/{path:path}", echo),
        Route("/{path:path}/slowly", slowly),
        Route("/{path:path}/unread", unread, methods=["PUT"]),
        Route("/{path:path}", told, methods=["GET", "POST", "PUT", "DELETE"]),
    ]
)


class Impatient(StreamRequestHandler):
    """Answers once, and hangs up when its connection is used again: as a server does that closes it at that moment."""

    timeout = 5

    def handle(self) -> None:
        if self._asked():
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nonce")
            self._asked()

    def _asked(self) -> bytes:
        first = line = self.rfile.readline()
        while line.strip():
            line = self.rfile.readline()
        return first


@dataclass
class World:
    """A service with a session that answers, and its address."""

    service: Launching
    address: str
    session: Any

    @property
    def cookie(self) -> dict[str, str]:
        return {"Cookie": f"launchyard-{self.session['id']}={self.session['token']}"}

    def url(self, path: str = "") -> str:
        return f"{self.address}{self.session['path']}{path}"

    def get(self, path: str = "", **headers: str) -> httpx2.Response:
        return httpx2.get(self.url(path), headers={**self.cookie, **headers})

    def open(self, path: str = "", **rest: Any) -> ClientConnection:
        headers = rest.pop("headers", self.cookie)
        address = self.url(path).replace("http", "ws", 1)
        opened: ClientConnection = connect(address, additional_headers=headers, proxy=None, max_size=4_000_000, **rest)
        return opened

    def of(self, frontend: str, command: list[str]) -> World:
        """The same service with a session of another frontend."""
        launcher = self.service.launcher(frontend=frontend, command=command)
        return replace(self, session=self.service.launched(launcher))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    engine = GatedEngine(index={"six": "1.16.0"})
    with (
        listening(UPSTREAM) as place,
        launching_service(tmp_path_factory.mktemp("proxy"), engine, ServingRuntime(engine, place=place)) as service,
        listening(application(service.embedded, service.launchers, frozenset({"127.0.0.1", "localhost"}))) as address,
    ):
        service.launchers.keeper.probe = lambda url: True
        yield World(service, address, service.launched(service.launcher(name="proxied")))


def test_token_in_the_address_becomes_a_cookie_of_this_session_alone(world: World) -> None:
    answer = httpx2.get(world.url(f"lab?token={world.session['token']}&reset=1"))
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{world.session['path']}lab?reset=1")
    cookie = SimpleCookie(answer.headers["Set-Cookie"])[f"launchyard-{world.session['id']}"]
    assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == (world.session["path"], True, "lax")
    again = httpx2.get(world.url("lab"), headers={"Cookie": f"{cookie.key}={cookie.value}"})
    assert again.json()["path"] == f"{world.session['path']}lab"


@pytest.mark.parametrize("query", ["", "?token=", "?token=guessed", "?token=%00"])
def test_nobody_is_let_in_without_the_token(world: World, query: str) -> None:
    answer = httpx2.get(world.url(f"lab{query}"))
    assert (answer.status_code, answer.json()["code"]) == (403, "session-guarded")
    answer = httpx2.get(world.url("lab"), headers={"Cookie": f"launchyard-{world.session['id']}=guessed"})
    assert answer.status_code == 403


def test_cookie_of_another_session_opens_nothing(world: World) -> None:
    other = world.of("command", ["serve"])
    assert httpx2.get(other.url(), headers=other.cookie).status_code == 200
    assert httpx2.get(world.url(), headers=other.cookie).status_code == 403
    stolen = {"Cookie": f"launchyard-{world.session['id']}={other.session['token']}"}
    assert httpx2.get(world.url(), headers=stolen).status_code == 403


def test_session_that_there_is_not_is_absent(world: World) -> None:
    answer = httpx2.get(f"{world.address}/sessions/01996f2e-7a52-7000-8cf1-3b6a0d4a1c2e/")
    assert (answer.status_code, answer.json()["code"]) == (404, "record-absent")


def test_path_and_query_pass_as_they_came(world: World) -> None:
    asked = world.get("files/a%2Fb%20c//d?x=1&x=%20&y").json()
    assert asked["path"] == f"{world.session['path']}files/a%2Fb%20c//d"
    assert asked["query"] == "x=1&x=%20&y"


def test_session_sees_its_own_token_and_not_the_services_cookie(world: World) -> None:
    asked = world.get("api", Cookie=f"{world.cookie['Cookie']}; own=1", Authorization="Bearer theirs").json()
    assert asked["headers"]["cookie"] == "own=1"
    assert asked["headers"]["authorization"] == f"token {world.session['token']}"
    assert asked["headers"]["host"] == world.address.removeprefix("http://")


def test_answer_passes_with_its_status_and_all_its_cookies(world: World) -> None:
    answer = world.get("teapot")
    assert answer.status_code == 418
    assert [cookie.split(";")[0] for cookie in answer.headers.get_list("set-cookie")] == ["own=1", "other=2"]


def test_upload_of_any_size_passes(world: World) -> None:
    body = b"x" * 3_000_000
    assert httpx2.put(world.url("file"), content=body, headers=world.cookie).json()["body"] == len(body)
    chunks = (b"y" * 1_000 for _ in range(2_000))
    assert httpx2.post(world.url("file"), content=chunks, headers=world.cookie).json()["body"] == 2_000_000


def test_upload_that_stops_midway_is_no_error_of_the_services(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections, "PATIENCE", 0.2)
    head = f"PUT {world.session['path']}unread HTTP/1.1\r\nHost: localhost\r\nCookie: {world.cookie['Cookie']}\r\n"
    with opened(world.address, f"{head}Content-Length: 10\r\n\r\nhalf".encode()) as client:
        assert client.recv(65_536).startswith(b"HTTP/1.1 408 ")
    outlast(world.address)
    assert not caplog.records


def test_answer_passes_while_it_is_made(world: World) -> None:
    with httpx2.stream("GET", world.url("slowly"), headers=world.cookie, timeout=10) as answer:
        parts = answer.iter_raw()
        assert next(parts) == b"first"
        SEEN.set()
        assert b"".join(parts) == b"second"


def test_websocket_passes_text_bytes_subprotocol_and_closing(world: World) -> None:
    with world.open("api/kernels?session=1", subprotocols=["old", "new"]) as socket:
        assert socket.subprotocol == "new"
        asked = json.loads(socket.recv(10))
        assert (asked["path"], asked["query"]) == (f"{world.session['path']}api/kernels", "session=1")
        assert asked["headers"]["authorization"] == f"token {world.session['token']}"
        assert "cookie" not in asked["headers"] and "origin" not in asked["headers"]
        socket.send("grüß")
        socket.send(b"\x00" * 2_000_000)
        assert (socket.recv(10), socket.recv(10)) == ("grüß", b"\x00" * 2_000_000)
        socket.send("end")
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(10)
        assert closed.value.rcvd and (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "as asked")


def test_websocket_that_the_browser_leaves_is_left_inside_as_well(world: World) -> None:
    ENDED.clear()
    with world.open("left") as socket:
        socket.recv(10)
    assert ENDED.wait(10)


def test_websocket_that_is_quiet_for_longer_than_a_request_may_be_stays_open(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "PATIENCE", 0.2)
    with world.open("quiet") as quiet:
        quiet.recv(10)
        outlast(world.address)
        quiet.send("still there")
        assert quiet.recv(10) == "still there"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Cookie": "launchyard=x"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
        {"Origin": "http://[::"},
        {"Host": "evil.example"},
    ],
)
def test_websocket_is_opened_for_nobody_without_a_cookie_nor_for_another_sites_page(
    world: World, headers: dict[str, str]
) -> None:
    has_cookie = {} if "Cookie" in headers or not headers else world.cookie
    answer = httpx2.get(
        world.url("api"),
        headers={
            **has_cookie, **headers, "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        },
    )  # fmt: skip
    assert answer.status_code == 403


def test_websocket_that_the_session_refuses_is_refused(world: World) -> None:
    with pytest.raises(InvalidStatus) as refused, world.open("refused"):
        pass
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("headers", [{"Origin": "http://127.0.0.1:1"}, {"Sec-Fetch-Site": "same-site"}])
def test_another_sites_page_asks_nothing_of_a_session(world: World, headers: dict[str, str]) -> None:
    answer = httpx2.post(world.url("api"), headers={**world.cookie, **headers})
    assert (answer.status_code, answer.json()["code"]) == (403, "host-foreign")


BROWSER = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}
NAVIGATES = {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}


def test_script_in_a_session_asks_nothing_of_the_service(world: World) -> None:
    under_sessions = {"Host": world.address.removeprefix("http://").replace("127.0.0.1", "localhost")}
    for path in ("/api/v1/launchers", "/", "/launch", f"/api/v1/sessions/{world.session['id']}"):
        answer = httpx2.get(f"{world.address}{path}", headers={**BROWSER, **under_sessions})
        assert (answer.status_code, answer.json()["code"]) == (403, "host-foreign")
    moved = httpx2.get(f"{world.address}/launchers/tides?x=1", headers={**NAVIGATES, **under_sessions})
    assert (moved.status_code, moved.headers["Location"]) == (307, f"{world.address}/launchers/tides?x=1")


def test_session_opens_under_the_name_of_sessions_alone(world: World) -> None:
    assert world.get("api", **BROWSER).status_code == 403
    moved = world.get("lab?token=t", **NAVIGATES)
    there = world.url("lab?token=t").replace("127.0.0.1", "localhost")
    assert (moved.status_code, moved.headers["Location"]) == (307, there)
    assert world.get("api", **BROWSER, Host=there.split("/")[2]).status_code == 200


def test_session_answers_under_the_services_names_only(world: World) -> None:
    assert world.get("api", Host="evil.example").status_code == 403


def test_vscodium_gets_its_token_in_its_own_cookie(world: World) -> None:
    code = world.of("vscodium", [])
    answer = httpx2.get(code.url(f"?token={code.session['token']}"))
    assert any(c.startswith(f"vscode-tkn={code.session['token']};") for c in answer.headers.get_list("set-cookie"))
    assert code.get().json()["headers"]["cookie"] == f"vscode-tkn={code.session['token']}"


def test_gradio_is_asked_at_its_root_and_told_where_that_is_seen(world: World) -> None:
    board = world.of("gradio", ["app.py"])
    assert board.get("queue/join?x=1").json()["path"] == "/queue/join"
    request = world.service.runtime.requests[-1]
    assert (request.base_path, request.variables["GRADIO_ROOT_PATH"]) == ("/", board.session["path"])
    assert request.command == ("python", "app.py")
    assert request.variables["GRADIO_SERVER_PORT"] == "8888" and "DASH_URL_BASE_PATHNAME" not in request.variables


@pytest.mark.parametrize("frontend", ["dash", "command"])
def test_what_is_told_nothing_by_its_command_finds_in_variables_where_to_listen(world: World, frontend: str) -> None:
    board = world.of(frontend, ["app.py"])
    variables = world.service.runtime.requests[-1].variables
    assert (variables["HOST"], variables["PORT"]) == ("0.0.0.0", "8888")
    assert variables["DASH_URL_BASE_PATHNAME"] == board.session["path"]


def test_dashboard_is_told_where_to_listen(world: World) -> None:
    board = world.of("streamlit", ["app.py", "--theme.base=dark"])
    command = world.service.runtime.requests[-1].command
    assert command[:3] == ("streamlit", "run", "app.py") and command[-1] == "--theme.base=dark"
    assert f"--server.baseUrlPath={board.session['path']}" in command and "--server.port=8888" in command


def test_what_passes_counts_as_activity(world: World) -> None:
    board = world.of("command", ["serve", "{base_path}"])
    traffic = world.service.launchers.keeper.traffic
    assert traffic.last(board.session["id"]) is None
    board.get()
    first = traffic.last(board.session["id"])
    with board.open("socket") as socket:
        socket.recv(10)
        socket.send("hello")
        socket.recv(10)
    last = traffic.last(board.session["id"])
    assert first and last and last > first


def test_session_that_does_not_run_says_what_to_do(world: World) -> None:
    paused = world.of("command", ["serve"])
    world.service.post(f"/sessions/{paused.session['id']}/pause", status=200)
    world.service.in_state(paused.session["id"], "paused")
    answer = paused.get()
    assert (answer.status_code, answer.json()["title"]) == (409, "The session is paused")


def test_session_that_closes_a_kept_connection_is_asked_again_by_who_only_reads(world: World) -> None:
    runtime = world.service.runtime
    assert isinstance(runtime, ServingRuntime)
    with ThreadingTCPServer(("127.0.0.1", 0), Impatient) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        before, runtime.place = runtime.place, f"http://127.0.0.1:{server.server_address[1]}"
        try:
            session = world.of("command", ["serve"])
            assert [session.get().text for _ in range(3)] == ["once"] * 3
            posted = httpx2.post(session.url(), headers=session.cookie)
            assert (posted.status_code, posted.json()["title"]) == (409, "The session is not answering")
        finally:
            runtime.place = before
            server.shutdown()
            thread.join()


def test_session_that_hangs_up_is_said_to(world: World, tmp_path: Path) -> None:
    gone = world.of("command", ["serve"])
    runtime = world.service.runtime
    assert isinstance(runtime, ServingRuntime)
    with runtime.changed:
        name = world.service.instance(gone.session)
        runtime._sessions[name] = replace(runtime._sessions[name], url="http://127.0.0.1:1/")
    world.service.launchers.keeper.asked = 0.0
    world.service.until(lambda: "127.0.0.1:1/" in world.service.launchers.session(gone.session["id"]).url)
    assert (gone.get().status_code, gone.get().json()["title"]) == (409, "The session is not answering")

"""`/sessions/<id>/`: a session as the service has it answer, over HTTP and websockets, to who holds its token.

The token comes once, as `?token=`, and becomes a cookie of that path. What a session is asked and answers is
passed on as it comes; nothing is held but what is on its way.
"""

from __future__ import annotations

import asyncio
import hmac
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from builder.api.guard import from_elsewhere, is_ours
from builder.failures.served import HostForeign, SessionClosed, SessionGuarded
from builder.service import BuildError
from launcher.activity import Activity
from launcher.frontends import PRESETS
from launcher.places import Places
from launcher.records import OPEN, Session

PATH = re.compile(r"/sessions/([0-9a-f-]{36})(/.*)?", re.DOTALL)

REMEMBERED = 1.0
"""Seconds for which a session is believed to be as it was: a page asks for a hundred files."""

KEPT = 1_000
"""Sessions that are remembered so."""

TIMES = httpx2.Timeout(30, connect=5, read=3_600)
"""Seconds; a program may think for long before it answers."""

MAX_MESSAGE = 64_000_000
"""Bytes of one message of a session's websocket."""

OPENING = 10.0
"""Seconds in which a session accepts a websocket."""

CLOSING = 1.0
"""Seconds in which a session says its farewell to a websocket."""

# RFC 9110, 7.6.1, and what the proxy says itself
HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
     "transfer-encoding", "upgrade"}
)  # fmt: skip
OF_THE_HANDSHAKE = re.compile(r"sec-websocket-.*|host|origin|content-length")

VSCODE_COOKIE = "vscode-tkn"
"""In which VSCodium looks for its token, in the browser as well."""

Refuse = Callable[[object, Headers], Response]
"""The answer to who is not let in, by what their browser takes."""


class Proxy:
    """Takes what is for a session; the rest goes to the application."""

    def __init__(
        self,
        app: ASGIApp,
        find: Callable[[str], Session],
        traffic: Activity,
        hosts: frozenset[str],
        places: Places,
        refuse: Refuse,
    ) -> None:
        self._app = app
        self._find = find
        self._traffic = traffic
        self._hosts = hosts
        self._places = places
        self._refuse = refuse
        self._known: dict[str, tuple[Session, float]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
            return
        found = PATH.fullmatch(scope["path"])
        headers = Headers(scope=scope)
        is_anywheres = scope["path"].startswith("/static/")  # how the page looks that says why a session does not open
        instead = None if is_anywheres else self._places.instead(headers, of_session=found is not None)
        if instead is not None:
            await _answered(self._moved(scope, headers, instead), scope, receive, send)
            return
        if found is None:
            await self._app(scope, receive, send)
            return
        try:
            session = await self._session(found[1])
            self._check(scope, headers, session)
        except BuildError as error:
            await _answered(self._refuse(error.failure, headers), scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self._pass_websocket(WebSocket(scope, receive, send), session)
        else:
            answer = _opened(scope, session) or await self._passed(Request(scope, receive), session)
            await answer(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the client of sessions be there for as long as the application is."""
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=200)
        transport = httpx2.AsyncHTTPTransport(limits=limits)
        self._client = httpx2.AsyncClient(transport=transport, timeout=TIMES, trust_env=False)

        async def ending(message: Message) -> None:
            if message["type"].startswith("lifespan.shutdown"):  # said last: no turn of the loop may follow it
                await self._client.aclose()
            await send(message)

        await self._app(scope, receive, ending)

    def _moved(self, scope: Scope, headers: Headers, host: str) -> Response:
        """The answer to what is asked under the other name: to a person, the way; to a page's script, nothing."""
        is_read = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        if not (host and is_read and headers.get("sec-fetch-mode") == "navigate" and is_ours(host, self._hosts)):
            return self._refuse(HostForeign(f"Host: {headers.get('host', '')[:200]}"), headers)
        query = scope["query_string"].decode("latin-1")
        path = scope["raw_path"].decode("latin-1").partition("?")[0]
        return RedirectResponse(f"{scope['scheme']}://{host}{path}{'?' if query else ''}{query}", 307)

    async def _session(self, id: str) -> Session:
        session, until = self._known.get(id, (None, 0.0))
        if session is None or until < time.monotonic():
            session = await asyncio.to_thread(self._find, id)
            if len(self._known) >= KEPT:
                self._known.clear()
            self._known[id] = (session, time.monotonic() + REMEMBERED)
        return session

    def _check(self, scope: Scope, headers: Headers, session: Session) -> None:
        host = headers.get("host", "")
        if not is_ours(host, self._hosts):
            raise BuildError(HostForeign(f"Host: {host[:200]}"))
        safe = scope["type"] == "http" and scope["method"] in ("GET", "HEAD", "OPTIONS")
        if not safe and from_elsewhere(headers, host):
            raise BuildError(HostForeign(f"Origin: {headers.get('origin', 'unknown')[:200]}"))
        if not (_has_cookie(headers, session) or _has_token(scope, session)):
            raise BuildError(SessionGuarded())
        if session.state not in OPEN:
            raise BuildError(SessionClosed(session.state))

    async def _passed(self, request: Request, session: Session) -> Response:
        """What a session answers."""
        self._traffic.note(session.id)
        headers = _to_session(request.headers, session)
        headers["X-Forwarded-Host"] = request.headers.get("host", "")
        headers["X-Forwarded-Proto"] = request.url.scheme
        target = httpx2.URL(session.url).copy_with(raw_path=_target(request.scope, session).encode("latin-1"))
        has_body = "content-length" in headers or "transfer-encoding" in request.headers
        sent = self._client.build_request(
            request.method, target, headers=headers.raw, content=request.stream() if has_body else None
        )
        # A kept connection that the session closes just as it is used again says nothing of the session.
        tries = 2 if request.method in ("GET", "HEAD") and not has_body else 1
        for left in reversed(range(tries)):
            try:
                answer = await self._client.send(sent, stream=True)
                break
            except ClientDisconnect:  # amid what it uploads: nobody is left to answer
                return Response(status_code=400)
            except httpx2.TransportError:
                if not left:
                    return self._refuse(SessionClosed("not answering"), request.headers)
        passed = StreamingResponse(_body(answer), answer.status_code)
        passed.raw_headers = [
            (name.lower(), value) for name, value in answer.headers.raw if name.lower().decode() not in HOP_BY_HOP
        ]
        return passed

    async def _pass_websocket(self, browser: WebSocket, session: Session) -> None:
        headers = _to_session(browser.headers, session)
        wanted = [Subprotocol(name.strip()) for name in browser.headers.get("sec-websocket-protocol", "").split(",")]
        address = f"ws://{urlsplit(session.url).netloc}{_target(browser.scope, session)}"
        try:
            async with connect(
                address,
                additional_headers=[(n, v) for n, v in headers.items() if not OF_THE_HANDSHAKE.fullmatch(n)],
                subprotocols=[name for name in wanted if name] or None,
                user_agent_header=None,
                compression=None,
                max_size=MAX_MESSAGE,
                open_timeout=OPENING,
                close_timeout=CLOSING,
                proxy=None,
            ) as inside:
                await browser.accept(inside.subprotocol)
                await self._relay(browser, inside, session)
        except (OSError, TimeoutError, InvalidHandshake):
            with suppress(WebSocketDisconnect):
                await browser.close(1013)
        except WebSocketDisconnect:  # the browser has left before it was let in
            return

    async def _relay(self, browser: WebSocket, inside: ClientConnection, session: Session) -> None:
        """Pass messages both ways, until either side closes."""
        ways = {
            asyncio.create_task(self._inwards(browser, inside, session.id)),
            asyncio.create_task(_outwards(browser, inside)),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:  # the service ends: there is no time for a farewell
            inside.transport.abort()
            raise
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _inwards(self, browser: WebSocket, inside: ClientConnection, session_id: str) -> None:
        try:
            while True:
                message = await browser.receive()
                if message["type"] == "websocket.disconnect":
                    await inside.close(_code(message.get("code")))
                    return
                self._traffic.note(session_id)
                text = message.get("text")
                await inside.send(message["bytes"] if text is None else text)
        except (ConnectionClosed, WebSocketDisconnect):
            return


async def _outwards(browser: WebSocket, inside: ClientConnection) -> None:
    try:
        with suppress(ConnectionClosed):  # with a code of its own, which goes on below
            async for message in inside:
                await (browser.send_text(message) if isinstance(message, str) else browser.send_bytes(message))
        await browser.close(_code(inside.close_code), inside.close_reason)
    except (WebSocketDisconnect, RuntimeError):  # the browser has left
        return


def cookie_of(session: Session) -> str:
    """The name of the cookie that opens a session."""
    return f"launchyard-{session.id}"


def _opened(scope: Scope, session: Session) -> Response | None:
    """The answer to an address with the right token: the same without it, and cookies. None for any other."""
    if not _has_token(scope, session) or scope["method"] not in ("GET", "HEAD"):
        return None
    path = scope["path"] if scope["path"].startswith(session.path) else session.path
    query = urlencode([pair for pair in _query(scope) if pair[0] != "token"])
    answer = RedirectResponse(f"{path}?{query}" if query else path, 303)
    secure = scope["scheme"] == "https"
    answer.set_cookie(
        cookie_of(session), session.token, path=session.path, httponly=True, samesite="lax", secure=secure
    )
    if session.frontend == "vscodium":
        answer.set_cookie(VSCODE_COOKIE, session.token, path=session.path, samesite="lax", secure=secure)
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _has_token(scope: Scope, session: Session) -> bool:
    return any(name == "token" and _is_token(value, session) for name, value in _query(scope))


def _has_cookie(headers: Headers, session: Session) -> bool:
    found = _cookies(headers).get(cookie_of(session))
    return found is not None and _is_token(found.value, session)


def _is_token(text: str, session: Session) -> bool:
    return hmac.compare_digest(text.encode(), session.token.encode())


def _query(scope: Scope) -> list[tuple[str, str]]:
    return parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)


def _cookies(headers: Headers) -> SimpleCookie:
    cookies: SimpleCookie = SimpleCookie()
    try:
        cookies.load(headers.get("cookie", ""))
    except CookieError:
        return SimpleCookie()
    return cookies


def _to_session(headers: Headers, session: Session) -> MutableHeaders:
    """What of a request's headers a session gets, with what its frontend asks for in place of the service's token."""
    passed = MutableHeaders(
        raw=[(name, value) for name, value in headers.raw if name.decode("latin-1").lower() not in HOP_BY_HOP]
    )
    kept = [part for part in headers.get("cookie", "").split("; ") if not part.startswith(f"{cookie_of(session)}=")]
    if session.frontend == "vscodium":
        kept = [
            *(part for part in kept if not part.startswith(f"{VSCODE_COOKIE}=")),
            f"{VSCODE_COOKIE}={session.token}",
        ]
    del passed["cookie"]
    if any(kept):
        passed["Cookie"] = "; ".join(filter(None, kept))
    if session.frontend == "jupyterlab":
        passed["Authorization"] = f"token {session.token}"
    return passed


def _target(scope: Scope, session: Session) -> str:
    """Path and query as a session is asked for them, escaped as they came."""
    path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").partition("?")[0]
    if PRESETS[session.frontend].below_root:
        path = "/" + path.removeprefix(session.path.rstrip("/")).lstrip("/")
    query = scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


async def _body(answer: httpx2.Response) -> AsyncIterator[bytes]:
    try:
        async for part in answer.aiter_raw():
            yield part
    except httpx2.TransportError:  # the session ended amidst its answer: so does this one
        return
    finally:
        await answer.aclose()


def _code(code: int | None) -> int:
    """A code that may be sent on: RFC 6455, 7.4."""
    return code if code and (code in range(3_000, 5_000) or code in (1000, 1001, 1008, 1009, 1011)) else 1000


async def _answered(answer: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Send an answer; a websocket is closed before it opens, which is all that a script is told of it anyway."""
    if scope["type"] == "http":
        await answer(scope, receive, send)
    else:
        await send({"type": "websocket.close", "code": 1008, "reason": ""})

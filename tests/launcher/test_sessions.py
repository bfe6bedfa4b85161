"""Names, paths and places of sessions."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from launcher.records import Instance, SessionRequest
from launcher.sessions import NAME, answers, base_path_of, new_name, new_token, with_places


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", "/"),
        ("/", "/"),
        ("lab", "/lab/"),
        ("/user/ada/", "/user/ada/"),
        ("a b", None),
        ("//x", None),
        ("/x?y", None),
    ],
)
def test_base_path_has_a_slash_at_both_ends(text: str, path: str | None) -> None:
    assert base_path_of(text) == path


@pytest.mark.parametrize("words", ["lab-tides", "Ærø", "---", "a" * 200])
def test_new_name_is_one_that_a_session_can_have(words: str) -> None:
    assert NAME.fullmatch(new_name(words))
    assert new_name(words) != new_name(words)


def test_new_token_can_stand_in_an_address() -> None:
    token = new_token()
    assert len(token) == 32
    assert token.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(("frontend", "query"), [("jupyterlab", "?token=t"), ("vscodium", "?tkn=t"), ("none", "")])
def test_address_has_the_token_as_its_frontend_calls_it(frontend: str, query: str) -> None:
    session = Instance("tides", "lab/tides", frontend, "running", 0, "http://127.0.0.1:9000/x/", "t")
    assert session.address == f"http://127.0.0.1:9000/x/{query}"
    assert "token='t'" not in repr(session)
    assert session.to_json()["address"] == "http://127.0.0.1:9000/x/"


def test_braces_of_a_commands_own_are_left_alone() -> None:
    request = SessionRequest("tides", "lab/tides", "none", ("echo", "{}", "{port}{ip}", "{PORT}"), "/x/")
    assert with_places(request).command == ("echo", "{}", "88880.0.0.0", "{PORT}")


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(int(self.path.strip("/")))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join(10)


@pytest.mark.parametrize(
    ("status", "ready"), [(200, True), (302, True), (403, True), (404, True), (500, False), (502, False)]
)
def test_what_answers_without_an_error_of_its_own_is_ready(server: HTTPServer, status: int, ready: bool) -> None:
    assert answers(f"http://127.0.0.1:{server.server_port}/{status}/") is ready


def test_nothing_answers_on_a_port_that_nobody_listens_on() -> None:
    assert answers("http://127.0.0.1:1/") is False

"""Speak to the JupyterLab of a session as its page does. Runs inside, on the Python of the session's frontend.

python - terminal URL TOKEN COMMAND     run a command in a terminal; prints what it printed
python - cell URL TOKEN CODE            run code on the kernel; prints what it printed
"""

import asyncio
import json
import pathlib
import sys
import tempfile
import urllib.request
import uuid
from typing import Any
from urllib.parse import urlencode

from tornado.websocket import websocket_connect  # type: ignore[import-not-found]  # it is where this runs

BOUND = 60  # seconds


async def terminal(url: str, token: str, command: str) -> None:
    name = post(url, token, "api/terminals", {})["name"]
    said = pathlib.Path(tempfile.mkdtemp(), "said")
    socket = await connect(url, token, f"terminals/websocket/{name}")
    await socket.write_message(json.dumps(["stdin", f"{{ {command}\r}} > {said} 2>&1; printf 'ended %s\\n' now\r"]))
    screen = ""
    while "ended now" not in screen:
        kind, *content = json.loads(str(await socket.read_message()))
        screen += content[0] if kind == "stdout" else ""
    print(said.read_text(), end="")


async def cell(url: str, token: str, code: str) -> None:
    kernel = post(url, token, "api/kernels", {"name": "python3"})["id"]
    socket = await connect(url, token, f"api/kernels/{kernel}/channels")
    header = {"msg_id": uuid.uuid4().hex, "session": "test", "username": "", "version": "5.3"}
    request = {
        "header": {**header, "msg_type": "execute_request"},
        "parent_header": {},
        "metadata": {},
        "content": {"code": code, "silent": False},
        "channel": "shell",
    }
    await socket.write_message(json.dumps(request))
    while True:
        message = json.loads(str(await socket.read_message()))
        if message["parent_header"].get("msg_id") != header["msg_id"]:
            continue
        content = message["content"]
        if message["msg_type"] == "stream":
            print(content["text"], end="")
        if message["msg_type"] == "error":
            sys.exit("\n".join(content["traceback"]))
        if message["msg_type"] == "status" and content["execution_state"] == "idle":
            return


def post(url: str, token: str, path: str, content: object) -> dict[str, str]:
    request = urllib.request.Request(
        url + path, json.dumps(content).encode(), {"Authorization": f"token {token}"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=BOUND) as answer:
        made: dict[str, str] = json.load(answer)
    return made


async def connect(url: str, token: str, path: str) -> Any:
    query = urlencode({"token": token})
    return await websocket_connect(f"{url.replace('http', 'ws', 1)}{path}?{query}", connect_timeout=BOUND)


if __name__ == "__main__":
    act = {"terminal": terminal, "cell": cell}[sys.argv[1]]
    asyncio.run(asyncio.wait_for(act(*sys.argv[2:]), BOUND))

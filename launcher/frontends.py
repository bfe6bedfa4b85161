"""What a session may open, and how each is told where it is to listen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from builder.failures.served import CommandMissing
from builder.service import BuildError
from launcher.records import PORT, Frontend


@dataclass(frozen=True, slots=True)
class Preset:
    """How a frontend is started, with {port}, {ip} and {base_path} for where it is to listen."""

    image: str
    """The frontend that is in its image."""
    command: tuple[str, ...] = ()
    """Stands before what the launcher says; empty where the image knows what to start."""
    after: tuple[str, ...] = ()
    """Stands behind the script."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Beside those of `listening`."""
    below_root: bool = False
    """It answers at the root and is told where that is seen: the proxy takes the base path off."""


PRESETS: dict[Frontend, Preset] = {
    "jupyterlab": Preset("jupyterlab"),
    "vscodium": Preset("vscodium"),
    # https://docs.streamlit.io/develop/api-reference/configuration/config.toml; the service's own guard stands in
    # for the two checks, which know no address but the one that the program listens on.
    "streamlit": Preset(
        "none",
        ("streamlit", "run"),
        ("--server.address={ip}", "--server.port={port}", "--server.baseUrlPath={base_path}", "--server.headless=true",
         "--server.enableCORS=false", "--server.enableXsrfProtection=false", "--browser.gatherUsageStats=false"),
    ),
    "dash": Preset("none", ("python",)),
    # https://panel.holoviz.org/how_to/server/commandline.html
    "panel": Preset(
        "none",
        ("panel", "serve"),
        ("--address={ip}", "--port={port}", "--prefix={base_path}", "--allow-websocket-origin=*"),
    ),
    # https://www.gradio.app/guides/environment-variables
    "gradio": Preset(
        "none",
        ("python",),
        variables={"GRADIO_ROOT_PATH": "{base_path}", "GRADIO_ANALYTICS_ENABLED": "False"},
        below_root=True,
    ),
    "command": Preset("none"),
}  # fmt: skip

SCRIPT = re.compile(r"(?!-)[\w .+@~/-]+")
"""A path in the repository: one that no program takes for an option."""


def check_command(frontend: Frontend, command: tuple[str, ...]) -> None:
    """Raises BuildError(CommandMissing) where a frontend needs what is not given."""
    if PRESETS[frontend].image != "none":
        return
    if not command or (frontend != "command" and not SCRIPT.fullmatch(command[0])):
        raise BuildError(CommandMissing(frontend))


def command_of(frontend: Frontend, command: tuple[str, ...]) -> tuple[str, ...]:
    """What is to run in a session, its places still to be filled; empty for the image's own frontend."""
    preset = PRESETS[frontend]
    if preset.image != "none":
        return ()
    return (*preset.command, *command[:1], *preset.after, *command[1:])


def listening(base_path: str) -> dict[str, str]:
    """Variables from which frameworks take where to listen, where a command says nothing of it.

    https://docs.streamlit.io/develop/api-reference/configuration/config.toml, https://dash.plotly.com/reference#app.run,
    https://www.gradio.app/guides/environment-variables, https://flask.palletsprojects.com/en/stable/cli/
    """
    ip, port = "0.0.0.0", str(PORT)
    below = {"DASH_URL_BASE_PATHNAME": base_path, "STREAMLIT_SERVER_BASE_URL_PATH": base_path.strip("/")}
    return {
        "HOST": ip, "PORT": port, "FLASK_RUN_HOST": ip, "FLASK_RUN_PORT": port,
        "GRADIO_SERVER_NAME": ip, "GRADIO_SERVER_PORT": port,
        "STREAMLIT_SERVER_ADDRESS": ip, "STREAMLIT_SERVER_PORT": port, "STREAMLIT_SERVER_HEADLESS": "true",
        **(below if base_path != "/" else {}),
    }  # fmt: skip

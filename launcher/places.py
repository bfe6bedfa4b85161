"""Sessions and pages under two names, so that what runs in a session is a foreign site to the page.

What a repository shows in a session, a notebook's output or a dashboard, runs in the browser as the site that the
session is under. Under the page's own name it could ask the service for everything that the person may. On loopback the
two names are there anyway; elsewhere the setting `sessions.host` gives the second.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import Headers

from launcher.records import Session

PAGES, SESSIONS = "127.0.0.1", "localhost"
"""The names on loopback."""


@dataclass(frozen=True, slots=True)
class Places:
    """Which name is for what."""

    sessions_host: str = ""
    """As the setting has it: a name, with its port where that is not the usual one."""

    def of_sessions(self, host: str) -> str:
        """The Host under which a session opens, where the page is under another."""
        if self.sessions_host:
            return self.sessions_host
        name, colon, port = host.partition(":")
        return f"{SESSIONS}{colon}{port}" if name == PAGES else host

    def instead(self, headers: Headers, *, of_session: bool) -> str | None:
        """The Host under which what a browser asks for belongs; None where it is right, and for programs.

        Every browser says Sec-Fetch-Site to these names, and no page can keep it from doing so.
        """
        host = headers.get("host", "")
        if "sec-fetch-site" not in headers:
            return None
        if of_session:
            return other if (other := self.of_sessions(host)) != host else None
        name, colon, port = host.partition(":")
        if self.sessions_host:
            return "" if host == self.sessions_host else None
        return f"{PAGES}{colon}{port}" if name == SESSIONS else None

    def opening(self, scheme: str, host: str, session: Session) -> str:
        """The address that opens a session, with its token."""
        return f"{scheme}://{self.of_sessions(host)}{session.path}?token={session.token}"

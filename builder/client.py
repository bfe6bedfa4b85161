"""A typed client of the build service; `launchyard remote` is made of it."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

import httpx2
from pydantic import BaseModel

from builder import documents
from builder.documents import (
    AskedBuild,
    Build,
    CurrentImage,
    Difference,
    Environment,
    EnvironmentChange,
    NewEnvironment,
    Packages,
    Provenance,
    Version,
)
from builder.failures import Blame, Explanation
from builder.failures.served import RecordAbsent, ServiceUnreachable
from builder.formats import Format
from builder.records import BuildState
from detectors.failures import BuildError

RETRIES = 60
"""Times that a stream which broke off, or was refused, is taken up again, a second apart, before it is given up."""

Document = TypeVar("Document", bound=BaseModel)
Listed = TypeVar("Listed")


class ServiceProblem(Exception):
    """The service said no: its own explanation of it."""

    def __init__(self, explanation: Explanation, status: int) -> None:
        super().__init__(explanation.title)
        self.explanation = explanation
        self.status = status


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a build."""

    id: int
    type: str
    content: dict[str, Any]


class Client:
    """The service at an address. Raises ServiceProblem, and BuildError(ServiceUnreachable)."""

    def __init__(self, address: str, transport: httpx2.BaseTransport | None = None) -> None:
        self._address = address.rstrip("/")
        self._http = httpx2.Client(base_url=self._address + "/api/v1", timeout=30, transport=transport)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def create(self, new: NewEnvironment) -> documents.Created:
        """An environment, and its first build."""
        return self._ask(documents.Created, "POST", "/environments", json=new.model_dump(exclude_unset=True))

    def environment(self, id: str) -> Environment:
        return self._ask(Environment, "GET", f"/environments/{id}")

    def named(self, name: str) -> Environment:
        """The environment of a name. Raises BuildError(RecordAbsent)."""
        for environment in self.environments(search=name):
            if environment.name == name:
                return environment
        raise BuildError(RecordAbsent("environment", name))

    def environments(self, search: str = "") -> Iterator[Environment]:
        """All of them, the newest first."""
        return self._list(documents.Environments, "/environments", search=search)

    def image(self, environment_id: str) -> CurrentImage:
        """What a launcher should use now."""
        return self._ask(CurrentImage, "GET", f"/environments/{environment_id}/image")

    def change(self, environment_id: str, wanted: EnvironmentChange) -> Environment:
        """Members that were not given stay as they are; what is built by the others is the next build."""
        document = wanted.model_dump(exclude_unset=True)
        return self._ask(Environment, "PATCH", f"/environments/{environment_id}", json=document)

    def delete(self, environment_id: str) -> None:
        self._send("DELETE", f"/environments/{environment_id}")

    def rebuild(self, environment_id: str, asked: AskedBuild | None = None) -> Build:
        """A new build, or the one under way for the same inputs."""
        document = (asked or AskedBuild()).model_dump(exclude_unset=True)
        return self._ask(Build, "POST", f"/environments/{environment_id}/builds", json=document)

    def build(self, id: str) -> Build:
        return self._ask(Build, "GET", f"/builds/{id}")

    def builds(self, environment_id: str, state: BuildState) -> Iterator[Build]:
        """All that are in this state, the newest first."""
        return self._list(documents.Builds, f"/environments/{environment_id}/builds", state=state)

    def newest_build(self, environment_id: str) -> Build | None:
        return next(self._list(documents.Builds, f"/environments/{environment_id}/builds", limit="1"), None)

    def cancel(self, build_id: str) -> Build:
        return self._ask(Build, "POST", f"/builds/{build_id}/cancel")

    def log(self, build_id: str) -> str:
        """All of a build's log that there is now."""
        return self._send("GET", f"/builds/{build_id}/log").text

    def events(self, build_id: str, after: int = 0) -> Generator[Event, None, None]:
        """What happens in a build, to its end; goes on where it was when the connection breaks off.

        So it does when the service says that what it needs is away for the moment.
        """
        import time

        left = RETRIES
        finished = False
        while True:
            try:
                for event in self._stream(build_id, after):
                    after, left = event.id, RETRIES
                    yield event
                    if event.type == "end":
                        return
                if finished:
                    return
                finished = self.build(build_id).finished_at is not None
                if finished:  # what it said before that is still to be read
                    continue
            except (httpx2.TransportError, BuildError, ServiceProblem) as error:
                if left == 0 or not _passes(error):
                    raise
            left -= 1
            time.sleep(1)

    def version(self, environment_id: str, number: int) -> Version:
        return self._ask(documents.Version, "GET", f"/environments/{environment_id}/versions/{number}")

    def versions(self, environment_id: str) -> Iterator[Version]:
        """All of them, the newest first."""
        return self._list(documents.Versions, f"/environments/{environment_id}/versions")

    def lock(self, environment_id: str, number: int, format: Format = "json") -> str:
        """A version's lock as another tool reads it."""
        path = f"/environments/{environment_id}/versions/{number}/lock"
        return self._send("GET", path, params={"format": format}).text

    def provenance(self, environment_id: str, number: int) -> Provenance:
        return self._ask(Provenance, "GET", f"/environments/{environment_id}/versions/{number}/provenance")

    def packages(self, environment_id: str, number: int) -> Packages:
        return self._ask(Packages, "GET", f"/environments/{environment_id}/versions/{number}/packages")

    def diff(self, environment_id: str, before: int, after: int) -> Difference:
        path = f"/environments/{environment_id}/versions/diff"
        return self._ask(Difference, "GET", path, params={"from": str(before), "to": str(after)})

    def use(self, environment_id: str, number: int) -> Environment:
        """Roll back, or forward, to a version."""
        return self._ask(Environment, "POST", f"/environments/{environment_id}/versions/{number}/use")

    def pin(self, environment_id: str, number: int) -> Environment:
        """Let a version be the one in use, whatever is built."""
        return self._ask(Environment, "PUT", f"/environments/{environment_id}/pin/{number}")

    def unpin(self, environment_id: str) -> Environment:
        """Let what the next build comes to be the one in use again."""
        return self._ask(Environment, "DELETE", f"/environments/{environment_id}/pin")

    def _stream(self, build_id: str, after: int) -> Iterator[Event]:
        headers = {"Last-Event-ID": str(after)} if after else {}
        timeout = httpx2.Timeout(30, read=60)
        with self._http.stream("GET", f"/builds/{build_id}/events", headers=headers, timeout=timeout) as response:
            if response.is_error:
                response.read()
            self._check(response)
            fields: dict[str, str] = {}
            for line in response.iter_lines():
                name, _, value = line.partition(": ")
                if line and name:
                    fields[name] = value
                elif not line and "id" in fields:
                    yield Event(int(fields["id"]), fields["event"], json.loads(fields["data"]))
                    fields = {}

    def _list(self, kind: type[documents.Listed[Listed]], path: str, **given: str) -> Iterator[Listed]:
        """What is on this page of a list, and on those after it."""
        while True:
            page = self._ask(kind, "GET", path, params=given)
            yield from page.items
            if page.next is None:
                return
            given["cursor"] = page.next

    def _ask(self, kind: type[Document], method: str, path: str, **rest: Any) -> Document:
        return kind.model_validate_json(self._send(method, path, **rest).content)

    def _send(self, method: str, path: str, **rest: Any) -> httpx2.Response:
        try:
            return self._check(self._http.request(method, path, **rest))
        except httpx2.TransportError as error:
            raise BuildError(ServiceUnreachable(self._address, str(error) or type(error).__name__)) from None

    def _check(self, response: httpx2.Response) -> httpx2.Response:
        if response.is_success:
            return response
        if response.headers.get("content-type", "") != "application/problem+json":
            raise BuildError(ServiceUnreachable(self._address, f"it answers {response.status_code}, and is no service"))
        found = response.json()
        blame = next(blame for blame in Blame if blame.value[0] == found["blame"])
        explanation = Explanation(found["code"], found["title"], found["seen"], tuple(found["fix"]), blame)
        raise ServiceProblem(explanation, response.status_code)


def _passes(error: httpx2.TransportError | BuildError | ServiceProblem) -> bool:
    """Whether the service may answer when it is asked again."""
    if isinstance(error, ServiceProblem):
        return error.status == HTTPStatus.SERVICE_UNAVAILABLE
    return not isinstance(error, BuildError) or isinstance(error.failure, ServiceUnreachable)

"""The engine as a client sees it: paths and JSON in, values and streams out."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from orchestrator.client.faults import fault
from orchestrator.client.http import Response, receive, send

# Source: RFC 9110, 15.3.5 and 15.4.5.
_BODILESS = (204, 304)
_JSON = "application/json"


class Engine:
    """An engine behind a socket; `connect` opens a connection, starting the engine if it must.

    Every method raises the PystackError that the engine answered with.
    """

    def __init__(self, connect: Callable[[], socket.socket]) -> None:
        self._connect = connect

    def get(self, path: str, **query: object) -> Any:
        """The JSON value at `path`; None where the answer has no body."""
        return value_of(self.open("GET", path, query=query))

    def post(self, path: str, body: object = None, **query: object) -> Any:
        """The JSON value of the answer; `body` is sent as JSON."""
        return value_of(self.open("POST", path, query=query, body=_encoded(body)))

    def delete(self, path: str, **query: object) -> Any:
        return value_of(self.open("DELETE", path, query=query))

    def head(self, path: str, query: Mapping[str, object]) -> dict[str, str]:
        """The headers of the answer to a GET, their names in lower case."""
        connection = self._connect()
        send(connection, "HEAD", _target(path, query))
        response = receive(connection)
        response.close()
        if response.status >= 400:
            raise fault(response.status, b"")
        return response.headers

    def lines(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        content: bytes | Iterable[bytes] = b"",
        tick_s: float | None = None,
        query: Mapping[str, object] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Iterator[Any]:
        """The JSON values of a stream of lines; None for every `tick_s` seconds without one."""
        payload = content if body is None else _encoded(body)
        response = self.open(method, path, query=query, headers=headers, body=payload)
        try:
            for line in response.lines(tick_s):
                if line.strip():
                    yield json.loads(line)
                elif tick_s is not None:
                    yield None
        finally:
            response.close()

    def hijack(
        self, path: str, body: object = None, **query: object
    ) -> tuple[socket.socket, bytes]:
        """The raw two-way stream that a POST is upgraded to, and what was read from it already.

        Source: Docker Engine API, "attach to a container", stream hijacking.
        """
        upgrade = {"Connection": "Upgrade", "Upgrade": "tcp"}
        content = _encoded(body)
        return self.open("POST", path, query=query, headers=upgrade, body=content).hijack()

    def open(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        headers: dict[str, str] | None = None,
        body: bytes | Iterable[bytes] = b"",
    ) -> Response:
        """The response, its body unread; a status of 400 and above is raised instead."""
        connection = self._connect()
        fields = dict(headers or {})
        if body and isinstance(body, bytes):
            fields.setdefault("Content-Type", _JSON)
        send(connection, method, _target(path, query or {}), headers=fields, body=body)
        return _checked(receive(connection))


def value_of(response: Response) -> Any:
    """What a whole response carries: JSON, text, or None where it has no body."""
    content = response.read() if response.status not in _BODILESS else b""
    response.close()
    if not content.strip():
        return None
    if response.headers.get("content-type", "").startswith("text/plain"):
        return content.decode("utf-8", "replace")
    return json.loads(content)


def quote(text: str) -> str:
    """`text` as one segment of a path or one value of a query, slashes encoded too."""
    if text.isascii() and text.isalnum():
        return text  # ids and most names; the import costs 2 ms
    import urllib.parse  # noqa: PLC0415

    return urllib.parse.quote(text, safe="")


def _target(path: str, query: Mapping[str, object]) -> str:
    pairs = []
    for name, value in query.items():
        if value is None or value is False or value == "":
            continue
        if isinstance(value, tuple):  # a parameter that is given several times
            pairs += [f"{quote(name)}={quote(str(each))}" for each in value]
            continue
        text = "1" if value is True else value if isinstance(value, str) else json.dumps(value)
        pairs.append(f"{quote(name)}={quote(str(text))}")
    return path + ("?" + "&".join(pairs) if pairs else "")


def _checked(response: Response) -> Response:
    if response.status < 400:
        return response
    raise fault(response.status, response.read())


def _encoded(body: object) -> bytes:
    return b"" if body is None else json.dumps(body, separators=(",", ":")).encode()

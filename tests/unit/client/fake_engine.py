"""A server on a real unix socket that answers what a test tells it to."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.client.engine import Engine


@dataclass(slots=True)
class Request:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def json(self) -> Any:
        return json.loads(self.body)


Answer = bytes | Iterable[bytes] | Callable[[socket.socket], None]


@dataclass(slots=True)
class FakeEngine:
    """Answers by "METHOD path"; several answers of one key are given in turn, the last for ever."""

    path: Path
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    _listener: socket.socket = field(default_factory=lambda: socket.socket(socket.AF_UNIX))
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        self._listener.bind(str(self.path))
        self._listener.listen(16)
        self._run(self._serve)

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(timeout=5)
            assert not thread.is_alive(), "an answer was never read"
        self._listener.close()
        self.path.unlink()

    def engine(self) -> Engine:
        return Engine(self.connect)

    def connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(self.path))
        return connection

    def on(self, key: str, *answers: Answer) -> None:
        self.answers[key] = list(answers)

    def asked(self) -> list[str]:
        return [f"{request.method} {request.target}" for request in self.requests]

    def request(self, key: str) -> Request:
        return next(r for r in self.requests if f"{r.method} {r.path}" == key)

    def _run(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._run(self._answer, connection)

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            request = read_request(connection)
            if request is None:
                return
            self.requests.append(request)
            prepared = self.answers.get(f"{request.method} {request.path}")
            if prepared is None:
                message = {"message": f"no answer for {request.target}", "code": "no-such-route"}
                connection.sendall(as_json(message, status=404))
                return
            answer = prepared.pop(0) if len(prepared) > 1 else prepared[0]
            if callable(answer):
                answer(connection)
                return
            try:
                for piece in [answer] if isinstance(answer, bytes) else answer:
                    connection.sendall(piece)
            except BrokenPipeError:
                pass  # the client had enough


def read_request(connection: socket.socket) -> Request | None:
    received = b""
    while b"\r\n\r\n" not in received:
        data = connection.recv(65536)
        if not data:
            return None
        received += data
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length", 0))
    while len(body) < length:
        body += connection.recv(65536)
    if headers.get("transfer-encoding") == "chunked":
        while not body.endswith(b"0\r\n\r\n"):
            body += connection.recv(65536)
    return Request(method, target, headers, body)


def as_json(value: Any, status: int = 200) -> bytes:
    body = json.dumps(value).encode()
    return (
        f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def json_lines(*values: Any) -> bytes:
    """A whole chunked answer, one value per chunk."""
    return CHUNKED + b"".join(chunk(json.dumps(v).encode() + b"\n") for v in values) + LAST

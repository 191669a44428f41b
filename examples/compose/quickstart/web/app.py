"""A page that counts its visits in Redis. Nothing but the standard library.

    /         counts the visit and says how many there were
    /status   says the same without counting; 503 while Redis does not answer
"""

from __future__ import annotations

import html
import os
import signal
import socket
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 8000
KEY = "visits"
GREETING = os.environ.get("GREETING", "Hello")
REDIS = (os.environ.get("REDIS_HOST", "redis"), int(os.environ.get("REDIS_PORT", "6379")))


def redis(*words: str) -> str:
    """Redis's answer to one command that is answered by one line or one string.

    Source: the Redis serialization protocol (RESP).
    """
    request = b"*%d\r\n" % len(words)
    for word in words:
        data = word.encode()
        request += b"$%d\r\n%s\r\n" % (len(data), data)
    with socket.create_connection(REDIS, timeout=3) as connection:
        connection.sendall(request)
        with connection.makefile("rb") as answer:
            kind, line = answer.read(1), answer.readline().strip().decode()
            if kind == b"-":
                raise OSError(f"redis: {line}")
            if kind != b"$":
                return line
            size = int(line)
            return answer.read(size).decode() if size >= 0 else ""


class Page(BaseHTTPRequestHandler):
    """Answers GET requests."""

    def do_GET(self) -> None:
        try:
            if self.path == "/":
                self.answer(200, f"{GREETING}! This page was visited {redis('INCR', KEY)} times.")
            elif self.path == "/status":
                self.answer(200, f"visits so far: {redis('GET', KEY) or 0}")
            else:
                self.answer(404, "There is no such page.")
        except OSError as error:
            self.answer(503, f"Redis does not answer: {error}")

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        if self.path != "/status":  # Asked for every few seconds by the health check.
            super().log_request(code, size)

    def answer(self, status: int, text: str) -> None:
        if self.path == "/" and "text/html" in self.headers.get("Accept", ""):
            kind, body = "text/html", f"<!doctype html><h1>{html.escape(text)}</h1>\n"
        else:
            kind, body = "text/plain", f"{text}\n"
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def serve() -> None:
    """Serves until SIGTERM."""
    server = ThreadingHTTPServer(("", PORT), Page)
    # shutdown() waits for the loop that the signal has interrupted, so another thread calls it.
    signal.signal(
        signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start()
    )
    print(f"serving on port {PORT}", flush=True)
    server.serve_forever()


def check() -> int:
    """0 when the status page answers: for the health check."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/status", timeout=2) as answer:
            return 0 if answer.status == 200 else 1
    except OSError as error:
        print(error)
        return 1


if __name__ == "__main__":
    sys.exit(check() if "--check" in sys.argv else serve())

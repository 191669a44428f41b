"""Says what it learnt at its start from the service that it needs, and is slow to start."""

import os
import sys
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 8000


def asked(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode().strip()


def learnt() -> str:
    """Fails, and the service with it, where what it needs is not there yet."""
    if needed := os.environ.get("NEEDS"):
        return asked(needed)
    return os.environ["COLOUR"]


class Page(BaseHTTPRequestHandler):
    text = ""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{self.text}\n".encode())

    def log_message(self, *_: object) -> None:
        pass


if "--check" in sys.argv:
    asked(f"http://127.0.0.1:{PORT}/")
else:
    Page.text = f"{learnt()} by way of {os.environ['NAME']}"
    time.sleep(0.5)
    ThreadingHTTPServer(("", PORT), Page).serve_forever()

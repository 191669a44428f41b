"""Greets everybody as its configuration says, and opens the vault to those who know the token."""

import hmac
import signal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TOKEN = Path("/run/secrets/token").read_text().strip()


class Page(BaseHTTPRequestHandler):
    greeting = ""

    def do_GET(self) -> None:
        said = self.headers.get("Authorization", "")
        if self.path == "/":
            self.answer(200, self.greeting)
        elif hmac.compare_digest(said, f"Bearer {TOKEN}"):
            self.answer(200, "The vault is open.")
        else:
            self.answer(403, "The vault is closed.")

    def answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(f"{text}\n".encode())


def read_greeting(*_: object) -> None:
    Page.greeting = Path("/etc/app/greeting").read_text().strip()


read_greeting()
signal.signal(signal.SIGHUP, read_greeting)
ThreadingHTTPServer(("", 8000), Page).serve_forever()

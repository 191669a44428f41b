"""A guest book. GET / shows its entries, POST / writes the body into it."""

import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from database import connect

PORT = 8000


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        with connect() as connection:
            entries = connection.execute("SELECT id, text FROM entry ORDER BY id").fetchall()
        lines = [f"{number}. {text}" for number, text in entries]
        self.answer(200, [f"{len(lines)} entries", *lines])

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        with connect() as connection:
            connection.execute("INSERT INTO entry (text) VALUES (%s)", [text])
        self.answer(201, ["thank you"])

    def answer(self, status: int, lines: list[str]) -> None:
        body = "\n".join([*lines, ""]).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if "--check" in sys.argv:
    urllib.request.urlopen(f"http://127.0.0.1:{PORT}/", timeout=5).close()
else:
    ThreadingHTTPServer(("", PORT), Page).serve_forever()

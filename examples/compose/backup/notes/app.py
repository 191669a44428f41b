"""A list of notes in a file. GET / shows them, POST / adds the body."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

NOTES = Path("/notes/notes.txt")


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.answer(NOTES.read_text() if NOTES.exists() else "no notes\n")

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        with NOTES.open("a") as file:
            file.write(f"{text}\n")
        self.answer("noted\n")

    def answer(self, text: str) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())


ThreadingHTTPServer(("", 8000), Page).serve_forever()

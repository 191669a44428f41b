"""Serves pages/index.html, read anew for each request."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HEADING = "A page"


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        text = Path("pages/index.html").read_text().replace("{heading}", HEADING)
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(text.encode())


ThreadingHTTPServer(("", 8000), Page).serve_forever()

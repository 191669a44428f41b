"""Says whether it reaches the store; with NEXT set, what the next one says as well."""

import os
import socket
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def visits() -> str:
    """The store's count of visits, one more each time.  Source: Redis, inline commands."""
    try:
        with socket.create_connection(("store", 6379), timeout=2) as connection:
            connection.sendall(b"INCR visits\r\n")
            return "visits " + connection.recv(100).decode().strip(":\r\n")
    except socket.gaierror:
        return "the store is unknown here"
    except OSError as error:
        return f"the store is not reached: {error}"


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        text = f"{socket.gethostname()}: {visits()}\n"
        if following := os.environ.get("NEXT"):
            with urllib.request.urlopen(following, timeout=5) as answer:
                text += answer.read().decode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())


ThreadingHTTPServer(("", 8000), Page).serve_forever()

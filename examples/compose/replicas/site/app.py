"""A site that says which of its replicas answers. It finishes what it was asked before it ends."""

import os
import signal
import socket
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 8000
VERSION = os.environ.get("VERSION", "1")


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"version {VERSION} from {socket.gethostname()}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if "--check" in sys.argv:
    urllib.request.urlopen(f"http://127.0.0.1:{PORT}/", timeout=5).close()
else:
    server = ThreadingHTTPServer(("", PORT), Page)
    server.daemon_threads = False
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever(poll_interval=0.05)
    server.server_close()

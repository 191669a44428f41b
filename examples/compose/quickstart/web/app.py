"""A page that tells how often it was visited; redis keeps the count."""

import os
import signal
import socket
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 8000


def ask_redis(*words):
    """The integer that redis answers to a command (the RESP protocol, in a few lines)."""
    request = f"*{len(words)}\r\n" + "".join(f"${len(w)}\r\n{w}\r\n" for w in words)
    with socket.create_connection((os.environ.get("REDIS_HOST", "redis"), 6379), timeout=3) as sock:
        sock.sendall(request.encode())
        answer = sock.makefile("rb").readline().decode().strip()
    if not answer.startswith(":"):
        raise OSError(f"redis: {answer}")
    return int(answer[1:])


class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            if self.path == "/health":
                text = f"{ask_redis('EXISTS', 'visits')}\n"
            else:
                greeting = os.environ.get("GREETING", "Hello")
                text = f"{greeting}! This page was visited: {ask_redis('INCR', 'visits')}\n"
            status = 200
        except OSError as error:
            status, text = 503, f"{error}\n"
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    if sys.argv[1:] == ["health"]:
        urllib.request.urlopen(f"http://127.0.0.1:{PORT}/health", timeout=4).close()
        sys.exit()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"listening on port {PORT}", flush=True)
    ThreadingHTTPServer(("0.0.0.0", PORT), Page).serve_forever()

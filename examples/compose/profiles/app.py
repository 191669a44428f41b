"""A site; with `--measure URL` a tool that says how fast one answers (`--once` or for ever)."""

import sys
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"The site.\n")


def measure(url: str) -> None:
    for _ in range(50):  # it may be starting
        try:
            began = time.monotonic()
            with urllib.request.urlopen(url, timeout=5) as answer:
                size = len(answer.read())
            taken = (time.monotonic() - began) * 1000
            print(f"{url} answered {answer.status}, {size} bytes in {taken:.1f} ms")
            return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"{url} does not answer")


if "--measure" in sys.argv:
    measure(sys.argv[2])
    while "--once" not in sys.argv:
        time.sleep(10)
        measure(sys.argv[2])
else:
    ThreadingHTTPServer(("", 8000), Page).serve_forever()

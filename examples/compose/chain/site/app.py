"""Serves the pages that the jobs made."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

Pages = partial(SimpleHTTPRequestHandler, directory="/work/pages")
ThreadingHTTPServer(("", 8000), Pages).serve_forever()

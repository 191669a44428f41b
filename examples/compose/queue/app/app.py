"""Jobs by way of Redis: the page takes them in, workers (`--work`) square their numbers.

GET / says how many are done, by whom, and what they add up to; POST / takes N new ones in.
"""

import os
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import BinaryIO


def redis(*words: str) -> object:
    """Redis's answer to one command.  Source: the Redis serialization protocol (RESP)."""
    request = b"*%d\r\n" % len(words)
    for word in words:
        request += b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode())
    with socket.create_connection((os.environ["REDIS_HOST"], 6379), timeout=15) as connection:
        connection.sendall(request)
        with connection.makefile("rb") as answer:
            return value(answer)


def value(answer: BinaryIO) -> object:
    line = answer.readline().decode().strip()
    kind, rest = line[:1], line[1:]
    if kind == "-":
        raise OSError(f"redis: {rest}")
    if kind == "*":
        return [value(answer) for _ in range(int(rest))]
    if kind == "$":
        return answer.read(int(rest) + 2)[:-2].decode() if int(rest) >= 0 else None
    return rest


def work() -> None:
    me = socket.gethostname()
    while True:
        if taken := redis("BRPOP", "jobs", "5"):
            number = int(taken[1])
            time.sleep(0.02)  # as hard as it is
            redis("INCRBY", "sum", str(number * number))
            redis("HINCRBY", "done", me, "1")


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        words = redis("HGETALL", "done")
        done = dict(zip(words[::2], map(int, words[1::2]), strict=True))
        lines = [f"{sum(done.values())} jobs done, sum {redis('GET', 'sum') or 0}"]
        lines += [f"{worker} did {count}" for worker, count in sorted(done.items())]
        self.answer(lines)

    def do_POST(self) -> None:
        count = int(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        redis("LPUSH", "jobs", *(str(number) for number in range(1, count + 1)))
        self.answer([f"{count} jobs taken in"])

    def answer(self, lines: list[str]) -> None:
        body = "\n".join([*lines, ""]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if "--work" in sys.argv:
    work()
else:
    ThreadingHTTPServer(("", 8000), Page).serve_forever()

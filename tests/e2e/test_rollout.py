"""Updates of a service with replicas: step by step, under load, and back where they fail."""

from __future__ import annotations

import http.client
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.engine import EngineUnderTest
from tests.support.waiting import wait_until

PORT = 18090
# A server that ends as servers should: it finishes what it is asked, and asks no more.
SERVER = """
import http.server, os, signal, socketserver, sys, threading
VERSION = os.environ["VERSION"]
if VERSION == "crashes":
    sys.exit(3)
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = (os.uname().nodename if self.path == "/who" else VERSION).encode()
        ill = VERSION == "ill" and self.path == "/health"
        self.send_response(500 if ill else 200)
        self.send_header("Content-Length", str(len(body)))
        if ending.is_set():
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128
ending = threading.Event()
server = Server(("", 80), Handler)
def end(*_):
    ending.set()
    threading.Thread(target=server.shutdown).start()
signal.signal(signal.SIGTERM, end)
server.serve_forever(poll_interval=0.05)
"""
STACK = """
services:
  web:
    image: web
    build:
      context: .
    environment: {{VERSION: "{version}"}}
    ports: ["{port}:80"]
    stop_grace_period: 5s
    healthcheck:
      test: ["CMD", "python3", "-c",
             "import urllib.request; urllib.request.urlopen('http://127.0.0.1/health')"]
      interval: 300ms
      start_interval: 300ms
      start_period: 5s
      retries: 2
      timeout: 5s
    deploy:
      replicas: 2
      update_config:
        parallelism: 1
        order: {order}
        monitor: 500ms
        failure_action: {action}
"""
DOCKERFILE = """
FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends python3
COPY server.py /server.py
CMD ["python3", "/server.py"]
"""


@dataclass
class Load:
    """What clients met: answers by version, and what went wrong."""

    answers: dict[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, version: str) -> None:
        with self.lock:
            self.answers[version] = self.answers.get(version, 0) + 1

    def short(self) -> None:
        """A connection a request."""
        while not self.stop.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
            try:
                self.note(_ask(connection))
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(f"short: {error!r}")
            finally:
                connection.close()
            time.sleep(0.004)

    def kept(self) -> None:
        """One connection for as long as the server keeps it, as browsers and proxies do."""
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
        while not self.stop.is_set():
            fresh = connection.sock is None
            try:
                self.note(_ask(connection, keep=True))
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                # Whoever keeps a connection asks again where the server had closed it (RFC 9112).
                if fresh:
                    self.lost.append(f"kept: {error!r}")
            time.sleep(0.004)
        connection.close()


def _ask(connection: http.client.HTTPConnection, *, keep: bool = False) -> str:
    connection.request("GET", "/", headers={} if keep else {"Connection": "close"})
    answer = connection.getresponse()
    text = answer.read().decode()
    if answer.status != 200:
        raise http.client.HTTPException(str(answer.status))
    return text


@contextmanager
def under_load() -> Iterator[Load]:
    load = Load()
    threads = [threading.Thread(target=load.short) for _ in range(2)]
    threads += [threading.Thread(target=load.kept) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.stop.set()
        for thread in threads:
            thread.join()


@pytest.fixture
def web(engine: EngineUnderTest, debian_hub: object, project: Path) -> Iterator[Path]:
    """The project with what its image is made of; the stack is taken down in the end."""
    (project / "server.py").write_text(SERVER)
    (project / "Dockerfile").write_text(DOCKERFILE)
    yield project
    engine.cli("down", "-t", "0", cwd=project)


def wanted(
    project: Path, version: str, *, order: str = "start-first", action: str = "pause"
) -> None:
    text = STACK.format(version=version, port=PORT, order=order, action=action)
    (project / "stack.yml").write_text(text)


def running_versions(engine: EngineUnderTest) -> list[str]:
    found = []
    for container in engine.containers(com_docker_compose_service="web"):
        env = engine.inspect(container["Id"])["Config"]["Env"]
        found += [e.removeprefix("VERSION=") for e in env if e.startswith("VERSION=")]
    return sorted(found)


@pytest.mark.parametrize("order", ["start-first", "stop-first"])
def test_an_update_under_load_loses_no_request(
    engine: EngineUnderTest, web: Path, order: str
) -> None:
    wanted(web, "one", order=order)
    engine.cli("up", "-d", "--wait", cwd=web, timeout_s=300)
    with under_load() as load:
        wait_until(lambda: load.answers.get("one", 0) > 50, "the load runs")
        wanted(web, "two", order=order)
        engine.cli("up", "-d", cwd=web, timeout_s=120)
        before = dict(load.answers)
        wait_until(lambda: load.answers.get("two", 0) > before.get("two", 0) + 50, "the new serves")
    assert load.lost == []
    assert running_versions(engine) == ["two", "two"]
    assert load.answers["one"] > 50
    names = sorted(c["Names"][0] for c in engine.containers(com_docker_compose_service="web"))
    assert names == ["/demo-web-1", "/demo-web-2"]


@pytest.mark.parametrize("version", ["crashes", "ill"])
def test_an_update_that_fails_ends_on_the_old_version_by_itself(
    engine: EngineUnderTest, web: Path, version: str
) -> None:
    wanted(web, "one", action="rollback")
    engine.cli("up", "-d", "--wait", cwd=web, timeout_s=300)
    with under_load() as load:
        wait_until(lambda: load.answers.get("one", 0) > 50, "the load runs")
        wanted(web, version, action="rollback")
        result = engine.run("up", "-d", cwd=web, timeout_s=120)
    assert result.exit_code == 1, result.output
    assert "the update of web was rolled back" in result.stderr
    assert load.lost == []
    assert set(load.answers) == {"one"}
    assert running_versions(engine) == ["one", "one"]
    assert "rolled back" in engine.cli("why", "web", cwd=web).stdout


def who() -> str:
    """The container that answers a new connection, "" where it dies of it."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
    try:
        connection.request("GET", "/who", headers={"Connection": "close"})
        return connection.getresponse().read().decode()
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()


def test_replicas_come_and_go_under_load_and_one_that_dies_costs_its_own_connections(
    engine: EngineUnderTest, web: Path
) -> None:
    wanted(web, "one")
    engine.cli("up", "-d", "--wait", cwd=web, timeout_s=300)
    with under_load() as load:
        wait_until(lambda: load.answers.get("one", 0) > 50, "the load runs")
        engine.cli("scale", "web=4", cwd=web, timeout_s=120)
        wait_until(
            lambda: all("(healthy)" in c["Status"] for c in engine.containers()),
            "all four are healthy",
            within_s=60,
        )
        wait_until(lambda: len({who() for _ in range(20)}) == 4, "new connections go to all four")
        engine.cli("scale", "web=2", cwd=web, timeout_s=120)
        assert load.lost == [], "coming and going costs nothing"
        left = {c["Id"][:12]: c for c in engine.containers()}
        assert {who() for _ in range(20)} == set(left)
        victim = next(iter(left.values()))
        os.kill(engine.inspect(victim["Id"])["State"]["Pid"], signal.SIGKILL)
        other = set(left) - {victim["Id"][:12]}
        wait_until(lambda: {who() for _ in range(20)} == other, "the other one serves alone")
        lost = len(load.lost)
        served = sum(load.answers.values())
        wait_until(lambda: sum(load.answers.values()) > served + 200, "the load goes on")
        assert len(load.lost) == lost, "what is lost is lost at once, and no more"
    # One request under way a client, and what came in the moment before its death was known.
    assert lost < 20

"""Docker's own client at what streams, and the endpoints that it does not use."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.engine import EngineUnderTest
from tests.support.terminal import on_terminal

pytestmark = pytest.mark.usefixtures("hub", "emptied")
needs_client = pytest.mark.skipif(shutil.which("docker") is None, reason="no docker client here")
Docker = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def docker(engine: EngineUnderTest, tmp_path: Path) -> Docker:
    """Runs Docker's client against the engine."""

    def run(*args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker", *args],
            env=environment(engine, tmp_path),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    return run


def environment(engine: EngineUnderTest, home: Path) -> dict[str, str]:
    own = {"DOCKER_HOST": f"unix://{engine.socket}", "HOME": str(home), "PATH": os.environ["PATH"]}
    return own | {"DOCKER_CONFIG": str(home / "docker")}


@needs_client
def test_streams_and_exit_codes(docker: Docker) -> None:
    docker("pull", "busybox")
    piped = docker(
        "run", "-i", "--rm", "busybox", "sh", "-c", "cat; echo err >&2; exit 3", stdin="x"
    )
    assert (piped.returncode, piped.stdout, piped.stderr) == (3, "x", "err\n")
    docker("run", "-d", "--name", "sleeper", "busybox", "sleep", "1000")
    said = docker(
        "exec", "-i", "-e", "A=b", "sleeper", "sh", "-c", "cat; echo $A; exit 4", stdin="y"
    )
    assert (said.returncode, said.stdout) == (4, "yb\n")
    assert docker("exec", "sleeper", "no-such-program").returncode == 127
    docker("run", "--name", "logged", "busybox", "sh", "-c", "echo one; echo two >&2")
    logs = docker("logs", "-f", "logged")
    assert (logs.stdout, logs.stderr) == ("one\n", "two\n")
    assert docker("start", "-a", "logged").stdout == "one\n"


@needs_client
def test_a_terminal(engine: EngineUnderTest, docker: Docker, tmp_path: Path) -> None:
    docker("pull", "busybox")
    argv = ["docker", "run", "-it", "--rm", "busybox"]
    with on_terminal(argv, environment(engine, tmp_path), rows=30, columns=90) as terminal:
        terminal.expect("/ # ")
        terminal.type("while ! stty size | grep '30 90'; do :; done; exit 5\n")
        terminal.expect("30 90\r\n")
        assert terminal.ended() == 5


@needs_client
def test_files_both_ways(docker: Docker, tmp_path: Path) -> None:
    docker("run", "-d", "--name", "box", "busybox", "sleep", "1000")
    source = tmp_path / "src"
    source.mkdir()
    (source / "f").write_text("data\n")
    (source / "l").symlink_to("f")
    for args in (
        ("cp", str(source), "box:/tmp/new"),
        ("cp", f"{source}/.", "box:/tmp"),
        ("cp", "box:/tmp/new", str(tmp_path / "out")),
        ("cp", "-L", "box:/tmp/new/l", str(tmp_path / "followed")),
    ):
        done = docker(*args)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/f").read_text() == (tmp_path / "followed").read_text() == "data\n"
    assert docker("diff", "box").stdout.splitlines() == [
        *("C /tmp", "A /tmp/f", "A /tmp/l", "A /tmp/new", "A /tmp/new/f", "A /tmp/new/l")
    ]
    assert docker("commit", "-c", 'CMD ["cat", "/tmp/f"]', "box", "kept:1").returncode == 0
    assert docker("run", "--rm", "kept:1").stdout == "data\n"


def test_attach_by_websocket_carries_both_ways(engine: EngineUnderTest) -> None:
    engine.cli("run", "-dit", "--name", "shell", "busybox", "cat")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(15)
        connection.connect(str(engine.socket))
        key = base64.b64encode(os.urandom(16)).decode()
        connection.sendall(
            "GET /containers/shell/attach/ws?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: x\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        received = b""
        while b"\r\n\r\n" not in received:
            received += connection.recv(4096)
        assert received.startswith(b"HTTP/1.1 101 ")
        text = b"hello\n"
        mask = b"\0\0\0\0"
        connection.sendall(struct.pack("BB", 0x81, 0x80 | len(text)) + mask + text)
        while received.count(b"hello") < 2:  # the terminal's echo, and cat's own
            received += connection.recv(4096)


def test_attach_replays_the_log_when_asked(engine: EngineUnderTest) -> None:
    engine.run("run", "--name", "said", "busybox", "sh", "-c", "echo out; echo err >&2")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(15)
        connection.connect(str(engine.socket))
        connection.sendall(
            b"POST /containers/said/attach?logs=1&stdout=1&stderr=1 HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        answer = b""
        while data := connection.recv(4096):
            answer += data
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert body == b"\1\0\0\0\0\0\0\4out\n\2\0\0\0\0\0\0\4err\n"

"""stdin, stdout and stderr of containers joined to commands: `run -i`, `start -ai`, `attach`."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.engine import EngineUnderTest
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("hub", "emptied")


@contextmanager
def started(engine: EngineUnderTest, *args: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command with pipes for its stdio; killed with the block."""
    with subprocess.Popen(
        engine.argv(*args),
        env=engine.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def hijacked(engine: EngineUnderTest, path: str) -> socket.socket:
    """A connection that a POST to `path` was upgraded to."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(15)
    connection.connect(str(engine.socket))
    connection.sendall(
        f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(1)
    assert head.startswith(b"HTTP/1.1 101 "), head
    return connection


def test_stdin_is_piped_in_and_closed(engine: EngineUnderTest) -> None:
    engine.cli("pull", "busybox")
    assert engine.cli("run", "-i", "--rm", "busybox", "cat", stdin="hi\n").stdout == "hi\n"
    # More than all the buffers between: neither way may wait for the other.
    text = "".join(f"{n:0100d}\n" for n in range(40000))
    assert engine.cli("run", "-i", "--rm", "busybox", "cat", stdin=text).stdout == text
    # A program that reads nothing, and one that reads a part, do not keep the command here.
    assert engine.run("run", "-i", "--rm", "busybox", "true", stdin=text).exit_code == 0
    assert (
        engine.cli("run", "-i", "--rm", "busybox", "head", "-n1", stdin=text).stdout == text[:101]
    )
    # Without -i it has none.
    assert engine.cli("run", "--rm", "busybox", "cat", stdin="unread").stdout == ""
    assert engine.containers() == []


def test_start_ai_gives_stdin_to_a_container_made_for_it(engine: EngineUnderTest) -> None:
    engine.cli("pull", "busybox")
    engine.cli("create", "-i", "--name", "taker", "busybox", "sh", "-c", "cat; exit 4")
    for text in ("one\n", "two\n"):
        said = engine.run("start", "-ai", "taker", stdin=text)
        assert (said.exit_code, said.stdout) == (4, text)
    several = engine.run("start", "-a", "taker", "other")
    assert several.exit_code == 1
    assert "cannot start and attach multiple containers at once" in several.stderr


def test_attach_joins_a_running_container_and_ends_with_its_exit_code(
    engine: EngineUnderTest,
) -> None:
    engine.cli("run", "-di", "--name", "echoer", "busybox", "sh", "-c", "cat; exit 6")
    with (
        started(engine, "attach", "echoer") as one,
        started(engine, "attach", "--no-stdin", "echoer") as other,
    ):
        assert one.stdin is not None
        assert one.stdout is not None
        assert other.stdout is not None
        assert other.stdin is not None
        # The other's attaching cannot be seen, so that words are sent until it shows one.
        os.set_blocking(other.stdout.fileno(), False)

        def heard() -> bytes | None:
            assert one.stdin is not None
            assert other.stdout is not None
            one.stdin.write(b"word\n")
            one.stdin.flush()
            return other.stdout.read()

        assert b"word" in (wait_until(heard, "the other hears it too") or b"")
        assert one.stdout.readline() == b"word\n"
        # Made without an attached client, its stdin stays open whoever comes and goes.
        one.stdin.close()
        other.stdin.close()
        wait_until(lambda: engine.inspect("echoer")["State"]["Running"], "it goes on")
        engine.cli("kill", "-s", "KILL", "echoer")
        assert (one.wait(15), other.wait(15)) == (137, 137)


def test_attach_refuses_what_does_not_run(engine: EngineUnderTest) -> None:
    engine.cli("run", "-d", "--name", "sleeper", "busybox", "sleep", "1000")
    engine.cli("pause", "sleeper")
    assert "paused container, unpause it first" in engine.run("attach", "sleeper").stderr
    engine.cli("unpause", "sleeper")
    engine.cli("stop", "-t", "0", "sleeper")
    refused = engine.run("attach", "sleeper")
    assert refused.exit_code == 1
    assert "stopped container, start it first" in refused.stderr


def test_signals_are_handed_on_unless_told_not_to(engine: EngineUnderTest) -> None:
    engine.cli("pull", "busybox")
    script = (
        "trap 'echo got usr1' USR1; trap 'echo got hup' HUP; trap 'echo got term; exit 9' TERM; "
        "echo ready; while :; do sleep 0.05; done"
    )
    with started(engine, "run", "--rm", "--name", "trapper", "busybox", "sh", "-c", script) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"ready\n"
        for number, line in (
            (signal.SIGUSR1, b"got usr1\n"),
            (signal.SIGHUP, b"got hup\n"),
            (signal.SIGTERM, b"got term\n"),
        ):
            run.send_signal(number)
            assert run.stdout.readline() == line
        assert run.wait(15) == 9
    with started(
        engine, "run", "--sig-proxy=false", "--name", "alone", "busybox", "sh", "-c", script
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"ready\n"
        run.send_signal(signal.SIGTERM)
        assert run.wait(15) == 128 + signal.SIGTERM
    assert engine.inspect("alone")["State"]["Running"]


def test_a_client_that_goes_away_leaves_the_container_and_the_engine_nothing(
    engine: EngineUnderTest,
) -> None:
    engine.cli("run", "-d", "--name", "sleeper", "busybox", "sleep", "1000")
    path = "/containers/sleeper/attach?stream=1&stdin=1&stdout=1&stderr=1"

    def descriptors() -> int:
        return len(os.listdir(f"/proc/{engine.pid}/fd"))  # noqa: PTH208

    engine.cli("logs", "sleeper")  # what the engine opens once, for good, is open now
    before = descriptors()
    clients = [hijacked(engine, path) for _ in range(20)]
    for client in clients:
        client.shutdown(socket.SHUT_WR)  # after that, its going away is hard to see
    assert descriptors() > before
    for client in clients:
        client.close()
    wait_until(lambda: descriptors() <= before, "what served them is gone")
    assert engine.inspect("sleeper")["State"]["Running"]


def test_a_client_that_does_not_read_keeps_nobody_else_from_it(engine: EngineUnderTest) -> None:
    """Its share is kept for it, not in the engine's memory."""
    engine.cli(
        "run",
        "-d",
        "--name",
        "babbler",
        "busybox",
        "sh",
        "-c",
        "until [ -e /go ]; do sleep 0.05; done; head -c 60000000 /dev/zero; sleep 1000",
    )
    path = "/containers/babbler/attach?stream=1&stdout=1"
    with hijacked(engine, path) as slow, hijacked(engine, path) as quick:
        engine.cli("exec", "babbler", "touch", "/go")
        size = 0
        while size < 60_000_000:
            size += len(quick.recv(1 << 20))
        status = Path(f"/proc/{engine.pid}/status").read_text()
        resident = int(status.partition("VmRSS:")[2].split()[0])
        assert resident < 250_000, f"{resident} kB"
        late = 0
        while late < 60_000_000:
            late += len(slow.recv(1 << 20))


def test_restarting_ends_what_is_attached(engine: EngineUnderTest) -> None:
    engine.cli("run", "-d", "--name", "again", "busybox", "sh", "-c", "echo up; sleep 1000")
    with started(engine, "attach", "again") as attached:
        # Its request is served once the engine shows one more descriptor; asking costs little.
        time.sleep(0.5)
        engine.cli("restart", "-t", "0", "again")
        assert attached.wait(15) == 137
    assert engine.inspect("again")["State"]["Running"]

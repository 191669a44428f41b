"""Two hundred clients at once: attached, following, executing, listing."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.engine import EngineUnderTest
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("hub", "emptied")

EACH = 50
START = b'{"Detach":false}'


def streamed(engine: EngineUnderTest, method: str, path: str, *, enough: bytes = b"") -> bytes:
    """What a stream gives until it ends, or until `enough` was in it."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(str(engine.socket))
        connection.sendall(
            f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(START)}\r\n\r\n".encode()
            + START
        )
        data = b""
        while piece := connection.recv(65536):
            data += piece
            if enough and enough in data:
                break
        return data


def test_they_are_all_served_and_leave_nothing(engine: EngineUnderTest) -> None:
    engine.cli(
        *("run", "-d", "--name", "ticker", "busybox"),
        *("sh", "-c", "while :; do echo tick; sleep 0.2; done"),
    )
    one = "/containers/ticker"

    def execute() -> bool:
        body = {"Cmd": ["sh", "-c", "echo hi; exit 3"], "AttachStdout": True}
        identifier = engine.request("POST", f"{one}/exec", body)[1]["Id"]
        output = streamed(engine, "POST", f"/exec/{identifier}/start")
        return b"hi\n" in output and (
            engine.request("GET", f"/exec/{identifier}/json")[1]["ExitCode"] == 3
        )

    def attach() -> bool:
        path = f"{one}/attach?stream=1&stdout=1"
        return b"tick" in streamed(engine, "POST", path, enough=b"tick")

    def follow() -> bool:
        path = f"{one}/logs?stdout=1&follow=1&tail=0"
        return b"tick" in streamed(engine, "GET", path, enough=b"tick")

    def listed() -> bool:
        return len(engine.request("GET", "/containers/json")[1]) == 1

    def descriptors() -> int:
        return len(list(Path(f"/proc/{engine.pid}/fd").iterdir()))

    engine.request("GET", "/containers/json")
    before, pid = descriptors(), engine.pid
    jobs: list[Callable[[], bool]] = [execute, attach, follow, listed] * EACH
    with ThreadPoolExecutor(len(jobs)) as pool:
        assert all(pool.map(lambda job: job(), jobs))
    wait_until(lambda: descriptors() <= before, "every connection is gone")
    assert engine.pid == pid
    status = Path(f"/proc/{pid}/status").read_text()
    assert int(status.partition("VmRSS:")[2].split()[0]) < 150_000
    monitors = [p for p in os.listdir("/proc") if p.isdigit() and monitors_exec(p, engine)]  # noqa: PTH208
    assert monitors == []


def monitors_exec(pid: str, engine: EngineUnderTest) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"--exec" in words and any(str(engine.directory).encode() in word for word in words)

"""`pystack up` without -d: the logs of every service, until Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.engine import EngineUnderTest
from tests.support.waiting import wait_until

POLITE = """\
services:
  web:
    image: busybox
    command: sh -c 'trap "echo bye; exit 0" TERM; echo hello from web; while :; do sleep 0.1; done'
  other:
    image: busybox
    command: sh -c 'trap "exit 0" TERM; echo hello from other; while :; do sleep 0.1; done'
"""
STUBBORN = """\
services:
  web:
    image: busybox
    stop_grace_period: 1m
    command: sh -c 'trap "" TERM INT; echo hello from web; while :; do sleep 0.1; done'
"""


def test_up_shows_the_logs_and_ctrl_c_stops_the_stack(
    engine: EngineUnderTest, project: Path
) -> None:
    (project / "stack.yml").write_text(POLITE)
    with following(engine, project) as (up, lines):
        for service in ("web", "other"):
            wait_until(
                lambda s=service: any(  # type: ignore[misc]
                    f"{s}-1" in line and "|" in line and f"hello from {s}" in line for line in lines
                ),
                f"a line of {service}",
            )
        up.send_signal(signal.SIGINT)
        assert up.wait(timeout=20) in (0, 130)
    states = {c["Names"][0]: (c["State"], c["Status"][:10]) for c in engine.containers()}
    assert states == {
        "/demo-web-1": ("exited", "Exited (0)"),
        "/demo-other-1": ("exited", "Exited (0)"),
    }
    engine.cli("down", cwd=project)


def test_a_second_ctrl_c_stops_the_stack_at_once(engine: EngineUnderTest, project: Path) -> None:
    (project / "stack.yml").write_text(STUBBORN)
    with following(engine, project) as (up, lines):
        wait_until(lambda: any("hello from web" in line for line in lines), "a line of web")
        up.send_signal(signal.SIGINT)
        wait_until(lambda: any("topping" in line for line in lines), "word that it stops")
        assert up.poll() is None
        begun = time.monotonic()
        up.send_signal(signal.SIGINT)
        assert up.wait(timeout=20) in (0, 1, 130)
        assert time.monotonic() - begun < 10
    assert [c["State"] for c in engine.containers()] == ["exited"]
    engine.cli("down", cwd=project)


@contextmanager
def following(
    engine: EngineUnderTest, project: Path
) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """`pystack up` in the foreground, and the lines it has printed so far."""
    lines: list[str] = []
    with subprocess.Popen(
        engine.argv("up"),
        cwd=project,
        env=engine.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        reader = threading.Thread(target=lines.extend, args=(process.stdout,))
        reader.start()
        try:
            yield process, lines
        except BaseException:
            print("".join(lines), engine.output())
            raise
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            reader.join(timeout=10)

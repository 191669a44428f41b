"""Standard streams as scripts and cron hand them over: closed, full, or with nobody behind them."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from tests.support.engine import EngineUnderTest


def shell(engine: EngineUnderTest, streams: str, *args: str) -> subprocess.CompletedProcess[str]:
    """How a command ended whose streams a shell had redirected."""
    return subprocess.run(
        ["sh", "-c", f"{shlex.join(engine.argv(*args))} {streams}"],
        env=engine.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.usefixtures("hub")
def test_a_stream_that_is_not_there_is_an_empty_one(engine: EngineUnderTest) -> None:
    engine.cli("pull", "-q", "busybox")
    run = ("run", "-i", "--rm", "busybox", "sh", "-c", "cat; echo out; exit 3")
    for streams, told in (("<&-", "out\n"), (">&-", ""), ("2>&-", "out\n"), ("<&- >&- 2>&-", "")):
        done = shell(engine, streams, *run)
        assert (done.returncode, done.stdout, done.stderr) == (3, told, ""), streams
    assert shell(engine, "2>/dev/full", "inspect", "nobody").returncode == 1
    assert shell(engine, "2>/dev/full", "ps", "--no-such-flag").returncode == 2
    assert engine.containers() == []


def test_no_image_is_named_by_nothing(engine: EngineUnderTest) -> None:
    said = engine.run("run", "--rm", "", "true")
    assert said.exit_code == 125, said.output
    assert "is not an image reference" in said.stderr

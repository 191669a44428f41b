"""Terminals: `run -it`, `exec -it`, `attach` and `start -ai` as a person at one sees them."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.engine import EngineUnderTest
from tests.support.terminal import Terminal, on_terminal
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("hub", "emptied")
DETACH = b"\x10\x11"


@contextmanager
def at(engine: EngineUnderTest, *args: str) -> Iterator[Terminal]:
    with on_terminal(engine.argv(*args), engine.env, rows=31, columns=91) as terminal:
        yield terminal


def status(engine: EngineUnderTest, name: str) -> str:
    return str(engine.inspect(name)["State"]["Status"])


def test_run_it_is_a_shell_with_this_terminal_s_size_and_its_exit_code(
    engine: EngineUnderTest,
) -> None:
    engine.cli("pull", "busybox")
    with at(engine, "run", "-it", "--rm", "--name", "shell", "busybox") as terminal:
        terminal.expect("/ # ")
        before = terminal.settings()
        terminal.type("test -t 0 && stty size\n")
        terminal.expect("31 91\r\n")
        terminal.resize(40, 100)
        wait_until(
            lambda: (
                "40 100" in engine.cli("exec", "shell", "stty", "-F", "/dev/pts/0", "size").stdout
            ),
            "the new size has arrived",
        )
        # Ctrl-C is the container's: it ends the sleep there and not the command here.
        terminal.type("sh -c 'echo go\"\"ing; exec sleep 100'\n")
        terminal.expect("going\r\n")
        terminal.type(b"\x03")
        terminal.expect("/ # ")
        terminal.type("exit 7\n")
        assert terminal.ended() == 7
        assert terminal.settings() != before, "it was raw and is so no more"
    assert engine.containers() == []


def test_a_program_sees_the_size_from_its_first_moment(engine: EngineUnderTest) -> None:
    engine.cli("pull", "busybox")
    with at(engine, "run", "-it", "--rm", "busybox", "stty", "size") as terminal:
        terminal.expect("31 91\r\n")
        assert terminal.ended() == 0
    engine.cli("run", "-d", "--name", "sleeper", "busybox", "sleep", "1000")
    with at(engine, "exec", "-it", "sleeper", "stty", "size") as terminal:
        terminal.expect("31 91\r\n")
        assert terminal.ended() == 0


def test_the_terminal_is_restored_whatever_happens(engine: EngineUnderTest) -> None:
    engine.cli("pull", "busybox")
    for command, code in (("true", 0), ("no-such-program", 127)):
        with at(engine, "run", "-it", "--rm", "busybox", command) as terminal:
            before = terminal.settings()
            assert terminal.ended() == code
            assert terminal.settings() == before
    with at(engine, "run", "-it", "--name", "killed", "busybox", "sleep", "1000") as terminal:
        before = terminal.settings()
        wait_until(lambda: terminal.settings() != before, "the terminal is raw")
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.ended() == 128 + signal.SIGTERM
        assert terminal.settings() == before
    assert status(engine, "killed") == "running"


def test_detaching_leaves_it_running_and_start_and_attach_find_it_again(
    engine: EngineUnderTest,
) -> None:
    engine.cli("pull", "busybox")
    with at(engine, "run", "-it", "--name", "kept", "busybox") as terminal:
        terminal.expect("/ # ")
        terminal.type("here=1; echo se''t\n")
        terminal.expect("set\r\n")
        terminal.type(DETACH)
        assert terminal.ended() == 0
    assert status(engine, "kept") == "running"
    with at(engine, "attach", "kept") as terminal:
        terminal.type("echo still $here\n")
        terminal.expect("still 1\r\n")
        # The first of the two keys alone is the shell's: it brings the line before back.
        terminal.type(b"\x10")
        terminal.type(b"\n")
        terminal.expect("still 1\r\n")
        terminal.type(DETACH)
        terminal.expect("read escape sequence")
        assert terminal.ended() == 1
    with at(engine, "attach", "--detach-keys", "ctrl-x,x", "kept") as terminal:
        terminal.type("echo other $here\n")
        terminal.expect("other 1\r\n")
        terminal.type(b"\x18x")
        assert terminal.ended() == 1
    with at(engine, "attach", "kept") as terminal:
        terminal.type("exit 5\n")
        assert terminal.ended() == 5
    with at(engine, "start", "-ai", "kept") as terminal:
        terminal.type("echo again $here; exit 6\n")
        terminal.expect("again\r\n")
        assert terminal.ended() == 6
    assert status(engine, "kept") == "exited"


def test_exec_it_is_a_second_shell_that_can_be_left(engine: EngineUnderTest) -> None:
    engine.cli("run", "-d", "--name", "sleeper", "busybox", "sleep", "1000")
    with at(engine, "exec", "-it", "sleeper", "sh") as terminal:
        terminal.expect("/ # ")
        terminal.type("tty; echo $TERM; exit 9\n")
        terminal.expect("/dev/pts/0\r\nxterm\r\n")
        assert terminal.ended() == 9
    with at(engine, "exec", "-it", "sleeper", "sh") as terminal:
        terminal.expect("/ # ")
        terminal.resize(44, 144)
        terminal.type("while ! stty size | grep '44 144'; do :; done\n")
        terminal.expect("44 144\r\n")
        terminal.type(DETACH)
        terminal.expect("read escape sequence")
        assert terminal.ended() == 1
    assert "sh" in engine.cli("exec", "sleeper", "ps").stdout


def test_closing_the_window_leaves_the_container_running(engine: EngineUnderTest) -> None:
    engine.cli("pull", "busybox")
    with at(engine, "run", "-it", "--name", "left", "busybox") as terminal:
        terminal.expect("/ # ")
        terminal.hang_up()
        assert terminal.process.wait(15) != 0
    assert status(engine, "left") == "running"


def test_without_a_terminal_t_with_i_is_refused(engine: EngineUnderTest) -> None:
    engine.cli("pull", "busybox")
    refused = engine.run("run", "-it", "busybox")
    assert (refused.exit_code, "not a TTY" in refused.stderr) == (125, True)
    # -t alone needs none here: the program has one.
    assert engine.cli("run", "-t", "--rm", "busybox", "tty").stdout == "/dev/pts/0\n"
    assert engine.containers() == []


def test_two_at_one_terminal_see_the_same(engine: EngineUnderTest) -> None:
    engine.cli("run", "-dit", "--name", "shared", "busybox")
    with at(engine, "attach", "shared") as one, at(engine, "attach", "shared") as other:
        # Again and again, as nobody can see when the other one is attached.
        one.type("while sleep 0.1; do echo from''one; done &\n")
        for terminal in (one, other):
            terminal.expect("fromone\r\n")
        other.type("echo from''other\n")
        for terminal in (one, other):
            terminal.expect("fromother\r\n")
        with subprocess.Popen(
            engine.argv("attach", "--no-stdin", "shared"),
            env=engine.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as third:
            try:
                assert third.stdout is not None
                assert third.stdout.readline()
                one.type("exit 3\n")
                assert [one.ended(), other.ended(), third.wait(15)] == [3, 3, 3]
            finally:
                third.kill()

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.client.start import Starter, last_lines
from orchestrator.errors import Denied, Unavailable
from orchestrator.places import Places

ENGINE = """
import os, pathlib, socket, sys
with open(sys.argv[2], "a") as started:
    started.write(f"{os.getpid()} {os.getsid(0)}\\n")
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
while True:
    listener.accept()[0].close()
"""


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(
        {
            "PYSTACK_RUN_DIR": str(tmp_path / "run"),
            "PYSTACK_SOCKET": str(tmp_path / "run/s"),
            "PYSTACK_LOG_FILE": str(tmp_path / "engine.log"),
        }
    )


Make = Callable[..., Starter]


@pytest.fixture
def make(places: Places, tmp_path: Path) -> Iterator[Make]:
    """A starter of a small engine that says who it is; what was started is ended."""
    told = tmp_path / "started"

    def starter(*command: str, deadline_s: float = 10.0) -> Starter:
        program = command or (sys.executable, "-c", ENGINE, places.socket, str(told))
        return Starter(places, command=program, deadline_s=deadline_s, needs_root=False)

    yield starter
    for line in told.read_text().splitlines() if told.exists() else ():
        pid = int(line.split()[0])
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def started(tmp_path: Path) -> list[list[int]]:
    lines = (tmp_path / "started").read_text().splitlines()
    return [[int(word) for word in line.split()] for line in lines]


def test_nothing_runs_before_something_is_started(make: Make) -> None:
    assert make().running() is None


def test_an_engine_that_does_not_run_is_started_in_a_session_of_its_own(
    make: Make, tmp_path: Path
) -> None:
    make().connect().close()
    [[pid, session]] = started(tmp_path)
    assert session == pid != os.getsid(0)


def test_an_engine_that_runs_is_used(make: Make, tmp_path: Path) -> None:
    for _ in range(3):
        make().connect().close()
    assert len(started(tmp_path)) == 1


def test_commands_that_come_together_start_one_engine(make: Make, tmp_path: Path) -> None:
    threads = [threading.Thread(target=lambda: make().connect().close()) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert len(started(tmp_path)) == 1


def test_a_socket_that_a_dead_engine_left_is_no_engine(places: Places, make: Make) -> None:
    Path(places.run_dir).mkdir()
    Path(places.socket).touch()
    assert make().running() is None


def test_an_engine_that_dies_at_its_start_is_told_with_its_last_words(make: Make) -> None:
    dying = make(sys.executable, "-c", "print('no runtime here'); raise SystemExit(3)")
    with pytest.raises(Unavailable) as caught:
        dying.connect()
    assert caught.value.code == "engine-did-not-start"
    assert "exit code 3" in caught.value.message
    assert "| no runtime here" in caught.value.message


def test_an_engine_that_never_answers_is_not_waited_for_for_ever(
    make: Make, tmp_path: Path
) -> None:
    told = tmp_path / "started"
    code = f"import os, time; open({str(told)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    with pytest.raises(Unavailable, match="did not answer within 1 s"):
        make(sys.executable, "-c", code, deadline_s=1.0).connect()


def test_who_is_not_root_is_told_to_use_sudo(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Denied, match="needs root") as caught:
        Starter(places).connect()
    assert "sudo" in caught.value.hint
    assert not Path(places.run_dir).exists()


def test_the_last_lines_of_a_log_are_read_from_its_end(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert last_lines(log, 3) == []
    log.write_text("".join(f"line {number}\n" for number in range(10_000)))
    assert last_lines(log, 2) == ["line 9998", "line 9999"]

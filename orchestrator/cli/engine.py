"""`engine …`: the engine as a process. Asking for its status does not start it."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from orchestrator.cli.command import Command, no_arguments
from orchestrator.cli.session import Session
from orchestrator.cli.stack.follow import timestamp
from orchestrator.client.engine import Engine
from orchestrator.client.start import last_lines
from orchestrator.errors import Failed, InvalidInput, NotFound

_STOP_DEADLINE_S = 30.0
_POLL_S = 0.02
_FOLLOW_POLL_S = 0.2
_UNIT_DIRECTORY = "/etc/systemd/system"
_UNITS = ("pystack.socket", "pystack.service")


def _start(session: Session, args: argparse.Namespace) -> int:
    version = session.engine.get("/version")
    session.say(f"running, version {version.get('Version', '?')}, at {session.places.socket}")
    return 0


def _stop(session: Session, args: argparse.Namespace) -> int:
    connection = session.starter.running()
    if connection is None:
        session.say("not running")
        return 0
    connections = [connection]
    asked = Engine(connections.pop)
    asked.post("/pystack/v1/shutdown")
    deadline = time.monotonic() + _STOP_DEADLINE_S
    while (still := session.starter.running()) is not None:
        still.close()
        if time.monotonic() > deadline:
            raise Failed(
                f"the engine still answers {_STOP_DEADLINE_S:g} s after it was asked to end",
                code="engine-did-not-stop",
                hint=f"see {session.places.log_file}; killing it is safe, too",
            )
        time.sleep(_POLL_S)
    session.say("stopped; containers go on")
    return 0


def _status(session: Session, args: argparse.Namespace) -> int:
    connection = session.starter.running()
    if connection is None:
        session.say("not running")
        return 1
    connections = [connection]
    version = Engine(connections.pop).get("/version")
    session.say(f"running, version {version.get('Version', '?')}, at {session.places.socket}")
    return 0


def _logs_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-f", "--follow", action="store_true", help="go on as it is written")
    add("-n", "--tail", type=int, default=100, metavar="N", help="the last N lines (100)")
    add("--json", action="store_true", help="lines as they are in the file")


def _logs(session: Session, args: argparse.Namespace) -> int:
    path = session.places.log_file
    if not os.path.exists(path):
        raise NotFound(
            f"the engine has no log yet: {path}",
            code="no-log",
            about=path,
            hint="start the engine: pystack engine start",
        )
    for line in last_lines(path, args.tail):
        session.say(line if args.json else _readable(line))
    while args.follow:
        _follow(session, path, raw=args.json)
    return 0


def _follow(session: Session, path: str, *, raw: bool) -> None:
    """Print what is written to the log until it is rotated."""
    with open(path) as log:
        log.seek(0, os.SEEK_END)
        while True:
            session.stdout.flush()
            line = log.readline()
            if line:
                session.say(line.rstrip("\n") if raw else _readable(line))
                continue
            time.sleep(_FOLLOW_POLL_S)
            if not os.path.exists(path) or os.stat(path).st_ino != os.fstat(log.fileno()).st_ino:
                return


def _readable(line: str) -> str:
    """A JSON line of the log as words: time, level, what happened, and the rest as name=value."""
    try:
        record: Any = json.loads(line)
    except ValueError:
        return line.rstrip("\n")
    if not isinstance(record, dict):
        return line.rstrip("\n")
    when = record.pop("timestamp", record.pop("time", ""))
    if isinstance(when, int | float):
        when = timestamp(when)
    level, event = record.pop("level", ""), record.pop("event", record.pop("message", ""))
    rest = " ".join(f"{name}={value}" for name, value in record.items())
    return " ".join(str(word) for word in (when, f"{level:<7}", event, rest) if word)


def _run(session: Session, args: argparse.Namespace) -> int:
    os.execv(sys.executable, [sys.executable, "-m", "orchestrator.daemon"])


def _units_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--install",
        nargs="?",
        const=_UNIT_DIRECTORY,
        default="",
        metavar="DIR",
        help=f"write them there ({_UNIT_DIRECTORY}) instead of printing them",
    )


def _units(session: Session, args: argparse.Namespace) -> int:
    for name in _UNITS:
        text = _unit(name)
        if not args.install:
            session.say(f"# {name}")
            session.say(text)
            continue
        path = Path(args.install, name)
        try:
            path.write_text(text)
        except OSError as error:
            raise InvalidInput(
                f"{path} cannot be written: {error.strerror}",
                code="units-not-written",
                about=str(path),
                hint="use sudo, or name another directory: --install DIR",
            ) from error
        session.note(f"wrote {path}")
    if args.install:
        session.note("now: systemctl daemon-reload && systemctl enable --now pystack.socket")
        session.note("and, so that stacks come back at boot: systemctl enable pystack.service")
    return 0


def _unit(name: str) -> str:
    """A unit file with the interpreter that runs this, so that it finds the same packages."""
    text = (Path(__file__).resolve().parents[1] / "systemd" / name).read_text()
    return text.replace("/usr/bin/python3", sys.executable)


COMMANDS = {
    "start": Command(no_arguments, _start),
    "stop": Command(no_arguments, _stop),
    "status": Command(no_arguments, _status),
    "logs": Command(_logs_arguments, _logs),
    "run": Command(no_arguments, _run),
    "units": Command(_units_arguments, _units),
}

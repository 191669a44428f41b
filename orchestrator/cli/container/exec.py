"""`exec`."""

from __future__ import annotations

import argparse
import time
from contextlib import ExitStack
from typing import Any

from orchestrator.cli.command import Command
from orchestrator.cli.container.attached import check_terminal
from orchestrator.cli.container.options.variables import environment
from orchestrator.cli.container.relay import Relay
from orchestrator.cli.container.signals import handed_on, window_followed
from orchestrator.cli.session import Session
from orchestrator.cli.terminal import raw, window
from orchestrator.client.engine import quote
from orchestrator.errors import Failed, NotFound, Unavailable
from orchestrator.model.detach import DEFAULT, DetachKeys, key_bytes

_EXIT_DETACHED = 1
_RETRY_S = 0.2
_TRIES = 50


def _arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-d", "--detach", action="store_true", help="run it in the background")
    add("-i", "--interactive", action="store_true", help="send it stdin")
    add("-t", "--tty", action="store_true", help="give it a terminal")
    add("-e", "--env", action="append", default=[], metavar="NAME[=VALUE]", help="a variable")
    add("--env-file", action="append", default=[], metavar="FILE", help="a file of variables")
    add("-u", "--user", default="", metavar="USER[:GROUP]", help="who it runs as")
    add("-w", "--workdir", default="", metavar="DIR", help="its working directory")
    add("--privileged", action="store_true", help="with all rights of root")
    add("--detach-keys", default="", metavar="KEYS", help="what leaves it running")
    add("container", metavar="CONTAINER", help="a name or id")
    add("command", nargs=argparse.REMAINDER, metavar="COMMAND …", help="what to run")


def _exec(session: Session, args: argparse.Namespace) -> int:
    keys = key_bytes(args.detach_keys or DEFAULT)
    if not args.detach:
        check_terminal(stdin=args.interactive, tty=args.tty)
    made = session.engine.post(f"/containers/{quote(args.container)}/exec", _body(session, args))
    identifier = str(made["Id"])
    if args.detach:
        session.engine.post(f"/exec/{identifier}/start", {"Detach": True, "Tty": args.tty})
        return 0
    return _Attached(session, identifier, args, keys).run()


def _body(session: Session, args: argparse.Namespace) -> dict[str, Any]:
    attached = not args.detach
    return {
        "AttachStdin": args.interactive and attached,
        "AttachStdout": attached,
        "AttachStderr": attached,
        "Tty": args.tty,
        "DetachKeys": args.detach_keys,
        "Env": environment(args.env_file, args.env, session.environ),
        "Cmd": args.command,
        "User": args.user,
        "WorkingDir": args.workdir,
        "Privileged": args.privileged,
    }


class _Attached:
    """An exec with this process' stdio."""

    def __init__(
        self, session: Session, identifier: str, args: argparse.Namespace, keys: bytes
    ) -> None:
        self._session = session
        self._engine = session.engine
        self._id = identifier
        self._tty: bool = args.tty
        self._stdin: bool = args.interactive
        self._keys = keys

    def run(self) -> int:
        """The exit code of the command, also where the engine was killed meanwhile."""
        size = window(1) if self._tty else None
        body = {"Detach": False, "Tty": self._tty, "ConsoleSize": size}
        # Signals are this process' own: an exec has no way to be sent one.
        with handed_on(_nowhere, proxy=False):
            detached = self._join(f"/exec/{self._id}/start", body)
            for _ in range(_TRIES):
                if detached:
                    self._session.note("read escape sequence")
                    return _EXIT_DETACHED
                try:
                    found = self._engine.get(f"/exec/{self._id}/json")
                    if found.get("Adopted"):
                        self._tell_of_loss()
                    if not found["Running"]:
                        return int(found["ExitCode"] or 0)
                    detached = self._join(f"/pystack/v1/execs/{self._id}/attach", None)
                except Unavailable:
                    time.sleep(_RETRY_S)
                except NotFound:
                    break
        raise Failed(
            "the engine has lost the command",
            code="exec-lost",
            about=self._id,
            hint="it may still run: `pystack top CONTAINER` shows what does",
        )

    def _tell_of_loss(self) -> None:
        what = "input and output" if self._stdin else "output"
        self._session.note(f"the engine was restarted; some {what} may be lost\r")

    def _join(self, path: str, body: object) -> bool:
        connection, early = self._engine.hijack(path, body)
        relay = Relay(
            connection,
            framed=not self._tty,
            stdin=0 if self._stdin else None,
            keys=DetachKeys(self._keys) if self._tty else None,
        )
        with ExitStack() as stack:
            stack.enter_context(connection)
            if self._tty:
                stack.enter_context(window_followed(1, self._resize))
                if self._stdin:
                    stack.enter_context(raw(0))
            return relay.run(early)

    def _resize(self, rows: int, columns: int) -> None:
        self._engine.post(f"/exec/{self._id}/resize", h=rows, w=columns)


def _nowhere(_number: int) -> None:
    pass


COMMANDS = {"exec": Command(_arguments, _exec, names="container")}

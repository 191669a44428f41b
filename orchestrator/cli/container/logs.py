"""`logs` of containers."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

from orchestrator.cli.command import Command
from orchestrator.cli.container.relay import write
from orchestrator.cli.container.services import stack_with
from orchestrator.cli.options import UsageError
from orchestrator.cli.session import Session
from orchestrator.cli.stack.logs import log_arguments, show, window
from orchestrator.client.engine import quote
from orchestrator.client.frames import STDERR, STDOUT, Frames
from orchestrator.errors import NotFound, Unavailable

_RETRY_S = 0.2


def _arguments(parser: argparse.ArgumentParser) -> None:
    log_arguments(parser)
    parser.add_argument("--details", action="store_true", help="and what its log options name")
    parser.add_argument("containers", nargs="*", metavar="CONTAINER", help="a name or id")


def _logs(session: Session, args: argparse.Namespace) -> int:
    first = args.containers[0] if args.containers else ""
    if not first:
        raise UsageError("container logs needs a container")
    try:
        found = session.engine.get(f"/containers/{quote(first)}/json")
    except NotFound:
        # Services then, and several at once make sense.
        stack = stack_with(session, first)
        if not stack:
            raise
        show(session, args, stack, args.containers)
        return 0
    if len(args.containers) > 1:
        raise UsageError("logs takes one container, or services of a stack")
    tty = bool((found.get("Config") or {}).get("Tty"))
    _Log(session, args, str(found["Id"]), tty=tty).show()
    return 0


class _Log:
    """One reading of a container's log, which knows the last line it has shown."""

    def __init__(
        self, session: Session, args: argparse.Namespace, container: str, *, tty: bool
    ) -> None:
        self._session = session
        self._container = container
        self._tty = tty
        self._follow: bool = args.follow
        self._timestamps: bool = args.timestamps
        self._query: dict[str, object] = {
            "stdout": True,
            "stderr": True,
            "follow": args.follow,
            "details": args.details,
            # Following, a line's time says where to go on after an engine's death.
            "timestamps": args.timestamps or args.follow,
            **window(args),
        }
        self._last: dict[int, tuple[bytes, int]] = {}

    def show(self) -> None:
        """Print the lines; following, until the container has ended, whatever engine serves."""
        while True:
            try:
                self._print()
                return
            except Unavailable as error:
                if not self._follow or error.code != "engine-gone":
                    raise
            except NotFound:
                if not self._last:
                    raise
                return  # it went while no engine was there
            if self._last:
                self._query |= {"tail": "all", "since": self._since()}
            time.sleep(_RETRY_S)

    def _print(self) -> None:
        path = f"/containers/{self._container}/logs"
        response = self._session.engine.open("GET", path, query=self._query)
        if not self._follow:
            for stream, content in _parts(response.pieces(), framed=not self._tty):
                write(_descriptor(stream), content)
            return
        before = dict(self._last)
        pending = {STDOUT: b"", STDERR: b""}
        for stream, content in _parts(response.pieces(), framed=not self._tty):
            *lines, pending[stream] = (pending[stream] + content).split(b"\n")
            for line in lines:
                self._line(stream, line + b"\n", before)
        # Not after an engine's death: half a line comes again then, whole.
        for stream, rest in pending.items():
            if rest:
                self._line(stream, rest, before)

    def _line(self, stream: int, line: bytes, before: dict[int, tuple[bytes, int]]) -> None:
        moment, _, text = line.partition(b" ")
        shown, count = before.get(stream, (b"", 0))
        # Times of equal length: their order is that of their text.
        if moment < shown:
            return
        if moment == shown and count:
            before[stream] = (shown, count - 1)
            return
        last, same = self._last.get(stream, (b"", 0))
        self._last[stream] = (moment, same + 1 if moment == last else 1)
        write(_descriptor(stream), line if self._timestamps else text)

    def _since(self) -> str:
        """A moment just before the earlier of the last lines of each stream."""
        from datetime import datetime  # noqa: PLC0415

        first = min(moment for moment, _ in self._last.values()).decode()
        whole = datetime.fromisoformat(first[:19] + "+00:00").timestamp()
        return f"{whole + float('0' + first[19:-1]) - 0.000_01:.6f}"


def _parts(pieces: Iterator[bytes], *, framed: bool) -> Iterator[tuple[int, bytes]]:
    frames = Frames()
    for piece in pieces:
        yield from frames.feed(piece) if framed else [(STDOUT, piece)]


def _descriptor(stream: int) -> int:
    return 2 if stream == STDERR else 1


COMMANDS = {"logs": Command(_arguments, _logs, names="containers")}

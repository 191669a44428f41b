"""A terminal or pipe joined to a container: what `run`, `start -a` and `attach` do in front.

An engine that is killed meanwhile takes nothing with it: the next one is started, what the
container wrote in between is taken from its log, and its exit code is found.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any, NamedTuple

from orchestrator.cli.container.relay import Relay, write
from orchestrator.cli.container.signals import ENDING, handed_on, window_followed
from orchestrator.cli.session import Session
from orchestrator.cli.terminal import raw, window
from orchestrator.client.engine import value_of
from orchestrator.client.frames import STDERR, STDOUT, Frames
from orchestrator.client.http import Response
from orchestrator.errors import Conflict, Failed, NotFound, PystackError, Unavailable
from orchestrator.model.detach import DEFAULT, DetachKeys, key_bytes

_RETRY_S = 0.2
_TRIES = 5


class Wishes(NamedTuple):
    """How a container is joined; `removed` says that it goes away when it ends, `runs` that it
    runs already."""

    stdin: bool = False
    tty: bool = False
    stdout: bool = True
    stderr: bool = True
    sig_proxy: bool = True
    detach_keys: str = ""
    removed: bool = False
    runs: bool = False


def run_attached(
    session: Session, container: str, start: Callable[[], None], wishes: Wishes
) -> int | None:
    """The exit code of the container; None where its client detached.

    Attached first and started then, or the first output would be missed. Nothing is to be started
    where it runs already.
    """
    return _Attached(session, container, wishes).run(start)


class _Attached:
    def __init__(self, session: Session, container: str, wishes: Wishes) -> None:
        self._session = session
        self._engine = session.engine
        self._container = container
        self._wishes = wishes
        self._keys = key_bytes(wishes.detach_keys or DEFAULT)
        self._began = 0.0
        self._shown = {STDOUT: 0, STDERR: 0}
        self._told = False
        self._started = wishes.runs

    def run(self, start: Callable[[], None]) -> int | None:
        wishes = self._wishes
        # Asked for before the start: a container that ends at once, and is removed, is not missed.
        ended: Response | None = self._wait(runs=wishes.runs)
        self._began = time.time()
        with handed_on(self._kill, proxy=wishes.sig_proxy and not wishes.tty):
            if self._join(stdin=wishes.stdin, start=start, runs=wishes.runs):
                return None
            code: int | None = None
            failures = 0
            while ended is not None:
                try:
                    return int(value_of(ended)["StatusCode"])
                except Unavailable:
                    time.sleep(_RETRY_S)
                try:
                    code, ended = self._resumed()
                    failures = 0
                except Unavailable:
                    failures += 1
                    if failures == _TRIES:
                        raise
            return code

    def _path(self, verb: str) -> str:
        return f"/containers/{self._container}/{verb}"

    def _wait(self, *, runs: bool) -> Response:
        condition = "removed" if self._wishes.removed else "next-exit"
        if runs and not self._wishes.removed:
            condition = "not-running"  # it may have ended since it was looked at
        return self._engine.open("POST", self._path("wait"), query={"condition": condition})

    def _kill(self, number: int) -> None:
        if not self._started and number in ENDING:
            raise SystemExit(128 + number)
        self._engine.post(self._path("kill"), signal=str(number))

    def _join(self, *, stdin: bool, start: Callable[[], None], runs: bool) -> bool:
        """Whether the client detached; else the container's output has ended."""
        wishes = self._wishes
        size = window(1) if wishes.tty else None
        connection, early = self._engine.hijack(
            self._path("attach"),
            stream=True,
            stdin=stdin,
            stdout=wishes.stdout,
            stderr=wishes.stderr,
            detachKeys=wishes.detach_keys,
            nowait=runs,
            **({"h": size[0], "w": size[1]} if size else {}),
        )
        relay = Relay(
            connection,
            framed=not wishes.tty,
            stdin=_stdin() if stdin else None,
            keys=DetachKeys(self._keys) if wishes.tty else None,
        )
        with ExitStack() as stack:
            stack.enter_context(connection)
            start()
            self._started = True
            if wishes.tty:
                if runs and size:
                    # A size that changes makes programs that fill the screen draw it anew.
                    with suppress(PystackError):
                        self._resize(size[0] + 1, size[1])
                stack.enter_context(window_followed(1, self._resize))
                if stdin:
                    stack.enter_context(raw(_stdin()))
            detached = relay.run(early)
        self._shown = {k: self._shown[k] + relay.shown[k] for k in self._shown}
        return detached

    def _resize(self, rows: int, columns: int) -> None:
        self._engine.post(self._path("resize"), h=rows, w=columns)

    # -- after an engine's death

    def _resumed(self) -> tuple[int | None, Response | None]:
        """The exit code of a container that has ended, or (None, None) after detaching; the
        response that will tell it where the container has gone on until now."""
        if self._wishes.stdin and not self._wishes.tty and not self._told:
            self._told = True
            self._session.note("the engine was restarted; input that it still had is lost")
        try:
            found = self._engine.get(self._path("json"))
        except NotFound:
            return self._code_in_history(), None
        state = found["State"]
        if not state["Running"]:
            self._catch_up(follow=False)
            return int(state["ExitCode"]), None
        ended = self._wait(runs=True)
        if self._wishes.stdin and self._wishes.tty:
            self._session.note("the engine was restarted; attached again\r")
            if self._join(stdin=True, start=_nothing, runs=True):
                return None, None
        else:
            self._catch_up(follow=True)
        return None, ended

    def _catch_up(self, *, follow: bool) -> None:
        """Show what the log has of this run and was not shown yet."""
        skip = dict(self._shown)
        try:
            response = self._engine.open(
                "GET",
                self._path("logs"),
                query={
                    "stdout": self._wishes.stdout,
                    "stderr": self._wishes.stderr,
                    "follow": follow,
                    "since": f"{self._began:.6f}",
                },
            )
        except Conflict:  # it keeps none
            self._session.note("what was written while the engine was away is lost")
            return
        frames = Frames()
        for piece in response.pieces():
            parts = [(STDOUT, piece)] if self._wishes.tty else frames.feed(piece)
            for stream, content in parts:
                unseen = content[skip[stream] :]
                skip[stream] = max(0, skip[stream] - len(content))
                self._shown[stream] += len(unseen)
                write(2 if stream == STDERR else 1, unseen)

    def _code_in_history(self) -> int:
        filters = {"container": [self._container], "event": ["die"]}
        query = {
            "since": f"{self._began:.6f}",
            "until": f"{time.time() + 1:.6f}",
            "filters": json.dumps(filters),
        }
        codes = [
            event["Actor"]["Attributes"]["exitCode"]
            for event in self._engine.lines("GET", "/events", query=query)
            if event and event.get("Action") == "die" and event["Actor"]["ID"] == self._container
        ]
        if codes:
            return int(codes[-1])
        raise Failed(
            f"container {self._container[:12]} is gone, and nobody saw its exit code",
            code="exit-code-lost",
            about=self._container,
            hint="`pystack events --since 10m` tells what happened",
        )


def _nothing() -> None:
    pass


def _stdin() -> int:
    return sys.stdin.fileno() if sys.stdin is not None else 0


def check_terminal(*, stdin: bool, tty: bool) -> None:
    """Nothing, where a terminal that is asked for can be had.  Raises: Failed.

    Source: Docker's command line, whose message it is.
    """
    if stdin and tty and not sys.stdin.isatty():
        raise Failed(
            "the input device is not a TTY",
            code="no-terminal",
            about="-t",
            hint="leave -t out",
        )


def described(session: Session, container: str) -> dict[str, Any]:
    """What the engine knows of the container."""
    found: dict[str, Any] = session.engine.get(f"/containers/{container}/json")
    return found

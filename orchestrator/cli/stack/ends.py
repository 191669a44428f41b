"""The first container of a stack that ends, where `up` is to end with it."""

from __future__ import annotations

import argparse
import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from orchestrator.cli.containers import PROJECT, SERVICE
from orchestrator.cli.session import Session
from orchestrator.errors import PystackError


class FirstEnd:
    """Waits, in a thread, for the end that `up` was told to end with; then interrupts the command
    by SIGTERM, which `up` takes as it takes Ctrl-C: SIGINT is ignored where a shell runs it in the
    background. `exit_code` is then the command's."""

    def __init__(self, session: Session, stack: str, args: argparse.Namespace) -> None:
        self._session = session
        self._stack = stack
        self._from = str(args.exit_code_from)
        self._failures_only = bool(args.abort_on_container_failure)
        self._wanted = bool(args.abort_on_container_exit or self._failures_only or self._from)
        self.seen = False
        self.container = ""
        self.exit_code = 0

    @contextmanager
    def watched(self, since: str) -> Iterator[None]:
        """Watches from `since` (Unix seconds) on while the block lasts, where an end is wanted."""
        if self._wanted:
            threading.Thread(target=self._watch, args=(since,), daemon=True).start()
        yield

    def _watch(self, since: str) -> None:
        filters = {"type": ["container"], "event": ["die"], "label": [f"{PROJECT}={self._stack}"]}
        query: dict[str, object] = {"since": since, "filters": json.dumps(filters)}
        try:
            for event in self._session.engine.lines("GET", "/events", query=query):
                if self._is_the_end(event):
                    os.kill(os.getpid(), signal.SIGTERM)
                    return
        except PystackError:
            return  # without an engine there is nothing to wait for; the logs tell

    def _is_the_end(self, event: dict[str, Any]) -> bool:
        said = (event.get("Actor") or {}).get("Attributes") or {}
        if event.get("Action") != "die" or said.get(PROJECT) != self._stack:
            return False
        code = int(said.get("exitCode") or 0)
        if self._failures_only and code == 0:
            return False
        self.seen = True
        self.container = str(said.get("name", ""))
        if not self._from or said.get(SERVICE) == self._from:
            self.exit_code = code
        else:
            self.exit_code = self._code_of_service()
        return True

    def _code_of_service(self) -> int:
        """The exit code of the service that was asked for, once its container has ended too."""
        from orchestrator.cli import containers  # noqa: PLC0415

        found = containers.of_stack(self._session, self._stack, [self._from])
        if not found:
            return 0
        identifier = containers.identifier(found[0], whole=True)
        self._session.engine.post(f"/containers/{identifier}/stop")
        state = self._session.engine.get(f"/containers/{identifier}/json")["State"]
        return int(state["ExitCode"])

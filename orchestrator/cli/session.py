"""What every command works with: the stack options, the environment, the way to the engine."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import cached_property
from typing import TextIO

from orchestrator.cli.options import StackOptions
from orchestrator.client.engine import Engine
from orchestrator.client.start import Starter
from orchestrator.places import Places


class Session:
    """One run of the command line. Nothing is opened before a command asks for it."""

    def __init__(
        self,
        options: StackOptions,
        *,
        environ: Mapping[str, str] = os.environ,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
    ) -> None:
        self.options = options
        self.environ = environ
        self.stdout = stdout or sys.stdout
        self.stderr = stderr or sys.stderr

    @cached_property
    def places(self) -> Places:
        return Places(self.environ)

    @cached_property
    def starter(self) -> Starter:
        return Starter(self.places)

    @cached_property
    def engine(self) -> Engine:
        """The engine; the first request starts it if none runs."""
        return Engine(self.starter.connect)

    def say(self, line: str = "") -> None:
        """A line of the command's answer, on stdout."""
        print(line, file=self.stdout)

    def note(self, line: str) -> None:
        """A line beside the answer, on stderr."""
        print(line, file=self.stderr)

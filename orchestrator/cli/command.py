"""What a command is: its arguments and what it does."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NamedTuple

from orchestrator.cli.session import Session


class Command(NamedTuple):
    """One form of one command.

    `arguments` declares its arguments; `run` does it and returns the exit code. `names` is where
    its parsed arguments keep the things it is about, "" where it takes none. A command about a
    stack takes the stack options too, with their short names when `short_options`.
    """

    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[Session, argparse.Namespace], int]
    names: str = ""
    short_options: bool = False


def no_arguments(parser: argparse.ArgumentParser) -> None:
    """For commands that take none."""

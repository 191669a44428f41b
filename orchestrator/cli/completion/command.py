"""`completion`, which prints a shell's script, and `__complete`, which that script asks.

`pystack __complete WORD…` prints what the last word may become (it may be empty), one candidate a
line, then a tab and a few words on it. A line `:file` or `:directory` asks the shell for the paths
that it knows itself. Nothing is said of errors, and no engine is started: it runs at a keystroke.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from orchestrator.cli.command import Command
from orchestrator.cli.session import Session

_PATHS = ("file", "directory")
SHELLS = ("bash", "zsh", "fish")


def complete(words: Sequence[str]) -> int:
    """Prints the candidates for the last word; the exit code is always 0."""
    try:
        for line in lines(words):
            print(line)
    except (Exception, SystemExit):
        # A half-written command line, file or engine is no news to somebody who types.
        return 0
    return 0


def lines(words: Sequence[str]) -> Iterator[str]:
    """The candidates for the last word as lines, sorted; paths last."""
    from orchestrator.cli.completion.names import quietly  # noqa: PLC0415
    from orchestrator.cli.completion.place import place  # noqa: PLC0415

    *before, word = words or [""]
    there = place(before, word)
    begun = word.removeprefix(there.kept)
    session = Session(there.options)
    found = dict(there.fixed)
    for kind in there.kinds:
        if kind not in _PATHS:
            for name, summary in quietly(session, kind, there.verb):
                if name not in there.named:
                    found.setdefault(name, summary)
    for name in sorted(found):
        if name.startswith(begun):
            summary = " ".join(found[name].split())
            yield there.kept + name + (f"\t{summary}" if summary else "")
    if ":" in begun and any(kind.endswith(":") for kind in there.kinds):
        return  # a path in the container, which nobody here knows
    for kind in there.kinds:
        if kind in _PATHS:
            yield f":{kind}"
            return


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, help="the shell that is to complete")


def _completion(session: Session, args: argparse.Namespace) -> int:
    from orchestrator.cli.completion.scripts import SCRIPTS  # noqa: PLC0415

    session.say(SCRIPTS[args.shell].rstrip("\n"))
    return 0


COMMANDS = {"completion": Command(_arguments, _completion)}

"""The entry point: words to a command, errors to exit codes.

Exit codes: the command's own, 1 for an error, 2 for a wrong command line, 130 for Ctrl-C, 141 for
a reader of stdout that went away (128 + SIGPIPE, as any other program's).
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from orchestrator.cli.commands import DOCKER, GROUPS, OWN, STACK, choose
from orchestrator.cli.options import UsageError, split_options
from orchestrator.cli.outcome import error_lines
from orchestrator.cli.session import Session
from orchestrator.errors import PystackError

EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
EXIT_PIPE = 141


def enter() -> NoReturn:
    """Be the command line: run the command that this process was started with, and end."""
    if None in (sys.stdin, sys.stdout, sys.stderr):
        _open_missing_streams()
    # Most commands are over before there is anything to collect: looking for it costs `up` 5 ms.
    gc.set_threshold(50_000)
    code = main(sys.argv[1:])
    with suppress(OSError, ValueError):
        sys.stderr.flush()
    # Taking the interpreter down in order costs 4 ms, and nothing here waits for it: what was
    # written is flushed, and blocks have ended.
    os._exit(code)


def _open_missing_streams() -> None:
    """Gives the process those of stdin, stdout and stderr that it was started without.

    Else the connection to the engine would become stdin, and be read as what the user typed.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, os.fdopen(number, "w" if number else "r"))


def main(words: Sequence[str]) -> int:
    """Run one command; the exit code."""
    try:
        code = _run(words)
        sys.stdout.flush()
    except BaseException as error:
        code = _ended_by(error)
    return code


def _ended_by(error: BaseException) -> int:
    """The exit code of an error, after the user was told."""
    code = EXIT_ERROR
    if isinstance(error, SystemExit):  # argparse, after --help
        code = error.code if isinstance(error.code, int) else 0
    elif isinstance(error, KeyboardInterrupt):
        code = EXIT_INTERRUPTED
    elif isinstance(error, BrokenPipeError):
        # Python flushes stdout once more at exit: give it a place that takes everything.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_PIPE
    elif isinstance(error, UsageError):
        _complain(error.message, error.usage)
        code = error.exit_code
    else:
        _tell(error)
        code = getattr(error, "exit_code", EXIT_ERROR)
    return code


def _tell(error: BaseException) -> None:
    if os.environ.get("PYSTACK_DEBUG") == "1":
        import traceback  # noqa: PLC0415

        traceback.print_exception(error)
    if isinstance(error, PystackError):
        for line in error_lines(error):
            print(line, file=sys.stderr)
    elif isinstance(error, OSError):
        named = error.filename is not None
        _complain(f"{error.filename}: {error.strerror}" if named else str(error))
    else:
        _complain(
            f"this is a bug in pystack: {type(error).__name__}: {error}",
            "set PYSTACK_DEBUG=1 to see where",
        )


def _complain(message: str, hint: str = "") -> None:
    # A stderr that takes nothing does not change the exit code.
    with suppress(OSError):
        print(f"error: {message}", file=sys.stderr)
        if hint:
            print(f"  {hint}", file=sys.stderr)


def _run(words: Sequence[str]) -> int:
    if words and words[0] == "__complete":
        from orchestrator.cli.completion.command import complete  # noqa: PLC0415

        return complete(words[1:])
    options, rest = split_options(words)
    compose = bool(rest) and rest[0] == "compose"
    if compose:
        more, rest = split_options(rest[1:])
        options.add(more)
    if not rest or rest[0] in ("-h", "--help", "help"):
        print(_help())
        return 0 if rest else EXIT_USAGE
    if rest[0] in ("-v", "--version"):
        rest = ["version"]
    if rest[0].startswith("-"):
        raise UsageError(f"unknown option {rest[0]}", "pystack [-f FILE] [-p NAME] COMMAND …")
    chosen = choose(rest, options, compose=compose)
    return chosen.command.run(Session(chosen.options), chosen.args)


def _help() -> str:
    lines = [
        "usage: pystack [-f FILE]… [-p NAME] [--project-directory DIR] [--env-file FILE]…",
        "               [--profile NAME]… COMMAND …",
        "",
        "Run multi-container applications from one stack file, without Docker.",
    ]
    sections = [
        ("Stacks", {name: entry.summary for name, entry in STACK.items()}),
        (
            "Containers and images",
            {name: entry.summary for name, entry in DOCKER.items()},
        ),
        (
            "Groups",
            {name: ", ".join(members) for name, members in GROUPS.items()},
        ),
        ("Beside", {name: entry.summary for name, entry in OWN.items()}),
    ]
    for title, entries in sections:
        lines += ["", f"{title}:"]
        lines += [f"  {name:<10} {summary}" for name, summary in entries.items()]
    lines += [
        "",
        "A name in both lists is about the stack with -f or -p, after `pystack compose`, or when",
        "it is given nothing; else it is about the containers or images it is given.",
        "pystack COMMAND --help shows a command's arguments.",
    ]
    return "\n".join(lines)

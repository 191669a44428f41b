"""The options before a command, which choose a stack, and the parser of those after it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from typing import NoReturn

from orchestrator.cli.switches import plain_switches


class UsageError(Exception):
    """The command line cannot be understood; `usage` is the line that says how it is written."""

    def __init__(self, message: str, usage: str = "", exit_code: int = 2) -> None:
        super().__init__(message)
        self.message = message
        self.usage = usage
        self.exit_code = exit_code


class Parser(argparse.ArgumentParser):
    """An argument parser that raises instead of ending the process.

    `usage_exit` is the exit code of a wrong command line.
    """

    usage_exit = 2

    def __init__(
        self,
        *,
        prog: str | None = None,
        usage: str | None = None,
        description: str = "",
        epilog: str = "",
        allow_abbrev: bool = True,
        add_help: bool = True,
        shown_by: type[argparse.HelpFormatter] = argparse.HelpFormatter,
    ) -> None:
        self._shown_by = shown_by
        super().__init__(
            prog=prog,
            usage=usage,
            description=description,
            epilog=epilog,
            allow_abbrev=allow_abbrev,
            add_help=add_help,
            # argparse makes a formatter for each argument that is declared, to see that it can,
            # and one without a width asks the terminal every time (3 ms for `exec`).
            formatter_class=partial(argparse.HelpFormatter, width=80),
        )

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As argparse does, and switches may have a value: `--rm=false`."""
        remainder = any(a.nargs == argparse.REMAINDER for a in self._get_positional_actions())
        words, off = plain_switches(
            sys.argv[1:] if args is None else args,
            self._option_string_actions,
            to_first_name=remainder,
        )
        found, rest = super().parse_known_args(words, namespace)
        for dest in off:
            setattr(found, dest, False)
        return found, rest

    def format_help(self) -> str:
        self.formatter_class = self._shown_by
        return super().format_help()

    def format_usage(self) -> str:
        self.formatter_class = self._shown_by
        return super().format_usage()

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, self.format_usage().strip(), self.usage_exit)


class StackOptions:
    """Which stack a command is about, as far as the command line says."""

    def __init__(
        self,
        *,
        file: Iterable[str] = (),
        project_name: str = "",
        project_directory: str = "",
        env_file: Iterable[str] = (),
        profile: Iterable[str] = (),
    ) -> None:
        self.file = list(file)
        self.project_name = project_name
        self.project_directory = project_directory
        self.env_file = list(env_file)
        self.profile = list(profile)

    @property
    def chosen(self) -> bool:
        """Whether anything was said, which makes a command one about a stack."""
        return bool(
            self.file
            or self.project_name
            or self.project_directory
            or self.env_file
            or self.profile
        )

    def add(self, other: StackOptions) -> None:
        """Take what `other` says on top; its scalars win."""
        self.file += other.file
        self.env_file += other.env_file
        self.profile += other.profile
        self.project_name = other.project_name or self.project_name
        self.project_directory = other.project_directory or self.project_directory


_VALUES = {
    "-f": "file",
    "--file": "file",
    "-p": "project_name",
    "--project-name": "project_name",
    "--project-directory": "project_directory",
    "--env-file": "env_file",
    "--profile": "profile",
}
LONG_OPTIONS = frozenset(name for name in _VALUES if name.startswith("--"))


def split_options(words: Sequence[str]) -> tuple[StackOptions, list[str]]:
    """The stack options that `words` begin with, and the rest: the command and its words.

    An unknown option stays where it is, so that the rest begins with it.
    Raises: UsageError: an option lacks its value.
    """
    options = StackOptions()
    rest = list(words)
    while rest and rest[0].startswith("-"):
        name, value = rest[0], None
        if name.startswith("--") and "=" in name:
            name, _, value = name.partition("=")
        elif not name.startswith("--") and len(name) > 2:
            name, value = name[:2], name[2:].removeprefix("=")
        if name not in _VALUES:
            break
        rest.pop(0)
        if value is None:
            if not rest:
                raise UsageError(f"option {name} needs a value")
            value = rest.pop(0)
        _set(options, _VALUES[name], value)
    return options, rest


def _set(options: StackOptions, key: str, value: str) -> None:
    present = getattr(options, key)
    if isinstance(present, list):
        present.append(value)
    else:
        setattr(options, key, value)


def add_stack_arguments(parser: argparse.ArgumentParser, *, short: bool = False) -> None:
    """Accept the stack options after the command too: `up -f stack.yml`.

    Only long names unless `short`, because `-f` is `--follow` to logs and `-p` a port to run.
    """
    group = parser.add_argument_group("which stack")

    def names(*every: str) -> list[str]:
        return [name for name in every if short or name.startswith("--")]

    group.add_argument(
        *names("-f", "--file"),
        action="append",
        default=[],
        dest="stack_file",
        metavar="FILE",
        help="the stack file; may be repeated",
    )
    group.add_argument(
        *names("-p", "--project-name"),
        default="",
        dest="stack_project_name",
        metavar="NAME",
        help="the stack's name",
    )
    group.add_argument(
        "--project-directory",
        default="",
        dest="stack_project_directory",
        metavar="DIR",
        help="where relative paths begin",
    )
    group.add_argument(
        "--env-file",
        action="append",
        default=[],
        dest="stack_env_file",
        metavar="FILE",
        help="variables for the stack file",
    )
    group.add_argument(
        "--profile",
        action="append",
        default=[],
        dest="stack_profile",
        metavar="NAME",
        help="a profile to enable",
    )


def stack_options_of(args: argparse.Namespace) -> StackOptions:
    """What `add_stack_arguments` has parsed."""
    return StackOptions(
        file=args.stack_file,
        project_name=args.stack_project_name,
        project_directory=args.stack_project_directory,
        env_file=args.stack_env_file,
        profile=args.stack_profile,
    )

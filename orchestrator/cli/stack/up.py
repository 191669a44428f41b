"""`up`: send the stack, show it come up, follow its logs, stop it at Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import time
from typing import TYPE_CHECKING, Any

from orchestrator.cli.command import Command
from orchestrator.cli.options import UsageError
from orchestrator.cli.session import Session
from orchestrator.cli.stack.ends import FirstEnd
from orchestrator.cli.stack.follow import Follower, LogPrinter
from orchestrator.cli.stack.plan import show_plan
from orchestrator.cli.stack.request import chosen, up_arguments, up_body
from orchestrator.cli.stack.wish import check_services, wish
from orchestrator.cli.terminal import Terminal
from orchestrator.errors import PystackError

if TYPE_CHECKING:
    from orchestrator.model.stack import Stack

_EXIT_INTERRUPTED = 130
_LAST_LINES = 10


def _arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-d", "--detach", action="store_true", help="return when everything runs")
    add("--wait", action="store_true", help="return when everything is healthy")
    add("--wait-timeout", type=float, default=0.0, metavar="SECONDS", help="wait no longer")
    add("--attach", action="append", default=[], metavar="SERVICE", help="only its output")
    add("--attach-dependencies", action="store_true", help="the output of dependencies too")
    add("--no-attach", action="append", default=[], metavar="SERVICE", help="not its output")
    add("--abort-on-container-exit", action="store_true", help="stop all when one ends")
    add("--abort-on-container-failure", action="store_true", help="stop all when one fails")
    add("--exit-code-from", default="", metavar="SERVICE",
        help="exit with its exit code; stops all when one ends")  # fmt: skip
    add("-w", "--watch", action="store_true", help="carry changes of the source over")
    add("--follow", action="store_true", help="apply the stack file again when it changes")
    add("--no-color", action="store_true", help="plain log prefixes")
    add("--no-log-prefix", action="store_true", help="log lines without a prefix")
    add("--timestamps", action="store_true", help="log lines with their time")
    add("--dry-run", action="store_true", help="print what would be done, and why")
    add("--menu", action="store_true", help=argparse.SUPPRESS)
    up_arguments(parser)


def _up(session: Session, args: argparse.Namespace) -> int:
    _check(args)
    if args.dry_run:
        return show_plan(session, args)
    stack, loaded = chosen(session, args)
    check_services(stack, [*args.attach, *args.no_attach, *filter(None, [args.exit_code_from])])
    body = up_body(stack, loaded, args)
    if args.detach or args.wait or args.no_start:
        return _detached(session, stack, body, args)
    # SIGTERM means what Ctrl-C does: stop the stack, then go.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _attached(session, stack, body, args)
    finally:
        signal.signal(signal.SIGTERM, before)


def _check(args: argparse.Namespace) -> None:
    """Raises: UsageError: options that exclude each other."""
    apart = args.detach or args.wait
    ends = args.abort_on_container_exit or args.abort_on_container_failure or args.exit_code_from
    if apart and (ends or args.attach or args.watch or args.follow):
        raise UsageError(
            "--detach and --wait exclude --attach, --watch, --follow and what ends with a container"
        )
    if args.abort_on_container_exit and args.abort_on_container_failure:
        raise UsageError(
            "--abort-on-container-exit and --abort-on-container-failure exclude each other"
        )


def _detached(
    session: Session, stack: Stack, body: dict[str, Any], args: argparse.Namespace
) -> int:
    body["wait"] = "healthy" if args.wait else "running"
    body["wait_timeout_s"] = args.wait_timeout
    try:
        bring_up(session, stack, body)
    except KeyboardInterrupt:
        session.note("")
        session.note(
            f"the engine goes on without this command; pystack -p {stack.name} down ends it"
        )
        return _EXIT_INTERRUPTED
    return 0


def _attached(
    session: Session, stack: Stack, body: dict[str, Any], args: argparse.Namespace
) -> int:
    shown = _shown(stack, args)
    terminal = Terminal(session.stdout, session.environ)
    terminal.colours = terminal.colours and not args.no_color
    printer = LogPrinter(
        terminal, _names(stack, shown), prefix=not args.no_log_prefix, timestamps=args.timestamps
    )
    since = f"{time.time():.6f}"
    follower = Follower(session, stack.name, printer, since=since, services=shown)
    end = FirstEnd(session, stack.name, args)
    try:
        with end.watched(since), _beside(session, stack, args):
            bring_up(session, stack, body)
            follower.follow()
    except KeyboardInterrupt:
        _stop(session, stack.name, end)
        # The last words of what was stopped.
        follower.rest()
        return end.exit_code if end.seen else _EXIT_INTERRUPTED
    return end.exit_code if end.seen else 0


def _beside(session: Session, stack: Stack, args: argparse.Namespace) -> Any:
    """What goes on beside the logs while they are followed."""
    from orchestrator.cli.stack.beside import beside  # noqa: PLC0415  (rarely used)

    return beside(session, stack, args)


def _shown(stack: Stack, args: argparse.Namespace) -> list[str]:
    """The services whose output is shown."""
    if args.attach:
        return list(args.attach)
    named = set(args.services)
    return [
        s.name
        for s in stack.services
        if s.attach
        and s.name not in args.no_attach
        and (not named or s.name in named or args.attach_dependencies)
    ]


def _names(stack: Stack, services: list[str]) -> list[str]:
    return [
        f"{service.name}-{number}"
        for service in stack.services
        if service.name in services
        for number in range(1, service.scale + 1)
    ]


def bring_up(session: Session, stack: Stack, body: dict[str, Any]) -> None:
    """Nothing, once the stack is up; says so where nothing had to be done.

    Raises: PystackError: after the last lines of a container that did not become healthy.
    """
    try:
        result = wish(session, stack.name, "up", body)
    except PystackError as error:
        if error.code == "not-healthy":
            _show_last_lines(session, stack.name, error.about)
        raise
    if result.get("changed") == 0:
        session.note("up to date, nothing to change")


def _show_last_lines(session: Session, stack: str, container: str) -> None:
    printer = LogPrinter(Terminal(session.stderr, session.environ))
    service = container.removeprefix(f"{stack}-").rpartition("-")[0]
    services = [service] if service else []
    try:
        Follower(session, stack, printer, tail=str(_LAST_LINES), services=services).rest()
    except PystackError:
        return  # the error that is told next matters more


def _stop(session: Session, name: str, end: FirstEnd) -> None:
    """Stop the stack, by its own grace first; without any at a second Ctrl-C."""
    if end.seen:
        session.note(f"stopping, as {end.container} ended with exit code {end.exit_code}")
    else:
        session.note("")
        session.note("stopping; press Ctrl-C again to stop at once")
    try:
        wish(session, name, "stop", {})
    except KeyboardInterrupt:
        wish(session, name, "stop", {"grace_s": 0.0})


COMMANDS = {"up": Command(_arguments, _up, names="services", short_options=True)}

"""`start`, `stop`, `restart`, `kill`, `rm` and `wait` of containers."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

from orchestrator.cli.arguments import seconds
from orchestrator.cli.command import Command
from orchestrator.cli.container.attach import attach_arguments, attach_to
from orchestrator.cli.container.attached import Wishes, described, run_attached
from orchestrator.cli.container.services import or_service
from orchestrator.cli.options import UsageError
from orchestrator.cli.outcome import each, tell
from orchestrator.cli.session import Session
from orchestrator.cli.together import together
from orchestrator.client.engine import quote
from orchestrator.errors import InvalidInput, NotFound, PystackError


def _start_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-a", "--attach", action="store_true", help="show its output")
    parser.add_argument("-i", "--interactive", action="store_true", help="and send it stdin")
    attach_arguments(parser)
    _some(parser)


def _grace_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-t",
        "--time",
        "--timeout",
        type=_grace,
        default=None,
        metavar="SECONDS",
        help="how long it may take to stop; -1 for ever (default: as it says)",
    )
    parser.add_argument("-s", "--signal", default="", metavar="SIGNAL", help="how to ask it to end")
    _some(parser)


def _grace(text: str) -> float:
    return -1.0 if text == "-1" else seconds(text)


def _kill_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-s", "--signal", default="KILL", metavar="SIGNAL", help="which signal")
    _one_or_more(parser)


def _rm_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--force", action="store_true", help="kill it if it runs")
    parser.add_argument("-v", "--volumes", action="store_true", help="its anonymous volumes too")
    parser.add_argument("-l", "--link", action="store_true", help="the link /NAME/ALIAS, not it")
    _one_or_more(parser)


def _some(parser: argparse.ArgumentParser) -> None:
    # None at all is for the stack in scope: see orchestrator.cli.commands, rule 4.
    parser.add_argument("containers", nargs="*", metavar="CONTAINER", help="names or ids")


def _one_or_more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("containers", nargs="+", metavar="CONTAINER", help="names or ids")


def _start(session: Session, args: argparse.Namespace) -> int:
    if args.attach or args.interactive:
        return _start_attached(session, args)
    return _changed(session, args, "start", lambda name: _post(session, name, "start"), None)


def _start_attached(session: Session, args: argparse.Namespace) -> int:
    if len(args.containers) != 1:
        raise InvalidInput(
            "you cannot start and attach multiple containers at once",
            code="flags-conflict",
            about="-a",
            hint="name one container, or leave -a and -i out",
        )
    found = described(session, quote(args.containers[0]))
    identifier, config = str(found["Id"]), found["Config"]
    wishes = Wishes(
        stdin=args.interactive and bool(config.get("OpenStdin")),
        tty=bool(config.get("Tty")),
        sig_proxy=args.sig_proxy,
        detach_keys=args.detach_keys,
        removed=bool((found.get("HostConfig") or {}).get("AutoRemove")),
    )
    if found["State"]["Running"]:
        return attach_to(session, found, wishes)
    start = partial(_post, session, identifier, "start")
    return run_attached(session, identifier, start, wishes) or 0


def _stop(session: Session, args: argparse.Namespace) -> int:
    def stop(name: str) -> None:
        _post(session, name, "stop", t=args.time, signal=args.signal)

    return _changed(session, args, "stop", stop, args.time)


def _restart(session: Session, args: argparse.Namespace) -> int:
    def restart(name: str) -> None:
        _post(session, name, "restart", t=args.time, signal=args.signal)

    return _changed(session, args, "restart", restart, args.time)


def _changed(
    session: Session,
    args: argparse.Namespace,
    verb: str,
    do: Callable[[str], None],
    grace_s: float | None,
) -> int:
    """Change all at once, as stopping may take each its ten seconds; print the names of the done.

    A name that no container has may be a service's.
    """
    if not args.containers:
        raise UsageError(f"container {verb} needs a container")
    outcomes = iter(together(do, args.containers))

    def finish(name: str) -> None:
        outcome = next(outcomes)
        if isinstance(outcome, PystackError):
            or_service(session, name, outcome, verb, grace_s)
        elif isinstance(outcome, Exception):
            raise outcome
        else:
            session.say(name)

    return each(session, args.containers, finish)


def _kill(session: Session, args: argparse.Namespace) -> int:
    def kill(name: str) -> None:
        _post(session, name, "kill", signal=args.signal)
        session.say(name)

    return each(session, args.containers, kill)


def _rm(session: Session, args: argparse.Namespace) -> int:
    def remove(name: str) -> None:
        path = f"/containers/{quote(name.strip('/'))}"
        session.engine.delete(path, force=args.force, v=args.volumes, link=args.link)

    outcomes = iter(together(remove, args.containers))

    def finish(name: str) -> None:
        outcome = next(outcomes)
        if isinstance(outcome, NotFound) and args.force:
            tell(session, outcome)  # as it was to be
        elif isinstance(outcome, Exception):
            raise outcome
        else:
            session.say(name)

    return each(session, args.containers, finish)


def _wait(session: Session, args: argparse.Namespace) -> int:
    def wait(name: str) -> None:
        ended = session.engine.post(f"/containers/{quote(name)}/wait")
        session.say(str(ended["StatusCode"]))

    return each(session, args.containers, wait)


def _post(session: Session, name: str, verb: str, **query: object) -> None:
    session.engine.post(f"/containers/{quote(name)}/{verb}", **query)


COMMANDS = {
    "start": Command(_start_arguments, _start, names="containers"),
    "stop": Command(_grace_arguments, _stop, names="containers"),
    "restart": Command(_grace_arguments, _restart, names="containers"),
    "kill": Command(_kill_arguments, _kill, names="containers"),
    "rm": Command(_rm_arguments, _rm, names="containers"),
    "wait": Command(_one_or_more, _wait, names="containers"),
}

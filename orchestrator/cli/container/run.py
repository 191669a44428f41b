"""`run` and `create`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from orchestrator.cli.command import Command
from orchestrator.cli.container.attached import Wishes, check_terminal, run_attached
from orchestrator.cli.container.flags import container_arguments, create_body
from orchestrator.cli.container.idfile import id_file
from orchestrator.cli.container.options.process import attached_streams
from orchestrator.cli.container.signals import Ending
from orchestrator.cli.options import Parser
from orchestrator.cli.outcome import tell
from orchestrator.cli.session import Session
from orchestrator.errors import InvalidInput, NotFound, PystackError

_EXIT_ENGINE = 125
# Source: Docker's reference, "docker container run", exit status.
_EXIT_BY_CODE = {"command-not-executable": 126, "command-not-found": 127}


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    if isinstance(parser, Parser):
        # The command's own exit codes must be told from ours.
        parser.usage_exit = _EXIT_ENGINE
    add = parser.add_argument
    add("-d", "--detach", action="store_true", help="print its id and return")
    add("--detach-keys", default="", metavar="KEYS", help="what leaves it running")
    add("--sig-proxy", action="store_true", default=True, help="hand signals on (so by default)")
    container_arguments(parser)


def _run(session: Session, args: argparse.Namespace) -> int:
    try:
        return _run_container(session, args)
    except PystackError as error:
        tell(session, error)
        return _EXIT_BY_CODE.get(error.code, _EXIT_ENGINE)


def _run_container(session: Session, args: argparse.Namespace) -> int:
    streams = attached_streams(args, attached=not args.detach)
    if args.detach and args.attach:
        raise InvalidInput(
            "-d and -a exclude each other",
            code="flags-conflict",
            about="-a",
            hint="leave one of them out",
        )
    stdin = args.interactive and "stdin" in streams
    if not args.detach:
        check_terminal(stdin=stdin, tty=args.tty)
    started = False
    with Ending() as ending:
        container = _created(session, args, ending, attached=not args.detach)

        def start() -> None:
            nonlocal started
            session.engine.post(f"/containers/{container}/start")
            started = True

        try:
            if ending.number:
                raise SystemExit(128 + ending.number)
            return _started(session, args, container, start, stdin=stdin)
        except SystemExit:
            # Nobody else would ever start it, nor know of it.
            if args.rm and not started:
                with suppress(PystackError):
                    session.engine.delete(f"/containers/{container}", force=True, v=True)
            raise


def _started(
    session: Session,
    args: argparse.Namespace,
    container: str,
    start: Callable[[], None],
    *,
    stdin: bool,
) -> int:
    streams = attached_streams(args, attached=not args.detach)
    if args.detach:
        start()
        session.say(container)
        return 0
    wishes = Wishes(
        stdin=stdin,
        tty=args.tty,
        stdout="stdout" in streams,
        stderr="stderr" in streams,
        sig_proxy=args.sig_proxy,
        detach_keys=args.detach_keys,
        removed=args.rm,
    )
    return run_attached(session, container, start, wishes) or 0


def _create(session: Session, args: argparse.Namespace) -> int:
    session.say(_created(session, args, Ending(), attached=True))
    return 0


def _created(session: Session, args: argparse.Namespace, ending: Ending, *, attached: bool) -> str:
    """The id of the new container; its image, and those it mounts, are pulled where they are
    missing and may be."""
    body = create_body(args, session.environ, attached=attached)
    with id_file(args.cidfile) as write_id:
        if args.pull == "always":
            _pull(session, args, args.image)
        made = _posted(session, args, body, ending)
        write_id(str(made["Id"]))
    for warning in made.get("Warnings") or ():
        session.note(f"WARNING: {warning}")
    return str(made["Id"])


def _posted(
    session: Session, args: argparse.Namespace, body: Mapping[str, Any], ending: Ending
) -> Mapping[str, Any]:
    mounted = [m["Source"] for m in body["HostConfig"].get("Mounts", ()) if m["Type"] == "image"]
    missing = [args.image, *mounted]
    while True:
        try:
            with ending.held():
                made: dict[str, Any] = session.engine.post(
                    "/containers/create", body, name=args.name, platform=args.platform
                )
            return made
        except NotFound as error:
            if error.code != "no-such-image" or args.pull == "never" or not missing:
                raise
            image = error.about if error.about in missing else missing[0]
            missing.remove(image)
        if ending.number:
            raise SystemExit(128 + ending.number)
        _pull(session, args, image)


def _pull(session: Session, args: argparse.Namespace, image: str) -> None:
    from orchestrator.cli.image.pull import pull_image  # noqa: PLC0415  (5 ms, mostly not needed)

    platform = args.platform if image == args.image else ""
    pull_image(session, image, platform, quiet=args.quiet)


COMMANDS = {
    "run": Command(_run_arguments, _run),
    "create": Command(container_arguments, _create),
}

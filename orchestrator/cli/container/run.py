"""`run` and `create`."""

from __future__ import annotations

import argparse
from typing import Any

from orchestrator.cli.arguments import yes_or_no
from orchestrator.cli.command import Command
from orchestrator.cli.container.attached import Wishes, check_terminal, run_attached
from orchestrator.cli.container.flags import container_arguments, create_body
from orchestrator.cli.image.pull import pull_image
from orchestrator.cli.outcome import tell
from orchestrator.cli.session import Session
from orchestrator.errors import NotFound, PystackError

_EXIT_ENGINE = 125
# Source: Docker's reference, "docker container run", exit status.
_EXIT_BY_CODE = {"command-not-executable": 126, "command-not-found": 127}


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-d", "--detach", action="store_true", help="print its id and return")
    add("--detach-keys", default="", metavar="KEYS", help="what leaves it running")
    add("--sig-proxy", type=yes_or_no, nargs="?", const=True, default=True, metavar="BOOL")
    container_arguments(parser)


def _run(session: Session, args: argparse.Namespace) -> int:
    try:
        return _run_container(session, args)
    except PystackError as error:
        tell(session, error)
        return _EXIT_BY_CODE.get(error.code, _EXIT_ENGINE)


def _run_container(session: Session, args: argparse.Namespace) -> int:
    if not args.detach:
        check_terminal(stdin=args.interactive, tty=args.tty)
    container = _created(session, args, attached=not args.detach)

    def start() -> None:
        session.engine.post(f"/containers/{container}/start")

    if args.detach:
        start()
        session.say(container)
        return 0
    wishes = Wishes(
        stdin=args.interactive,
        tty=args.tty,
        sig_proxy=args.sig_proxy,
        detach_keys=args.detach_keys,
        removed=args.rm,
    )
    return run_attached(session, container, start, wishes) or 0


def _create(session: Session, args: argparse.Namespace) -> int:
    session.say(_created(session, args, attached=True))
    return 0


def _created(session: Session, args: argparse.Namespace, *, attached: bool) -> str:
    """The id of the new container; its image is pulled where it is missing and may be."""
    body = create_body(args, session.environ, attached=attached)
    if args.pull == "always":
        pull_image(session, args.image, args.platform)

    def create() -> dict[str, Any]:
        found: dict[str, Any] = session.engine.post(
            "/containers/create", body, name=args.name, platform=args.platform
        )
        return found

    try:
        made = create()
    except NotFound as error:
        if error.code != "no-such-image" or args.pull == "never":
            raise
        pull_image(session, args.image, args.platform)
        made = create()
    for warning in made.get("Warnings") or ():
        session.note(f"warning: {warning}")
    return str(made["Id"])


COMMANDS = {
    "run": Command(_run_arguments, _run),
    "create": Command(container_arguments, _create),
}

"""`down`: stop the stack and remove what belongs to it."""

from __future__ import annotations

import argparse

from orchestrator.cli import containers
from orchestrator.cli.arguments import seconds
from orchestrator.cli.command import Command
from orchestrator.cli.session import Session
from orchestrator.cli.stack import file
from orchestrator.cli.stack.wish import wish
from orchestrator.client.engine import quote
from orchestrator.errors import Conflict, NotFound


def _arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-v", "--volumes", action="store_true", help="remove the stack's volumes too")
    add(
        "-t",
        "--timeout",
        type=seconds,
        default=None,
        metavar="SECONDS",
        help="how long containers may take to stop (default: as each says)",
    )
    add("--remove-orphans", action="store_true", help="remove containers of services gone, too")
    add("--rmi", choices=("all", "local"), default="",
        help="remove its images too; local: those built without a name of their own")  # fmt: skip


def _down(session: Session, args: argparse.Namespace) -> int:
    name = file.project(session)
    images = _images(session, name, args.rmi) if args.rmi else []
    result = wish(
        session,
        name,
        "down",
        {
            "volumes": args.volumes,
            "grace_s": args.timeout,
            "remove_orphans": args.remove_orphans,
        },
    )
    for image in images:
        _remove_image(session, image)
    if result.get("changed") == 0 and not result.get("warnings"):
        session.note(f"nothing to remove for stack {name}")
    return 0


def _images(session: Session, stack: str, which: str) -> list[str]:
    """The images that the stack's containers and services use; with "local" only those that are
    named for the stack."""
    found = {
        str(c.get("Image", "")): containers.label(c, containers.SERVICE)
        for c in containers.of_stack(session, stack, one_off=True)
    }
    if file.has_file(session):
        found |= {s.container.image: s.name for s in file.read(session).stack.services}
    own = {f"{stack}-{service}" for service in found.values()}
    return sorted(i for i in found if which == "all" or i.partition(":")[0] in own)


def _remove_image(session: Session, image: str) -> None:
    try:
        session.engine.delete(f"/images/{quote(image)}")
        session.note(f"image {image}: removed")
    except (NotFound, Conflict) as error:
        session.note(f"image {image}: left, {error}")


COMMANDS = {"down": Command(_arguments, _down, short_options=True)}

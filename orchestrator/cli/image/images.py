"""`images`, `tag` and `rmi`."""

from __future__ import annotations

import argparse
import json

from orchestrator.cli.columns import Shown, format_argument, preferred
from orchestrator.cli.command import Command
from orchestrator.cli.filters import filters
from orchestrator.cli.image.names import split
from orchestrator.cli.image.rows import columns, rows
from orchestrator.cli.outcome import tell
from orchestrator.cli.session import Session
from orchestrator.client.engine import quote
from orchestrator.errors import NotFound, PystackError, Unavailable


def _images_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-a", "--all", action="store_true", help="images without a name too")
    add("-q", "--quiet", action="store_true", help="ids only")
    add("--no-trunc", action="store_true", help="whole ids")
    add("--digests", action="store_true", help="the digests that they were pulled by")
    add("-f", "--filter", action="append", default=[], metavar="KEY=VALUE", help="which ones")
    format_argument(parser)
    add("repository", nargs="?", default="", metavar="NAME[:TAG]", help="only images so named")


def _images(session: Session, args: argparse.Namespace) -> int:
    form = preferred(session, args, "imagesFormat")
    shown = Shown(columns(whole=args.no_trunc, digests=args.digests), form, quiet=args.quiet)
    wanted = filters(args.filter)
    if args.repository:
        wanted.setdefault("reference", []).append(args.repository)
    query: dict[str, object] = {"filters": json.dumps(wanted)} if wanted else {}
    if shown.template and (shown.uses("SharedSize") or shown.uses("UniqueSize")):
        query["shared-size"] = True
    found = session.engine.get("/images/json", all=args.all, **query) or []
    found.sort(key=lambda image: -float(image.get("Created") or 0))
    digests = args.digests or (bool(shown.template) and shown.uses("Digest"))
    shown.say(session, [row for image in found for row in rows(image, digests=digests)])
    return 0


def _tag_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE[:TAG]", help="an image's name or id")
    parser.add_argument("target", metavar="TARGET[:TAG]", help="its further name")


def _tag(session: Session, args: argparse.Namespace) -> int:
    repository, tag = split_tag(args.target)
    session.engine.post(f"/images/{quote(args.source)}/tag", repo=repository, tag=tag)
    return 0


def split_tag(reference: str) -> tuple[str, str]:
    """Repository and tag, as the API takes them; the engine refuses what has a digest."""
    return (reference, "") if "@" in reference else split(reference)


def _rmi_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-f", "--force", action="store_true", help="also when in use or tagged")
    add("--no-prune", action="store_true", help="keep parents without a name (there are none)")
    add("images", nargs="+", metavar="IMAGE", help="names or ids")


def _rmi(session: Session, args: argparse.Namespace) -> int:
    code = 0
    for name in args.images:
        try:
            lines = session.engine.delete(
                f"/images/{quote(name)}", force=args.force, noprune=args.no_prune
            )
            for line in lines or ():
                for word, value in line.items():
                    session.say(f"{word}: {value}")
        except Unavailable:
            raise
        except PystackError as error:
            tell(session, error)
            if not (args.force and isinstance(error, NotFound)):
                code = 1
    return code


COMMANDS = {
    "images": Command(_images_arguments, _images, names="repository"),
    "tag": Command(_tag_arguments, _tag, names="source"),
    "rmi": Command(_rmi_arguments, _rmi, names="images"),
}

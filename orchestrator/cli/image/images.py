"""`images` and `rmi`."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.cli.command import Command
from orchestrator.cli.outcome import each
from orchestrator.cli.session import Session
from orchestrator.cli.table import table
from orchestrator.cli.units import age, size
from orchestrator.client.engine import quote

_HEADINGS = ("REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE")


def _images_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-a", "--all", action="store_true", help="images without a name too")
    add("-q", "--quiet", action="store_true", help="ids only")
    add("--no-trunc", action="store_true", help="whole ids")
    add("--format", choices=("table", "json"), default="table", help="how to print it")
    add("repository", nargs="?", default="", metavar="NAME", help="only images of this name")


def _images(session: Session, args: argparse.Namespace) -> int:
    filters = json.dumps({"reference": [args.repository]}) if args.repository else ""
    found = session.engine.get("/images/json", all=args.all, filters=filters) or []
    found.sort(key=lambda image: -float(image.get("Created") or 0))
    if args.quiet:
        for identifier in dict.fromkeys(_id(image, whole=args.no_trunc) for image in found):
            session.say(identifier)
    elif args.format == "json":
        for image in found:
            session.say(json.dumps(image))
    else:
        rows = [row for image in found for row in _rows(image, whole=args.no_trunc)]
        for line in table(_HEADINGS, rows):
            session.say(line)
    return 0


def _rows(image: Mapping[str, Any], *, whole: bool) -> Iterator[tuple[str, ...]]:
    rest = (
        _id(image, whole=whole),
        f"{age(time.time() - float(image.get('Created') or 0))} ago",
        size(float(image.get("Size") or 0)),
    )
    names = [name for name in image.get("RepoTags") or () if name != "<none>:<none>"]
    for name in names:
        repository, _, tag = familiar(str(name)).rpartition(":")
        yield (repository, tag, *rest)
    if not names:
        digests = image.get("RepoDigests") or ["<none>"]
        yield (familiar(str(digests[0])).partition("@")[0], "<none>", *rest)


def familiar(name: str) -> str:
    """A reference as people write it: without Docker Hub's host and its `library/`."""
    return name.removeprefix("docker.io/").removeprefix("library/")


def _id(image: Mapping[str, Any], *, whole: bool) -> str:
    text = str(image.get("Id", ""))
    return text if whole else text.removeprefix("sha256:")[:12]


def _rmi_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--force", action="store_true", help="also when in use or tagged")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="names or ids")


def _rmi(session: Session, args: argparse.Namespace) -> int:
    def remove(name: str) -> None:
        for line in session.engine.delete(f"/images/{quote(name)}", force=args.force) or ():
            for word, value in line.items():
                session.say(f"{word}: {value}")

    return each(session, args.images, remove)


COMMANDS = {
    "images": Command(_images_arguments, _images, names="repository"),
    "rmi": Command(_rmi_arguments, _rmi, names="images"),
}

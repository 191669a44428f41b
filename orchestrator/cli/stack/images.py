"""`build`, `pull` and `images` of a stack's services."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestrator.cli import containers
from orchestrator.cli.columns import Column, Columns, Shown
from orchestrator.cli.command import Command
from orchestrator.cli.image.pull import pull_stream
from orchestrator.cli.outcome import tell
from orchestrator.cli.progress import TICK_S, Board, board, silent, watch
from orchestrator.cli.session import Session
from orchestrator.cli.stack import file
from orchestrator.cli.stack.delegate import docker
from orchestrator.cli.stack.wish import check_services
from orchestrator.cli.terminal import Terminal
from orchestrator.cli.together import interleaved
from orchestrator.client.engine import quote
from orchestrator.errors import NotFound, PystackError

if TYPE_CHECKING:
    from orchestrator.model.stack import Build, Service

_TABLE = ("Container", "Repository", "Tag", "ID")
_COLUMNS = Columns(
    Column("Container", "CONTAINER", lambda i: i["Container"]),
    Column("Repository", "REPOSITORY", lambda i: i["Repository"]),
    Column("Tag", "TAG", lambda i: i["Tag"]),
    Column("ID", "IMAGE ID", lambda i: i["ID"]),
    table=_TABLE,
    quiet="ID",
)


def _services_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("services", nargs="*", metavar="SERVICE", help="only these services")


def _build_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--no-cache", action="store_true", help="run every step again")
    add("--pull", action="store_true", help="look for newer base images")
    add("--push", action="store_true", help="push what was built")
    add("--build-arg", action="append", default=[], metavar="NAME=VALUE", help="a build argument")
    add("--ssh", action="append", default=[], metavar="ID[=SOCKET|KEY…]", help="agents and keys")
    add("--with-dependencies", action="store_true", help="what the services depend on too")
    add("-q", "--quiet", action="store_true", help="show no progress")
    _services_argument(parser)


def _pull_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--ignore-buildable", action="store_true", help="not what can be built (never is)")
    add("--ignore-pull-failures", action="store_true", help="go on where one fails")
    add("--include-deps", action="store_true", help="what the services depend on too")
    add("--policy", choices=("missing", "always"), default="always", help="when to pull")
    add("-q", "--quiet", action="store_true", help="show no progress")
    _services_argument(parser)


def _images_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-q", "--quiet", action="store_true", help="ids only")
    parser.add_argument("--format", default="", metavar="FORMAT", help="table, json or a template")
    _services_argument(parser)


def _build(session: Session, args: argparse.Namespace) -> int:
    arguments = dict(_build_arg(session, text) for text in args.build_arg)
    agents = {name: value for name, _, value in (text.partition("=") for text in args.ssh)}
    streams = []
    chosen = _services(session, args.services, deps=args.with_dependencies)
    for service in chosen:
        if service.build is None:
            continue
        build = replace(
            service.build,
            args={**service.build.args, **arguments},
            ssh={**service.build.ssh, **agents},
            no_cache=service.build.no_cache or args.no_cache,
            pull=service.build.pull or args.pull,
        )
        tags = [service.container.image, *service.build.tags]
        streams.append(_building(session, build, tags))
    if not streams:
        session.note("no service has anything to build")
        return 0
    watch(interleaved(streams, TICK_S), _board(session, "build", quiet=args.quiet))
    code = 0
    for service in chosen if args.push else ():
        if service.build is not None:
            code = docker(session, "push", [service.container.image]) or code
    return code


def _board(session: Session, title: str, *, quiet: bool) -> Board:
    return silent() if quiet else board(Terminal(session.stderr, session.environ), title)


def _building(session: Session, build: Build, tags: Sequence[str]) -> Callable[[], Iterator[Any]]:
    body = {"build": dataclasses.asdict(build), "tags": list(tags)}
    return lambda: session.engine.lines("POST", "/pystack/v1/build", body=body)


def _build_arg(session: Session, text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    return name, value if found else session.environ.get(name, "")


def _pull(session: Session, args: argparse.Namespace) -> int:
    names = {
        service.container.image: None
        for service in _services(session, args.services, deps=args.include_deps)
        if service.build is None
    }
    wanted = [n for n in names if args.policy == "always" or not _is_there(session, n)]
    streams = [pull_stream(session, name) for name in wanted]
    try:
        watch(interleaved(streams, TICK_S), _board(session, "pull", quiet=args.quiet))
    except PystackError as error:
        if not args.ignore_pull_failures:
            raise
        tell(session, error)
    return 0


def _is_there(session: Session, image: str) -> bool:
    try:
        session.engine.get(f"/images/{quote(image)}/json")
    except NotFound:
        return False
    return True


def _push_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--ignore-push-failures", action="store_true", help="go on where one fails")
    add("--include-deps", action="store_true", help="the images of dependencies too")
    add("-q", "--quiet", action="store_true", help="show no progress")
    add("services", nargs="*", metavar="SERVICE", help="only these services")


def _push(session: Session, args: argparse.Namespace) -> int:
    code = 0
    for service in _services(session, args.services, deps=args.include_deps):
        if service.build is None:
            continue
        try:
            code = docker(session, "push", [*["-q"] * args.quiet, service.container.image]) or code
        except PystackError as error:
            if not args.ignore_push_failures:
                raise
            tell(session, error)
    return code


def _images(session: Session, args: argparse.Namespace) -> int:
    shown = Shown(_COLUMNS, args.format, quiet=args.quiet)
    found = containers.of_stack(session, file.project(session), args.services)
    rows = [_row(container) for container in found]
    if args.quiet:
        for identifier in dict.fromkeys(row["ID"] for row in rows):
            session.say(identifier)
    else:
        shown.say(session, rows)
    return 0


def _row(container: dict[str, Any]) -> dict[str, str]:
    repository, _, tag = containers.image(container, whole=True).rpartition(":")
    if not repository or "/" in tag:
        repository, tag = containers.image(container, whole=True), "latest"
    return {
        "Container": containers.name(container),
        "Repository": repository,
        "Tag": tag,
        "ID": str(container.get("ImageID", "")).removeprefix("sha256:")[:12],
    }


def _services(session: Session, names: Sequence[str], *, deps: bool = False) -> list[Service]:
    """The services of those names, all where there are none; with `deps` what they depend on."""
    stack = file.load(session, names)
    check_services(stack, names)
    wanted = set(names)
    while deps:
        more = {d.service for s in stack.services if s.name in wanted for d in s.depends_on}
        if more <= wanted:
            break
        wanted |= more
    return [service for service in stack.services if not names or service.name in wanted]


COMMANDS = {
    "build": Command(_build_arguments, _build, names="services"),
    "pull": Command(_pull_arguments, _pull, names="services"),
    "push": Command(_push_arguments, _push, names="services"),
    "images": Command(_images_arguments, _images, names="services"),
}

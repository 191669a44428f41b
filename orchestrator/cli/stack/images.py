"""`build`, `pull` and `images` of a stack's services."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestrator.cli import containers
from orchestrator.cli.command import Command
from orchestrator.cli.image.pull import pull_stream
from orchestrator.cli.outcome import tell
from orchestrator.cli.progress import TICK_S, board, watch
from orchestrator.cli.session import Session
from orchestrator.cli.stack import file
from orchestrator.cli.stack.delegate import docker
from orchestrator.cli.table import table
from orchestrator.cli.terminal import Terminal
from orchestrator.cli.together import interleaved
from orchestrator.errors import InvalidInput, PystackError

if TYPE_CHECKING:
    from orchestrator.model.stack import Build, Service

_HEADINGS = ("CONTAINER", "IMAGE", "IMAGE ID")


def _build_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--no-cache", action="store_true", help="run every step again")
    add("--pull", action="store_true", help="look for newer base images")
    add("--build-arg", action="append", default=[], metavar="NAME=VALUE", help="a build argument")
    add("services", nargs="*", metavar="SERVICE", help="only these services")


def _pull_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("services", nargs="*", metavar="SERVICE", help="only these services")


def _images_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-q", "--quiet", action="store_true", help="ids only")
    parser.add_argument("services", nargs="*", metavar="SERVICE", help="only these services")


def _build(session: Session, args: argparse.Namespace) -> int:
    arguments = dict(_build_arg(session, text) for text in args.build_arg)
    streams = []
    for service in _services(session, args.services):
        if service.build is None:
            continue
        build = replace(
            service.build,
            args={**service.build.args, **arguments},
            no_cache=service.build.no_cache or args.no_cache,
            pull=service.build.pull or args.pull,
        )
        tags = [service.container.image, *service.build.tags]
        streams.append(_building(session, build, tags))
    if not streams:
        session.note("no service has anything to build")
        return 0
    watch(interleaved(streams, TICK_S), board(Terminal(session.stderr, session.environ), "build"))
    return 0


def _building(session: Session, build: Build, tags: Sequence[str]) -> Callable[[], Iterator[Any]]:
    body = {"build": dataclasses.asdict(build), "tags": list(tags)}
    return lambda: session.engine.lines("POST", "/pystack/v1/build", body=body)


def _build_arg(session: Session, text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    return name, value if found else session.environ.get(name, "")


def _pull(session: Session, args: argparse.Namespace) -> int:
    names = {
        service.container.image: None
        for service in _services(session, args.services)
        if service.build is None
    }
    streams = [pull_stream(session, name) for name in names]
    watch(interleaved(streams, TICK_S), board(Terminal(session.stderr, session.environ), "pull"))
    return 0


def _push_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--ignore-push-failures", action="store_true", help="go on where one fails")
    add("--include-deps", action="store_true", help="the images of dependencies too")
    add("-q", "--quiet", action="store_true", help="show no progress")
    add("services", nargs="*", metavar="SERVICE", help="only these services")


def _push(session: Session, args: argparse.Namespace) -> int:
    names = list(args.services)
    if args.include_deps:
        stack = file.load(session)
        names += [
            d.service for s in stack.services if s.name in args.services for d in s.depends_on
        ]
    code = 0
    for service in _services(session, names):
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
    found = containers.of_stack(session, file.project(session), args.services)
    rows = []
    for container in found:
        identifier = str(container.get("ImageID", "")).removeprefix("sha256:")
        rows.append((containers.name(container), containers.image(container), identifier[:12]))
    if args.quiet:
        for identifier in dict.fromkeys(row[2] for row in rows):
            session.say(identifier)
        return 0
    for line in table(_HEADINGS, rows):
        session.say(line)
    return 0


def _services(session: Session, names: Sequence[str]) -> list[Service]:
    stack = file.load(session)
    for name in names:
        if stack.service(name) is None:
            raise InvalidInput(
                f"stack {stack.name} has no service {name!r}",
                code="no-such-service",
                about=name,
                hint=f"its services are {', '.join(each.name for each in stack.services)}",
            )
    return [service for service in stack.services if not names or service.name in names]


COMMANDS = {
    "build": Command(_build_arguments, _build, names="services"),
    "pull": Command(_pull_arguments, _pull, names="services"),
    "push": Command(_push_arguments, _push, names="services"),
    "images": Command(_images_arguments, _images, names="services"),
}

"""`build PATH`: an image from a Dockerfile."""

from __future__ import annotations

import argparse
from pathlib import Path

from orchestrator.cli.command import Command
from orchestrator.cli.options import UsageError
from orchestrator.cli.progress import TICK_S, board, silent, watch
from orchestrator.cli.session import Session
from orchestrator.cli.terminal import Terminal
from orchestrator.errors import NotFound


def _arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-t", "--tag", action="append", default=[], metavar="NAME[:TAG]", help="a name for it")
    add("-f", "--file", default="", metavar="FILE", help="the Dockerfile (PATH/Dockerfile)")
    add("--target", default="", metavar="STAGE", help="the stage to build")
    add("--build-arg", action="append", default=[], metavar="NAME=VALUE", help="a build argument")
    add("--label", action="append", default=[], metavar="NAME=VALUE", help="a label of the image")
    add("--no-cache", action="store_true", help="run every step again")
    add("--pull", action="store_true", help="look for newer base images")
    add("--network", default="", metavar="MODE", help="the network of RUN steps")
    add("-q", "--quiet", action="store_true", help="print nothing but the image's id")
    add("path", nargs="?", default="", metavar="PATH", help="the build context")


def _build(session: Session, args: argparse.Namespace) -> int:
    context = Path(args.path).absolute()
    if not context.is_dir():
        raise NotFound(
            f"build context {args.path!r} is not a directory",
            code="no-such-context",
            about=args.path,
            hint="give the directory that the Dockerfile's COPY paths begin in",
        )
    body = {
        "build": {
            "context": str(context),
            "dockerfile": _dockerfile(args.file, context),
            "target": args.target,
            "args": dict(_pair(session, text) for text in args.build_arg),
            "labels": dict(_pair(session, text) for text in args.label),
            "no_cache": args.no_cache,
            "pull": args.pull,
            "network": args.network,
        },
        "tags": args.tag,
    }
    title = f"build {args.tag[0] if args.tag else args.path}"
    shown = silent() if args.quiet else board(Terminal(session.stderr, session.environ), title)
    stream = session.engine.lines("POST", "/pystack/v1/build", body=body, tick_s=TICK_S)
    result = watch(stream, shown)
    session.say(str(result.get("id", "")))
    return 0


def _dockerfile(named: str, context: Path) -> str:
    """The Dockerfile as the engine takes it: within the context by its path there, else absolute.

    Docker's `-f` is relative to the working directory; a file of that name in the context will do.
    """
    if not named:
        return "Dockerfile"
    if named == "-":
        raise UsageError("-f -: a Dockerfile from stdin cannot be built yet")
    path = Path(named).absolute()
    if not path.exists() and (context / named).exists():
        path = context / named
    return str(path.relative_to(context)) if path.is_relative_to(context) else str(path)


def _pair(session: Session, text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    return name, value if found else session.environ.get(name, "")


COMMANDS = {"build": Command(_arguments, _build, names="path")}

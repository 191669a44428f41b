"""`build PATH|URL|-`: an image from a Dockerfile."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from orchestrator.cli.build.boards import build_board
from orchestrator.cli.build.findings import brief, report
from orchestrator.cli.build.flags import (
    Output,
    build_arguments,
    check_flags,
    read_output,
    read_secret,
    read_ssh,
    read_ulimit,
)
from orchestrator.cli.command import Command
from orchestrator.cli.options import UsageError
from orchestrator.cli.progress import TICK_S, watch
from orchestrator.cli.session import Session
from orchestrator.cli.terminal import Terminal
from orchestrator.errors import NotFound

_PIECE = 1 << 20
_REMOTE = ("http://", "https://", "git://", "ssh://", "git@", "github.com/")
# The beginnings of gzip, bzip2, xz and zstd; a plain tar says so in its 257th byte.
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")


def _build(session: Session, args: argparse.Namespace) -> int:
    check_flags(args)
    outputs = [read_output(text) for text in args.output]
    tags = [*args.tag, *(name for output in outputs for name in output.names)]
    with ExitStack() as stack:
        context, dockerfile = stack.enter_context(_given(args))
        build = {**_request(session, args), "context": context, **dockerfile}
        if args.check or args.call == "check":
            return _check(session, build)
        streams = stack.enter_context(_streams(session, outputs))
        build["outputs"] = [
            {"kind": o.kind, "path": streams.get(o, o.path), "name": ",".join(o.names)}
            for o in outputs
        ]
        result = _watched(session, args, build, tags)
        for path in streams.values():
            _copy(Path(path))
    if args.push or any(output.push for output in outputs):
        _push(session, args, tags)
    _write_results(args, result, tags)
    if args.quiet or not streams:
        session.say(str(result.get("id", "")))
    if not args.quiet:
        for line in brief(result.get("warnings") or ()):
            session.note(line)
    return 0


def _watched(
    session: Session, args: argparse.Namespace, build: dict[str, Any], tags: Sequence[str]
) -> dict[str, Any]:
    kind = "quiet" if args.quiet else args.progress or session.environ.get("BUILDKIT_PROGRESS", "")
    board = build_board(kind, Terminal(session.stderr, session.environ))
    body = {"build": build, "tags": list(tags), "title": ""}
    stream = session.engine.lines("POST", "/pystack/v1/build", body=body, tick_s=TICK_S)
    return watch(stream, board)


def _check(session: Session, build: dict[str, Any]) -> int:
    stream = session.engine.lines("POST", "/pystack/v1/build/check", body={"build": build})
    findings = watch(stream, build_board("quiet", Terminal(session.stderr))).get("warnings") or []
    for line in report(findings):
        session.say(line)
    return 1 if findings else 0


def _request(session: Session, args: argparse.Namespace) -> dict[str, Any]:
    """The build as the engine takes it, but for its context."""
    environ = session.environ
    arguments = dict(pair for text in args.build_arg if (pair := _pair(environ, text)) is not None)
    if "SOURCE_DATE_EPOCH" in environ:
        arguments.setdefault("SOURCE_DATE_EPOCH", environ["SOURCE_DATE_EPOCH"])
    return {
        "target": args.target,
        "args": arguments,
        "labels": {n: v for n, _, v in (text.partition("=") for text in args.label)},
        "no_cache": args.no_cache,
        "no_cache_filter": [n for text in args.no_cache_filter for n in text.split(",")],
        "pull": args.pull,
        "platforms": [name for name in args.platform.split(",") if name],
        "network": args.network,
        "extra_hosts": args.add_host,
        "shm_size_bytes": args.shm_size,
        "ulimits": [read_ulimit(text) for text in args.ulimit],
        "secrets": [read_secret(text, environ) for text in args.secret],
        "ssh": dict(read_ssh(text, environ) for text in args.ssh),
        "contexts": dict(_context_pair(text) for text in args.build_context),
        "cache_from": [_placed(text, "src") for text in args.cache_from],
        "cache_to": [_placed(text, "dest") for text in args.cache_to],
        "entitlements": args.allow,
    }


@contextmanager
def _given(args: argparse.Namespace) -> Iterator[tuple[str, dict[str, str]]]:
    """The context, and where the Dockerfile is, or its text."""
    if not args.path:
        raise UsageError("a build needs a PATH, a URL or -", "pystack build [OPTIONS] PATH|URL|-")
    if args.path == "-":
        if args.file == "-":
            raise UsageError("the context and the Dockerfile cannot both come from stdin")
        with _from_stdin(args.file) as given:
            yield given
        return
    remote = args.path.startswith(_REMOTE) and not Path(args.path).is_dir()
    context = args.path if remote else str(_directory(args.path))
    if args.file == "-":
        text = sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
        yield context, {"dockerfile": "-", "dockerfile_inline": text}
    elif remote:
        yield context, {"dockerfile": args.file or "Dockerfile"}
    else:
        yield context, {"dockerfile": _dockerfile(args.file, Path(context))}


@contextmanager
def _from_stdin(file: str) -> Iterator[tuple[str, dict[str, str]]]:
    """An archive on stdin is the context; anything else is a Dockerfile without one."""
    source: BinaryIO = sys.stdin.buffer
    head = source.read(512)
    if not (head.startswith(_PACKED) or head[257:262] == b"ustar"):
        text = (head + source.read()).decode("utf-8", "surrogateescape")
        yield "", {"dockerfile": "-", "dockerfile_inline": text}
        return
    import tempfile  # noqa: PLC0415 (slow, and rarely needed)

    with tempfile.NamedTemporaryFile(prefix="pystack-context-", suffix=".tar") as spool:
        spool.write(head)
        while piece := source.read(_PIECE):
            spool.write(piece)
        spool.flush()
        yield spool.name, {"dockerfile": file or "Dockerfile"}


def _directory(path: str) -> Path:
    context = Path(path).absolute()
    if not context.is_dir():
        raise NotFound(
            f"build context {path!r} is not a directory",
            code="no-such-context",
            about=path,
            hint="give the directory that the Dockerfile's COPY paths begin in",
        )
    return context


def _dockerfile(named: str, context: Path) -> str:
    """The Dockerfile as the engine takes it: within the context by its path there, else absolute.

    Docker's `-f` is relative to the working directory; a file of that name in the context will do.
    """
    if not named:
        return "Dockerfile"
    path = Path(named).absolute()
    if not path.exists() and (context / named).exists():
        path = context / named
    return str(path.relative_to(context)) if path.is_relative_to(context) else str(path)


@contextmanager
def _streams(session: Session, outputs: Sequence[Output]) -> Iterator[dict[Output, str]]:
    """A file for each output that goes to stdout."""
    wanted = [output for output in outputs if output.path == "-"]
    if wanted and session.stdout.isatty():
        raise UsageError("an archive is not written to a terminal: give --output a dest=FILE")
    if not wanted:
        yield {}
        return
    import tempfile  # noqa: PLC0415 (slow, and rarely needed)

    with tempfile.TemporaryDirectory(prefix="pystack-output-") as directory:
        yield {o: str(Path(directory, str(number))) for number, o in enumerate(wanted)}


def _copy(path: Path) -> None:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def _push(session: Session, args: argparse.Namespace, tags: Sequence[str]) -> None:
    from orchestrator.cli.image.push import push_lines  # noqa: PLC0415 (rarely needed)

    if not tags:
        raise UsageError("what is pushed needs a name: give one with -t")
    for tag in tags:
        board = build_board("quiet" if args.quiet else args.progress, Terminal(session.stderr))
        watch(push_lines(session, tag, TICK_S), board)


def _write_results(args: argparse.Namespace, result: dict[str, Any], tags: Sequence[str]) -> None:
    if args.iidfile:
        Path(args.iidfile).write_text(str(result.get("id", "")))
    if args.metadata_file:
        metadata = {
            "containerimage.config.digest": result.get("id", ""),
            "containerimage.digest": result.get("digest", ""),
            "image.name": ",".join(tags),
            "buildx.build.warnings": result.get("warnings") or [],
        }
        Path(args.metadata_file).write_text(json.dumps(metadata, indent=2) + "\n")


def _context_pair(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found or not name or not value:
        raise UsageError(
            f"--build-context {text}: expected NAME=PATH, or NAME=docker-image://IMAGE"
        )
    layout = "oci-layout://"
    if value.startswith(layout):
        return name, layout + str(Path(value.removeprefix(layout)).absolute())
    if "://" in value or value.startswith("git@"):
        return name, value
    return name, str(_directory(value))


def _placed(text: str, key: str) -> str:
    """A cache's place with its directory made absolute."""
    words = [word.partition("=") for word in text.split(",")]
    return ",".join(
        f"{name}={Path(value).absolute()}" if name == key else f"{name}{given}{value}"
        for name, given, value in words
    )


def _pair(environ: Any, text: str) -> tuple[str, str] | None:
    """A build argument; one without a value is the variable of that name, where it is set."""
    name, found, value = text.partition("=")
    if found:
        return name, value
    return (name, environ[name]) if name in environ else None


COMMANDS = {"build": Command(build_arguments, _build, names="path")}

"""What reaches into one container of a service: `exec`, `attach`, `cp`, `commit`, `export`, and
`port`, which asks where one of its ports is."""

from __future__ import annotations

import argparse

from orchestrator.cli.command import Command
from orchestrator.cli.session import Session
from orchestrator.cli.stack.delegate import docker, one_of


def _index(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--index", type=int, default=0, metavar="N", help="which of its containers")


def _exec_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-d", "--detach", action="store_true", help="run it in the background")
    add("-e", "--env", action="append", default=[], metavar="NAME[=VALUE]", help="a variable")
    add("-T", "--no-tty", action="store_true", help="give it no terminal")
    add("-i", "--interactive", action="store_true", default=True, help=argparse.SUPPRESS)
    add("-t", "--tty", action="store_true", default=True, help=argparse.SUPPRESS)
    add("-u", "--user", default="", help="who it runs as")
    add("-w", "--workdir", default="", metavar="DIR", help="its working directory")
    add("--privileged", action="store_true", help="with all rights of root")
    _index(parser)
    add("service", metavar="SERVICE", help="whose container")
    add("command", nargs=argparse.REMAINDER, metavar="COMMAND …", help="what to run")


def _exec(session: Session, args: argparse.Namespace) -> int:
    words = [f"--env={text}" for text in args.env]
    words += [f"--user={args.user}"] if args.user else []
    words += [f"--workdir={args.workdir}"] if args.workdir else []
    words += ["--privileged"] if args.privileged else []
    if args.detach:
        words.append("--detach")
    else:
        words.append("--interactive")
        words += ["--tty"] if _terminal(session, args) else []
    container = one_of(session, args.service, args.index)
    return docker(session, "exec", [*words, container, *args.command])


def _terminal(session: Session, args: argparse.Namespace) -> bool:
    """Whether the command gets a terminal: where there is one at both ends of this one."""
    import sys  # noqa: PLC0415

    return not args.no_tty and sys.stdin.isatty() and session.stdout.isatty()


def _attach_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--detach-keys", default="", metavar="KEYS", help="what leaves it running")
    add("--no-stdin", action="store_true", help="send it nothing")
    add("--sig-proxy", action="store_true", default=True, help="hand signals on (so by default)")
    _index(parser)
    add("service", metavar="SERVICE", help="whose container")


def _attach(session: Session, args: argparse.Namespace) -> int:
    words = [f"--detach-keys={args.detach_keys}"] if args.detach_keys else []
    words += ["--no-stdin"] if args.no_stdin else []
    words += [] if args.sig_proxy else ["--sig-proxy=false"]
    return docker(session, "attach", [*words, one_of(session, args.service, args.index)])


def _cp_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-a", "--archive", action="store_true", help="keep owners")
    add("-L", "--follow-link", action="store_true", help="follow links in the source")
    add("--all", action="store_true", help="one-off containers too")
    _index(parser)
    add("source", metavar="[SERVICE:]PATH", help="what is copied, - for a tar on stdin")
    add("target", metavar="[SERVICE:]PATH", help="where to, - for a tar on stdout")


def _cp(session: Session, args: argparse.Namespace) -> int:
    words = ["--archive"] if args.archive else []
    words += ["--follow-link"] if args.follow_link else []
    places = [_place(session, text, args.index) for text in (args.source, args.target)]
    return docker(session, "cp", [*words, *places])


def _place(session: Session, text: str, index: int) -> str:
    service, colon, path = text.partition(":")
    if not colon or "/" in service or service.startswith("."):
        return text
    return f"{one_of(session, service, index, running=False)}:{path}"


def _commit_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-a", "--author", default="", help="who made it")
    add("-c", "--change", action="append", default=[], help="a Dockerfile instruction to apply")
    add("-m", "--message", default="", help="what it is")
    add("-p", "--pause", action="store_true", default=True, help="freeze it (so by default)")
    _index(parser)
    add("service", metavar="SERVICE", help="whose container")
    add("name", nargs="?", default="", metavar="NAME[:TAG]", help="the image's name")


def _commit(session: Session, args: argparse.Namespace) -> int:
    words = [f"--change={text}" for text in args.change]
    words += [f"--author={args.author}"] if args.author else []
    words += [f"--message={args.message}"] if args.message else []
    words += [] if args.pause else ["--pause=false"]
    container = one_of(session, args.service, args.index, running=False)
    return docker(session, "commit", [*words, container, *filter(None, [args.name])])


def _export_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", default="", metavar="FILE", help="the tar to write")
    _index(parser)
    parser.add_argument("service", metavar="SERVICE", help="whose container")


def _export(session: Session, args: argparse.Namespace) -> int:
    words = [f"--output={args.output}"] if args.output else []
    container = one_of(session, args.service, args.index, running=False)
    return docker(session, "export", [*words, container])


def _port_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--protocol", choices=("tcp", "udp", "sctp"), default="tcp", help="tcp unless said")
    _index(parser)
    add("service", metavar="SERVICE", help="whose container")
    add("port", nargs="?", default="", metavar="PORT", help="a port of the container")


def _port(session: Session, args: argparse.Namespace) -> int:
    container = one_of(session, args.service, args.index)
    port = [f"{args.port}/{args.protocol}"] if args.port else []
    return docker(session, "port", [container, *port])


COMMANDS = {
    "exec": Command(_exec_arguments, _exec),
    "attach": Command(_attach_arguments, _attach),
    "cp": Command(_cp_arguments, _cp),
    "commit": Command(_commit_arguments, _commit),
    "export": Command(_export_arguments, _export),
    "port": Command(_port_arguments, _port),
}

"""What is done to the containers of a stack, or of some of its services, all together: `kill`,
`pause`, `unpause`, `rm`, `wait`, `top`, `stats`, `events`."""

from __future__ import annotations

import argparse

from orchestrator.cli import containers
from orchestrator.cli.command import Command
from orchestrator.cli.confirm import confirmed
from orchestrator.cli.session import Session
from orchestrator.cli.stack import file
from orchestrator.cli.stack.delegate import docker, ids, names, of_services
from orchestrator.cli.stack.lifecycle import change
from orchestrator.cli.together import together

_STOPPED = ("created", "exited", "dead")


def _services(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("services", nargs="*", metavar="SERVICE", help="only these services")


def _kill_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-s", "--signal", default="KILL", metavar="NAME", help="KILL unless said")
    parser.add_argument("--remove-orphans", action="store_true", help=argparse.SUPPRESS)
    _services(parser)


def _kill(session: Session, args: argparse.Namespace) -> int:
    found = of_services(session, args.services, running=True)
    return docker(session, "kill", [f"--signal={args.signal}", *names(found)]) if found else 0


def _pause(session: Session, args: argparse.Namespace) -> int:
    found = of_services(session, args.services, running=True)
    return docker(session, "pause", names(found)) if found else 0


def _unpause(session: Session, args: argparse.Namespace) -> int:
    found = [c for c in of_services(session, args.services) if c.get("State") == "paused"]
    return docker(session, "unpause", names(found)) if found else 0


def _rm_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-f", "--force", action="store_true", help="ask nothing")
    add("-s", "--stop", action="store_true", help="stop them first")
    add("-v", "--volumes", action="store_true", help="their anonymous volumes too")
    _services(parser)


def _rm(session: Session, args: argparse.Namespace) -> int:
    stack = file.project(session)
    found = of_services(session, args.services)
    if not args.stop:
        found = [c for c in found if c.get("State") in _STOPPED]
    if not found:
        session.note("no stopped containers")
        return 0
    shown = names(found)
    if not args.force and not confirmed(session, f"This will remove {', '.join(shown)}."):
        return 0
    # Wanted stopped first, or the engine would make them again.
    service_names = {containers.label(c, containers.SERVICE) for c in found}
    change(session, stack, "stop", sorted(filter(None, service_names)), None)
    words = ["--volumes"] if args.volumes else []
    return docker(session, "rm", [*words, *shown])


def _wait_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--down-project", action="store_true", help="down when the first ends")
    parser.add_argument("services", nargs="+", metavar="SERVICE", help="whose containers")


def _wait(session: Session, args: argparse.Namespace) -> int:
    """The exit code of the first container that ends, which is printed with its service."""
    stack = file.project(session)
    found = of_services(session, args.services)
    codes = together(
        lambda c: int(
            session.engine.post(f"/containers/{containers.identifier(c, whole=True)}/wait")[
                "StatusCode"
            ]
        ),
        found,
    )
    last = 0
    for container, code in zip(found, codes, strict=True):
        if isinstance(code, Exception):
            raise code
        service = containers.label(container, containers.SERVICE)
        session.say(f'container "{service}" exited with status code {code}')
        last = last or code
    if args.down_project:
        from orchestrator.cli.stack.wish import wish  # noqa: PLC0415

        wish(session, stack, "down", {})
    return last


def _top(session: Session, args: argparse.Namespace) -> int:
    for container in of_services(session, args.services, running=True):
        session.say(containers.name(container))
        session.stdout.flush()
        if code := docker(session, "top", ids([container])):
            return code
        session.say()
    return 0


def _stats_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-a", "--all", action="store_true", help="stopped containers too")
    add("--no-stream", action="store_true", help="once only")
    add("--no-trunc", action="store_true", help="whole ids")
    add("--format", default="", metavar="TEMPLATE", help="table, json or a Go template")
    _services(parser)


def _stats(session: Session, args: argparse.Namespace) -> int:
    found = of_services(session, args.services, running=not args.all)
    words = [f"--{name.replace('_', '-')}" for name in ("no_stream", "no_trunc", "all")
             if getattr(args, name)]  # fmt: skip
    words += [f"--format={args.format}"] if args.format else []
    return docker(session, "stats", [*words, *names(found)]) if found else 0


def _events_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--json", action="store_true", help="as JSON")
    add("--since", default="", metavar="TIME", help="begin there")
    add("--until", default="", metavar="TIME", help="end there")
    _services(parser)


def _events(session: Session, args: argparse.Namespace) -> int:
    stack = file.project(session)
    words = [f"--filter=label={containers.PROJECT}={stack}"]
    words += [f"--filter=label={containers.SERVICE}={s}" for s in args.services]
    words += [f"--{key}={getattr(args, key)}" for key in ("since", "until") if getattr(args, key)]
    words += ["--format=json"] if args.json else []
    return docker(session, "events", words)


def _volumes_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-q", "--quiet", action="store_true", help="names only")
    add("--format", default="", metavar="TEMPLATE", help="table, json or a Go template")
    _services(parser)


def _volumes(session: Session, args: argparse.Namespace) -> int:
    from orchestrator.cli.commands import GROUPS, load  # noqa: PLC0415
    from orchestrator.cli.options import Parser  # noqa: PLC0415

    stack = file.project(session)
    words = [f"--filter=label={containers.PROJECT}={stack}"]
    words += ["--quiet"] if args.quiet else []
    words += [f"--format={args.format}"] if args.format else []
    command = load(GROUPS["volume"]["ls"])
    parser = Parser(prog="pystack volume ls", allow_abbrev=False)
    command.arguments(parser)
    return command.run(session, parser.parse_args(words))


COMMANDS = {
    "kill": Command(_kill_arguments, _kill, names="services"),
    "pause": Command(_services, _pause, names="services"),
    "unpause": Command(_services, _unpause, names="services"),
    "rm": Command(_rm_arguments, _rm, names="services"),
    "wait": Command(_wait_arguments, _wait, names="services"),
    "top": Command(_services, _top, names="services"),
    "stats": Command(_stats_arguments, _stats, names="services"),
    "events": Command(_events_arguments, _events, names="services"),
    "volumes": Command(_volumes_arguments, _volumes, names="services"),
}

"""`run`: a container of a service beside those that the stack has, for one command."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestrator.cli.command import Command
from orchestrator.cli.container.attached import Wishes, check_terminal, run_attached
from orchestrator.cli.options import UsageError
from orchestrator.cli.session import Session
from orchestrator.cli.stack import file
from orchestrator.cli.stack.wish import check_services, sent, wish

if TYPE_CHECKING:
    from orchestrator.model.container import ContainerSpec, Mount, PortBinding
    from orchestrator.model.stack import Service, Stack


def _arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--build", action="store_true", help="build its image first")
    add("--cap-add", action="append", default=[], metavar="CAP", help="a capability to add")
    add("--cap-drop", action="append", default=[], metavar="CAP", help="a capability to drop")
    add("-d", "--detach", action="store_true", help="print its id and return")
    add("--entrypoint", default=None, metavar="COMMAND", help="instead of the service's")
    add("-e", "--env", action="append", default=[], metavar="NAME[=VALUE]", help="a variable")
    add("--env-from-file", action="append", default=[], metavar="FILE", help="a file of variables")
    add("-i", "--interactive", action="store_true", default=True, help="send it stdin")
    add("-l", "--label", action="append", default=[], metavar="NAME[=VALUE]", help="a label")
    add("--name", default="", help="its name")
    add("-T", "--no-TTY", "--no-tty", dest="no_tty", action="store_true", help="no terminal")
    add("--no-deps", action="store_true", help="start nothing that it depends on")
    add("-p", "--publish", action="append", default=[], metavar="PORT", help="a port to publish")
    add("--pull", choices=("always", "missing", "never"), default="", help="when to pull its image")
    add("-q", "--quiet", action="store_true", help="show no progress")
    add("--quiet-build", action="store_true", help=argparse.SUPPRESS)
    add("--quiet-pull", action="store_true", help=argparse.SUPPRESS)
    add("--remove-orphans", action="store_true", help="remove containers of services gone")
    add("--rm", action="store_true", help="remove it when it ends")
    add("-P", "--service-ports", action="store_true", help="publish the service's ports")
    add("--use-aliases", action="store_true", help="answer to the service's names")
    add("-u", "--user", default="", help="who it runs as")
    add("-v", "--volume", action="append", default=[], metavar="VOLUME", help="a mount")
    add("-w", "--workdir", default="", metavar="DIR", help="its working directory")
    add("service", metavar="SERVICE", help="whose container")
    add("command", nargs=argparse.REMAINDER, metavar="COMMAND …", help="what to run")


def _run(session: Session, args: argparse.Namespace) -> int:
    loaded = file.read(session, [args.service])
    for warning in loaded.warnings:
        session.note(f"warning: {warning}")
    stack = loaded.stack
    check_services(stack, [args.service])
    service = next(s for s in stack.services if s.name == args.service)
    if args.publish and args.service_ports:
        raise UsageError("--publish and --service-ports exclude each other")
    base = sent(stack, loaded)
    if needed := [d.service for d in service.depends_on if not args.no_deps]:
        healthy = any(d.condition == "service_healthy" for d in service.depends_on)
        body = {**base, "services": needed, "wait": "healthy" if healthy else "running"}
        wish(session, stack.name, "up", body, quiet=args.quiet)
    tty = not args.no_tty and not args.detach and sys.stdin.isatty() and session.stdout.isatty()
    stdin = args.interactive and not args.detach
    spec = _spec(session, service, args, tty=tty, stdin=stdin)
    changed = _with(stack, replace(service, container=spec))
    result = wish(
        session,
        stack.name,
        "run",
        {
            **base,
            "stack": file.as_json(changed),
            "service": args.service,
            "name": args.name,
            "auto_remove": args.rm,
            "build": args.build,
            "pull": args.pull,
        },
        quiet=True,
    )
    container = str(result["id"])

    def start() -> None:
        session.engine.post(f"/containers/{container}/start")

    if args.detach:
        start()
        session.say(container)
        return 0
    check_terminal(stdin=stdin, tty=tty)
    wishes = Wishes(stdin=stdin, tty=tty, removed=args.rm)
    return run_attached(session, container, start, wishes) or 0


def _with(stack: Stack, service: Service) -> Stack:
    services = (service if s.name == service.name else s for s in stack.services)
    return replace(stack, services=tuple(services))


def _spec(
    session: Session, service: Service, args: argparse.Namespace, *, tty: bool, stdin: bool
) -> ContainerSpec:
    """The service's container as it is wanted this once."""
    import shlex  # noqa: PLC0415

    from orchestrator.model.container import RestartPolicy  # noqa: PLC0415

    base = service.container
    aliases = base.attachments if args.use_aliases else tuple(
        replace(a, aliases=()) for a in base.attachments
    )  # fmt: skip
    ports = base.ports if args.service_ports else _ports(args.publish)
    changes: dict[str, Any] = {
        "environment": {**base.environment, **_environment(session, args)},
        "labels": {**base.labels, **_pairs(args.label)},
        "attachments": aliases,
        "ports": ports,
        "mounts": (*base.mounts, *_mounts(args.volume)),
        "cap_add": (*base.cap_add, *args.cap_add),
        "cap_drop": (*base.cap_drop, *args.cap_drop),
        "restart": RestartPolicy(),
        "tty": tty,
        "stdin_open": stdin,
        "stdin_once": stdin,
        "healthcheck": base.healthcheck,
    }
    if args.entrypoint is not None:
        changes |= {"entrypoint": tuple(shlex.split(args.entrypoint)), "command": ()}
    if args.command:
        changes["command"] = tuple(args.command)
    if args.user:
        changes["user"] = args.user
    if args.workdir:
        changes["working_dir"] = args.workdir
    return replace(base, **changes)


def _environment(session: Session, args: argparse.Namespace) -> dict[str, str]:
    from orchestrator.cli.container.flags import environment  # noqa: PLC0415

    known = argparse.Namespace(env=args.env, env_file=args.env_from_file)
    return _pairs(environment(known, session.environ))


def _pairs(texts: list[str]) -> dict[str, str]:
    return {name: value for name, _, value in (text.partition("=") for text in texts)}


def _ports(texts: list[str]) -> tuple[PortBinding, ...]:
    from orchestrator.cli.container.ports import port_bindings  # noqa: PLC0415
    from orchestrator.model.container import PortBinding  # noqa: PLC0415

    found = []
    for key, places in port_bindings(texts).items():
        number, _, protocol = key.partition("/")
        for place in places:
            first, _, last = (place.get("HostPort") or "").partition("-")
            found.append(
                PortBinding(
                    container_port=int(number),
                    protocol=protocol,  # type: ignore[arg-type]
                    host_ip=place.get("HostIp", ""),
                    host_port=int(first or 0),
                    host_port_last=int(last or 0),
                )
            )
    return tuple(found)


def _mounts(texts: list[str]) -> tuple[Mount, ...]:
    """The mounts of `[SOURCE:]TARGET[:OPTIONS]`; a source with a slash or dot first is a path."""
    from pathlib import Path  # noqa: PLC0415

    from orchestrator.model.container import Mount  # noqa: PLC0415

    found = []
    for text in texts:
        source, colon, rest = text.partition(":")
        target, _, options = rest.partition(":") if colon else (source, "", "")
        name = source if colon else ""
        is_path = bool(colon) and source.startswith((".", "/", "~"))
        found.append(
            Mount(
                kind="bind" if is_path else "volume",
                source=str(Path(source).expanduser().absolute()) if is_path else name,
                target=target,
                create_host_path=is_path,
                read_only="ro" in options.split(","),
            )
        )
    return tuple(found)


COMMANDS = {"run": Command(_arguments, _run)}

"""`watch`: changes of the source are carried over to the running containers.

Source: the Compose specification, "develop".
"""

from __future__ import annotations

import argparse
import io
import tarfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli.command import Command
from orchestrator.cli.outcome import error_lines
from orchestrator.cli.session import Session
from orchestrator.cli.stack import file
from orchestrator.cli.stack.delegate import docker, ids, of_services
from orchestrator.cli.stack.sources import changes
from orchestrator.cli.stack.wish import check_services, sent, wish
from orchestrator.errors import InvalidInput, PystackError
from orchestrator.model.ignore import IgnoreRules, parse_ignore

if TYPE_CHECKING:
    from orchestrator.model.stack import Service, Stack, WatchRule

# Never part of what is watched. Source: the Compose specification, "develop", `ignore`.
_NEVER = (".git", "**/*~", "**/.*.swp", "**/.*.swx", "**/4913")


def _arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--no-up", action="store_true", help="the stack runs already: do not bring it up")
    add("--prune", action="store_true", default=True, help=argparse.SUPPRESS)
    add("--quiet", action="store_true", help="do not say what is carried over")
    add("services", nargs="*", metavar="SERVICE", help="only these services")


def _watch(session: Session, args: argparse.Namespace) -> int:
    loaded = file.read(session, args.services)
    stack = loaded.stack
    check_services(stack, args.services)
    watching = [s for s in stack.services if s.watch and s.name in (args.services or [s.name])]
    if not watching:
        raise InvalidInput(
            f"no service of stack {stack.name} says what to watch",
            code="nothing-to-watch",
            about=stack.name,
            hint='a service says so under "develop: {watch: […]}"',
        )
    if not args.no_up:
        wish(session, stack.name, "up", {**sent(stack, loaded), "services": args.services})
    try:
        watch_source(session, stack, threading.Event(), args.services)
    except KeyboardInterrupt:
        session.note("")
    return 0


def watch_source(
    session: Session, stack: Stack, stop: threading.Event, services: Sequence[str] = ()
) -> None:
    """Nothing, once `stop` is set; changes are carried over until then, errors told."""
    watched = [
        _Watched(session, stack, service, rule)
        for service in stack.services
        for rule in service.watch
        if not services or service.name in services
    ]
    for each in watched:
        each.begin()
    roots = [Path(each.rule.path) for each in watched]
    session.note(f"watching {', '.join(sorted({str(root) for root in roots}))}")
    for changed in changes(lambda: roots, stop, below=True):
        for each in watched:
            if mine := [path for path in sorted(changed) if each.takes(path)]:
                each.carry_over(mine)


class _Watched:
    """One rule of one service."""

    def __init__(self, session: Session, stack: Stack, service: Service, rule: WatchRule) -> None:
        self._session = session
        self._stack = stack
        self._service = service
        self.rule = rule
        self._root = Path(rule.path)
        self._ignored = parse_ignore("\n".join((*_NEVER, *_docker_ignore(service), *rule.ignore)))
        self._included: IgnoreRules | None = (
            parse_ignore("\n".join(rule.include)) if rule.include else None
        )

    def takes(self, path: Path) -> bool:
        """Whether a change of this path is the rule's business."""
        if path != self._root and not path.is_relative_to(self._root):
            return False
        below = path.relative_to(self._root).as_posix()
        if below == ".":
            return not path.is_dir()
        if self._included is not None and not self._included.excludes(below):
            return False
        return not self._ignored.excludes(below)

    def begin(self) -> None:
        """Nothing, once everything is copied where the rule says to copy it at the start."""
        if self.rule.initial_sync and "sync" in self.rule.action:
            self.carry_over([path for path in sorted(self._root.rglob("*")) if self.takes(path)])

    def carry_over(self, paths: list[Path]) -> None:
        """Nothing, once the change is where it belongs; an error is told and no more."""
        name = self._service.name
        shown = paths[0].name + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")
        self._session.note(f"{self.rule.action} {name}: {shown}")
        try:
            self._act(paths)
        except PystackError as error:
            for line in error_lines(error):
                self._session.note(line)

    def _act(self, paths: list[Path]) -> None:
        services = [self._service.name]
        match self.rule.action:
            case "rebuild":
                loaded = file.read(self._session, services)
                body = {
                    **sent(loaded.stack, loaded),
                    "services": services,
                    "build": True,
                    "no_deps": True,
                }
                wish(self._session, self._stack.name, "up", body, quiet=True)
            case "restart":
                wish(self._session, self._stack.name, "restart", {"services": services}, quiet=True)
            case action:
                found = ids(of_services(self._session, services, running=True))
                for container in found:
                    self._sync(container, paths)
                if action == "sync+restart":
                    body = {"services": services}
                    wish(self._session, self._stack.name, "restart", body, quiet=True)
                elif action == "sync+exec" and self.rule.exec is not None:
                    for container in found:
                        self._run_hook(container)

    def _sync(self, container: str, paths: list[Path]) -> None:
        """Nothing, once the container has the files as they are, and none that are gone."""
        there = [path for path in paths if path.exists() or path.is_symlink()]
        gone = [self._target(path) for path in paths if path not in there]
        if there:
            path = f"/containers/{container}/archive"
            content = self._tar(there)
            self._session.engine.open(
                "PUT", path, query={"path": "/"}, headers={"Content-Type": "application/x-tar"},
                body=content,
            ).close()  # fmt: skip
        if gone:
            docker(self._session, "exec", [container, "rm", "-rf", "--", *gone])

    def _tar(self, paths: list[Path]) -> bytes:
        """The files as a tar whose names count from the container's root."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for path in paths:
                tar.add(path, self._target(path).lstrip("/"), recursive=False)
        return buffer.getvalue()

    def _target(self, path: Path) -> str:
        below = path.relative_to(self._root)
        target = Path(self.rule.target)
        return str(target if path == self._root else target / below)

    def _run_hook(self, container: str) -> None:
        hook = self.rule.exec
        assert hook is not None
        words = [f"--env={name}={value}" for name, value in hook.environment.items()]
        words += [f"--user={hook.user}"] if hook.user else []
        words += [f"--workdir={hook.working_dir}"] if hook.working_dir else []
        words += ["--privileged"] if hook.privileged else []
        docker(self._session, "exec", [*words, container, *hook.command])


def _docker_ignore(service: Service) -> list[str]:
    """The patterns of the build context's .dockerignore, where there is one."""
    if service.build is None:
        return []
    try:
        return (Path(service.build.context) / ".dockerignore").read_text().splitlines()
    except OSError:
        return []


COMMANDS = {"watch": Command(_arguments, _watch, names="services")}

"""What a person asks for, as what is wanted of a stack. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from orchestrator.controller.ordering import ordered
from orchestrator.model.stack import Stack
from orchestrator.state.stacks import Desired


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """What `up` may be told beside the stack; `services` empty means all.

    `recreate` is diverged, force or never; `no_start` makes containers without starting them.
    """

    build: bool = False
    no_build: bool = False
    pull: str = ""
    recreate: str = "diverged"
    recreate_deps: bool = False
    renew_volumes: bool = False
    remove_orphans: bool = False
    ignore_orphans: bool = False
    no_deps: bool = False
    no_start: bool = False
    grace_s: float | None = None
    services: tuple[str, ...] = ()


def wanted_up(stack: Stack, options: UpOptions, before: Desired | None, since: float) -> Desired:
    """The stack as `up` wants it, given what was wanted `before`."""
    named = frozenset(options.services)
    taking_part = {s.name for s in ordered(stack, named, no_deps=options.no_deps)}
    forced = named or frozenset(taking_part)
    if options.recreate_deps:
        forced = frozenset(taking_part)
    refresh = {
        s.name
        for s in stack.services
        if s.name in taking_part
        and (
            (s.build is not None and (options.build or s.pull_policy == "build"))
            or (s.build is None and "always" in (options.pull, s.pull_policy))
        )
    }
    base = Desired(stack=stack, since=since, only=named)
    if before is not None and before.wish == "running" and named:
        # Beside those named now, what was wanted before goes on as it was.
        stack = _with_others(stack, before.stack, taking_part)
        known = {s.name for s in before.stack.services}
        wanted = ((before.only or known) & {s.name for s in stack.services}) | named
        base = replace(
            base,
            since=before.since,
            only=frozenset() if len(wanted) == len(stack.services) else frozenset(wanted),
            stopped=before.stopped - taking_part,
            started={**before.started, **dict.fromkeys(taking_part, since)},
            restarted=before.restarted,
        )
    return replace(
        base,
        stack=without_builds(stack) if options.no_build else stack,
        wish="created" if options.no_start else "running",
        no_deps=options.no_deps,
        refresh=frozenset(refresh) if not options.no_build else frozenset(),
        force=forced if options.recreate == "force" else frozenset(),
        never_recreate=options.recreate == "never",
        renew_volumes=options.renew_volumes,
        remove_orphans=options.remove_orphans,
        ignore_orphans=options.ignore_orphans,
        grace_s=options.grace_s,
        proven=before.proven if before is not None else {},
    )


def _with_others(stack: Stack, before: Stack, named: set[str]) -> Stack:
    """The stack with the services that are not named as they were before."""
    services = tuple(s if s.name in named else before.service(s.name) or s for s in stack.services)
    sources = {f.source for s in services if s.name in named for f in s.container.files}
    granted = {f.source: f for f in stack.granted}
    granted |= {f.source: f for f in before.granted if f.source not in sources}
    used = {f.source for s in services for f in s.container.files}
    names = {n.name for n in stack.networks} | {v.name for v in stack.volumes}
    return replace(
        stack,
        services=services,
        granted=tuple(f for _, f in sorted(granted.items()) if f.source in used),
        networks=(*stack.networks, *(n for n in before.networks if n.name not in names)),
        volumes=(*stack.volumes, *(v for v in before.volumes if v.name not in names)),
    )


def without_builds(stack: Stack) -> Stack:
    """The stack with images that are pulled, never built."""
    return replace(stack, services=tuple(replace(s, build=None) for s in stack.services))


def _once_done(desired: Desired) -> Desired:
    """The same without what is asked for once and done: replacing, pulling and building anew."""
    return replace(desired, force=frozenset(), refresh=frozenset(), renew_volumes=False)


def wanted_stopped(
    desired: Desired, services: frozenset[str], grace_s: float | None, since: float
) -> Desired:
    """The same with those services stopped, or all of it where none is named."""
    desired = _once_done(desired)
    if not services:
        return replace(desired, wish="stopped", grace_s=grace_s, since=since)
    return replace(desired, stopped=desired.stopped | services, grace_s=grace_s)


def wanted_started(desired: Desired, services: frozenset[str], since: float) -> Desired:
    """The same with those services running (all where none is named), as they were last."""
    desired = _once_done(desired)
    if desired.wish == "stopped" and services:
        others = {s.name for s in desired.stack.services} - services
        return replace(desired, wish="running", since=since, stopped=frozenset(others))
    if not services:
        return replace(desired, wish="running", since=since, stopped=frozenset())
    started = {**desired.started, **dict.fromkeys(services, since)}
    stopped = desired.stopped - services
    return replace(desired, wish="running", started=started, stopped=stopped)


def wanted_restarted(
    desired: Desired, services: frozenset[str], grace_s: float | None, since: float
) -> Desired:
    """The same with the containers of those services (all where none is named) started anew."""
    names = services or {s.name for s in desired.stack.services}
    running = wanted_started(desired, services, since)
    times = {**desired.restarted, **dict.fromkeys(names, since)}
    return replace(running, restarted=times, grace_s=grace_s)

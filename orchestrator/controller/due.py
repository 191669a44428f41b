"""When a container that needs no replacement is to be started, or started anew. Pure."""

from __future__ import annotations

from orchestrator.controller.draft import Draft
from orchestrator.controller.ordering import namespace_owners
from orchestrator.model.observed import Container
from orchestrator.model.stack import Service, Stack

# A container that was killed from outside sooner than this after its start is taken to have
# ended by itself: starting it again at once would never end.
_KILLED_AFTER_S = 1.0
_BY_SIGKILL = 137
# What a start that failed is recorded as.
_NOT_STARTED = (126, 127, 128)


def due(container: Container, since: float) -> str | None:
    """Why the container is to be started for a wish made at `since`, "" where nothing need be
    said; None where it is not."""
    state = container.state
    match state.status:
        case "running" | "paused" | "restarting" | "removing":
            return None
        case "created":
            return ""
        case _:
            ended = f"it ended with exit code {state.exit_code}"
            if state.finished_at < since:
                return ended
            if state.due:
                refused = state.error and state.exit_code in _NOT_STARTED
                return "it could not be started" if refused else f"{ended} while no engine ran"
            outside = state.exit_code == _BY_SIGKILL and not state.oom_killed
            long_enough = state.finished_at - state.started_at >= _KILLED_AFTER_S
            if outside and long_enough and not state.stopped_by_user:
                return "it was killed from outside"
            return None


def outlived(draft: Draft, service: Service, container: Container) -> str:
    """Why a running container is to be started anew; "" where it is not."""
    desired = draft.desired
    began = container.state.started_at
    if desired.restarted.get(service.name, 0.0) > began:
        return "asked for"
    for name in namespace_owners(service):
        if any(_another(draft, n, container) for n in draft.names(name)):
            return f"{name}, whose namespace it shares, is started anew"
    for needed in _followed(desired.stack, service):
        if desired.restarted.get(needed.name, 0.0) > began:
            return f"{needed.name}, which it depends on, was restarted"
        theirs = draft.observed.of_service(needed.name)
        replaced = any(c.created_at > began for c in theirs)
        names = draft.names(needed.name)
        if replaced or any(f"container {n}" in draft.done_by for n in names):
            return f"{needed.name}, which it depends on, was replaced"
    return ""


def _another(draft: Draft, name: str, container: Container) -> bool:
    """Whether the owner of that name is, or becomes, another than whom the container joined.

    Only the name counts: one that an update makes beside it has another, and no say, until then.
    """
    if f"started {name}" in draft.done_by or f"gone {name}" in draft.done_by:
        return True
    owner, state = draft.observed.containers.get(name), container.state
    if owner is None or not owner.running:
        return False
    other = bool(state.joined) and owner.id not in state.joined
    return other or owner.state.started_at > state.started_at


def _followed(stack: Stack, service: Service) -> list[Service]:
    """The services whose restart is one for this one too: those it depends on with `restart`, and
    those that they do, nearest first."""
    found: dict[str, Service] = {}
    waiting = [service]
    while waiting:
        for dependency in waiting.pop(0).depends_on:
            needed = stack.service(dependency.service)
            if dependency.restart and needed is not None and needed.name not in found:
                found[needed.name] = needed
                waiting.append(needed)
    return list(found.values())


def owners_ready(draft: Draft, service: Service, *, deps: bool = False) -> list[str]:
    """What happens to the containers of `owner_names` before the service's may join them."""
    names = owner_names(draft, service, deps=deps)
    return [f"{what} {name}" for name in names for what in ("gone", "renamed", "started")]


def owner_names(draft: Draft, service: Service, *, deps: bool = False) -> list[str]:
    """The containers whose namespaces the service's share, and with `deps` those it follows."""
    owners = namespace_owners(service)
    if deps:
        owners += [d.service for d in service.depends_on if d.restart]
    return [name for owner in owners for name in draft.names(owner)]

"""Doing a plan: every action as soon as what it needs is done and its gates are open.

Decides nothing: which action, in which order and why, the plan says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import anyio
import anyio.lowlevel

from orchestrator.aio.changes import Changes
from orchestrator.controller.gates import GateState
from orchestrator.controller.plan import (
    Action,
    BuildImage,
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    Gate,
    Plan,
    PullImage,
    RemoveContainer,
    RemoveNetwork,
    RemoveVolume,
    RenameContainer,
    ReplaceContainer,
    RestartContainer,
    StartContainer,
    StopContainer,
    UpdateContainer,
)
from orchestrator.engine.builds import Builds
from orchestrator.engine.connections import Connections
from orchestrator.engine.containers import Containers
from orchestrator.engine.faults import told
from orchestrator.engine.grants import Grants
from orchestrator.engine.images import Images
from orchestrator.engine.networks import Networks
from orchestrator.engine.volumes import Volumes
from orchestrator.errors import NotFound, PystackError
from orchestrator.model.events import Progress, Report
from orchestrator.model.observed import Container

_DOING = {
    "pull": ("pulling", "pulled"),
    "build": ("building", "built"),
    "create": ("creating", "created"),
    "replace": ("replacing", "replaced"),
    "start": ("starting", "started"),
    "restart": ("restarting", "restarted"),
    "update": ("updating", "updated"),
    "rename": ("renaming", "renamed"),
    "stop": ("stopping", "stopped"),
    "remove": ("removing", "removed"),
}


# One look at the world, through which any number of gates can be judged.
Look = Callable[[], Callable[[Gate], GateState]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Nouns:
    """The engine's operations, by noun."""

    containers: Containers
    images: Images
    networks: Networks
    connections: Connections
    volumes: Volumes
    builds: Builds
    grants: Grants


@dataclass(slots=True)
class Outcome:
    """What became of a plan: `held` maps the actions that could not be done yet to the reason,
    `broken` holds the reasons that will not go away by waiting."""

    done: list[Action] = field(default_factory=list)
    failed: list[tuple[Action, PystackError]] = field(default_factory=list)
    held: dict[str, str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)


class Executor:
    """Carries out plans through the engine's operations."""

    def __init__(self, nouns: Nouns, changes: Changes) -> None:
        self._nouns = nouns
        self._changes = changes

    async def execute(self, plan: Plan, look: Look, report: Report) -> Outcome:
        """The outcome, once nothing more of the plan can be done now.

        After a failure what is running is finished, and nothing that needs the failed action is
        begun. `look` is asked again after every change of the engine's records.
        """
        outcome = Outcome()
        waiting = {action.key: action for action in plan.actions}
        running: set[str] = set()
        done: set[str] = set()
        beginning = anyio.Lock()

        async def perform(action: Action) -> None:
            # One begins at a turn of the loop: hundreds at once would keep all others waiting.
            async with beginning:
                await anyio.lowlevel.checkpoint()
            doing, finished = _DOING[action.verb]
            report(Progress(subject=action.subject, step=doing, detail=action.why))
            try:
                await self._perform(action, report)
            except Exception as error:
                known = told(error, action.key)
                outcome.failed.append((action, known))
                report(Progress(subject=action.subject, step="error", detail=str(known), done=True))
            else:
                done.add(action.key)
                outcome.done.append(action)
                report(Progress(subject=action.subject, step=finished, done=True))
            finally:
                running.discard(action.key)
                self._changes.ring()

        def begin_what_can() -> Outcome | None:
            outcome.held.clear()
            outcome.broken.clear()
            gate = look()
            for key, action in list(waiting.items()):
                if not done.issuperset(n for n in action.needs if n in known):
                    continue
                states = [gate(g) for g in action.gates]
                shut = [s for s in states if s.state != "open"]
                if shut:
                    outcome.held[key] = shut[0].why
                    outcome.broken += [s.why for s in shut if s.state == "broken"]
                    continue
                del waiting[key]
                running.add(key)
                tasks.start_soon(perform, action, name=key)
            return None if running else outcome

        known = set(waiting)
        async with anyio.create_task_group() as tasks:
            await self._changes.until(begin_what_can)
        return outcome

    async def _perform(self, action: Action, report: Report) -> None:
        nouns = self._nouns
        match action:
            case PullImage():
                policy: Literal["always", "missing"] = "always" if action.always else "missing"
                await nouns.images.ensure(action.reference, policy, report)
            case BuildImage():
                tags = (action.reference, *action.build.tags)
                await nouns.builds.build(nouns.grants.with_values(action.build), tags, report)
            case CreateNetwork():
                await self._create_network(action)
            case CreateVolume():
                volume = action.volume
                await nouns.volumes.ensure(
                    volume.name,
                    driver=volume.driver,
                    options=volume.options,
                    labels=action.labels,
                )
            case RemoveNetwork():
                await nouns.networks.remove(action.name)
            case RemoveVolume():
                await nouns.volumes.remove(action.name, force=True)
            case _:
                await self._perform_on_container(action)

    async def _create_network(self, action: CreateNetwork) -> None:
        wanted = action.network
        await self._nouns.networks.create(
            wanted.name,
            driver=wanted.driver,
            subnet=wanted.subnet,
            gateway=wanted.gateway,
            ip_range=wanted.ip_range,
            more_subnets=wanted.more_subnets,
            internal=wanted.internal,
            attachable=wanted.attachable,
            ipv6=wanted.ipv6,
            ipv6_subnet=wanted.ipv6_subnet,
            ipv6_gateway=wanted.ipv6_gateway,
            ipv6_range=wanted.ipv6_range,
            aux_addresses=wanted.aux_addresses,
            options=wanted.options,
            labels=action.labels,
        )

    async def _perform_on_container(self, action: Action) -> None:
        containers = self._nouns.containers
        match action:
            case ReplaceContainer():
                await self._replace(action)
            case CreateContainer():
                await self._create(action, action.name)
            case UpdateContainer():
                await containers.take_over(action.id, action.spec)
            case RenameContainer():
                await containers.rename(action.id, action.new_name)
            case StartContainer():
                await containers.start(action.name)
            case RestartContainer():
                await containers.restart(action.id, action.grace_s)
            case StopContainer():
                await containers.stop(action.id, action.grace_s)
            case RemoveContainer():
                if action.drain:
                    await self._drain(action.id, action.grace_s)
                await self._remove(action.id, action.grace_s, volumes=action.volumes)
            case _:
                raise AssertionError(f"no way to perform {action!r}")

    async def _create(self, action: CreateContainer | ReplaceContainer, name: str) -> Container:
        return await self._nouns.containers.create(
            action.spec,
            name,
            kept_volumes=action.kept_volumes,
            image_id=action.image_id,
        )

    async def _replace(self, action: ReplaceContainer) -> None:
        if action.drain:
            await self._drain(action.old_id, None)
        if action.beside:
            made = await self._create(action, action.beside)
            await self._remove(action.old_id, None, volumes=False)
            await self._nouns.containers.rename(made.id, action.name)
        else:
            await self._remove(action.old_id, None, volumes=False)
            await self._create(action, action.name)

    async def _drain(self, identifier: str, grace_s: float | None) -> None:
        """Nothing, once the container has no connection by a port that others share, or its grace
        is over; it gets no new ones."""
        try:
            container = self._nouns.containers.get(identifier)
            wait_s = container.spec.stop_grace_s if grace_s is None else grace_s
            if container.running and self._nouns.networks.shares_ports(container):
                await self._nouns.connections.drain(identifier)
                await self._nouns.connections.emptied(identifier, max(0.0, wait_s))
        except NotFound:
            return  # it is gone already

    async def _remove(self, identifier: str, grace_s: float | None, *, volumes: bool) -> None:
        try:
            await self._nouns.containers.stop(identifier, grace_s)
            await self._nouns.containers.remove(identifier, force=True, volumes=volumes)
        except NotFound:
            return  # somebody else removed it first, which is what was wanted

"""What can be changed about a container that exists: its pace, its name, its limits, its policy.

The record says what is to be before the kernel is asked, except for pausing, of which the kernel
itself keeps the state: `settled` reads it back for a new engine.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import anyio
from anyio import to_thread

from orchestrator.engine.container_records import ContainerRecords, name_taken
from orchestrator.engine.limit_checks import check_limits, limit_warnings
from orchestrator.engine.networks import Networks
from orchestrator.errors import Conflict, InvalidInput, NotFound
from orchestrator.model.container import ContainerSpec, Resources, RestartPolicy
from orchestrator.model.observed import Container
from orchestrator.runtime.driver import Runtime
from orchestrator.runtime.groups import is_frozen, lift_pids
from orchestrator.runtime.host import read_host
from orchestrator.runtime.kernel_limits import missing_limits
from orchestrator.runtime.limits import resources

# Source: Docker's daemon/names; a name is also a host name's part and a file's.
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What is to be otherwise: fields of Resources by name, and the restart policy unless None."""

    limits: dict[str, object]
    restart: RestartPolicy | None = None


class Adjustments:
    """Changes to containers that do not end them."""

    def __init__(
        self,
        records: ContainerRecords,
        runtime: Runtime,
        networks: Networks,
    ) -> None:
        self._records = records
        self._runtime = runtime
        self._networks = networks

    # -- pausing ---------------------------------------------------------------------------

    async def pause(self, reference: str) -> None:
        """Nothing, once no process of the container is given any time.

        Raises: NotFound; Conflict: it does not run, or is paused already; Failed.
        """
        container = self._records.get(reference)
        async with self._records.lock(container.id):
            container = self._records.get(container.id)
            if container.state.status == "paused":
                raise _conflict(container, "is already paused", f"pystack unpause {container.name}")
            if not container.running:
                raise _conflict(container, "is not running", f"pystack start {container.name}")
            with anyio.CancelScope(shield=True):
                await self._runtime.pause(container.id)
                container = self._records.change(container.id, status="paused")
            self._records.tell("pause", container)

    async def unpause(self, reference: str) -> None:
        """Nothing, once the container goes on.  Raises: NotFound; Conflict: it is not paused."""
        container = self._records.get(reference)
        async with self._records.lock(container.id):
            container = self._records.get(container.id)
            if container.state.status != "paused":
                raise _conflict(container, "is not paused", "")
            await self.thaw(container)

    async def thaw(self, container: Container) -> None:
        """Nothing, once the paused container goes on; one that is not paused is left alone."""
        if container.state.status != "paused":
            return
        with anyio.CancelScope(shield=True):
            await self._runtime.resume(container.id)
            container = self._records.change(container.id, status="running")
        self._records.tell("unpause", container)

    async def settled(self, container: Container) -> Container:
        """The running container with the status that the kernel says: paused or not."""
        frozen = await to_thread.run_sync(is_frozen, container.state.pid, container.id)
        if frozen == (container.state.status == "paused"):
            return container
        return self._records.change(container.id, status="paused" if frozen else "running")

    # -- the name --------------------------------------------------------------------------

    async def rename(self, reference: str, name: str) -> Container:
        """The container under another name, known by that to its peers from now on.

        Raises: NotFound; Conflict: the name is taken, or its own; InvalidInput: it is no name.
        """
        name = name.removeprefix("/")
        if not _NAME.fullmatch(name):
            raise InvalidInput(
                f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
                code="name-invalid",
                about=name,
                hint="use letters, digits, _ . and -, two at least",
            )
        container = self._records.get(reference)
        async with self._records.lock(container.id):
            container = self._records.get(container.id)
            if container.name == name:
                raise _conflict(container, "has this name already", "")
            if (other := self._records.named(name)) is not None:
                raise name_taken(name, other)
            old = container.name
            endpoints = tuple(
                replace(e, names=tuple(name if each == old else each for each in e.names))
                for e in container.endpoints
            )
            container = self._records.put(replace(container, name=name, endpoints=endpoints))
            self._networks.renamed(container)
        self._records.changes.ring()
        self._records.tell("rename", container, {"oldName": f"/{old}"})
        return container

    async def unlink(self, path: str) -> None:
        """Nothing, once a container has a link to another one no more: `/web/db` is the one that
        web knows as db.

        Raises: NotFound: no such container or link.
        """
        name, _, alias = path.strip("/").partition("/")
        container = self._records.get(name)
        async with self._records.lock(container.id):
            container = self._records.get(container.id)
            left = replace(
                container,
                spec=replace(
                    container.spec,
                    attachments=tuple(
                        replace(a, links=_without(a.links, alias))
                        for a in container.spec.attachments
                    ),
                ),
                endpoints=tuple(
                    replace(e, links=_without(e.links, alias)) for e in container.endpoints
                ),
            )
            if left == container:
                raise NotFound(
                    f"container {container.name} has no link {alias}",
                    code="no-such-link",
                    about=path,
                    hint="write it as /NAME/ALIAS; `pystack inspect` shows the links",
                )
            self._networks.renamed(self._records.put(left))
        self._records.changes.ring()

    # -- limits and policy -----------------------------------------------------------------

    async def update(self, reference: str, update: Update) -> list[str]:
        """What of it this kernel leaves out, as sentences, once the rest is in force.

        Raises: NotFound; Conflict: one that removes itself has no restart policy; InvalidInput: a
        limit makes no sense with the others; Failed: the kernel refused, nothing has changed then.
        """
        container = self._records.get(reference)
        async with self._records.lock(container.id):
            container = self._records.get(container.id)
            if container.state.status == "removing":
                raise _conflict(container, "is being removed", "")
            spec = replace(
                container.spec,
                resources=updated(container.spec.resources, update),
                restart=update.restart or container.spec.restart,
            )
            if container.auto_remove and spec.restart.name != "no":
                raise Conflict(
                    "Restart policy cannot be updated because AutoRemove is enabled for the"
                    " container",
                    code="auto-remove",
                    about=container.name,
                    hint="only a container that was not started with --rm can be restarted",
                )
            warnings = await self.limit(container, spec)
            container = self._records.put(replace(container, spec=spec))
        self._records.changes.ring()
        self._records.tell("update", container)
        return warnings

    async def limit(self, container: Container, spec: ContainerSpec) -> list[str]:
        """What of the limits of `spec` this kernel leaves out, as sentences, once the others are
        in force where the container runs; its record is the caller's.

        Raises: InvalidInput: a limit makes no sense with the others; Failed: the kernel refused.
        """
        host = await to_thread.run_sync(read_host)
        lacking = await to_thread.run_sync(missing_limits, host.layout)
        check_limits(spec, host, lacking)
        if container.running and spec.resources != container.spec.resources:
            wanted = resources(spec.resources, host, lacking)
            with anyio.CancelScope(shield=True):
                await self._runtime.update(container.id, wanted)
                if not spec.resources.pids_limit:
                    # Not every runtime has a way of saying this.
                    await to_thread.run_sync(lift_pids, container.state.pid, container.id)
        return list(limit_warnings(spec, host, lacking))


def updated(limits: Resources, update: Update) -> Resources:
    """The limits with those of the update that say something; 0 says nothing.

    Raises: InvalidInput: processors are limited in the other way already.
    """
    said = {name: value for name, value in update.limits.items() if value}
    by_quota = "cpu_period_us" in said or "cpu_quota_us" in said
    if by_quota and limits.nano_cpus:
        raise _exclusive("CPU Period and Quota", "NanoCPUs")
    if "nano_cpus" in said and (limits.cpu_period_us or limits.cpu_quota_us):
        raise _exclusive("Nano CPUs", "CPU Period or Quota")
    memory = said.get("memory_bytes", limits.memory_bytes)
    swap = said.get("memory_swap_bytes", limits.memory_swap_bytes)
    if isinstance(memory, int) and isinstance(swap, int) and 0 < swap < memory:
        raise InvalidInput(
            "Memory limit should be smaller than already set memoryswap limit, update the"
            " memoryswap at the same time",
            code="limit-invalid",
            about="memory",
            hint="add --memory-swap, which is memory and swap together",
        )
    if said.get("pids_limit", 0) == -1:
        said["pids_limit"] = 0
    return replace(limits, **said)  # type: ignore[arg-type]


def _without(links: tuple[str, ...], alias: str) -> tuple[str, ...]:
    return tuple(link for link in links if link.rpartition(":")[2] != alias)


def _exclusive(wanted: str, present: str) -> InvalidInput:
    return InvalidInput(
        f"Conflicting options: {wanted} cannot be updated as {present} has already been set",
        code="limit-invalid",
        about=wanted,
        hint="update the one that is set",
    )


def _conflict(container: Container, problem: str, command: str) -> Conflict:
    return Conflict(
        f"Container {container.name} {problem}",
        code="container-state",
        about=container.name,
        hint=f"`{command}`" if command else "see `pystack ps -a`",
    )

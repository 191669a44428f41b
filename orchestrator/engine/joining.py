"""Which of a container's namespaces are not its own, and whose they are."""

from __future__ import annotations

from pathlib import Path

from anyio import to_thread

from orchestrator.errors import Conflict
from orchestrator.model.observed import Container
from orchestrator.state.database import Database
from orchestrator.volumes import mounts

_PREFIX = "container:"
_FILES = {"network": "net"}


class Joining:
    """Finds the containers that others share namespaces with."""

    def __init__(self, database: Database) -> None:
        self._containers = database.containers

    def namespaces(self, container: Container) -> dict[str, str]:
        """The namespaces that are not the container's own: kind to path, "" for the machine's.

        Raises: Conflict: the other container does not run, or does not share.
        """
        spec = container.spec
        modes = {
            "network": spec.network_mode,
            "pid": spec.pid_mode,
            "ipc": spec.ipc_mode,
            "uts": spec.uts_mode,
            "cgroup": spec.cgroupns_mode,
        }
        joined: dict[str, str] = {}
        for kind, mode in modes.items():
            if mode == "host":
                joined[kind] = ""
            elif mode.startswith(_PREFIX):
                pid = self._owner(container, mode, kind).state.pid
                joined[kind] = f"/proc/{pid}/ns/{_FILES.get(kind, kind)}"
        return joined

    def host_of(self, container: Container) -> Container:
        """The container whose host name and name service this one has: its network's owner, who
        may share it with one more.

        Raises: Conflict: that one does not run.
        """
        mode = container.spec.network_mode
        if not mode.startswith(_PREFIX):
            return container
        return self.host_of(self._owner(container, mode, "network"))

    async def shared_memory(self, container: Container, place: Path) -> str:
        """The path of the /dev/shm that the container shares, "" where it has its own; another
        container's is mounted at `place`.

        Raises: Conflict: the other container does not run, or does not share.
        """
        mode = container.spec.ipc_mode
        if mode == "host":
            return "/dev/shm"
        if not mode.startswith(_PREFIX):
            return ""
        owner = self._owner(container, mode, "ipc")
        try:
            await to_thread.run_sync(mounts.mount_from, owner.state.pid, "/dev/shm", place)
        except OSError as error:
            raise Conflict(
                f"the shared memory of container {owner.name} cannot be had: {error.strerror}",
                code="namespace-not-shareable",
                about=owner.name,
                hint=f"see that {owner.name} runs, with --ipc shareable",
            ) from error
        return str(place)

    def _owner(self, container: Container, mode: str, kind: str) -> Container:
        name = mode.removeprefix(_PREFIX)
        owner = self._containers.named(name) or self._containers.get(name)
        if owner is None or not owner.running:
            shown = owner.name if owner else name
            raise Conflict(
                f"container {container.name} shares the {kind} namespace of {shown},"
                " which is not running",
                code="namespace-owner-not-running",
                about=container.name,
                hint=f"start {shown} first",
            )
        if kind == "ipc" and owner.spec.ipc_mode in ("", "private", "none"):
            raise Conflict(
                f"container {owner.name} keeps its IPC namespace to itself",
                code="namespace-not-shareable",
                about=owner.name,
                hint=f"run {owner.name} with --ipc shareable",
            )
        return owner

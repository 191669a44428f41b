"""The published ports of containers: held, served by the kernel, relayed where it cannot."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping, Sequence

import anyio
from anyio import to_thread

from orchestrator.errors import Conflict, PystackError
from orchestrator.model.container import PortBinding
from orchestrator.network import ports
from orchestrator.network.driver import NetworkDriver
from orchestrator.network.firewall import Firewall
from orchestrator.network.forward import Relays
from orchestrator.network.leasing import overlaps
from orchestrator.network.ruleset import Published, serves

NameOf = Callable[[str], str]


class Publisher:
    """Who has which host port; `name_of` turns a container's id into its name for messages."""

    def __init__(
        self, driver: NetworkDriver, firewall: Firewall, relays: Relays, name_of: NameOf
    ) -> None:
        self._driver = driver
        self._firewall = firewall
        self._relays = relays
        self._name_of = name_of
        self._published: dict[str, tuple[Published, ...]] = {}
        self._held: dict[str, list[socket.socket]] = {}

    async def publish(self, container_id: str, published: Sequence[Published]) -> None:
        """Nothing, once these and no others of the container are served.

        Raises: Conflict: port-in-use, saying by whom; InvalidInput: not an address of this host.
        """
        await self.unpublish(container_id)
        if not published:
            return
        for one in published:
            self._check_free(container_id, one.binding)
        self._published[container_id] = tuple(published)
        try:
            await self._hold(container_id, published)
            await self._firewall.publish(kernel_part(published))
            await self._driver.forget_udp(kernel_part(published))
        except BaseException:
            with anyio.move_on_after(10, shield=True):
                await self.unpublish(container_id)
            raise

    async def unpublish(self, container_id: str) -> None:
        """Nothing, once nothing of the container's is published; to be repeated freely."""
        self._unhold(container_id)
        gone = kernel_part(self._published.pop(container_id, ()))
        await self._firewall.unpublish(gone)
        await self._driver.forget_udp(gone)

    async def adopt(self, published: Mapping[str, Sequence[Published]]) -> list[PystackError]:
        """What went wrong with holding and relaying ports that the firewall serves already.

        Another program may have taken a port while no engine held it; the kernel's NAT goes
        before it all the same, so this is nothing to fail for.
        """
        problems = []
        for container_id, own in published.items():
            self._unhold(container_id)
            self._published[container_id] = tuple(own)
            for one in own:
                try:
                    await self._hold(container_id, [one])
                except PystackError as error:
                    problems.append(error)
        return problems

    def close(self) -> None:
        """Nothing; all ports are let go, and served by the kernel as before."""
        for container_id in list(self._held):
            self._unhold(container_id)

    async def _hold(self, container_id: str, published: Iterable[Published]) -> None:
        kept = self._held.setdefault(container_id, [])
        for one in published:
            held = await to_thread.run_sync(ports.hold, one.binding)
            kept += held
            for bound in held:
                self._relay(container_id, bound, one)

    def _relay(self, container_id: str, bound: socket.socket, published: Published) -> None:
        """IPv6 clients of an IPv4 container: the kernel has no way for them."""
        tcp = published.binding.protocol == "tcp"
        if tcp and bound.family == socket.AF_INET6 and ":" not in published.target:
            target = (published.target, published.binding.container_port)
            self._relays.serve(container_id, bound, target)

    def _unhold(self, container_id: str) -> None:
        self._relays.stop(container_id)
        for one in self._held.pop(container_id, ()):
            one.close()

    def _check_free(self, container_id: str, binding: PortBinding) -> None:
        for other, published in self._published.items():
            if other != container_id and any(overlaps(binding, p.binding) for p in published):
                where = f"{binding.host_ip or '*'}:{binding.host_port}/{binding.protocol}"
                raise Conflict(
                    f"the host port {where} is in use by container {self._name_of(other)}",
                    code="port-in-use",
                    about=where,
                    hint=f"stop {self._name_of(other)}, or publish another host port",
                )


def kernel_part(published: Iterable[Published]) -> list[Published]:
    """Those that the kernel can serve: host address and target of one family."""
    return [p for p in published if serves(p.binding, p.target)]

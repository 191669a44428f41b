"""The kernel's side of networks: bridges, parents, the interfaces of containers.

Everything here is idempotent: what exists already is fine, what is gone already is fine.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from functools import partial

from anyio import to_thread

from orchestrator.model.observed import Network
from orchestrator.network import bridge, conntrack, interfaces, parent, plug, rtnetlink
from orchestrator.network.ipam import Net4
from orchestrator.network.ipam6 import Net6
from orchestrator.network.namespace import run_inside
from orchestrator.network.netlink import Netlink
from orchestrator.network.notices import link_losses
from orchestrator.network.plug import VETH_PREFIX, Plug
from orchestrator.network.rtnetlink import Link
from orchestrator.network.sharing import Front

BRIDGE_PREFIX = "ps-"
DEFAULT_BRIDGE = "ps-default"
_PREFIXES = (BRIDGE_PREFIX, VETH_PREFIX)


def bridge_name(network_id: str) -> str:
    """The bridge of a user-defined network: exactly as long as an interface name may be."""
    return BRIDGE_PREFIX + network_id[:12]


class NetworkDriver:
    """The kernel's side of networks."""

    async def ensure(self, network: Network) -> None:
        """Nothing, once the network's interface on the host is up. Raises: Failed; NotFound: it
        hangs on one that is not there."""
        if network.driver == "bridge":
            await to_thread.run_sync(bridge.ensure, network)
        elif network.driver in ("macvlan", "ipvlan"):
            await to_thread.run_sync(parent.ensure, network)

    async def remove(self, network: Network) -> None:
        """Nothing, once the network's own interface is gone; a parent that the host had before
        stays. Raises: Failed."""
        if network.driver == "bridge" or parent.MADE_HERE in network.options:
            await to_thread.run_sync(interfaces.remove, [network.bridge])

    def exists(self, name: str) -> bool:
        """Whether the host has an interface of this name."""
        return interfaces.exists(name)

    async def attach(self, pid: int, plugs: Sequence[Plug]) -> None:
        """Nothing, once the process's namespace has its loopback and all these interfaces up,
        with their addresses and the default routes. Raises: Failed."""
        await run_inside(pid, lambda namespace: plug.attach(namespace, plugs))

    async def detach(self, pid: int, gone: Plug) -> None:
        """Nothing, once the process's namespace has no interface for this plug any more (with a
        namespace they go by themselves). Raises: Failed: the process is gone."""
        if gone.network.driver == "bridge":
            await to_thread.run_sync(interfaces.remove, [gone.veth])
        else:
            inside = partial(plug.detach, interface=gone.endpoint.interface)
            await run_inside(pid, inside)

    async def route(self, pid: int, plugs: Sequence[Plug]) -> None:
        """Nothing, once the ways out of the process's namespace are what these say."""
        await run_inside(pid, lambda namespace: plug.route(namespace, plugs))

    async def plug_again(self, plugs: Sequence[Plug]) -> list[Plug]:
        """Those of the plugs whose host side is gone, once all others are ports of their bridges
        again, which somebody may have removed."""
        return await to_thread.run_sync(plug.plug_again, plugs) if plugs else []

    async def loose(self, plugs: Sequence[Plug]) -> list[Plug]:
        """Those of the plugs whose host side is gone, down, or no port of its bridge."""
        return await to_thread.run_sync(_loose, plugs)

    async def damaged(self, networks: Sequence[Network]) -> list[Network]:
        """Those of the bridge networks whose bridge is gone, down, or without a gateway."""
        return await to_thread.run_sync(_damaged, networks)

    async def losses(self, bridges: Callable[[], Collection[str]]) -> AsyncIterator[None]:
        """One item each time an interface of ours went, went down or lost an address, whoever did
        it; `bridges` gives the names that bridges have now, which may be their owner's choice."""
        async for names in link_losses():
            ours = any(n.startswith(_PREFIXES) for n in names) or names & set(bridges())
            if ours or not names:
                yield

    async def host_prefixes(self) -> list[tuple[Net4, str]]:
        """The IPv4 prefixes that the host has addresses in or routes to, with the interface."""
        return await to_thread.run_sync(_host_prefixes)

    async def host_prefixes6(self) -> list[tuple[Net6, str]]:
        """The same for IPv6, without those that every host has."""
        return await to_thread.run_sync(_host_prefixes6)

    async def forget_udp(self, fronts: Collection[Front], gone: Collection[str]) -> None:
        """Nothing, once UDP connections that the kernel tracks begin anew: those to these fronts,
        which nobody was behind, and those that these addresses answer, which are no more."""
        if fronts or gone:
            await to_thread.run_sync(_forget_udp, fronts, gone)

    async def connections(self, addresses: Collection[str]) -> int:
        """How many connections are tracked that came by a published port and are answered by one
        of these addresses."""
        return await to_thread.run_sync(conntrack.count_answered_by, addresses)

    async def sweep(self, bridges: Collection[str], veths: Collection[str]) -> list[str]:
        """The names of our interfaces that were removed: all that are not among these."""
        return await to_thread.run_sync(_sweep, bridges, veths)


def _host_prefixes() -> list[tuple[Net4, str]]:
    with Netlink() as link:
        names = {one.index: one.name for one in rtnetlink.list_links(link)}
        return [
            (Net4((text, length), strict=False), names.get(index, "a route"))
            for text, length, index in rtnetlink.list_prefixes(link)
            if length
        ]


def _host_prefixes6() -> list[tuple[Net6, str]]:
    with Netlink() as link:
        names = {one.index: one.name for one in rtnetlink.list_links(link)}
        listed = [
            (Net6((text, length), strict=False), names.get(index, "a route"))
            for text, length, index in rtnetlink.list_prefixes(link, socket.AF_INET6)
            if length
        ]
    everywhere = ("fe80::/10", "ff00::/8", "::1/128")
    return [(p, who) for p, who in listed if not any(p.subnet_of(Net6(e)) for e in everywhere)]


def _loose(plugs: Iterable[Plug]) -> list[Plug]:
    with Netlink() as link:
        links = {one.name: one for one in rtnetlink.list_links(link)}

    def is_plugged(plug: Plug) -> bool:
        veth, bridge = links.get(plug.veth), links.get(plug.network.bridge)
        return bool(veth and bridge and veth.up and veth.master == bridge.index)

    return [p for p in plugs if p.network.driver == "bridge" and not is_plugged(p)]


def _damaged(networks: Iterable[Network]) -> list[Network]:
    with Netlink() as link:
        links = {one.name: one for one in rtnetlink.list_links(link)}
        addresses = set(rtnetlink.list_addresses(link))
        addresses |= set(rtnetlink.list_addresses(link, socket.AF_INET6))
    found = []
    for network in networks:
        one = links.get(network.bridge)
        gateways = [g for g in (network.gateway, network.ipv6_gateway) if g]
        if one is None or not one.up or any((g, one.index) not in addresses for g in gateways):
            found.append(network)
    return found


def _forget_udp(fronts: Iterable[Front], gone: Iterable[str]) -> None:
    with Netlink() as link:
        ours = {one.index for one in rtnetlink.list_links(link) if one.kind == "bridge"}
        local = [
            address
            for family in (socket.AF_INET, socket.AF_INET6)
            for address, index in rtnetlink.list_addresses(link, family)
            if index not in ours
        ]
    for front in fronts:
        same = [a for a in local if ipaddress.ip_address(a).version == front.family]
        conntrack.forget_udp_to([front.host_ip] if front.host_ip else same, front.port)
    for address in gone:
        conntrack.forget_udp_of(address)


def _sweep(bridges: Collection[str], veths: Collection[str]) -> list[str]:
    with Netlink() as link:
        listed = rtnetlink.list_links(link)
        stale = [one.name for one in listed if _is_stale(one, bridges, veths)]
    interfaces.remove(stale)
    return stale


def _is_stale(link: Link, bridges: Collection[str], veths: Collection[str]) -> bool:
    if link.kind in ("bridge", "veth") and link.name.startswith(BRIDGE_PREFIX):
        return link.name not in bridges
    return link.kind == "veth" and link.name.startswith(VETH_PREFIX) and link.name not in veths

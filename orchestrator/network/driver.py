"""Bridges and the veth pairs that plug containers into them.

Everything here is idempotent: what exists already is fine, what is gone already is fine.
"""

from __future__ import annotations

import errno
import fcntl
import ipaddress
import socket
import struct
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread

from orchestrator.errors import Failed
from orchestrator.model.observed import Endpoint, Network
from orchestrator.network import conntrack, netlink
from orchestrator.network.ipam import Net4, mac_for
from orchestrator.network.namespace import enter, run_inside
from orchestrator.network.netlink import Link, Netlink, NetlinkError, Request
from orchestrator.network.ruleset import Published

BRIDGE_PREFIX = "ps-"
DEFAULT_BRIDGE = "pystack0"
VETH_PREFIX = "psv"
_DEFAULT_MTU = 1500
_SIOCGIFMTU = 0x8921


@dataclass(frozen=True, slots=True)
class Plug:
    """One endpoint to be made: `veth` is the name of its host side."""

    network: Network
    endpoint: Endpoint
    veth: str
    default_route: bool = False


def bridge_name(network_id: str) -> str:
    """The bridge of a user-defined network: exactly as long as an interface name may be."""
    return BRIDGE_PREFIX + network_id[:12]


def veth_name(container_id: str, position: int) -> str:
    """The host side of a container's interface number `position`."""
    return f"{VETH_PREFIX}{container_id[:10]}{position:02x}"


class NetworkDriver:
    """The kernel's side of networks."""

    async def ensure_bridge(self, network: Network) -> None:
        """Nothing, once the bridge is up and has the gateway's address. Raises: Failed."""
        await to_thread.run_sync(_ensure_bridge, network)

    async def remove_bridge(self, bridge: str) -> None:
        """Nothing, once there is no such bridge. Raises: Failed."""
        await to_thread.run_sync(_remove, [bridge])

    async def attach(self, pid: int, plugs: Sequence[Plug]) -> None:
        """Nothing, once the process's namespace has its loopback and all these interfaces up,
        with their addresses and the default route. Raises: Failed."""
        await run_inside(pid, lambda namespace: _attach(namespace, plugs))

    async def plug_again(self, plugs: Sequence[Plug]) -> None:
        """Nothing, once these host sides are ports of their bridges again, which somebody may
        have removed; one that is gone is left out."""
        await to_thread.run_sync(_plug_again, plugs)

    async def loopback_up(self, pid: int) -> None:
        """Nothing, once the namespace of the process has its loopback up."""
        await self.attach(pid, ())

    async def detach(self, veths: Sequence[str]) -> None:
        """Nothing, once these host sides are gone (with a namespace they go by themselves)."""
        await to_thread.run_sync(_remove, veths)

    async def host_prefixes(self) -> list[tuple[Net4, str]]:
        """The IPv4 prefixes that the host has addresses in or routes to, with the interface."""
        return await to_thread.run_sync(_host_prefixes)

    async def forget_udp(self, published: Sequence[Published]) -> None:
        """Nothing, once tracked UDP connections that began before a change of these ports are
        forgotten, so that what comes next begins anew."""
        udp = [p for p in published if p.binding.protocol == "udp"]
        if udp:
            await to_thread.run_sync(_forget_udp, udp)

    async def sweep(self, bridges: Collection[str], veths: Collection[str]) -> list[str]:
        """The names of our interfaces that were removed: all that are not among these."""
        return await to_thread.run_sync(_sweep, bridges, veths)


def _ensure_bridge(network: Network) -> None:
    name = network.bridge
    with Netlink() as link:
        mtu = network.mtu or _host_mtu(link)
        mac = mac_for(network.gateway) if network.gateway else "02:70:00:00:00:01"
        _ignore(link.attempt([netlink.new_bridge(name, mac, mtu)])[0], errno.EEXIST)
        index = _index(name)
        requests = [netlink.no_link_local(name)]
        if network.gateway:
            requests.append(_address(index, network.gateway, network.subnet))
        if network.ipv6_gateway:
            requests.append(_address(index, network.ipv6_gateway, network.ipv6_subnet))
        _do(link, [*requests, netlink.link_up(name)])
    # Only here, never on all interfaces: what 127.0.0.1 publishes must come back this way.
    Path(f"/proc/sys/net/ipv4/conf/{name}/route_localnet").write_text("1\n")


def _attach(namespace: int, plugs: Sequence[Plug]) -> None:
    with Netlink() as outside:
        results = outside.attempt([_veth(plug, namespace) for plug in plugs])
        again = []
        for plug, error in zip(plugs, results, strict=True):
            if error is not None and error.errno == errno.EEXIST:
                # Left by an attempt that a killed engine did not finish, for this container or,
                # by a rare accident of names, another: the pair is of no use to anybody.
                again += [netlink.delete_link(plug.veth), _veth(plug, namespace)]
            else:
                _ignore(error)
        _do(outside, again)
        _do(
            outside,
            [request for plug in plugs for request in _port(plug.veth)],
        )
    enter(namespace)
    with Netlink() as inside:
        _do(inside, [netlink.link_up("lo"), *_configuration(plugs)])


def _port(veth: str) -> tuple[Request, ...]:
    return netlink.no_link_local(veth), netlink.hairpin(veth), netlink.link_up(veth)


def _plug_again(plugs: Sequence[Plug]) -> None:
    with Netlink() as link:
        requests = [netlink.port_of(plug.veth, _index(plug.network.bridge)) for plug in plugs]
        for error in link.attempt(requests):
            if error is None or not netlink.is_gone(error):
                _ignore(error)


def _veth(plug: Plug, namespace: int) -> Request:
    bridge = plug.network.bridge
    return netlink.new_veth(
        plug.veth,
        _index(bridge),
        plug.network.mtu or _link_mtu(bridge),
        peer=plug.endpoint.interface,
        peer_mac=plug.endpoint.mac or mac_for(plug.endpoint.ipv4),
        namespace_fd=namespace,
    )


def _configuration(plugs: Sequence[Plug]) -> list[Request]:
    """What the calling thread's namespace, the container's, needs besides the links."""
    requests = []
    for plug in plugs:
        network, endpoint = plug.network, plug.endpoint
        index = _index(endpoint.interface)
        requests.append(netlink.no_link_local(endpoint.interface))
        if endpoint.ipv4:
            requests.append(_address(index, endpoint.ipv4, network.subnet))
        if endpoint.ipv6:
            requests.append(_address(index, endpoint.ipv6, network.ipv6_subnet))
        requests.append(netlink.link_up(endpoint.interface))
        if plug.default_route:
            requests += [
                netlink.default_route(ipaddress.ip_address(gateway).packed, index)
                for gateway, own in (
                    (network.gateway, endpoint.ipv4),
                    (network.ipv6_gateway, endpoint.ipv6),
                )
                if gateway and own
            ]
    return requests


def _address(index: int, address: str, subnet: str) -> Request:
    network = ipaddress.ip_network(subnet)
    broadcast = network.broadcast_address.packed if network.version == 4 else b""
    packed = ipaddress.ip_address(address).packed
    return netlink.add_address(index, packed, network.prefixlen, broadcast)


def _index(name: str) -> int:
    try:
        return socket.if_nametoindex(name)
    except OSError as error:
        raise Failed(
            f"there is no interface {name}",
            code="interface-gone",
            about=name,
            hint="something removed it; the engine makes it again when it starts",
        ) from error


def _link_mtu(name: str) -> int:
    # Not through /sys, which may be that of another network namespace.
    request = struct.pack("16si12x", name.encode(), 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        answer = fcntl.ioctl(any_socket, _SIOCGIFMTU, request)
    return int(struct.unpack_from("16si", answer)[1])


def _host_mtu(link: Netlink) -> int:
    """The MTU on the way out, so that what containers send fits without being cut."""
    routes = [i for text, length, i in netlink.list_prefixes(link) if not length and i]
    mtus = {one.index: one.mtu for one in netlink.list_links(link)}
    return min([mtus[i] for i in routes if i in mtus], default=_DEFAULT_MTU)


def _host_prefixes() -> list[tuple[Net4, str]]:
    with Netlink() as link:
        names = {one.index: one.name for one in netlink.list_links(link)}
        return [
            (Net4((text, length), strict=False), names.get(index, "a route"))
            for text, length, index in netlink.list_prefixes(link)
            if length
        ]


def _remove(names: Sequence[str]) -> None:
    with Netlink() as link:
        for error in link.attempt([netlink.delete_link(name) for name in names]):
            if error is None or not netlink.is_gone(error):
                _ignore(error)


def _forget_udp(published: Sequence[Published]) -> None:
    with Netlink() as link:
        ours = {one.index for one in netlink.list_links(link) if one.kind == "bridge"}
        local = [a for a, index in netlink.list_addresses(link) if index not in ours]
    for one in published:
        where = one.binding.host_ip
        fixed = where and not ipaddress.ip_address(where).is_unspecified
        conntrack.forget_udp_to([where] if fixed else local, one.binding.host_port)
        conntrack.forget_udp_of(one.target)


def _sweep(bridges: Collection[str], veths: Collection[str]) -> list[str]:
    with Netlink() as link:
        stale = [one.name for one in netlink.list_links(link) if _is_stale(one, bridges, veths)]
    _remove(stale)
    return stale


def _is_stale(link: Link, bridges: Collection[str], veths: Collection[str]) -> bool:
    if link.kind == "bridge":
        ours = link.name.startswith(BRIDGE_PREFIX) or link.name == DEFAULT_BRIDGE
        return ours and link.name not in bridges
    return link.kind == "veth" and link.name.startswith(VETH_PREFIX) and link.name not in veths


def _do(link: Netlink, requests: Sequence[Request]) -> None:
    for error in link.attempt(requests):
        _ignore(error)


def _ignore(error: NetlinkError | None, *harmless: int) -> None:
    """Nothing for success and for the errors named. Raises: Failed: any other."""
    if error is not None and error.errno not in harmless:
        raise Failed(
            f"the kernel refused a network change ({error.strerror})",
            code="network-failed",
            about=(error.strerror or "").partition(":")[0],
            hint="check the kernel log, and that the engine runs as root",
        )

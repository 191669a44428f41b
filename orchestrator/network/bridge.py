"""The bridge of a network, with the gateways' addresses. Blocking: for worker threads."""

from __future__ import annotations

import errno
import ipaddress
import socket
from contextlib import suppress
from pathlib import Path

from orchestrator.model.observed import Network
from orchestrator.network import interfaces, rtnetlink
from orchestrator.network.ipam import mac_for
from orchestrator.network.leasing import subnets
from orchestrator.network.netlink import Netlink, Request

_CONF = Path("/proc/sys/net")
_LINK_LOCAL = "fe80::1"


def ensure(network: Network) -> None:
    """Nothing, once the bridge is up and has its addresses. Raises: Failed."""
    name = network.bridge
    with Netlink() as link:
        mtu = network.mtu or interfaces.way_out_mtu(link)
        mac = mac_for(network.gateway) if network.gateway else "02:70:00:00:00:01"
        made = link.attempt([rtnetlink.new_bridge(name, mac, mtu)])[0]
        interfaces.ignore(made, errno.EEXIST)
        index = interfaces.index_of(name)
        requests = [rtnetlink.no_link_local(name)]
        requests += [address(index, s.gateway, s.subnet) for s in subnets(network) if s.gateway]
        if network.ipv6_gateway:
            _set(f"ipv6/conf/{name}/disable_ipv6", "0")
            requests.append(address(index, network.ipv6_gateway, network.ipv6_subnet))
            # Neighbours are asked for from a link-local address when packets are only passed on.
            requests.append(address(index, _LINK_LOCAL, "fe80::/64"))
        interfaces.do(link, [*requests, rtnetlink.link_up(name)])
    # Only here, never on all interfaces: what 127.0.0.1 publishes must come back this way.
    (_CONF / f"ipv4/conf/{name}/route_localnet").write_text("1\n")
    # A container must not become the host's router by saying that it is one.
    _set(f"ipv6/conf/{name}/accept_ra", "0")


def address(index: int, own: str, subnet: str) -> Request:
    """The request that gives an interface this address in this subnet."""
    network = ipaddress.ip_network(subnet)
    broadcast = network.broadcast_address.packed if network.version == 4 else b""
    packed = ipaddress.ip_address(own).packed
    return rtnetlink.add_address(index, packed, network.prefixlen, broadcast)


def _set(name: str, value: str) -> None:
    if socket.has_ipv6:
        with suppress(OSError):  # a kernel without IPv6 has no such file
            (_CONF / name).write_text(value + "\n")

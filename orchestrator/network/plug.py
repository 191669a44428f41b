"""Plugging a container into its networks: its interfaces, addresses and routes.

Blocking: for worker threads. Everything is idempotent: what exists already is fine, what is gone
already is fine.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import InvalidInput
from orchestrator.model.observed import Endpoint, Network
from orchestrator.network import bridge, interfaces, parent, rtnetlink
from orchestrator.network.ipam import mac_for
from orchestrator.network.leasing import subnet_of
from orchestrator.network.namespace import enter
from orchestrator.network.netlink import Netlink, Request, is_gone
from orchestrator.network.ruleset import ICC

VETH_PREFIX = "psv"
SYSCTLS = "com.docker.network.endpoint.sysctls"
_SYSCTL_ROOT = Path("/proc/sys")


@dataclass(frozen=True, slots=True)
class Plug:
    """One endpoint to be made: `veth` is the name of its host side, where it has one; `route4` and
    `route6` say whether the way out leads through it."""

    network: Network
    endpoint: Endpoint
    veth: str
    route4: bool = False
    route6: bool = False


def veth_name(container_id: str, slot: int) -> str:
    """The host side of a container's interface number `slot`."""
    return f"{VETH_PREFIX}{container_id[:10]}{slot:02x}"


def attach(namespace: int, plugs: Sequence[Plug]) -> None:
    """Nothing, once the namespace has its loopback and these interfaces up; in a thread of its
    own, which is left there. Raises: Failed."""
    with Netlink() as outside:
        bridged = [plug for plug in plugs if plug.network.driver == "bridge"]
        results = outside.attempt([_veth(plug, namespace) for plug in bridged])
        again = []
        for plug, error in zip(bridged, results, strict=True):
            if error is not None and error.errno == errno.EEXIST:
                # Left by an attempt that a killed engine did not finish, for this container or,
                # by a rare accident of names, another: the pair is of no use to anybody.
                again += [rtnetlink.delete_link(plug.veth), _veth(plug, namespace)]
            else:
                interfaces.ignore(error)
        interfaces.do(outside, again)
        interfaces.do(outside, [request for plug in bridged for request in _port(plug)])
        for plug in plugs:
            if plug.network.driver != "bridge":
                _hang(outside, plug, namespace)
    enter(namespace)
    with Netlink() as inside:
        interfaces.do(inside, [rtnetlink.link_up("lo"), *_configuration(plugs)])
    for plug in plugs:
        _set_sysctls(plug)


def detach(namespace: int, interface: str) -> None:
    """Nothing, once the namespace has no such interface; in a thread of its own."""
    enter(namespace)
    interfaces.remove([interface])


def route(namespace: int, plugs: Sequence[Plug]) -> None:
    """Nothing, once the ways out of the namespace are what these plugs say and no others; in a
    thread of its own."""
    enter(namespace)
    with Netlink() as inside:
        for family, leads in ((socket.AF_INET, "route4"), (socket.AF_INET6, "route6")):
            if any(getattr(plug, leads) for plug in plugs):
                continue
            error = inside.attempt([rtnetlink.no_default_route(family)])[0]
            if error is None or not is_gone(error):
                interfaces.ignore(error)
        interfaces.do(inside, [request for plug in plugs for request in _routes(plug)])


def plug_again(plugs: Sequence[Plug]) -> list[Plug]:
    """Those of the plugs whose host side is gone, once all the others are ports of their bridges
    again, which somebody may have removed."""
    missing = []
    with Netlink() as link:
        bridged = [plug for plug in plugs if plug.network.driver == "bridge"]
        for plug in bridged:
            if not interfaces.exists(plug.veth):
                missing.append(plug)
                continue
            index = interfaces.index_of(plug.network.bridge)
            for error in link.attempt([rtnetlink.port_of(plug.veth, index), *_port(plug)]):
                if error is None or not is_gone(error):
                    interfaces.ignore(error)
    return missing


def _port(plug: Plug) -> tuple[Request, ...]:
    isolated = plug.network.options.get(ICC) == "false"
    return (
        rtnetlink.no_link_local(plug.veth),
        rtnetlink.port_settings(plug.veth, isolated=isolated),
        rtnetlink.link_up(plug.veth),
    )


def _veth(plug: Plug, namespace: int) -> Request:
    name = plug.network.bridge
    return rtnetlink.new_veth(
        plug.veth,
        interfaces.index_of(name),
        plug.network.mtu or interfaces.mtu_of(name),
        peer=plug.endpoint.interface,
        peer_mac=plug.endpoint.mac or mac_for(plug.endpoint.ipv4),
        namespace_fd=namespace,
    )


def _hang(outside: Netlink, plug: Plug, namespace: int) -> None:
    request = parent.request_for(
        plug.network, plug.endpoint.interface, plug.endpoint.mac, namespace
    )
    error = outside.attempt([request])[0]
    if error is not None and error.errno != errno.EEXIST:
        raise parent.explained(plug.network, error)


def _configuration(plugs: Sequence[Plug]) -> list[Request]:
    """What the calling thread's namespace, the container's, needs besides the links."""
    requests = []
    for plug in plugs:
        network, endpoint = plug.network, plug.endpoint
        index = interfaces.index_of(endpoint.interface)
        # Before the link comes up: no router may tell a container where to go.
        with suppress(OSError):
            conf = _SYSCTL_ROOT / "net/ipv6/conf" / endpoint.interface / "accept_ra"
            conf.write_text("0\n")
        requests.append(rtnetlink.no_link_local(endpoint.interface))
        if endpoint.ipv4 and (subnet := subnet_of(network, endpoint.ipv4)):
            requests.append(bridge.address(index, endpoint.ipv4, subnet.subnet))
        if endpoint.ipv6:
            requests.append(bridge.address(index, endpoint.ipv6, network.ipv6_subnet))
            requests.append(bridge.address(index, link_local(endpoint.mac), "fe80::/64"))
        requests += [_extra(index, address) for address in endpoint.link_local]
        requests.append(rtnetlink.link_up(endpoint.interface))
    return requests + [request for plug in plugs for request in _routes(plug)]


def _routes(plug: Plug) -> list[Request]:
    """The default routes through a plug, in the namespace that the calling thread is in."""
    network, endpoint = plug.network, plug.endpoint
    requests = []
    subnet = subnet_of(network, endpoint.ipv4) if endpoint.ipv4 else None
    ways = (
        (plug.route4, socket.AF_INET, subnet.gateway if subnet else ""),
        (plug.route6 and bool(endpoint.ipv6), socket.AF_INET6, network.ipv6_gateway),
    )
    for wanted, family, gateway in ways:
        if not wanted:
            continue
        index = interfaces.index_of(endpoint.interface)
        if parent.is_layer3(network):
            requests.append(rtnetlink.device_route(index, family))
        elif gateway:
            requests.append(rtnetlink.default_route(ipaddress.ip_address(gateway).packed, index))
    return requests


def link_local(mac: str) -> str:
    """The link-local address that goes with a MAC address.  Source: RFC 4291, appendix A."""
    data = bytes.fromhex(mac.replace(":", ""))
    middle = bytes([data[0] ^ 2]) + data[1:3] + b"\xff\xfe" + data[3:]
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + middle))


def _extra(index: int, address: str) -> Request:
    subnet = "fe80::/64" if ":" in address else "169.254.0.0/16"
    return bridge.address(index, address, subnet)


def _set_sysctls(plug: Plug) -> None:
    """The endpoint's own kernel settings, as net.ipv4.conf.IFNAME.log_martians=1,…"""
    text = plug.endpoint.driver_opts.get(SYSCTLS, "")
    for one in filter(None, text.split(",")):
        name, _, value = one.strip().partition("=")
        parts = name.split(".")
        if parts[:1] != ["net"] or "IFNAME" not in parts or any("/" in p for p in parts):
            raise InvalidInput(
                f"{one} is no setting of an interface",
                code="endpoint-sysctl-invalid",
                about=name,
                hint="write it as net.ipv4.conf.IFNAME.log_martians=1",
            )
        parts = [plug.endpoint.interface if p == "IFNAME" else p for p in parts]
        try:
            _SYSCTL_ROOT.joinpath(*parts).write_text(value)
        except OSError as error:
            raise InvalidInput(
                f"{name} cannot be set to {value!r}: {error.strerror}",
                code="endpoint-sysctl-invalid",
                about=name,
                hint="the kernel's ip-sysctl.rst lists the settings of interfaces",
            ) from error

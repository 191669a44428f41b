"""The host's interface that macvlan and ipvlan networks hang on. Blocking: for worker threads.

Source: Docker's manual on the macvlan and ipvlan drivers (options `parent`, `macvlan_mode`,
`ipvlan_mode`, `ipvlan_flag`); linux/if_link.h.
"""

from __future__ import annotations

import errno

from orchestrator.errors import Failed, InvalidInput, NotFound
from orchestrator.model.observed import Network
from orchestrator.network import interfaces, rtnetlink
from orchestrator.network.netlink import Netlink, NetlinkError, Request

PARENT = "parent"
MADE_HERE = "pystack.parent.made"
"""The option that says that the parent was made for the network, and goes with it."""
_MACVLAN_MODES = {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8}
_IPVLAN_MODES = {"l2": 0, "l3": 1, "l3s": 2}
_IPVLAN_FLAGS = {"bridge": 0, "private": 1, "vepa": 2}
_MOST_VLANS = 4094


def check(network: Network) -> None:
    """Nothing, when the network's modes are ones that there are. Raises: InvalidInput."""
    if network.driver == "macvlan":
        _mode(network, "macvlan_mode", _MACVLAN_MODES, "bridge")
    else:
        _mode(network, "ipvlan_mode", _IPVLAN_MODES, "l2")
        _mode(network, "ipvlan_flag", _IPVLAN_FLAGS, "bridge")


def ensure(network: Network) -> None:
    """Nothing, once the parent is there and up: one that the network made, a VLAN of another, or
    one of the host's. Raises: NotFound: it has none of that name; Failed."""
    name = network.bridge
    with Netlink() as link:
        if not interfaces.exists(name):
            if not network.options.get(PARENT):
                # Reaches nobody outside. A cable, because not every kernel has dummy interfaces.
                request = rtnetlink.new_cable(name, _far_end(name), network.mtu or 1500)
                interfaces.ignore(link.attempt([request])[0], errno.EEXIST)
            else:
                _make_vlan(link, name)
        if MADE_HERE in network.options:
            ends = [n for n in (name, _far_end(name)) if interfaces.exists(n)]
            quiet = [rtnetlink.no_link_local(n) for n in ends]
            interfaces.do(link, [*quiet, *(rtnetlink.link_up(n) for n in ends)])


def request_for(network: Network, interface: str, mac: str, namespace_fd: int) -> Request:
    """The request that makes a container's interface on the network's parent. Raises: Failed."""
    parent, mtu = interfaces.index_of(network.bridge), network.mtu
    mtu = mtu or interfaces.mtu_of(network.bridge)
    if network.driver == "macvlan":
        mode = _mode(network, "macvlan_mode", _MACVLAN_MODES, "bridge")
        return rtnetlink.new_macvlan(
            interface, parent, mtu, mode=mode, mac=mac, namespace_fd=namespace_fd
        )
    return rtnetlink.new_ipvlan(
        interface,
        parent,
        mtu,
        mode=_mode(network, "ipvlan_mode", _IPVLAN_MODES, "l2"),
        flags=_mode(network, "ipvlan_flag", _IPVLAN_FLAGS, "bridge"),
        namespace_fd=namespace_fd,
    )


def explained(network: Network, error: NetlinkError) -> Failed:
    """Why an interface on the parent could not be made."""
    if error.errno in (errno.EOPNOTSUPP, errno.ENODEV):
        return Failed(
            f"the kernel has no {network.driver} interfaces ({error.strerror})",
            code="driver-not-in-kernel",
            about=network.driver,
            hint=f"load its module (`modprobe {network.driver}`), or use a bridge network",
        )
    return Failed(
        f"no interface can be made on {network.bridge} ({error.strerror})",
        code="network-failed",
        about=network.bridge,
        hint="macvlan and ipvlan networks cannot share a parent, and a port of a bridge is none",
    )


def is_layer3(network: Network) -> bool:
    """Whether containers have no neighbours to ask: everything is routed by the parent."""
    return network.driver == "ipvlan" and network.options.get("ipvlan_mode", "l2") != "l2"


def _far_end(name: str) -> str:
    return name.replace("ps-", "pe-", 1)


def _make_vlan(link: Netlink, name: str) -> None:
    parent, _, number = name.rpartition(".")
    good = parent and number.isdigit() and 0 < int(number) <= _MOST_VLANS
    if not good or not interfaces.exists(parent):
        raise NotFound(
            f"the host has no interface {name}",
            code="no-such-interface",
            about=name,
            hint="`ip link` lists them; a VLAN of one is written eth0.10",
        )
    error = link.attempt([rtnetlink.new_vlan(name, interfaces.index_of(parent), int(number))])[0]
    if error is not None and error.errno == errno.EOPNOTSUPP:
        raise Failed(
            f"the kernel has no VLAN interfaces, so there can be no {name}",
            code="driver-not-in-kernel",
            about=name,
            hint="load the module 8021q, or name an interface that there is",
        )
    interfaces.ignore(error, errno.EEXIST)


def _mode(network: Network, option: str, modes: dict[str, int], default: str) -> int:
    text = network.options.get(option) or default
    if text not in modes:
        raise InvalidInput(
            f"network {network.name}: {option} cannot be {text!r}",
            code="network-option-invalid",
            about=option,
            hint=f"it is one of {', '.join(modes)}",
        )
    return modes[text]

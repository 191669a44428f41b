"""What a network is to be before it is made: its name checked, its subnets and gateways decided."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from orchestrator.errors import Conflict, Denied, InvalidInput
from orchestrator.model.observed import Network
from orchestrator.model.subnet import Subnet
from orchestrator.network import ipam, ipam6, parent
from orchestrator.network.driver import NetworkDriver, bridge_name
from orchestrator.network.ipam import Net4
from orchestrator.network.ipam6 import Net6
from orchestrator.network.leasing import BUILT_IN, subnets
from orchestrator.settings import AddressPool, Settings

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_INTERFACE_NAME = re.compile(r"[^\s/:%]{1,15}")
_DRIVERS = ("bridge", "macvlan", "ipvlan")
_BRIDGE_OPTION = "com.docker.network.bridge.name"
_MTU_OPTION = "com.docker.network.driver.mtu"
_SMALLEST_MTU, _LARGEST_MTU = 68, 65535
_MACHINE = (Path("/etc/machine-id"), Path("/proc/sys/kernel/random/boot_id"))


def check_name(name: str, driver: str) -> None:
    """Nothing, when a network of this kind may have this name. Raises: InvalidInput; Denied: one
    of the engine's own has it."""
    if name in BUILT_IN:
        raise Denied(
            f"operation is not permitted on predefined {name} network",
            code="network-predefined",
            about=name,
            hint="choose another name",
        )
    if not _NAME.fullmatch(name) or name == "default":
        raise InvalidInput(
            f"{name!r} cannot be the name of a network",
            code="network-name-invalid",
            about=name,
            hint="use letters, digits, dots, dashes and underscores, and not `default`",
        )
    if driver not in _DRIVERS:
        raise InvalidInput(
            f"network {name}: there is no network driver {driver!r}",
            code="no-such-driver",
            about=name,
            hint=f"networks can be of {', '.join(_DRIVERS)}",
        )


async def decided(
    draft: Network,
    others: Iterable[Network],
    driver: NetworkDriver,
    settings: Settings,
    *,
    ipv6: bool,
) -> Network:
    """The network with its interface, subnets and gateways decided.

    Raises: Conflict: a subnet is in use, or none is left; InvalidInput: what was asked for cannot
    be; NotFound: the host has no such parent interface.
    """
    others = list(others)
    draft = _carried(draft, others, driver)
    draft = await _with_subnets(draft, others, driver, settings)
    if ipv6 or draft.ipv6_subnet:
        draft = await _with_ipv6(draft, others, driver, settings)
    for name, address in draft.aux_addresses.items():
        _check_auxiliary(draft, name, address)
    return draft


def _carried(draft: Network, others: list[Network], driver: NetworkDriver) -> Network:
    """The network with the name of the interface that carries it."""
    mtu = _mtu(draft)
    options = dict(draft.options)
    name = options.get(_BRIDGE_OPTION) if draft.driver == "bridge" else options.get(parent.PARENT)
    if draft.driver != "bridge":
        parent.check(draft)
        if not name or not driver.exists(name):
            options[parent.MADE_HERE] = "true"
        internal = draft.internal or not name
        carrier = name or bridge_name(draft.id)
        return replace(draft, bridge=carrier, mtu=mtu, options=options, internal=internal)
    if not name:
        return replace(draft, bridge=draft.bridge or bridge_name(draft.id), mtu=mtu)
    if not _INTERFACE_NAME.fullmatch(name):
        raise InvalidInput(
            f"{name!r} cannot be the name of a bridge",
            code="interface-invalid",
            about=name,
            hint="use at most 15 letters, digits, dashes and dots",
        )
    owner = next((f"network {n.name}" for n in others if n.bridge == name), "")
    if owner or driver.exists(name):
        raise Conflict(
            f"the interface {name} exists already" + (f", of {owner}" if owner else ""),
            code="interface-exists",
            about=name,
            hint=f"choose another {_BRIDGE_OPTION}",
        )
    return replace(draft, bridge=name, mtu=mtu)


def _mtu(draft: Network) -> int:
    text = draft.options.get(_MTU_OPTION) or str(draft.mtu)
    if not text.isdigit() or not (text == "0" or _SMALLEST_MTU <= int(text) <= _LARGEST_MTU):
        raise InvalidInput(
            f"network {draft.name}: {text!r} is no MTU",
            code="network-option-invalid",
            about=_MTU_OPTION,
            hint=f"it is a number of bytes, {_SMALLEST_MTU} to {_LARGEST_MTU}",
        )
    return int(text)


async def _with_subnets(
    draft: Network, others: list[Network], driver: NetworkDriver, settings: Settings
) -> Network:
    own = [(Net4(s.subnet), f"network {n.name}") for n in others for s in subnets(n)]
    ours = {n.bridge for n in others if n.driver == "bridge"} | {draft.bridge}
    host = [
        (prefix, f"the host's {who}" if who != "a route" else "a route of the host")
        for prefix, who in await driver.host_prefixes()
        if who not in ours
    ]
    if not draft.subnet:
        subnet = ipam.choose_subnet(
            settings.address_pools, [p for p, _ in own], [p for p, _ in host]
        )
        draft = replace(draft, subnet=str(subnet))
    wanted = []
    # A parent is in a net of the host, which its containers are to be in as well.
    in_the_way = [*own, *(host if draft.driver == "bridge" else [])]
    for one in subnets(draft):
        wanted.append(_checked(draft.name, one, in_the_way))
        in_the_way.append((Net4(one.subnet), f"another subnet of {draft.name}"))
    first, *more = wanted
    return replace(
        draft,
        subnet=first.subnet,
        gateway=first.gateway,
        ip_range=first.ip_range,
        more_subnets=tuple(more),
    )


def _checked(name: str, wanted: Subnet, in_the_way: Iterable[tuple[Net4, str]]) -> Subnet:
    subnet = ipam.parse_subnet(wanted.subnet)
    if who := ipam.overlap(subnet, in_the_way):
        raise _overlapping(name, str(subnet), who)
    ipam.check_range(subnet, wanted.ip_range)
    gateway = ipam.choose_gateway(subnet, wanted.gateway)
    ipam.check_fixed(subnet, "", gateway)
    return Subnet(subnet=str(subnet), gateway=gateway, ip_range=wanted.ip_range)


async def _with_ipv6(
    draft: Network, others: list[Network], driver: NetworkDriver, settings: Settings
) -> Network:
    own = [(Net6(n.ipv6_subnet), f"network {n.name}") for n in others if n.ipv6_subnet]
    ours = {n.bridge for n in others if n.driver == "bridge"} | {draft.bridge}
    host = [(p, f"the host's {who}") for p, who in await driver.host_prefixes6() if who not in ours]
    in_the_way = [*own, *(host if draft.driver == "bridge" else [])]
    if draft.ipv6_subnet:
        subnet = ipam6.parse_subnet6(draft.ipv6_subnet)
        if who := next((who for other, who in in_the_way if subnet.overlaps(other)), ""):
            raise _overlapping(draft.name, str(subnet), who)
    else:
        pools = settings.ipv6_pools or (_machine_pool(),)
        subnet = ipam6.choose_subnet6(pools, [p for p, _ in (*own, *host)])
    ipam.check_range(subnet, draft.ipv6_range)
    gateway = ipam6.choose_gateway6(str(subnet), draft.ipv6_gateway)
    return replace(draft, ipv6_subnet=str(subnet), ipv6_gateway=gateway)


def _machine_pool() -> AddressPool:
    for path in _MACHINE:
        try:
            if text := path.read_text().strip():
                return ipam6.unique_local_pool(text)
        except OSError:
            continue
    return ipam6.unique_local_pool("")


def _overlapping(name: str, subnet: str, who: str) -> Conflict:
    return Conflict(
        f"the subnet {subnet} of network {name} overlaps {who}",
        code="subnet-in-use",
        about=subnet,
        hint="choose another subnet, or none to have a free one chosen",
    )


def _check_auxiliary(draft: Network, name: str, address: str) -> None:
    if ":" in address and draft.ipv6_subnet:
        ipam6.check_fixed6(Net6(draft.ipv6_subnet), draft.ipv6_gateway, address)
        return
    for one in subnets(draft):
        try:
            ipam.check_fixed(Net4(one.subnet), one.gateway, address)
        except InvalidInput:
            continue
        return
    raise InvalidInput(
        f"the auxiliary address {name}={address} is in no subnet of network {draft.name}",
        code="address-invalid",
        about=address,
        hint="choose one that is not the gateway's",
    )

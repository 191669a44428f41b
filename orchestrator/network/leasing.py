"""Which endpoints a container gets on the networks it wants to be on. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.errors import Conflict, InvalidInput
from orchestrator.model.container import Attachment, ContainerSpec
from orchestrator.model.ids import short_id
from orchestrator.model.observed import Endpoint, Network
from orchestrator.model.subnet import Subnet
from orchestrator.network import ipam6
from orchestrator.network.ipam import Net4, check_fixed, choose_address, mac_for

DEFAULT_NETWORK = "bridge"
BUILT_IN = {DEFAULT_NETWORK: "bridge", "host": "host", "none": "null"}
"""The networks that are always there: name to driver."""
HOST_BINDING = "com.docker.network.bridge.host_binding_ipv4"
INTERFACE = "com.docker.network.endpoint.ifname"
INTERFACE_PREFIX = "com.docker.network.container_iface_prefix"
_INTERFACE_NAME = re.compile(r"[^\s/:%]{1,15}")


@dataclass(frozen=True, slots=True)
class Taken:
    """What a network's addresses, of both families, are in use for: address to container name.
    `last` is the IPv4 address given last, "" when none was."""

    addresses: Mapping[str, str] = field(default_factory=dict)
    last: str = ""


def wanted(spec: ContainerSpec, attachments: Sequence[Attachment]) -> Sequence[Attachment]:
    """The attachments that the network mode and these mean together, in the order of their
    interfaces."""
    mode = spec.network_mode
    if mode in ("host", "none") or mode.startswith("container:"):
        return ()
    if not attachments:
        named = mode not in ("", "default", DEFAULT_NETWORK)
        return (Attachment(network=mode if named else DEFAULT_NETWORK),)
    return sorted(attachments, key=lambda a: -a.priority)


def endpoint(
    network: Network,
    attachment: Attachment,
    taken: Taken,
    *,
    container_id: str,
    container_name: str,
    interface: str,
    slot: int = 0,
) -> Endpoint:
    """The endpoint on the network.

    Raises: Conflict: the address wished for is taken, or none is left; InvalidInput: it is none.
    """
    subnet, ipv4 = _ipv4(network, attachment.ipv4_address, taken)
    ipv6 = _ipv6(network, attachment.ipv6_address, subnet, ipv4, taken)
    names = dict.fromkeys((container_name, *attachment.aliases, short_id(container_id)))
    return Endpoint(
        network_id=network.id,
        network_name=network.name,
        interface=interface,
        ipv4=ipv4,
        ipv6=ipv6,
        prefix=Net4(subnet.subnet).prefixlen,
        ipv6_prefix=ipam6.Net6(network.ipv6_subnet).prefixlen if ipv6 else 0,
        gateway=subnet.gateway,
        ipv6_gateway=network.ipv6_gateway if ipv6 else "",
        mac=_mac(attachment.mac_address) or mac_for(ipv4),
        names=tuple(n for n in names if n),
        aliases=tuple(attachment.aliases),
        links=tuple(attachment.links),
        link_local=tuple(attachment.link_local_ips),
        gw_priority=attachment.gw_priority,
        driver_opts=dict(attachment.driver_opts),
        slot=slot,
    )


def subnets(network: Network) -> list[Subnet]:
    """The IPv4 subnets of the network, the one that is filled first before the others."""
    first = Subnet(subnet=network.subnet, gateway=network.gateway, ip_range=network.ip_range)
    return [first, *network.more_subnets] if network.subnet else []


def subnet_of(network: Network, address: str) -> Subnet | None:
    """The IPv4 subnet of the network that the address is in."""
    value = ipaddress.IPv4Address(address)
    return next((s for s in subnets(network) if value in Net4(s.subnet)), None)


def interface_for(network: Network, attachment: Attachment, others: Iterable[Endpoint]) -> str:
    """The name of the interface inside: the one wished for, else the first that is free of the
    network's prefix, "eth" where it sets none.

    Raises: InvalidInput: it cannot be a name; Conflict: the container has it already.
    """
    used = {e.interface for e in others}
    wish = attachment.interface_name or attachment.driver_opts.get(INTERFACE, "")
    if not wish:
        prefix = network.options.get(INTERFACE_PREFIX) or "eth"
        return next(name for n in range(len(used) + 1) if (name := f"{prefix}{n}") not in used)
    if not _INTERFACE_NAME.fullmatch(wish) or wish in ("lo", "all", "default", ".", ".."):
        raise InvalidInput(
            f"{wish!r} cannot be the name of an interface",
            code="interface-invalid",
            about=wish,
            hint="use at most 15 letters, digits, dashes and dots",
        )
    if wish in used:
        raise Conflict(
            f"two networks are to be at interface {wish}",
            code="interface-taken",
            about=wish,
            hint="name each interface once",
        )
    return wish


def slot_for(others: Collection[Endpoint]) -> int:
    """A number for the host's side of an interface that none of the others has."""
    used = {e.slot for e in others}
    return next(n for n in range(len(used) + 1) if n not in used)


def _ipv4(network: Network, wish: str, taken: Taken) -> tuple[Subnet, str]:
    available = subnets(network)
    reserved = {*taken.addresses, *network.aux_addresses.values(), *(s.gateway for s in available)}
    if not available:
        raise InvalidInput(
            f"network {network.name} has no addresses to give",
            code="network-without-addresses",
            about=network.name,
            hint="connect the container to another network",
        )
    if wish:
        chosen = next((s for s in available if _contains(s, wish)), available[0])
        check_fixed(Net4(chosen.subnet), chosen.gateway, wish)
        _check_free(network, wish, taken)
        return chosen, wish
    used = [a for a in reserved if a and ":" not in a]
    for position, one in enumerate(available):
        subnet = Net4(one.subnet)
        last = taken.last if taken.last and _contains(one, taken.last) else ""
        try:
            found = choose_address(subnet, one.gateway, used, one.ip_range, last)
        except Conflict:
            if position == len(available) - 1:
                raise
        else:
            return one, found
    raise AssertionError(network.name)


def _contains(subnet: Subnet, address: str) -> bool:
    try:
        return ipaddress.IPv4Address(address) in Net4(subnet.subnet)
    except ValueError:
        return False


def _ipv6(network: Network, wish: str, subnet: Subnet, ipv4: str, taken: Taken) -> str:
    if not network.ipv6_subnet:
        if wish:
            raise InvalidInput(
                f"network {network.name} has no IPv6",
                code="network-without-ipv6",
                about=wish,
                hint="make the network with --ipv6",
            )
        return ""
    if wish:
        net = ipam6.Net6(network.ipv6_subnet)
        wish = ipam6.check_fixed6(net, network.ipv6_gateway, wish)
        _check_free(network, wish, taken)
        return wish
    place = int(ipaddress.IPv4Address(ipv4)) - int(Net4(subnet.subnet).network_address)
    reserved = {*taken.addresses, *network.aux_addresses.values()}
    room = network.ipv6_range or network.ipv6_subnet
    return ipam6.choose_address6(room, place, network.ipv6_gateway, reserved)


def _check_free(network: Network, address: str, taken: Taken) -> None:
    owner = taken.addresses.get(address)
    auxiliary = next((n for n, a in network.aux_addresses.items() if a == address), "")
    if owner is None and not auxiliary:
        return
    whose = f"container {owner}" if owner is not None else f"auxiliary address {auxiliary}"
    raise Conflict(
        f"the address {address} on network {network.name} is taken by {whose}",
        code="address-in-use",
        about=address,
        hint="choose another address, or remove that container",
    )


def _mac(text: str) -> str:
    if not text:
        return ""
    digits = text.replace("-", ":").lower().split(":")
    good = len(digits) == 6 and all(len(d) == 2 and d.isalnum() for d in digits)
    try:
        if good and not bytes.fromhex("".join(digits))[0] & 1:
            return ":".join(digits)
    except ValueError:
        pass
    raise InvalidInput(
        f"{text} is not the MAC address of one interface",
        code="mac-invalid",
        about=text,
        hint="write six hexadecimal bytes, the first one even: 02:42:ac:11:00:02",
    )

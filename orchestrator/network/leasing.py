"""Which endpoints a container gets on the networks it wants to be on. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.errors import Conflict, InvalidInput
from orchestrator.model.container import Attachment, ContainerSpec, PortBinding
from orchestrator.model.ids import short_id
from orchestrator.model.observed import Endpoint, Network
from orchestrator.network.ipam import Net4, check_fixed, choose_address, mac_for

DEFAULT_NETWORK = "bridge"
HOST_BINDING = "com.docker.network.bridge.host_binding_ipv4"


@dataclass(frozen=True, slots=True)
class Taken:
    """What a network's addresses are in use for: address to container name. `last` is the address
    given last, "" when none was."""

    addresses: Mapping[str, str] = field(default_factory=dict)
    last: str = ""


def wanted(spec: ContainerSpec, attachments: Sequence[Attachment]) -> Sequence[Attachment]:
    """The attachments that the network mode and these mean together, the first being the one
    that the way out leads through."""
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
) -> Endpoint:
    """The endpoint on the network.

    Raises: Conflict: the address wished for is taken, or none is left; InvalidInput: it is none.
    """
    subnet = Net4(network.subnet)
    ipv4 = attachment.ipv4_address
    if ipv4:
        check_fixed(subnet, network.gateway, ipv4)
        if ipv4 in taken.addresses:
            raise Conflict(
                f"the address {ipv4} on network {network.name} is taken by container"
                f" {taken.addresses[ipv4]}",
                code="address-in-use",
                about=ipv4,
                hint="choose another address, or remove that container",
            )
    else:
        ipv4 = choose_address(
            subnet, network.gateway, taken.addresses.keys(), network.ip_range, taken.last
        )
    names = dict.fromkeys((container_name, *attachment.aliases, short_id(container_id)))
    return Endpoint(
        network_id=network.id,
        network_name=network.name,
        interface=interface,
        ipv4=ipv4,
        ipv6=attachment.ipv6_address or _ipv6(network, subnet, ipv4),
        mac=_mac(attachment.mac_address) or mac_for(ipv4),
        names=tuple(n for n in names if n),
    )


def _ipv6(network: Network, subnet: Net4, ipv4: str) -> str:
    """The IPv6 address that goes with an IPv4 one: the same place in its subnet, so that leases
    need no second book."""
    if not network.ipv6_subnet:
        return ""
    place = int(ipaddress.IPv4Address(ipv4)) - int(subnet.network_address)
    return str(ipaddress.IPv6Network(network.ipv6_subnet).network_address + place)


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


def overlaps(one: PortBinding, other: PortBinding) -> bool:
    """Whether both cannot be published at the same time."""
    same = (one.host_port, one.protocol) == (other.host_port, other.protocol)
    addresses = {one.host_ip, other.host_ip}
    return same and (len(addresses) == 1 or bool(addresses & {"", "0.0.0.0", "::"}))

"""Which subnet a network gets and which address an endpoint. Pure: the caller knows what is taken.

Addresses are given in rising order, so that one just freed is not given to another at once while
caches still hold it: the search starts after the last one given where the caller knows it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Iterator

from orchestrator.errors import Conflict, InvalidInput
from orchestrator.settings import AddressPool

Net4 = ipaddress.IPv4Network
_LARGEST_SUBNET_BITS = 30


def parse_subnet(text: str) -> Net4:
    """The IPv4 subnet. Raises: InvalidInput: not a subnet, host bits set, or no room in it."""
    try:
        subnet = Net4(text)
    except ValueError as error:
        raise InvalidInput(
            f"{text} is not an IPv4 subnet: {error}",
            code="subnet-invalid",
            about=text,
            hint="write it as 10.5.0.0/24",
        ) from error
    if subnet.prefixlen > _LARGEST_SUBNET_BITS:
        raise InvalidInput(
            f"{text} has no room for a gateway and a container",
            code="subnet-invalid",
            about=text,
            hint=f"use a prefix length of at most {_LARGEST_SUBNET_BITS}",
        )
    return subnet


def choose_subnet(
    pools: Iterable[AddressPool], taken: Collection[Net4], host_prefixes: Collection[Net4]
) -> Net4:
    """The first subnet of the pools that overlaps nothing taken and no prefix of the host.

    Raises: Conflict: none is left.
    """
    used = [*taken, *host_prefixes]
    names = []
    for pool in pools:
        names.append(f"{pool.base} in /{pool.size}")
        for subnet in _free_subnets(Net4(pool.base), pool.size, used):
            return subnet
    raise Conflict(
        f"no subnet is left in the address pools ({', '.join(names)})",
        code="subnets-exhausted",
        about="address_pools",
        hint="remove networks that are not used (`pystack network prune`), give the network a"
        " subnet, or add a pool to the settings",
    )


def _free_subnets(base: Net4, size: int, used: Collection[Net4]) -> Iterator[Net4]:
    inside = [u for u in used if u.overlaps(base)]
    for subnet in base.subnets(new_prefix=max(size, base.prefixlen)):
        if not any(subnet.overlaps(u) for u in inside):
            yield subnet


def overlap(subnet: Net4, taken: Iterable[tuple[Net4, str]]) -> str:
    """Who has a prefix that overlaps the subnet; "" where nobody has."""
    return next((who for other, who in taken if subnet.overlaps(other)), "")


def choose_gateway(subnet: Net4, gateway: str = "") -> str:
    """The gateway asked for, else the first address. Raises: InvalidInput: it is outside."""
    if not gateway:
        return str(subnet.network_address + 1)
    check_fixed(subnet, "", gateway)
    return gateway


def check_fixed(subnet: Net4, gateway: str, address: str) -> None:
    """Nothing, when a container may have this address.

    Raises: InvalidInput: outside of the subnet, or its network, broadcast or gateway address.
    """
    problem = ""
    try:
        value = ipaddress.IPv4Address(address)
    except ValueError:
        problem = "it is not an IPv4 address"
    else:
        if value not in subnet:
            problem = f"it is outside of {subnet}"
        elif value in (subnet.network_address, subnet.broadcast_address):
            problem = f"it is the network or broadcast address of {subnet}"
        elif address == gateway:
            problem = "it is the network's gateway"
    if problem:
        raise InvalidInput(
            f"the address {address} cannot be used: {problem}",
            code="address-invalid",
            about=address,
            hint=f"choose one in {subnet}",
        )


def choose_address(
    subnet: Net4, gateway: str, taken: Collection[str], ip_range: str = "", after: str = ""
) -> str:
    """A free address of the subnet (of `ip_range` in it, where given), the next one after `after`.

    Raises: Conflict: all are taken.
    """
    room = Net4(ip_range) if ip_range else subnet
    low = max(int(room.network_address), int(subnet.network_address) + 1)
    high = min(int(room.broadcast_address), int(subnet.broadcast_address) - 1)
    used = {int(ipaddress.IPv4Address(a)) for a in taken if a}
    used.add(int(ipaddress.IPv4Address(gateway)))
    size = high - low + 1
    start = int(ipaddress.IPv4Address(after)) + 1 if after else low
    # At most len(used) of them can be taken, so the search ends however large the subnet is.
    for step in range(min(size, len(used) + 1)):
        value = low + (start - low + step) % size
        if value not in used:
            return str(ipaddress.IPv4Address(value))
    raise Conflict(
        f"all addresses of {room} are taken",
        code="addresses-exhausted",
        about=str(room),
        hint="remove containers of this network, or make it with a larger subnet",
    )


def check_range(subnet: Net4 | ipaddress.IPv6Network, ip_range: str) -> None:
    """Nothing, when the range lies in the subnet. Raises: InvalidInput."""
    if not ip_range:
        return
    try:
        wanted = ipaddress.ip_network(ip_range)
        # A mask without slash is a subnet of one address.
        good = wanted.version == subnet.version and wanted.subnet_of(subnet)  # type: ignore[arg-type]
    except ValueError:
        good = False
    if not good:
        raise InvalidInput(
            f"the range {ip_range} is not in the subnet {subnet}",
            code="range-invalid",
            about=ip_range,
            hint=f"choose a prefix in {subnet}",
        )


def mac_for(ipv4: str) -> str:
    """The MAC address that goes with an address: always the same, so no neighbour's cache is ever
    wrong about who has the address. Locally administered, unicast."""
    return "02:70:" + ":".join(f"{byte:02x}" for byte in ipaddress.IPv4Address(ipv4).packed)

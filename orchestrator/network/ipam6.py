"""Which IPv6 subnet a network gets and which address an endpoint. Pure.

Networks that ask for IPv6 without naming a subnet get one of the machine's own unique local
prefix: the same after every restart, and hardly ever another machine's.  Source: RFC 4193.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Collection, Iterable

from orchestrator.errors import Conflict, InvalidInput
from orchestrator.settings import AddressPool

Net6 = ipaddress.IPv6Network
# An endpoint's place in the IPv4 subnet is its place here too.
_LONGEST = 96
_SIZE = 64
_MOST_TRIED = 1 << 16


def unique_local_pool(machine: str) -> AddressPool:
    """The /48 of a machine known by this text, cut into /64s."""
    digest = hashlib.sha256(b"pystack " + machine.encode()).digest()
    base = ipaddress.IPv6Address(b"\xfd" + digest[:5] + bytes(10))
    return AddressPool(base=f"{base}/48", size=_SIZE)


def parse_subnet6(text: str) -> Net6:
    """The IPv6 subnet. Raises: InvalidInput: not a subnet, or too small."""
    try:
        network = Net6(text)
        if network.prefixlen > _LONGEST:
            raise ValueError("it has no room for IPv4 addresses")
    except ValueError as error:
        raise InvalidInput(
            f"the IPv6 subnet {text} cannot be used: {error}",
            code="subnet-invalid",
            about=text,
            hint=f"write it as fd00:5::/64, at most {_LONGEST} bits",
        ) from error
    return network


def choose_subnet6(pools: Iterable[AddressPool], taken: Collection[Net6]) -> Net6:
    """The first subnet of the pools that overlaps nothing taken. Raises: Conflict: none is left."""
    names = []
    for pool in pools:
        names.append(f"{pool.base} in /{pool.size}")
        base = Net6(pool.base)
        inside = [t for t in taken if t.overlaps(base)]
        # No more than all of them can be taken, so the search ends however large the pool is.
        tries = min(_MOST_TRIED, 1 << max(0, pool.size - base.prefixlen))
        step = 1 << (128 - max(pool.size, base.prefixlen))
        for number in range(tries):
            subnet = Net6(
                (int(base.network_address) + number * step, max(pool.size, base.prefixlen))
            )
            if not any(subnet.overlaps(t) for t in inside):
                return subnet
    raise Conflict(
        f"no IPv6 subnet is left in the address pools ({', '.join(names)})",
        code="subnets-exhausted",
        about="ipv6_pools",
        hint="give the network an IPv6 subnet, or add a pool to the settings",
    )


def choose_gateway6(subnet: str, gateway: str = "") -> str:
    """The IPv6 gateway asked for, else the first address; "" without a subnet. Raises:
    InvalidInput."""
    if not subnet:
        return ""
    network = parse_subnet6(subnet)
    if not gateway:
        return str(network.network_address + 1)
    check_fixed6(network, "", gateway)
    return str(ipaddress.IPv6Address(gateway))


def check_fixed6(subnet: Net6, gateway: str, address: str) -> str:
    """The address in its one true spelling, when a container may have it. Raises: InvalidInput."""
    problem = ""
    value = None
    try:
        value = ipaddress.IPv6Address(address)
    except ValueError:
        problem = "it is not an IPv6 address"
    else:
        if value not in subnet:
            problem = f"it is outside of {subnet}"
        elif value == subnet.network_address:
            problem = f"it is the address of all routers of {subnet}"
        elif str(value) == gateway:
            problem = "it is the network's gateway"
    if problem:
        raise InvalidInput(
            f"the address {address} cannot be used: {problem}",
            code="address-invalid",
            about=address,
            hint=f"choose one in {subnet}",
        )
    return str(value)


def choose_address6(room: str, place: int, gateway: str, taken: Collection[str]) -> str:
    """The address at this place of `room`, a prefix; the next free one where it is taken.

    The place is that of the endpoint's IPv4 address in its subnet, so that most leases can be
    told from one another at a glance.  Raises: Conflict: none is left.
    """
    network = Net6(room)
    size = network.num_addresses - 1
    for step in range(len(taken) + 2):
        offset = (place - 1 + step) % size + 1
        address = str(network.network_address + offset)
        if address not in taken and address != gateway:
            return address
    raise Conflict(
        f"all addresses of {room} are taken",
        code="addresses-exhausted",
        about=room,
        hint="remove containers of this network, or make it with a larger range",
    )

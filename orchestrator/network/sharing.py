"""Who is behind each published host port, and with what weight. Pure.

A host port is a *front*: an address family, a host address ("" for every one), a protocol and a
number. Containers of one group (the replicas of a service) may claim the same front; each new
connection goes to one of them, in proportion to their weights.

Who gets new connections: of the containers that are not drained, those that stand best (healthy,
or without a health check; else those still starting; else the unhealthy ones), so that a front is
never empty while anybody at all could answer.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import NamedTuple

from orchestrator.model.container import PortBinding

MOST_SLOTS = 256


class Standing(IntEnum):
    """How well a container is placed to take a new connection; the lowest goes first."""

    READY = 0
    STARTING = 1
    UNHEALTHY = 2
    DRAINED = 3


class Front(NamedTuple):
    """One host port in one address family, as connections find it."""

    family: int
    host_ip: str
    protocol: str
    port: int


class Backend(NamedTuple):
    """Where connections go: an address and port of a container, and its share of them; `sticky`
    when those of one client are all to go to the same."""

    address: str
    port: int
    weight: int = 1
    sticky: bool = False


@dataclass(frozen=True)
class Claim:
    """A container's wish to be reached at its bindings' host ports.

    `group` is what containers have in common that may share a port, "" for one that may not.
    """

    container_id: str
    bindings: tuple[PortBinding, ...]
    ipv4: str = ""
    ipv6: str = ""
    group: str = ""
    weight: int = 1
    standing: Standing = Standing.READY
    sticky: bool = False

    @cached_property
    def ports(self) -> Mapping[Front, tuple[int, ...]]:
        """The container's ports behind each front that it claims; nearly always one."""
        found: dict[Front, tuple[int, ...]] = {}
        for binding in self.bindings:
            for front in fronts(binding):
                found[front] = (*found.get(front, ()), binding.container_port)
        return found


def fronts(binding: PortBinding) -> list[Front]:
    """The fronts that a binding asks for: both families where it names no address."""
    rest = (binding.protocol, binding.host_port)
    if not binding.host_ip:
        return [Front(4, "", *rest), Front(6, "", *rest)]
    address = ipaddress.ip_address(binding.host_ip)
    return [Front(address.version, "" if address.is_unspecified else str(address), *rest)]


def backends(front: Front, claims: Iterable[Claim]) -> tuple[Backend, ...]:
    """Those who get the front's new connections in the kernel: of the same family, best standing,
    sorted."""
    return _best(front, claims, front.family)


def relayed(front: Front, claims: Iterable[Claim]) -> tuple[Backend, ...]:
    """Those whom a relay in user space has to reach, because the kernel cannot change families:
    all IPv4 backends of an IPv6 front; the IPv6 ones for clients at the loopback address, whose
    packets the kernel routes nowhere else."""
    claims = list(claims)
    if front.family == 4:
        return ()
    return _best(front, claims, 6) or _best(front, claims, 4)


def _best(front: Front, claims: Iterable[Claim], family: int) -> tuple[Backend, ...]:
    found: list[tuple[Standing, Backend]] = []
    for claim in claims:
        address = claim.ipv6 if family == 6 else claim.ipv4
        if not address or claim.standing is Standing.DRAINED or claim.weight <= 0:
            continue
        found += [
            (claim.standing, Backend(address, port, claim.weight, claim.sticky))
            for port in claim.ports.get(front, ())
        ]
    best = min((standing for standing, _ in found), default=Standing.READY)
    return tuple(sorted({backend for standing, backend in found if standing == best}))


def slots(chosen: Sequence[Backend]) -> list[Backend]:
    """The backends in the order that connections take them, each as often as its weight says.

    Interleaved (smooth weighted round robin), so that a heavy one does not get its connections in
    a row; weights are divided by what they have in common, and scaled down to few enough slots.
    """
    common = math.gcd(*(b.weight for b in chosen)) if chosen else 1
    weights = [b.weight // common for b in chosen]
    if (total := sum(weights)) > MOST_SLOTS:
        weights = [max(1, weight * MOST_SLOTS // total) for weight in weights]
    current = [0] * len(weights)
    order = []
    for _ in range(sum(weights)):
        current = [now + weight for now, weight in zip(current, weights, strict=True)]
        first = max(range(len(current)), key=current.__getitem__)
        current[first] -= sum(weights)
        order.append(chosen[first])
    return order


def overlaps(one: PortBinding, other: PortBinding) -> bool:
    """Whether both want the same connections."""
    same = (one.host_port, one.protocol) == (other.host_port, other.protocol)
    return same and any(_meet(a, b) for a in fronts(one) for b in fronts(other))


def may_share(one: Claim, binding: PortBinding, other: Claim, theirs: PortBinding) -> bool:
    """Whether two claims that overlap go together: the same group, and the very same place."""
    return bool(one.group) and one.group == other.group and fronts(binding) == fronts(theirs)


def _meet(one: Front, other: Front) -> bool:
    addresses = {one.host_ip, other.host_ip}
    return one.family == other.family and (len(addresses) == 1 or "" in addresses)

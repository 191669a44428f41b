"""What a network differs in from what the file says. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestrator.model.observed import Network
from orchestrator.model.stack import StackNetwork
from orchestrator.model.subnet import Subnet
from orchestrator.state import labels

_COMPARED = (
    "driver",
    "internal",
    "attachable",
    "subnet",
    "gateway",
    "ip_range",
    "ipv6_subnet",
    "ipv6_gateway",
    "ipv6_range",
)


def network_changes(real: Network, wanted: StackNetwork) -> list[str]:
    """What of the network differs from what the file says; what it does not say is no matter."""
    found = []
    for attribute in _COMPARED:
        was, now = getattr(real, attribute), getattr(wanted, attribute)
        if was != now and (now or isinstance(now, bool)):
            found.append(f"{attribute} {was or '(none)'} -> {now or '(none)'}")
    if wanted.more_subnets and _ranges(real.more_subnets) != _ranges(wanted.more_subnets):
        found.append("more subnets")
    if dict(real.aux_addresses) != dict(wanted.aux_addresses):
        found.append("aux_addresses")
    if dict(real.options) != dict(wanted.options):
        found.append("options")
    if _written(real.labels) != _written(wanted.labels):
        found.append("labels")
    return found


def _ranges(subnets: Iterable[Subnet]) -> list[str]:
    return [each.subnet for each in subnets]


def _written(found: Mapping[str, str]) -> dict[str, str]:
    """The labels that the file says, without those that say whose the network is."""
    return {k: v for k, v in found.items() if k not in (labels.PROJECT, labels.NETWORK)}

"""Networks as Docker's JSON.

Source: the Docker Engine API reference, version 1.45 (field names and meanings).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from orchestrator.model.observed import Container, Network
from orchestrator.wire.times import timestamp


def network_summary(network: Network, containers: Iterable[Container]) -> dict[str, Any]:
    """An entry of GET /networks, with the containers that are on it."""
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": timestamp(network.created_at),
        "Scope": "local",
        "Driver": network.driver,
        "EnableIPv6": bool(network.ipv6_subnet),
        "Internal": network.internal,
        "Attachable": False,
        "Ingress": False,
        "IPAM": {
            "Driver": "default",
            "Config": [{"Subnet": network.subnet, "Gateway": network.gateway}]
            if network.subnet
            else [],
        },
        "Containers": {
            c.id: {"Name": c.name, "IPv4Address": e.ipv4, "MacAddress": e.mac}
            for c in containers
            if c.running
            for e in c.endpoints
            if e.network_id == network.id
        },
        "Options": dict(network.options),
        "Labels": dict(network.labels),
    }

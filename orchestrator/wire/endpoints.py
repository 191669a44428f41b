"""A container's networks as Docker's JSON.

Source: the Docker Engine API reference, version 1.45, "NetworkSettings" and "EndpointSettings".
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from orchestrator.model.container import Attachment
from orchestrator.model.image import ImageConfig
from orchestrator.model.observed import Container, Endpoint
from orchestrator.wire.ports import port_map


def endpoints_shown(container: Container, network_ids: Mapping[str, str]) -> dict[str, Any]:
    """The container's networks by name; `network_ids` are those of `host` and `none`, by name."""
    shown = {e.network_name: endpoint_settings(container, e) for e in container.endpoints}
    if (mode := container.spec.network_mode) in ("host", "none"):
        identifier = network_ids.get(mode, "")
        nowhere = Endpoint(network_id=identifier, network_name=mode, interface="")
        shown[mode] = endpoint_settings(container, nowhere)
    return shown


def network_settings(
    container: Container, image: ImageConfig | None, network_ids: Mapping[str, str]
) -> dict[str, Any]:
    """inspect's NetworkSettings; `network_ids` as in `endpoints_shown`.

    The members about one address alone are those of the network `bridge`, as with Docker.
    """
    shown = endpoints_shown(container, network_ids)
    default = shown.get("bridge", {})
    alone = ("EndpointID", "Gateway", "IPAddress", "IPPrefixLen", "MacAddress")
    six = ("GlobalIPv6Address", "GlobalIPv6PrefixLen", "IPv6Gateway")
    pid = container.state.pid
    exposed = (*(image.exposed_ports if image else ()), *container.spec.expose)
    return {
        "Bridge": "",
        "SandboxID": _identifier(container.id, str(container.state.pid_started)) if pid else "",
        "SandboxKey": f"/proc/{pid}/ns/net" if pid else "",
        "Ports": _ports(container, exposed),
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        **{key: default.get(key, 0 if key.endswith("Len") else "") for key in (*alone, *six)},
        "Networks": shown,
    }


def _ports(container: Container, exposed: tuple[str, ...]) -> dict[str, Any]:
    if not container.running:
        return {}
    # What is published at every address is shown once for each family.
    ports = [
        replace(port, host_ip=address)
        for port in container.ports
        for address in ((port.host_ip,) if port.host_ip else ("0.0.0.0", "::"))
    ]
    return port_map(ports, exposed)


def endpoint_settings(container: Container, endpoint: Endpoint) -> dict[str, Any]:
    """The container on one network; addresses are told only while it runs."""
    wished = next(
        (
            a
            for a in container.spec.attachments
            if a.network in (endpoint.network_name, endpoint.network_id)
        ),
        None,
    )
    up = container.running
    return {
        "IPAMConfig": ipam_config(wished),
        "Links": list(endpoint.links) or None,
        # The container's name comes first among its names and is no alias.
        "Aliases": list(endpoint.names[1:]) or None,
        "MacAddress": endpoint.mac if up else "",
        "DriverOpts": dict(endpoint.driver_opts) or None,
        "GwPriority": endpoint.gw_priority,
        "NetworkID": endpoint.network_id,
        "EndpointID": _identifier(container.id, endpoint.network_id) if up else "",
        "Gateway": endpoint.gateway if up else "",
        "IPAddress": endpoint.ipv4 if up else "",
        "IPPrefixLen": endpoint.prefix if up else 0,
        "IPv6Gateway": endpoint.ipv6_gateway if up else "",
        "GlobalIPv6Address": endpoint.ipv6 if up else "",
        "GlobalIPv6PrefixLen": endpoint.ipv6_prefix if up else 0,
        "DNSNames": list(endpoint.names),
    }


def ipam_config(attachment: Attachment | None) -> dict[str, Any] | None:
    """An endpoint's IPAMConfig: the addresses that were asked for, None for none."""
    if attachment is None:
        return None
    found: dict[str, Any] = {
        "IPv4Address": attachment.ipv4_address,
        "IPv6Address": attachment.ipv6_address,
        "LinkLocalIPs": list(attachment.link_local_ips),
    }
    return {key: value for key, value in found.items() if value} or None


def _identifier(*of: str) -> str:
    """64 hexadecimal digits that stay the same for the same thing."""
    return hashlib.sha256("/".join(of).encode()).hexdigest()

"""A service's networks and ports, as the model has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from orchestrator.compose.node import Node
from orchestrator.model.container import Attachment, PortBinding

DEFAULT = "default"


def network_keys(service: Node) -> list[str]:
    """The keys of the networks a service is on; `default` unless it says otherwise."""
    networks, mode = service.get("networks"), service.get("network_mode")
    if networks is not None and networks.entries:
        return list(networks.entries)
    return [] if mode is not None else [DEFAULT]


def attachments(name: str, service: Node, names: Mapping[str, str]) -> tuple[Attachment, ...]:
    """The networks a container joins, most wanted first, then by key; `names` maps keys to real
    names.

    The service's name is an alias on each.  Source: Compose sorts them so, as its networks have
    no order.
    """
    networks = service.get("networks")
    said = networks.plain() if networks else {}
    links = _links(service)
    found = [
        _attachment(name, names[key], said.get(key, {}), links)
        for key in sorted(network_keys(service))
    ]
    mac = service.get("mac_address")
    if mac and found and not found[0].mac_address:
        found[0] = replace(found[0], mac_address=mac.string)
    return tuple(sorted(found, key=lambda a: -a.priority))


def _links(service: Node) -> tuple[str, ...]:
    """The other containers that go by a name of this service's choosing, as NAME:ALIAS; a service
    is `service:NAME:ALIAS`."""
    found = []
    for key, prefix in (("links", "service:"), ("external_links", "")):
        listed = service.get(key)
        for node in listed.items if listed else ():
            name, _, alias = node.string.partition(":")
            found.append(f"{prefix}{name}:{alias or name}")
    return tuple(found)


def _attachment(
    service: str, network: str, said: Mapping[str, Any], links: tuple[str, ...]
) -> Attachment:
    return Attachment(
        network=network,
        links=links,
        interface_name=said.get("interface_name", ""),
        link_local_ips=tuple(said.get("link_local_ips", ())),
        gw_priority=int(said.get("gw_priority", 0)),
        driver_opts=said.get("driver_opts", {}),
        aliases=tuple(dict.fromkeys((service, *said.get("aliases", ())))),
        ipv4_address=said.get("ipv4_address", ""),
        ipv6_address=said.get("ipv6_address", ""),
        mac_address=said.get("mac_address", ""),
        priority=int(said.get("priority", 0)),
    )


def ports(service: Node) -> tuple[PortBinding, ...]:
    """The published ports; 0 is a host port for the engine to choose."""
    listed = service.get("ports")
    found = []
    for node in listed.items if listed else ():
        said = node.plain()
        published, _, last = said.get("published", "0").partition("-")
        found.append(
            PortBinding(
                container_port=said["target"],
                protocol=said.get("protocol", "tcp"),
                host_ip=said.get("host_ip", ""),
                host_port=int(published or 0),
                host_port_last=int(last or 0),
            )
        )
    return tuple(found)


def extra_hosts(node: Node | None) -> tuple[str, ...]:
    """Host names as NAME:ADDRESS."""
    return tuple(
        f"{name}:{address.string}"
        for name, addresses in (node.entries if node else {}).items()
        for address in addresses.items
    )


def expose(service: Node) -> tuple[str, ...]:
    """Exposed ports as PORT/PROTOCOL, ranges written out."""
    listed = service.get("expose")
    found: list[str] = []
    for node in listed.items if listed else ():
        span, _, protocol = node.string.partition("/")
        first, _, last = span.partition("-")
        numbers = range(int(first), int(last or first) + 1)
        found.extend(f"{port}/{protocol or 'tcp'}" for port in numbers)
    return tuple(dict.fromkeys(found))

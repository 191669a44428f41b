"""Networks as Docker's JSON, and what a client asks a network to be.

Source: the Docker Engine API reference, version 1.45 (field names and meanings), "Network",
"NetworkCreate", "IPAM".
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.errors import InvalidInput
from orchestrator.model.observed import Container, Endpoint, Network
from orchestrator.model.subnet import Subnet
from orchestrator.wire.times import timestamp


def network_summary(network: Network, containers: Iterable[Container] = ()) -> dict[str, Any]:
    """An entry of GET /networks; with containers, GET /networks/{id}."""
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": timestamp(network.created_at),
        "Scope": "local",
        "Driver": network.driver,
        "EnableIPv6": bool(network.ipv6_subnet),
        "IPAM": {"Driver": "default", "Options": {}, "Config": list(_ipam(network))},
        "Internal": network.internal,
        "Attachable": network.attachable,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {c.id: shown for c in containers if (shown := _presence(network, c))},
        "Options": dict(network.options),
        "Labels": dict(network.labels),
    }


def _ipam(network: Network) -> Iterable[dict[str, Any]]:
    first = Subnet(subnet=network.subnet, gateway=network.gateway, ip_range=network.ip_range)
    for subnet in (first, *network.more_subnets):
        if subnet.subnet:
            yield _ipam_of(network, subnet)
    if network.ipv6_subnet:
        yield _ipam_of(
            network,
            Subnet(
                subnet=network.ipv6_subnet,
                gateway=network.ipv6_gateway,
                ip_range=network.ipv6_range,
            ),
        )


def _ipam_of(network: Network, subnet: Subnet) -> dict[str, Any]:
    shown: dict[str, Any] = {"Subnet": subnet.subnet}
    if subnet.ip_range:
        shown["IPRange"] = subnet.ip_range
    shown["Gateway"] = subnet.gateway
    room = ipaddress.ip_network(subnet.subnet)
    inside = {n: a for n, a in network.aux_addresses.items() if ipaddress.ip_address(a) in room}
    if inside:
        shown["AuxiliaryAddresses"] = inside
    return shown


def _presence(network: Network, container: Container) -> dict[str, str] | None:
    """The running container on the network; None where it is not."""
    if not container.running:
        return None
    if network.driver in ("host", "null"):
        mode = {"host": "host", "null": "none"}[network.driver]
        on_it = container.spec.network_mode == mode
        endpoint = Endpoint(network_id=network.id, network_name=network.name, interface="")
    else:
        own = [e for e in container.endpoints if e.network_id == network.id]
        on_it = bool(own)
        endpoint = own[0] if own else Endpoint(network_id="", network_name="", interface="")
    if not on_it:
        return None
    identifier = hashlib.sha256(f"{container.id}/{network.id}".encode()).hexdigest()
    return {
        "Name": container.name,
        "EndpointID": identifier,
        "MacAddress": endpoint.mac,
        "IPv4Address": f"{endpoint.ipv4}/{endpoint.prefix}" if endpoint.ipv4 else "",
        "IPv6Address": f"{endpoint.ipv6}/{endpoint.ipv6_prefix}" if endpoint.ipv6 else "",
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkWish:
    """What a network is to be, as the engine takes it."""

    name: str
    driver: str = "bridge"
    subnets: tuple[Subnet, ...] = ()
    ipv6: bool = False
    ipv6_subnet: Subnet | None = None
    aux_addresses: Mapping[str, str] = field(default_factory=dict)
    internal: bool = False
    attachable: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


def network_from(body: Mapping[str, Any]) -> NetworkWish:
    """The network in the body of POST /networks/create.

    Raises: InvalidInput: a field has a value of the wrong kind, or asks for what is not to be had.
    """
    try:
        return _network_from(body)
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise InvalidInput(
            f"malformed network: {error}",
            code="bad-request",
            about="body",
            hint="see the Engine API's NetworkCreateRequest",
        ) from error


def _network_from(body: Mapping[str, Any]) -> NetworkWish:
    ipam = body.get("IPAM") or {}
    if (driver := ipam.get("Driver") or "default") != "default":
        raise _unsupported("IPAM driver", driver, "only `default` is there")
    if body.get("Ingress"):
        raise _unsupported("network", "ingress", "there is no swarm")
    if body.get("ConfigOnly") or (body.get("ConfigFrom") or {}).get("Network"):
        raise _unsupported("network", "config-only", "name what the network is to be")
    if (scope := body.get("Scope") or "local") != "local":
        raise _unsupported("scope", scope, "networks are of this machine only")
    four: list[Subnet] = []
    six: list[Subnet] = []
    auxiliary: dict[str, str] = {}
    for config in ipam.get("Config") or ():
        auxiliary |= config.get("AuxiliaryAddresses") or config.get("AuxAddress") or {}
        if not config.get("Subnet") and not config.get("Gateway") and not config.get("IPRange"):
            continue
        subnet = Subnet(
            subnet=config.get("Subnet") or "",
            gateway=config.get("Gateway") or "",
            ip_range=config.get("IPRange") or "",
        )
        (six if ":" in subnet.subnet + subnet.gateway + subnet.ip_range else four).append(subnet)
    if len(six) > 1:
        raise _unsupported("network", "several IPv6 subnets", "give one")
    if any(not s.subnet for s in (*four, *six)):
        raise InvalidInput(
            "a gateway or a range without a subnet",
            code="subnet-missing",
            about=str(body.get("Name") or ""),
            hint="give the subnet that they are in (--subnet)",
        )
    return NetworkWish(
        name=str(body.get("Name") or ""),
        driver=body.get("Driver") or "bridge",
        subnets=tuple(four),
        ipv6=bool(body.get("EnableIPv6")),
        ipv6_subnet=six[0] if six else None,
        aux_addresses=auxiliary,
        internal=bool(body.get("Internal")),
        attachable=bool(body.get("Attachable")),
        options={str(k): str(v) for k, v in (body.get("Options") or {}).items()},
        labels={str(k): str(v) for k, v in (body.get("Labels") or {}).items()},
    )


def _unsupported(what: str, value: str, hint: str) -> InvalidInput:
    return InvalidInput(
        f"{what} {value!r} is not supported", code="not-supported", about=value, hint=hint
    )

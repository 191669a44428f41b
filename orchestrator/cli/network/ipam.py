"""The subnets of a network as `network create` is told them. Pure.

Source: docker/cli, `network create`: ranges, gateways and auxiliary addresses belong to the subnet
that they lie in.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from orchestrator.errors import InvalidInput

_Net = ipaddress.IPv4Network | ipaddress.IPv6Network


def ipam_config(
    subnets: Sequence[str],
    ranges: Iterable[str],
    gateways: Iterable[str],
    auxiliary: Mapping[str, str],
) -> list[dict[str, Any]]:
    """IPAM.Config of the API, one entry a subnet.

    Raises: InvalidInput: a value is none, subnets overlap, or something lies in no subnet.
    """
    configs: list[tuple[_Net, dict[str, Any]]] = []
    for text in subnets:
        subnet = _subnet(text)
        for other, _ in configs:
            if subnet.overlaps(other):
                raise _invalid(text, f"it overlaps the subnet {other}")
        configs.append((subnet, {"Subnet": text}))
    for text in ranges:
        room = _subnet(text)
        _once(_config_with(configs, text, room.network_address), "IPRange", text)
    for text in gateways:
        _once(_config_with(configs, text, _address(text)), "Gateway", text)
    for name, text in auxiliary.items():
        config = _config_with(configs, text, _address(text))
        config.setdefault("AuxiliaryAddresses", {})[name] = text
    return [config for _, config in configs]


def _config_with(
    configs: list[tuple[_Net, dict[str, Any]]],
    text: str,
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> dict[str, Any]:
    for subnet, config in configs:
        if address in subnet:
            return config
    raise _invalid(text, "no matching subnet: it lies in none of --subnet")


def _once(config: dict[str, Any], key: str, text: str) -> None:
    if key in config:
        raise _invalid(text, f"the subnet {config['Subnet']} has {config[key]} already")
    config[key] = text


def _subnet(text: str) -> _Net:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise _invalid(text, str(error)) from error


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError as error:
        raise _invalid(text, str(error)) from error


def _invalid(text: str, problem: str) -> InvalidInput:
    return InvalidInput(
        f"invalid address {text!r}: {problem}",
        code="subnet-invalid",
        about=text,
        hint="for example: --subnet 10.5.0.0/16 --ip-range 10.5.1.0/24 --gateway 10.5.0.1",
    )

"""Published and exposed ports as Docker's JSON, both ways.

Source: the Docker Engine API reference, version 1.45, "PortMap" and "ExposedPorts".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from orchestrator.errors import InvalidInput
from orchestrator.model.container import PortBinding, Protocol

_PROTOCOLS = ("tcp", "udp", "sctp")
_HIGHEST = 65535


def ports_from(bindings: Mapping[str, Any]) -> tuple[PortBinding, ...]:
    """The published ports in PortBindings.  Raises: InvalidInput: no such port or protocol."""
    return tuple(_ports(bindings))


def _ports(bindings: Mapping[str, Any]) -> Iterator[PortBinding]:
    for key, places in bindings.items():
        number, protocol = _port(key)
        for place in places or [{}]:
            text = str(place.get("HostPort") or "")
            first, _, last = text.partition("-")
            yield PortBinding(
                container_port=number,
                protocol=protocol,
                host_ip=place.get("HostIp") or "",
                host_port=_number(first, text) if first else 0,
                host_port_last=_number(last, text) if last else 0,
            )


def exposed_from(exposed: Iterable[str]) -> tuple[str, ...]:
    """Exposed ports as `80/tcp`.  Raises: InvalidInput."""
    return tuple("{}/{}".format(*_port(key)) for key in exposed)


def _port(key: str) -> tuple[int, Protocol]:
    number, _, protocol = key.partition("/")
    protocol = protocol.lower() or "tcp"
    if protocol not in _PROTOCOLS:
        raise _invalid(key)
    return _number(number, key), cast(Protocol, protocol)


def _number(text: str, about: str) -> int:
    if not text.isdigit() or not 0 < int(text) <= _HIGHEST:
        raise _invalid(about)
    return int(text)


def _invalid(about: str) -> InvalidInput:
    return InvalidInput(
        f"{about!r} is not a port",
        code="port-invalid",
        about=about,
        hint=f"ports are 1 to {_HIGHEST}, with /tcp, /udp or /sctp",
    )


def port_map(
    ports: Iterable[PortBinding], exposed: Iterable[str] = ()
) -> dict[str, list[dict[str, str]] | None]:
    """Ports as `{"80/tcp": [{"HostIp", "HostPort"}]}`, null for those that are only `exposed`."""
    shown: dict[str, list[dict[str, str]] | None] = {}
    for port in ports:
        bound = {"HostIp": port.host_ip, "HostPort": _host_port(port)}
        key = f"{port.container_port}/{port.protocol}"
        shown[key] = [*(shown.get(key) or ()), bound]
    return {**dict.fromkeys(exposed), **shown}


def _host_port(port: PortBinding) -> str:
    if port.host_port_last:
        return f"{port.host_port}-{port.host_port_last}"
    return str(port.host_port or "")

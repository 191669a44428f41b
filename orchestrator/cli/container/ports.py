"""`-p` as people write it. Pure. Source: Docker's reference, "docker container run", --publish."""

from __future__ import annotations

from orchestrator.errors import InvalidInput

_PROTOCOLS = ("tcp", "udp", "sctp")
_HIGHEST = 65535


def port_bindings(texts: list[str]) -> dict[str, list[dict[str, str]]]:
    """Docker's PortBindings of `[ADDRESS:][HOST[-HOST]:]PORT[-PORT][/PROTOCOL]`, several of them.

    Raises: InvalidInput(port-invalid).
    """
    bindings: dict[str, list[dict[str, str]]] = {}
    for text in texts:
        address, host, inside, protocol = _split(text)
        ports = _range(text, inside)
        outside = _range(text, host) if host else []
        if outside and len(outside) != len(ports):
            if len(ports) > 1:
                raise _invalid(text, "the two ranges differ in length")
            # One port inside, a range outside: any free one of the range.
            place = {"HostIp": address, "HostPort": host}
            bindings.setdefault(f"{ports[0]}/{protocol}", []).append(place)
            continue
        for number, port in enumerate(ports):
            place = {"HostIp": address, "HostPort": str(outside[number]) if outside else ""}
            bindings.setdefault(f"{port}/{protocol}", []).append(place)
    return bindings


def exposed_ports(texts: list[str]) -> list[str]:
    """Each port of `PORT[-PORT][/PROTOCOL]`, several of them, as `80/tcp`.

    Raises: InvalidInput(port-invalid).
    """
    found = []
    for text in texts:
        numbers, _, protocol = text.partition("/")
        protocol = (protocol or "tcp").lower()
        if protocol not in _PROTOCOLS:
            raise _invalid(text, f"the protocol is one of {', '.join(_PROTOCOLS)}")
        found += [f"{port}/{protocol}" for port in _range(text, numbers)]
    return found


def _split(text: str) -> tuple[str, str, str, str]:
    rest, _, protocol = text.partition("/")
    protocol = (protocol or "tcp").lower()
    if protocol not in _PROTOCOLS:
        raise _invalid(text, f"the protocol is one of {', '.join(_PROTOCOLS)}")
    address = ""
    if rest.startswith("["):
        address, found, rest = rest[1:].partition("]:")
        if not found:
            raise _invalid(text, "an IPv6 address ends with ]:")
    parts = rest.split(":")
    if len(parts) == 3 and not address:
        address, *parts = parts
    if len(parts) > 2 or (address and len(parts) == 1):
        raise _invalid(text, "expected [ADDRESS:][HOST:]PORT[/PROTOCOL]")
    return address, parts[0] if len(parts) == 2 else "", parts[-1], protocol


def _range(text: str, ports: str) -> list[int]:
    first, found, last = ports.partition("-")
    if not first.isdigit() or (found and not last.isdigit()):
        raise _invalid(text, f"{ports!r} is not a port")
    low, high = int(first), int(last) if found else int(first)
    if not 0 < low <= high <= _HIGHEST:
        raise _invalid(text, f"ports are 1 to {_HIGHEST}")
    return list(range(low, high + 1))


def _invalid(text: str, problem: str) -> InvalidInput:
    return InvalidInput(
        f"-p {text}: {problem}",
        code="port-invalid",
        about=text,
        hint="write it as 8080:80, 127.0.0.1:8080:80 or 8080:80/udp",
    )

"""Host ports: which are free, who has the others, and keeping ours from being taken.

While a port is published, the kernel's NAT serves it and a socket of ours is bound to it. Nothing
ever arrives there (it does not even listen), but no other program can take the port in the belief
that it is free, and its `bind` fails with the usual words. The socket goes with the engine and
comes back with the next one; the port is served all the while.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from orchestrator.errors import Conflict, InvalidInput
from orchestrator.model.container import PortBinding

_KINDS = {
    "tcp": (socket.SOCK_STREAM, 0),
    "udp": (socket.SOCK_DGRAM, 0),
    "sctp": (socket.SOCK_STREAM, socket.IPPROTO_SCTP),
}
_TRIES = 20


def hold(binding: PortBinding) -> list[socket.socket]:
    """Sockets that keep the port ours. Raises: Conflict: another has it; InvalidInput: the
    address is not one of this host."""
    held: list[socket.socket] = []
    try:
        for address in _addresses(binding.host_ip):
            if taken := _bind(address, binding.host_port, binding.protocol):
                held.append(taken)
    except OSError as error:
        for one in held:
            one.close()
        raise _explained(binding, error) from error
    return held


def address(host_ip: str) -> str:
    """The address in its one true spelling, "" for none. Raises: InvalidInput."""
    text = host_ip.strip("[]")
    if not text or text == "*":
        return ""
    if text == "localhost":
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise InvalidInput(
            f"{host_ip} is not an address to publish a port at",
            code="host-address-invalid",
            about=host_ip,
            hint="write an address of this host, as 127.0.0.1 or ::1",
        ) from error


def free_port(binding: PortBinding, avoid: Iterable[int]) -> int:
    """A port that nobody has now, none of `avoid`; one of the binding's range, where it has one.
    Raises: Conflict: none was found."""
    avoided = set(avoid)
    if binding.host_port:
        candidates: Iterable[int] = range(binding.host_port, binding.host_port_last + 1)
        what = f"of {binding.host_port}-{binding.host_port_last} "
    else:
        candidates, what = (0,) * _TRIES, ""
    for candidate in candidates:
        if candidate not in avoided and (port := _free(binding, candidate)) not in {*avoided, 0}:
            return port
    raise Conflict(
        f"no host port {what}is free for container port {binding.container_port}",
        code="no-free-port",
        about=f"{binding.container_port}/{binding.protocol}",
        hint="name another host port",
    )


def _free(binding: PortBinding, candidate: int) -> int:
    """The port, when it can be had at every address of the binding; any port for candidate 0; 0
    when it cannot."""
    try:
        first, *others = _addresses(binding.host_ip)
        one = _bind(first, candidate, binding.protocol)
        if one is None:
            return candidate
        with one:
            port = int(one.getsockname()[1])
            for other_address in others:
                if other := _bind(other_address, port, binding.protocol):
                    other.close()
            return port
    except OSError:
        return 0


def _addresses(host_ip: str) -> list[str]:
    return [host_ip] if host_ip else ["0.0.0.0", "::"]


def _bind(address: str, port: int, protocol: str) -> socket.socket | None:
    """A bound socket; None where the host lacks the protocol or family."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind, number = _KINDS[protocol]
    try:
        bound = socket.socket(family, kind | socket.SOCK_CLOEXEC, number)
    except OSError:
        return None
    try:
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if protocol == "tcp":
            # For the bind only: connections in TIME_WAIT must not keep us off the port, and
            # others that set it too must not get in beside us.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((address, port))
        if protocol == "tcp":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRNOTAVAIL and address == "::":
            return None
        raise
    return bound


def _explained(binding: PortBinding, error: OSError) -> Exception:
    where = f"{binding.host_ip or '*'}:{binding.host_port}/{binding.protocol}"
    if error.errno == errno.EADDRINUSE:
        owner = owner_of(binding.host_port, binding.protocol)
        return Conflict(
            f"the host port {where} is in use" + (f" by {owner}" if owner else ""),
            code="port-in-use",
            about=where,
            hint="stop what has the port, or publish another host port",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return InvalidInput(
            f"the host has no address {binding.host_ip} to publish a port at",
            code="host-address-unknown",
            about=binding.host_ip,
            hint="`ip address` lists the addresses of this host",
        )
    return Conflict(
        f"the host port {where} cannot be taken: {error.strerror}",
        code="port-refused",
        about=where,
        hint="choose another host port",
    )


def owner_of(port: int, protocol: str) -> str:
    """The process that has the port, as "process nginx (812)"; "" where that cannot be seen."""
    inodes = set()
    for table in (protocol, f"{protocol}6"):
        with suppress(OSError):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                words = line.split()
                listening = protocol != "tcp" or words[3] == "0A"
                if int(words[1].rpartition(":")[2], 16) == port and listening:
                    inodes.add(f"socket:[{words[9]}]")
    return _process_with(inodes) if inodes else ""


def _process_with(inodes: set[str]) -> str:
    for pid in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208
        with suppress(OSError), os.scandir(f"/proc/{pid}/fd") as fds:
            for fd in fds:
                with suppress(OSError):
                    if os.readlink(fd.path) in inodes:  # noqa: PTH115
                        name = Path(f"/proc/{pid}/comm").read_text().strip()
                        return f"process {name} ({pid})"
    return ""

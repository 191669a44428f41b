"""The text of a container's /etc/hosts, /etc/hostname and /etc/resolv.conf, and the writing of it.

These files are bind-mounted, so a new version goes into the same inode: a rename would leave
running containers with the old one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

RESOLVER = "127.0.0.11"
_LOCAL = (
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::\tip6-localnet\n"
    "ff00::\tip6-mcastprefix\n"
    "ff02::1\tip6-allnodes\n"
    "ff02::2\tip6-allrouters\n"
)
HOST_GATEWAY = "host-gateway"


@dataclass(frozen=True, slots=True)
class Resolv:
    """What a resolv.conf says: name servers, search domains, options."""

    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def usable_servers(self) -> tuple[str, ...]:
        """The servers that are the same from inside a container: loopback ones are not."""
        return tuple(s for s in self.servers if not s.startswith("127.") and s != "::1")


def parse_resolv(text: str) -> Resolv:
    """The meaning of a resolv.conf.  Source: resolv.conf(5)."""
    servers: list[str] = []
    search: tuple[str, ...] = ()
    options: list[str] = []
    for line in text.splitlines():
        match line.split("#")[0].split(";")[0].split():
            case ["nameserver", server, *_]:
                servers.append(server)
            case ["search" | "domain", *domains]:
                search = tuple(domains)
            case ["options", *more]:
                options += more
    return Resolv(tuple(servers), search, tuple(options))


def resolv_text(resolv: Resolv) -> str:
    """The text that says it."""
    lines = [f"nameserver {server}" for server in resolv.servers]
    if resolv.search and resolv.search != (".",):
        lines.append("search " + " ".join(resolv.search))
    if resolv.options:
        lines.append("options " + " ".join(resolv.options))
    return "".join(line + "\n" for line in lines)


def resolv_inside(
    host: Resolv,
    *,
    named: bool,
    search: Sequence[str] = (),
    options: Sequence[str] = (),
    servers: Sequence[str] = (),
) -> Resolv:
    """What a container is told; the later arguments are its own wishes, which win.

    `named` containers ask our resolver, which asks `servers` or the host's for what it does not
    know. The others ask `servers`, or the host's that can be reached from inside.
    """
    domains = tuple(search) or host.search
    if named:
        wanted = tuple(options) or host.options
        # With ndots 0 a service's name is asked for as it is before any search domain is tried.
        own = () if any(o.startswith("ndots:") for o in wanted) else ("ndots:0",)
        return Resolv((RESOLVER,), domains, (*wanted, *own))
    return Resolv(tuple(servers) or host.usable_servers(), domains, tuple(options) or host.options)


def hosts_text(
    *,
    hostname: str,
    domainname: str,
    addresses: Iterable[str],
    extra_hosts: Iterable[str],
    gateway: str,
    peers: Iterable[str],
) -> str:
    """The text of /etc/hosts: the container itself, what the user added, then the lines of peers.

    `extra_hosts` are NAME:ADDRESS or NAME=ADDRESS; the address `host-gateway` is the gateway.
    """
    lines = [_LOCAL]
    own = f"{hostname}.{domainname} {hostname}" if domainname else hostname
    lines += [f"{address}\t{own}\n" for address in addresses if address]
    for extra in extra_hosts:
        name, _, address = extra.partition("=") if "=" in extra else extra.partition(":")
        value = gateway if address == HOST_GATEWAY else address.strip("[]")
        if value:
            lines.append(f"{value}\t{name}\n")
    return "".join([*lines, *peers])


def rewrite(path: Path, text: str, *, create: bool = True) -> bool:
    """Whether the file's text changed: the same inode then holds the new one (blocking).

    A reader in between sees the old or the new lines followed by blank ones, never half a name:
    the new text goes in with one write, padded to the old length, and the padding is cut after.
    Raises: FileNotFoundError: there is no such file, and it is not to be made.
    """
    data = text.encode()
    if create:
        path.parent.mkdir(parents=True, exist_ok=True)
    # A symbolic link here would come from the container's side; it is never followed.
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_CREAT if create else 0)
    fd = os.open(path, flags, 0o644)
    try:
        old = os.pread(fd, 1 << 22, 0)
        if old == data:
            return False
        os.pwrite(fd, data.ljust(len(old), b"\n"), 0)
        os.ftruncate(fd, len(data))
    finally:
        os.close(fd)
    return True

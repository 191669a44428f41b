"""Our part of the kernel's firewall: one nftables table, kept equal to what is wanted of it.

Remembers what is wanted, so that anything found missing or different (somebody ran
`nft flush ruleset`) is answered by one transaction that replaces the whole content. Other tables
are neither read nor written.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator, Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path

import anyio
from anyio import to_thread

from orchestrator.errors import Failed
from orchestrator.model.observed import Network
from orchestrator.network import ruleset
from orchestrator.network.nftables import Nftables, NftablesError
from orchestrator.network.ruleset import Published

_NETLINK_NETFILTER = 12
_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_GROUP_NFTABLES = 7
_DELETED_TABLE = (10 << 8) | 2
_TABLE_NAME = 1
_FORWARD = {4: "/proc/sys/net/ipv4/ip_forward", 6: "/proc/sys/net/ipv6/conf/all/forwarding"}


class Firewall:
    """The table `inet pystack`."""

    def __init__(self, nftables: Nftables) -> None:
        self._nftables = nftables
        self._networks: dict[str, Network] = {}
        self._published: dict[tuple[str, str, int], Published] = {}
        self._turn = anyio.Lock()

    async def ensure(self) -> None:
        """Nothing, once the table holds exactly what is wanted. Raises: Failed: nft refused."""
        async with self._turn:
            await to_thread.run_sync(self._replace)

    async def restore(self, networks: Iterable[Network], published: Iterable[Published]) -> None:
        """Nothing, once the table holds exactly these, in one transaction. Raises: Failed."""
        async with self._turn:
            self._networks = {n.id: n for n in networks}
            self._published = {_key(p): p for p in published}
            await to_thread.run_sync(self._replace)

    async def add_network(self, network: Network) -> None:
        """Nothing, once packets of the network's bridge are let through and masked."""
        async with self._turn:
            self._networks[network.id] = network
            await to_thread.run_sync(self._change, ruleset.network_text("add", network))

    async def remove_network(self, network: Network) -> None:
        """Nothing, once nothing in the table is about the network."""
        async with self._turn:
            if self._networks.pop(network.id, None) is not None:
                await to_thread.run_sync(self._change, ruleset.network_text("delete", network))

    async def publish(self, published: Iterable[Published]) -> None:
        """Nothing, once connections to each host port reach its target."""
        async with self._turn:
            fresh = [p for p in published if self._published.get(_key(p)) != p]
            stale = [old for p in fresh if (old := self._published.get(_key(p)))]
            self._published.update({_key(p): p for p in fresh})
            if fresh:
                text = ruleset.unpublish_text(stale) + ruleset.publish_text(fresh)
                await to_thread.run_sync(self._change, text)

    async def unpublish(self, published: Iterable[Published]) -> None:
        """Nothing, once no new connection is taken to these targets."""
        async with self._turn:
            gone = [p for p in published if self._published.get(_key(p)) == p]
            for one in gone:
                del self._published[_key(one)]
            if gone:
                await to_thread.run_sync(self._change, ruleset.unpublish_text(gone))

    async def leave(self) -> None:
        """Nothing, once our table is gone, unless the owner's chain in it has rules."""
        await to_thread.run_sync(self._leave)

    async def obstacles(self) -> list[str]:
        """Chains of others that drop forwarded packets by policy, as "ip filter FORWARD": what they
        do not accept cannot leave a container, whatever our table says."""
        async with self._turn:
            listed = await to_thread.run_sync(self._nftables.run, "list chains")
        return ruleset.dropping_chains(listed)

    async def losses(self) -> AsyncIterator[None]:
        """One item each time our table was deleted by somebody."""
        with _notices() as notices:
            while True:
                await anyio.wait_readable(notices)
                if _tells_of_our_loss(notices):
                    yield

    def _change(self, text: str) -> None:
        try:
            self._nftables.run(text)
        except NftablesError:
            # The table is not what we remember: somebody changed it. Replacing is always right.
            self._replace()

    def _leave(self) -> None:
        with suppress(NftablesError):
            self._nftables.run("delete table inet pystack\n")

    def _replace(self) -> None:
        families = {4} | {6 for n in self._networks.values() if n.ipv6_subnet}
        for family in families:
            _switch_on(Path(_FORWARD[family]))
        text = ruleset.table_text(self._networks.values(), self._published.values())
        try:
            self._nftables.run(text)
        except NftablesError:
            self._rebuild(text)

    def _rebuild(self, text: str) -> None:
        """The table of another version cannot be changed in place: it goes, in the same
        transaction, and the owner's chain is carried over."""
        owners = ""
        with suppress(NftablesError):
            owners = self._nftables.run(f"list chain {ruleset.TABLE} user")
        try:
            self._nftables.run(
                f"add table {ruleset.TABLE}\ndelete table {ruleset.TABLE}\n{text}{owners}"
            )
        except NftablesError as error:
            raise Failed(
                f"the firewall refused our table: {error}",
                code="firewall-failed",
                about=ruleset.TABLE,
                hint="check that the kernel has nf_tables and nft_nat, and `nft list ruleset`",
            ) from error


def _key(published: Published) -> tuple[str, str, int]:
    binding = published.binding
    family = "6" if ":" in published.target else "4"
    return f"{family} {binding.host_ip}", binding.protocol, binding.host_port


def _switch_on(sysctl: Path) -> None:
    """Written only where it differs: /proc/sys may be read-only with the right value in it."""
    if sysctl.read_text().strip() != "1":
        try:
            sysctl.write_text("1\n")
        except OSError as error:
            raise Failed(
                f"{sysctl} cannot be set to 1: {error.strerror}",
                code="forwarding-off",
                about=str(sysctl),
                hint="set it from outside, or run pystack where /proc/sys can be written",
            ) from error


@contextmanager
def _notices() -> Generator[socket.socket]:
    notices = socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, _NETLINK_NETFILTER
    )
    try:
        notices.bind((0, 0))
        notices.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _GROUP_NFTABLES)
        yield notices
    finally:
        notices.close()


def _tells_of_our_loss(notices: socket.socket) -> bool:
    lost = False
    while True:
        try:
            data = notices.recv(1 << 18)
        except BlockingIOError:
            return lost
        except OSError:
            return True  # ENOBUFS: notices were lost, so anything may have happened
        at = 0
        while at + 20 <= len(data):
            size, kind = struct.unpack_from("=IH", data, at)
            lost |= kind == _DELETED_TABLE and b"\0pystack\0" in data[at + 20 : at + size]
            at += max(16, (size + 3) & ~3)

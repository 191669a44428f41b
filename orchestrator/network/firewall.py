"""Our part of the kernel's firewall: one nftables table, kept equal to what is wanted of it.

Remembers what is wanted, so that anything found missing or different (somebody ran
`nft flush ruleset`) is answered by one transaction that replaces the whole content. Other tables
are neither read nor written, except to say which of them is in the way.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import suppress

import anyio
from anyio import to_thread

from orchestrator.errors import Failed
from orchestrator.model.observed import Network
from orchestrator.network import obstacles, ruleset
from orchestrator.network.forwarding import Forwarding
from orchestrator.network.nftables import Nftables, NftablesError
from orchestrator.network.notices import foreign_changes
from orchestrator.network.ruleset import Content
from orchestrator.network.sharing import Backend, Front

_EMPTY_CHAIN_LINES = 4
Behind = Mapping[Front, Sequence[Backend]]


class Firewall:
    """The table `inet pystack`."""

    def __init__(self, nftables: Nftables, forwarding: Forwarding) -> None:
        self._nftables = nftables
        self._forwarding = forwarding
        self._networks: dict[str, Network] = {}
        self._published: dict[Front, tuple[Backend, ...]] = {}
        self._turn = anyio.Lock()

    async def ensure(self) -> None:
        """Nothing, once the table holds exactly what is wanted. Raises: Failed: nft refused."""
        async with self._turn:
            await to_thread.run_sync(self._replace)

    async def restore(self, networks: Iterable[Network], published: Behind) -> None:
        """Nothing, once the table holds exactly these, in one transaction. Raises: Failed."""
        async with self._turn:
            self._networks = {n.id: n for n in networks}
            self._published = {front: tuple(behind) for front, behind in published.items()}
            await to_thread.run_sync(self._replace)

    async def add_network(self, network: Network) -> None:
        """Nothing, once packets of the network's bridge are let through and masked."""
        async with self._turn:
            fresh_family = network.ipv6_subnet and not self._has_ipv6()
            self._networks[network.id] = network
            if fresh_family:
                await to_thread.run_sync(self._forwarding.switch_on, 6)
            await to_thread.run_sync(self._change, ruleset.network_text("add", network))

    async def remove_network(self, network: Network) -> None:
        """Nothing, once nothing in the table is about the network."""
        async with self._turn:
            if self._networks.pop(network.id, None) is not None:
                await to_thread.run_sync(self._change, ruleset.network_text("delete", network))

    async def publish(self, published: Behind) -> None:
        """Nothing, once new connections to each of these fronts go to who is behind it; to nobody
        where that is empty. All of them change at one moment."""
        async with self._turn:
            changes = [
                (front, self._published.get(front, ()), tuple(behind))
                for front, behind in published.items()
                if self._published.get(front, ()) != tuple(behind)
            ]
            for front, _, behind in changes:
                self._published[front] = behind
                if not behind:
                    del self._published[front]
            if changes:
                await to_thread.run_sync(self._change, ruleset.publish_text(changes))

    async def leave(self) -> None:
        """Nothing, once our table is gone, and what we switched on is off; where the owner's chain
        has rules, or forwarding must stay on for others, only what is needed for that is left."""
        async with self._turn:
            self._networks, self._published = {}, {}
            await to_thread.run_sync(self._leave)

    async def obstacles(self) -> list[str]:
        """Chains of others that drop forwarded packets, as "ip filter FORWARD": what they do not
        accept cannot leave a container, whatever our table says."""
        async with self._turn:
            listed = await to_thread.run_sync(self._listed)
        found = obstacles.dropping_chains(listed, ruleset.TABLE)
        return [*found, *await to_thread.run_sync(obstacles.legacy_chains)]

    async def losses(self) -> AsyncIterator[None]:
        """One item each time somebody else changed our table, the owner's chain excepted."""
        async for _ in foreign_changes():
            yield

    def _listed(self) -> str:
        try:
            return self._nftables.run("list ruleset")
        except NftablesError:
            # Rules that iptables made with extensions unknown to this library.
            return self._nftables.run("list chains")

    def _change(self, text: str) -> None:
        if not text:
            return
        try:
            self._nftables.run(text)
        except NftablesError:
            # The table is not what we remember: somebody changed it. Replacing is always right.
            self._replace()

    def _leave(self) -> None:
        if not self._forwarding.switch_back():
            self._replace()
            return
        with suppress(NftablesError):
            owners = self._nftables.run(f"list chain {ruleset.TABLE} user")
            text = f"delete table {ruleset.TABLE}\n"
            if len(owners.splitlines()) > _EMPTY_CHAIN_LINES:
                text += f"add table {ruleset.TABLE}\n{owners}"
            self._nftables.run(text)

    def _replace(self) -> None:
        self._forwarding.switch_on(4)
        if self._has_ipv6():
            self._forwarding.switch_on(6)
        bridges = {n.bridge for n in self._networks.values() if n.driver == "bridge"}
        apart = [name for name in self._forwarding.apart() if name not in bridges]
        content = Content(self._networks.values(), self._published, apart)
        stale: list[str] = []
        with suppress(NftablesError):
            stale = ruleset.chains_of_ports(self._nftables.run(f"list table {ruleset.TABLE}"))
        try:
            self._nftables.run(ruleset.table_text(content, stale))
        except NftablesError:
            self._rebuild(ruleset.table_text(content))

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

    def _has_ipv6(self) -> bool:
        return any(n.ipv6_subnet for n in self._networks.values())

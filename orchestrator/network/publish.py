"""The published ports of containers: claimed, held, dealt out by the kernel, relayed where the
kernel has no way."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

import anyio
from anyio import to_thread

from orchestrator.errors import Conflict, PystackError
from orchestrator.model.container import PortBinding
from orchestrator.network import ports, sharing
from orchestrator.network.driver import NetworkDriver
from orchestrator.network.firewall import Firewall
from orchestrator.network.forward import Relays
from orchestrator.network.sharing import Backend, Claim, Front, Standing

NameOf = Callable[[str], str]


@dataclass(slots=True)
class _Held:
    """The sockets that keep a binding's place on the host, for all who share it."""

    users: set[str] = field(default_factory=set)
    sockets: list[socket.socket] = field(default_factory=list)


Place = tuple[str, str, int]


class Publisher:
    """Who has which host port; `name_of` turns a container's id into its name for messages."""

    def __init__(
        self, driver: NetworkDriver, firewall: Firewall, relays: Relays, name_of: NameOf
    ) -> None:
        self._driver = driver
        self._firewall = firewall
        self._relays = relays
        self._name_of = name_of
        self._claims: dict[str, Claim] = {}
        self._by_front: dict[Front, dict[str, Claim]] = {}
        # What is claimed of each number, and the places each container uses: a port more must not
        # cost more for every port that there is.
        self._by_number: dict[tuple[str, int], set[tuple[str, PortBinding]]] = {}
        self._held: dict[Place, _Held] = {}
        self._used: dict[str, set[Place]] = {}
        self._turn = anyio.Lock()

    async def publish(self, claim: Claim) -> None:
        """Nothing, once what the container claims, and nothing else of it, is served.

        Raises: Conflict: port-in-use, saying by whom; InvalidInput: not an address of this host.
        """
        async with self._turn:
            before = self._claims.get(claim.container_id)
            self.check(claim)
            try:
                await self._hold(claim)
                await self._change(before, claim)
            except BaseException:
                with anyio.move_on_after(10, shield=True):
                    await self._hold(before or _nothing(claim.container_id))
                    await self._change(claim, before)
                raise

    async def unpublish(self, container_id: str) -> None:
        """Nothing, once nothing of the container's is published; to be repeated freely."""
        async with self._turn:
            before = self._claims.get(container_id)
            self._let_go(container_id, ())
            await self._change(before, None)

    async def steer(
        self, container_id: str, *, weight: int | None = None, standing: Standing | None = None
    ) -> None:
        """Nothing, once the container gets new connections by this weight and standing. What it
        has goes on; of one that publishes nothing, nothing changes."""
        async with self._turn:
            before = self._claims.get(container_id)
            if before is None:
                return
            after = replace(
                before,
                weight=before.weight if weight is None else weight,
                standing=before.standing if standing is None else standing,
            )
            if after != before:
                await self._change(before, after)

    async def adopt(self, claims: Iterable[Claim]) -> list[PystackError]:
        """What went wrong with holding and relaying ports that the firewall serves already.

        Another program may have taken a port while no engine held it; the kernel's NAT goes
        before it all the same, so this is nothing to fail for.
        """
        problems = []
        async with self._turn:
            for claim in claims:
                self._index(self._claims.get(claim.container_id), claim)
                for binding in claim.bindings:
                    try:
                        await self._hold_one(claim.container_id, binding)
                    except PystackError as error:
                        problems.append(error)
            self._relay(self._by_front)
        return problems

    def table(self, claims: Iterable[Claim]) -> dict[Front, tuple[Backend, ...]]:
        """What the kernel has to serve for these claims together."""
        by_front: dict[Front, list[Claim]] = {}
        for claim in claims:
            for front in _fronts(claim):
                by_front.setdefault(front, []).append(claim)
        found = {front: sharing.backends(front, own) for front, own in by_front.items()}
        return {front: behind for front, behind in found.items() if behind}

    def behind(self, front: Front) -> dict[str, Claim]:
        """The claims on a front, by container id."""
        return dict(self._by_front.get(front, {}))

    def holds(self, binding: PortBinding) -> bool:
        """Whether the binding's place is held by us, for whichever container."""
        return _place(binding) in self._held

    def fronts(self) -> list[Front]:
        """Every front that somebody claims, in order."""
        return sorted(self._by_front)

    def check(self, claim: Claim, gone: Collection[str] = ()) -> None:
        """Nothing, when no other container has what is claimed; those of `gone`, ids, do not
        count.  Raises: Conflict."""
        wanted: dict[tuple[str, int], list[PortBinding]] = {}
        for binding in claim.bindings:
            same_number = wanted.setdefault((binding.protocol, binding.host_port), [])
            if any(sharing.overlaps(binding, b) and binding != b for b in same_number):
                raise _in_use(binding, self._name_of(claim.container_id), "twice by")
            same_number.append(binding)
        for number, bindings in wanted.items():
            for other_id, theirs in self._by_number.get(number, ()):
                if other_id == claim.container_id or other_id in gone:
                    continue
                for binding in bindings:
                    clash = sharing.overlaps(binding, theirs)
                    if clash and not sharing.may_share(
                        claim, binding, self._claims[other_id], theirs
                    ):
                        raise _in_use(binding, self._name_of(other_id))

    def close(self) -> None:
        """Nothing; all ports are let go, and served by the kernel as before."""
        self._relays.stop_all()
        for held in self._held.values():
            for one in held.sockets:
                one.close()
        self._held.clear()
        self._used.clear()

    async def _change(self, before: Claim | None, after: Claim | None) -> None:
        """Makes the kernel and the relays follow from one claim of a container to the next."""
        touched = dict.fromkeys((*_fronts(before), *_fronts(after)))
        if not touched:
            return
        previous = {front: self._backends(front) for front in touched}
        self._index(before, after)
        table = {front: self._backends(front) for front in touched}
        await self._firewall.publish(table)
        self._relay(touched)
        # Senders that never pause follow a change only when their connection is forgotten: those
        # that found nobody, and those of a container that is here no more. All others keep theirs.
        found = [f for f in touched if f.protocol == "udp" and table[f] and not previous[f]]
        left = set(_fronts(before)) - set(_fronts(after))
        gone = _addresses(before) if any(f.protocol == "udp" for f in left) else set()
        await self._driver.forget_udp(found, gone)

    def _backends(self, front: Front) -> tuple[Backend, ...]:
        return sharing.backends(front, self._by_front.get(front, {}).values())

    def _index(self, before: Claim | None, after: Claim | None) -> None:
        if before is not None:
            self._claims.pop(before.container_id, None)
            for binding in before.bindings:
                number = (binding.protocol, binding.host_port)
                known = self._by_number.get(number, set())
                known.discard((before.container_id, binding))
                if not known:
                    self._by_number.pop(number, None)
            for front in _fronts(before):
                claims = self._by_front.get(front, {})
                claims.pop(before.container_id, None)
                if not claims:
                    self._by_front.pop(front, None)
        if after is not None and after.bindings:
            self._claims[after.container_id] = after
            for binding in after.bindings:
                number = (binding.protocol, binding.host_port)
                self._by_number.setdefault(number, set()).add((after.container_id, binding))
            for front in _fronts(after):
                self._by_front.setdefault(front, {})[after.container_id] = after

    # -- sockets that hold, and relay ----------------------------------------------------------

    async def _hold(self, claim: Claim) -> None:
        """The places of these bindings, and no others, held for the container."""
        for binding in claim.bindings:
            await self._hold_one(claim.container_id, binding)
        self._let_go(claim.container_id, claim.bindings)

    async def _hold_one(self, container_id: str, binding: PortBinding) -> None:
        held = self._held.get(_place(binding))
        if held is None:
            sockets = await to_thread.run_sync(ports.hold, binding)
            held = self._held[_place(binding)] = _Held(sockets=sockets)
        held.users.add(container_id)
        self._used.setdefault(container_id, set()).add(_place(binding))

    def _let_go(self, container_id: str, but: Sequence[PortBinding]) -> None:
        kept = {_place(binding) for binding in but}
        for place in self._used.pop(container_id, set()) - kept:
            held = self._held[place]
            held.users.discard(container_id)
            if not held.users:
                for one in held.sockets:
                    self._relays.stop(one.fileno())
                    one.close()
                del self._held[place]
        if kept:
            self._used[container_id] = kept

    def _relay(self, touched: Iterable[Front]) -> None:
        """Relays for the clients whom the kernel cannot take to who is behind these fronts."""
        for front in touched:
            if front.family != 6:
                continue
            targets = sharing.slots(sharing.relayed(front, self._by_front.get(front, {}).values()))
            places = [(backend.address, backend.port) for backend in targets]
            for host_ip in (front.host_ip,) if front.host_ip else ("", "::"):
                held = self._held.get((host_ip, front.protocol, front.port))
                for bound in held.sockets if held else ():
                    if bound.family == socket.AF_INET6:
                        self._relays.serve(bound, front.protocol, places)


def _place(binding: PortBinding) -> Place:
    address = str(ipaddress.ip_address(binding.host_ip)) if binding.host_ip else ""
    return address, binding.protocol, binding.host_port


def _fronts(claim: Claim | None) -> list[Front]:
    return list(claim.ports) if claim is not None else []


def _addresses(claim: Claim | None) -> set[str]:
    return {a for a in (claim.ipv4, claim.ipv6) if a} if claim is not None else set()


def _nothing(container_id: str) -> Claim:
    return Claim(container_id=container_id, bindings=())


def _in_use(binding: PortBinding, name: str, how: str = "by") -> Conflict:
    where = f"{binding.host_ip or '*'}:{binding.host_port}/{binding.protocol}"
    return Conflict(
        f"the host port {where} is in use {how} container {name}",
        code="port-in-use",
        about=where,
        hint=f"stop {name}, or publish another host port",
    )

"""Containers in their networks: interfaces, names, hosts files.

Everything may be repeated; what a killed engine left is adopted by `adopt`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import anyio
import structlog
from anyio import to_thread

from orchestrator.aio.lasting import Tasks
from orchestrator.errors import NotFound, PystackError
from orchestrator.model.observed import Container, Endpoint, Network
from orchestrator.network import hosts
from orchestrator.network.directory import Directory
from orchestrator.network.dns import Names
from orchestrator.network.driver import NetworkDriver
from orchestrator.network.naming import Naming, hostname
from orchestrator.network.plug import Plug, veth_name
from orchestrator.network.sharing import Standing

_REFRESH_AFTER_S = 0.01
_REFRESH_EACH_S = 0.001


class Wiring:
    """`network` gives a network's record by id; `place` is where containers' files are; `tasks` is
    where hosts files are rewritten."""

    def __init__(
        self,
        network: Callable[[str], Network | None],
        containers: Iterable[Container],
        driver: NetworkDriver,
        names: Names,
        place: Path,
        tasks: Tasks,
    ) -> None:
        self._network = network
        self._driver = driver
        self._names = names
        self._place = place
        self._tasks = tasks
        self._directory = Directory()
        self.naming = Naming(self._directory, network, containers)
        self.live: dict[str, Container] = {}
        self._rewriting = anyio.Lock()
        self._changed: set[str] = set()
        self._refreshing = False
        self._refreshed_at = -math.inf

    async def write_hosts(self, directory: Path, container: Container) -> None:
        """Nothing, once hosts, hostname and resolv.conf in the directory are the container's."""
        texts = {
            directory / "hosts": self.naming.hosts_text(container),
            directory / "hostname": hostname(container) + "\n",
            directory / "resolv.conf": self.naming.resolv_text(container),
        }
        await to_thread.run_sync(_rewrite_all, texts)

    async def connect(self, container: Container, pid: int) -> None:
        """Nothing, once the process's namespace has the container's interfaces, and its name is
        known to its peers.  Raises: Failed: the kernel refused; NotFound: a network is gone."""
        await self._driver.attach(pid, self._plugs(container))
        self.live[container.id] = container
        if (view := self.naming.view(container)) is not None:
            await self._names.serve(container.id, pid, view)
        self._announce(container)

    def withdraw(self, container_id: str) -> Container | None:
        """The container as it was connected, None where it was not; its names are served no
        more."""
        self._names.stop(container_id)
        self._directory.remove(container_id)
        gone = self.live.pop(container_id, None)
        if gone is not None:
            self.refresh_hosts()
        return gone

    def renamed(self, container: Container) -> None:
        """Nothing; a container that is known here is found by the names it has now."""
        if container.id in self.live:
            self.live[container.id] = container
            # It may have lost its last link, and with that the reason to be rewritten.
            self._changed.add(container.id)
            self._announce(container)

    def stand(self, container_id: str, standing: Standing) -> bool:
        """Whether that is news: how well the container answers to names that it shares, from now
        on."""
        return self._directory.stand(container_id, standing)

    # -- changes while it runs -------------------------------------------------------------

    async def plug_in(self, before: Container, after: Container) -> None:
        """Nothing, once the running container has the endpoints of `after`, which are those of
        `before` and more.  Raises: Failed; nothing is left of them then."""
        pid = before.state.pid
        known = {e.network_id for e in before.endpoints}
        fresh = [p for p in self._plugs(after) if p.network.id not in known]
        try:
            await self._driver.attach(pid, [replace(p, route4=False, route6=False) for p in fresh])
            await self._follow(after)
        except BaseException:
            with anyio.move_on_after(10, shield=True):
                for plug in fresh:
                    await self._driver.detach(pid, plug)
                await self._follow(before)
            raise

    async def unplug(self, before: Container, after: Container) -> None:
        """Nothing, once the running container has the endpoints of `after`, which are fewer."""
        kept = {e.network_id for e in after.endpoints}
        gone = [p for p in self._plugs_left(before) if p.network.id not in kept]
        for plug in gone:
            await self._driver.detach(before.state.pid, plug)
        await self._follow(after)

    async def _follow(self, container: Container) -> None:
        """Ways out, names and files follow a change of a running container's endpoints."""
        pid = container.state.pid
        await self._driver.route(pid, self._plugs_left(container))
        self.live[container.id] = container
        if (view := self.naming.view(container)) is None:
            self._names.stop(container.id)
        elif not self._names.change(container.id, view):
            await self._names.serve(container.id, pid, view)
        await self.write_hosts(self._place / container.id, container)
        self._announce(container)

    # -- a new engine, and repair ----------------------------------------------------------

    async def adopt(self, running: Iterable[Container], networks: Sequence[Network]) -> None:
        """Nothing, once these running containers are plugged into bridges that are there, with the
        interfaces that their records say and no others, and nothing of ours is left of others.
        Their resolvers are served by `serve_again`."""
        running = list(running)
        plugs = {c.id: self._plugs_left(c) for c in running}
        known = {plug.veth for own in plugs.values() for plug in own}
        swept = await self._driver.sweep({n.bridge for n in networks}, known)
        for container in running:
            self.live[container.id] = container
            self._directory.add(container.id, container.name, self.naming.named(container))
            missing = await self._driver.plug_again(plugs[container.id])
            # A change of its networks was under way when the engine died: the record decides.
            half_done = [v for v in swept if v[:-2] == veth_name(container.id, 0)[:-2]]
            if missing or half_done:
                await self._restore_inside(container, missing)

    async def _restore_inside(self, container: Container, missing: Sequence[Plug]) -> bool:
        """Whether the running container has its missing interfaces and its ways out again."""
        pid = container.state.pid
        try:
            await self._driver.attach(pid, missing)
            await self._driver.route(pid, self._plugs_left(container))
        except PystackError as error:  # it has just ended: that is why
            structlog.get_logger().info("not mended", container=container.name, why=str(error))
            return False
        return True

    async def serve_again(self, container: Container) -> None:
        """The container's resolver, which ended with the last engine. A container that has just
        ended must not keep the others from being served."""
        if (view := self.naming.view(container)) is not None:
            try:
                await self._names.serve(container.id, container.state.pid, view, again=True)
            except PystackError as error:
                structlog.get_logger().warning(
                    "names are not served", container=container.name, problem=str(error)
                )

    async def mend(self, recorded: Callable[[str], Container | None]) -> list[str]:
        """The names of the running containers that had lost the host's side of an interface, which
        they have again; the others are ports of their bridges again. `recorded` gives the record,
        which knows the process, of a container."""
        plugs = {c.id: self._plugs_left(c) for c in self.live.values()}
        every = [plug for own in plugs.values() for plug in own]
        loose = {plug.veth for plug in await self._driver.loose(every)}
        mended = []
        for identifier, own in plugs.items():
            missing = await self._driver.plug_again([p for p in own if p.veth in loose])
            record = recorded(identifier)
            if not missing or record is None or not record.state.pid:
                continue
            if await self._restore_inside(record, missing):
                mended.append(record.name)
        return mended

    def close(self) -> None:
        """Nothing; no resolver is served any more."""
        self._names.stop_all()

    # -- within ----------------------------------------------------------------------------

    def _plugs(self, container: Container) -> list[Plug]:
        gate, gate6 = self.naming.gate(container), self.naming.gate6(container)
        plugs = []
        for endpoint in container.endpoints:
            if (network := self._network(endpoint.network_id)) is None:
                raise NotFound(
                    f"container {container.name} is on network {endpoint.network_name},"
                    " which is gone",
                    code="no-such-network",
                    about=endpoint.network_name,
                    hint="`pystack network disconnect -f` takes it off, or make it anew",
                )
            plugs.append(
                Plug(
                    network=network,
                    endpoint=endpoint,
                    veth=veth_name(container.id, endpoint.slot),
                    route4=gate is not None and gate[1] is endpoint,
                    route6=gate6 is not None and gate6[1] is endpoint,
                )
            )
        return plugs

    def _plugs_left(self, container: Container) -> list[Plug]:
        """The plugs into networks that there are."""
        left = [e for e in container.endpoints if self._network(e.network_id) is not None]
        return self._plugs(replace(container, endpoints=tuple(left)))

    def _announce(self, container: Container) -> None:
        self._directory.add(container.id, container.name, self.naming.named(container))
        self.refresh_hosts()

    def refresh_hosts(self) -> None:
        """Nothing; soon every running container's hosts file knows of every change until then.

        Not at once, so that of many containers that start together each does not rewrite the
        files of all. Meanwhile the resolver knows already.
        """
        if not self._refreshing:
            self._refreshing = True
            self._tasks.start_soon(self._rewrite_hosts)

    async def _rewrite_hosts(self) -> None:
        now = anyio.current_time()
        await anyio.sleep(refresh_delay_s(now - self._refreshed_at, len(self.live)))
        self._refreshing = False
        self._refreshed_at = anyio.current_time()
        changed, self._changed = self._changed, set()
        texts = {
            self._place / container.id / "hosts": self.naming.hosts_text(container)
            for container in self.live.values()
            if self.naming.named(container)
            or any(e.links for e in container.endpoints)
            or container.id in changed
        }
        async with self._rewriting:
            await to_thread.run_sync(_rewrite_known, texts)


def refresh_delay_s(since_s: float, count: int) -> float:
    """How long a change waits for others before so many hosts files are rewritten, `since_s`
    seconds after the last time: where each change rewrites the files of all, many that follow each
    other must share that, or the hundredth container costs a hundred times the first."""
    return max(_REFRESH_AFTER_S, count * _REFRESH_EACH_S - since_s)


def endpoint_on(container: Container, network: Network) -> Endpoint | None:
    """The container's endpoint on the network."""
    return next((e for e in container.endpoints if e.network_id == network.id), None)


def _rewrite_all(texts: Mapping[Path, str]) -> None:
    for path, text in texts.items():
        hosts.rewrite(path, text)


def _rewrite_known(texts: Mapping[Path, str]) -> None:
    """As `_rewrite_all`, leaving out containers whose files are gone."""
    for path, text in texts.items():
        with suppress(FileNotFoundError):
            hosts.rewrite(path, text, create=False)

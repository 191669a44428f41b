"""Several containers behind one published port."""

from __future__ import annotations

import socket
from collections import Counter
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from orchestrator.engine.networks import open_networks
from orchestrator.engine.traffic import BALANCE_LABEL, GROUP_LABEL
from orchestrator.errors import Conflict
from orchestrator.model.container import PortBinding
from orchestrator.model.observed import Container, State
from tests.support.netns import Netns, command, outside_machine
from tests.support.networks import World, answer, published, replies, world
from tests.support.waiting import wait_until

PORT = PortBinding(container_port=80, host_port=8080)


async def replica(w: World, name: str) -> Container:
    """A container of the group that says its name to whoever connects."""
    container, machine = await w.container(name, "app", spec=published(PORT, group="web"))
    w.stack.callback(replies(machine, 80, name.encode()))
    return container


def answers(times: int, machine: Netns | None = None) -> Counter[str]:
    address = "127.0.0.1" if machine is None else "198.51.100.1"
    return Counter(answer(address, 8080, machine) for _ in range(times))


async def test_connections_are_dealt_out_evenly_from_the_host_and_from_outside(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        for name in ("a", "b", "c"):
            await replica(w, name)
        assert answers(9) == {"a": 3, "b": 3, "c": 3}
        with outside_machine() as outside:
            assert answers(6, outside) == {"a": 2, "b": 2, "c": 2}


async def test_weights_say_who_gets_how_much(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        a = await replica(w, "a")
        await replica(w, "b")
        assert (await w.connections.set_weight(a.id, 3)).traffic.weight == 3
        assert answers(8) == {"a": 6, "b": 2}
        await w.connections.set_weight(a.id, 0)
        assert answers(4) == {"b": 4}


async def test_a_drained_container_keeps_its_connections_and_gets_no_new_ones(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        spec = published(PORT, group="web")
        old, machine = await w.container("old", "app", spec=spec)
        with outside_machine() as outside, machine.listen(80) as server:
            with outside.connect("198.51.100.1", 8080) as client:
                accepted, _ = server.accept()
                with accepted:
                    await replica(w, "new")
                    assert (await w.connections.drain(old.id)).traffic.drained
                    assert answers(4) == {"new": 4}
                    assert await w.connections.count(old.id) == 1
                    assert not await w.connections.emptied(old.id, 0.1)
                    client.sendall(b"still here")
                    assert accepted.recv(20) == b"still here"
            assert await w.connections.emptied(old.id, 10)
        await w.stop(w.now(old))
        assert answers(2) == {"new": 2}


async def test_a_client_stays_with_its_container_where_that_is_wished(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        labels = {GROUP_LABEL: "web", BALANCE_LABEL: "source"}
        spec = replace(published(PORT), labels=labels)
        for name in "abcd":
            _, machine = await w.container(name, "app", spec=spec)
            w.stack.callback(replies(machine, 80, name.encode()))
        with outside_machine() as outside:
            found = {}
            for last in range(3, 23):
                outside.run("ip", "address", "add", f"198.51.100.{last}/32", "dev", "lan1")
                source = (f"198.51.100.{last}", 0)
                said = {said_to(outside, source) for _ in range(3)}
                assert len(said) == 1, "the same client, the same container"
                found[last] = said.pop()
            assert set(found.values()) == set("abcd"), "different clients, all containers"


def said_to(machine: Netns, source: tuple[str, int]) -> str:
    to = ("198.51.100.1", 8080)
    with machine.call(lambda: socket.create_connection(to, 5, source)) as client:
        return client.recv(10).decode()


async def test_connections_are_counted_for_each_container_by_its_own(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app", ipv6=True)
        other = replace(PORT, host_port=8081)
        one, one_ns = await w.container("one", "app", spec=published(PORT))
        two, two_ns = await w.container("two", "app", spec=published(other))
        with outside_machine() as outside, one_ns.listen(80) as a, two_ns.listen(80) as b:
            clients = [outside.connect("198.51.100.1", port) for port in (8080, 8080, 8081)]
            accepted = [a.accept()[0], a.accept()[0], b.accept()[0]]
            direct = one_ns.connect(two.endpoints[0].ipv4, 80)
            assert await w.connections.count(one.id) == 2
            assert await w.connections.count(two.id) == 1
            for each in (*clients, *accepted, direct):
                each.close()
        assert await w.connections.emptied(one.id, 10)


async def test_the_last_one_that_is_drained_leaves_a_closed_port(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        a = await replica(w, "a")
        await w.connections.drain(a.id)
        assert answer("127.0.0.1", 8080) == ""
        await w.connections.undrain(a.id)
        assert answer("127.0.0.1", 8080) == "a"


async def test_a_replica_that_is_not_healthy_gets_no_new_connections(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        a = await replica(w, "a")
        await replica(w, "b")

        async def becomes(health: str, expected: dict[str, int]) -> None:
            state = replace(w.now(a).state, health=health)  # type: ignore[arg-type]
            w.networks.observe(w.database.containers.put(replace(w.now(a), state=state)))
            await anyio.to_thread.run_sync(
                wait_until, lambda: answers(4) == expected, f"connections follow {health}"
            )

        await becomes("unhealthy", {"b": 4})
        await becomes("starting", {"b": 4})
        await becomes("healthy", {"a": 2, "b": 2})


async def test_a_replica_that_comes_or_goes_is_met_by_nobody(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        await replica(w, "ann")
        spec = published(PORT, group="web")
        bob, machine = await w.container("bob", "app", spec=spec)
        created = replace(w.now(bob), state=State(status="created", pid=machine.pid))
        # Connected and published, and nothing listens yet.
        await w.networks.connect(created, machine.pid)
        await w.networks.publish(created)
        assert answers(4) == {"ann": 4}
        w.stack.callback(replies(machine, 80, b"bob"))
        w.networks.observe(bob)
        await anyio.to_thread.run_sync(
            wait_until, lambda: answers(4) == {"ann": 2, "bob": 2}, "bob has his share"
        )
        w.networks.observe(replace(bob, state=replace(bob.state, stopped_by_user=True)))
        await anyio.to_thread.run_sync(
            wait_until, lambda: answers(4) == {"ann": 4}, "bob is asked to stop"
        )


async def test_only_replicas_of_one_service_share(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        await replica(w, "a")
        for spec in (published(PORT, group="other"), published(PORT)):
            with pytest.raises(Conflict, match="in use by container a"):
                await w.container("b", "app", spec=spec)
        local = replace(PORT, host_ip="127.0.0.1")
        with pytest.raises(Conflict, match="in use by container a"):
            await w.container("c", "app", spec=published(local, group="web"))
        assert answer("127.0.0.1", 8080) == "a"


async def test_weights_and_drains_outlive_the_engine(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        a, b, c = [await replica(w, name) for name in "abc"]
        await w.connections.set_weight(b.id, 2)
        await w.connections.drain(c.id)
        before = command("nft", "list", "table", "inet", "pystack")
        w.networks.close()
        assert answers(6) == {"a": 2, "b": 4}, "the kernel goes on without an engine"
        async with open_networks(w.database, w.settings, lambda _: None) as successor:
            await successor.restore([w.now(one) for one in (a, b, c)])
            assert command("nft", "list", "table", "inet", "pystack") == before
            assert answers(6) == {"a": 2, "b": 4}
            with pytest.raises(OSError, match="Address already in use"):
                socket.create_server(("0.0.0.0", 8080))


async def test_what_is_left_of_a_shared_port_goes_with_the_last_container(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        a, b = [await replica(w, name) for name in "ab"]
        await w.stop(a)
        assert answers(2) == {"b": 2}
        assert "to_tcp4_8080" not in command("nft", "list", "table", "inet", "pystack")
        await w.stop(b)
        assert "8080" not in command("nft", "list", "table", "inet", "pystack")
        socket.create_server(("0.0.0.0", 8080)).close()
        w.networks.publishing.check(b)


async def test_ipv6_clients_are_relayed_to_all_replicas_too(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        a, _ = [await replica(w, name) for name in "ab"]
        found = Counter([await anyio.to_thread.run_sync(answer, "::1", 8080) for _ in range(4)])
        assert found == {"a": 2, "b": 2}
        await w.connections.drain(a.id)
        found = Counter([await anyio.to_thread.run_sync(answer, "::1", 8080) for _ in range(4)])
        assert found == {"b": 4}

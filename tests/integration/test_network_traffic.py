"""Networks with real namespaces, a real firewall and real packets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from orchestrator.engine.networks import open_networks
from orchestrator.errors import Conflict
from orchestrator.model.container import PortBinding
from tests.support.netns import command, outside_machine
from tests.support.networks import greeted, published, refused, world
from tests.support.waiting import wait_until


@pytest.fixture(params=["0", "1"], ids=["bridged apart", "bridged through netfilter"])
def bridging(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whether the kernel shows bridged packets to the firewall, as Docker has it."""
    switch = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
    if not switch.exists():
        if request.param == "1":
            pytest.skip("the kernel module br_netfilter is not loaded")
        yield
        return
    before = switch.read_text()
    switch.write_text(request.param)
    yield
    switch.write_text(before)


async def test_containers_of_a_network_reach_each_other_and_the_outside(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        web, web_ns = await w.container("web", "app")
        _, client = await w.container("client", "app")
        with outside_machine() as outside, web_ns.listen(80) as server:
            assert greeted(client.connect(web.endpoints[0].ipv4, 80), server) == "10.210.0.3"
            with outside.listen(81) as far:
                assert greeted(client.connect("198.51.100.2", 81), far) == "198.51.100.1"


async def test_networks_are_isolated_from_each_other_and_from_outside(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("one")
        await w.networks.create("two")
        web, web_ns = await w.container("web", "one")
        _, other = await w.container("other", "two")
        address = web.endpoints[0].ipv4
        with outside_machine() as outside, web_ns.listen(80):
            outside.run("ip", "route", "replace", "default", "via", "198.51.100.1")
            assert refused(other, address, 80)
            assert refused(outside, address, 80)


@pytest.mark.usefixtures("bridging")
async def test_an_internal_network_has_no_way_out(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("inner", internal=True)
        web, web_ns = await w.container("web", "inner")
        _, client = await w.container("client", "inner")
        with outside_machine() as outside, outside.listen(81), web_ns.listen(80) as server:
            assert greeted(client.connect(web.endpoints[0].ipv4, 80), server) == "10.210.0.3"
            assert refused(client, "198.51.100.2", 81)


async def test_a_published_port_keeps_the_clients_address(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        spec = published(PortBinding(container_port=80, host_port=8080))
        _, web = await w.container("web", "app", spec=spec)
        with outside_machine() as outside, web.listen(80) as server:
            assert greeted(outside.connect("198.51.100.1", 8080), server) == "198.51.100.2"


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "::1"])
async def test_a_published_port_is_reached_from_the_host_itself(
    tmp_path: Path, address: str
) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        spec = published(PortBinding(container_port=80, host_port=8080))
        _, web = await w.container("web", "app", spec=spec)
        with web.listen(80) as server:
            client = socket.create_connection((address, 8080), 10)
            assert await to_thread.run_sync(greeted, client, server) == "10.210.0.1"


async def test_a_port_published_at_loopback_is_not_reached_from_outside(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        spec = published(PortBinding(container_port=80, host_port=8080, host_ip="127.0.0.1"))
        _, web = await w.container("web", "app", spec=spec)
        with outside_machine() as outside, web.listen(80) as server:
            assert (
                greeted(socket.create_connection(("127.0.0.1", 8080), 10), server) == "10.210.0.1"
            )
            assert refused(outside, "198.51.100.1", 8080)


@pytest.mark.usefixtures("bridging")
async def test_a_container_reaches_published_ports_its_own_included(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("one")
        await w.networks.create("two")
        spec = published(PortBinding(container_port=80, host_port=8080))
        _, web = await w.container("web", "one", spec=spec)
        _, neighbour = await w.container("neighbour", "one")
        _, stranger = await w.container("stranger", "two")
        with outside_machine(), web.listen(80) as server:
            for who in (web, neighbour, stranger):
                greeted(who.connect("198.51.100.1", 8080), server)


async def test_containers_cannot_reach_what_listens_on_the_hosts_loopback(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        _, attacker = await w.container("attacker", "app")
        with socket.create_server(("127.0.0.1", 9999)):
            attacker.run("ip", "route", "add", "127.0.0.1/32", "via", "10.210.0.1", "table", "5")
            attacker.run("sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1")
            attacker.run("ip", "rule", "add", "pref", "0", "lookup", "5")
            attacker.run("ip", "rule", "delete", "pref", "0", "lookup", "local")
            attacker.run("ip", "rule", "add", "pref", "10", "lookup", "local")
            assert refused(attacker, "127.0.0.1", 9999)


async def test_udp_is_published_too(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        spec = published(PortBinding(container_port=53, host_port=5300, protocol="udp"))
        _, web = await w.container("web", "app", spec=spec)
        with outside_machine() as outside, web.udp(53) as server, outside.udp() as client:
            client.sendto(b"ping", ("198.51.100.1", 5300))
            data, asker = server.recvfrom(10)
            assert (data, asker[0]) == (b"ping", "198.51.100.2")
            server.sendto(b"pong", asker)
            assert client.recvfrom(10) == (b"pong", ("198.51.100.1", 5300))


async def test_sctp_is_published_whether_or_not_the_host_speaks_it(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        spec = published(PortBinding(container_port=36412, host_port=36412, protocol="sctp"))
        web, _ = await w.container("web", "app", spec=spec)
        element = "sctp . 36412 : 10.210.0.2 . 36412"
        assert element in command("nft", "list", "map", "inet", "pystack", "publish4")
        await w.stop(web)
        assert element not in command("nft", "list", "map", "inet", "pystack", "publish4")


async def test_a_udp_sender_that_never_pauses_reaches_the_container_that_comes(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        spec = published(PortBinding(container_port=53, host_port=5300, protocol="udp"))
        first, machine = await w.container("first", "app", spec=spec)
        with outside_machine() as outside, outside.udp() as client:
            with machine.udp(53) as server:
                client.sendto(b"one", ("198.51.100.1", 5300))
                assert server.recvfrom(10)[0] == b"one"
            await w.stop(first)
            client.sendto(b"to nobody", ("198.51.100.1", 5300))
            _, machine = await w.container("second", "app", spec=spec)
            with machine.udp(53) as server:
                client.sendto(b"two", ("198.51.100.1", 5300))
                assert server.recvfrom(10)[0] == b"two"


async def test_a_port_in_use_says_by_whom(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        await w.container(
            "web", "app", spec=published(PortBinding(container_port=80, host_port=80))
        )
        with pytest.raises(Conflict, match="in use by container web") as by_container:
            await w.container(
                "two", "app", spec=published(PortBinding(container_port=8, host_port=80))
            )
        assert by_container.value.code == "port-in-use"
        with (
            socket.create_server(("127.0.0.1", 8081)),
            pytest.raises(Conflict, match=r"in use by process \S+ \(\d+\)") as by_process,
        ):
            await w.container(
                "three", "app", spec=published(PortBinding(container_port=8, host_port=8081))
            )
        assert by_process.value.code == "port-in-use"


async def test_nobody_else_can_take_a_published_port_until_it_is_withdrawn(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        spec = published(PortBinding(container_port=80, host_port=8080))
        web, _ = await w.container("web", "app", spec=spec)
        with pytest.raises(OSError, match="Address already in use"):
            socket.create_server(("0.0.0.0", 8080))
        await w.stop(web)
        socket.create_server(("0.0.0.0", 8080)).close()


async def test_the_owners_chain_decides_first_and_survives_a_restore(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        network = await w.networks.create("app")
        spec = published(PortBinding(container_port=80, host_port=8080))
        web, web_ns = await w.container("web", "app", spec=spec)
        rule = "ip saddr 198.51.100.2 drop"
        command("nft", "add", "rule", "inet", "pystack", "user", rule)
        await w.networks.restore([web])
        with outside_machine() as outside, web_ns.listen(80):
            assert refused(outside, "198.51.100.1", 8080)
        assert rule in command("nft", "list", "chain", "inet", "pystack", "user")
        assert network.bridge.startswith("ps-")


async def test_other_tables_are_left_alone(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        command("nft", "add table inet theirs; add chain inet theirs c { type filter hook input "
                "priority 0; }; add rule inet theirs c tcp dport 1 drop")  # fmt: skip
        try:
            before = command("nft", "list", "table", "inet", "theirs")
            await w.networks.create("app")
            web, _ = await w.container("web", "app")
            await w.networks.restore([web])
            await w.stop(web)
            assert command("nft", "list", "table", "inet", "theirs") == before
        finally:
            command("nft", "delete", "table", "inet", "theirs")


async def test_another_firewall_that_drops_what_is_forwarded_is_named(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        assert list(await w.networks.obstacles()) == []
        command("nft", "add table ip filter; add chain ip filter FORWARD "
                "{ type filter hook forward priority 0; policy drop; }")  # fmt: skip
        try:
            [warning] = await w.networks.obstacles()
            assert "ip filter FORWARD" in warning
        finally:
            command("nft", "delete", "table", "ip", "filter")


async def test_a_flushed_ruleset_is_put_back(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        spec = published(PortBinding(container_port=80, host_port=8080))
        _, web = await w.container("web", "app", spec=spec)
        before = command("nft", "list", "table", "inet", "pystack")

        def is_back() -> bool:
            tables = command("nft", "list", "tables")
            return "inet pystack" in tables and before == command(
                "nft", "list", "table", "inet", "pystack"
            )

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(w.networks.watch)
            await anyio.wait_all_tasks_blocked()
            command("nft", "flush", "ruleset")
            await to_thread.run_sync(wait_until, is_back, "the table is back")
            tasks.cancel_scope.cancel()
        with web.listen(80) as server, outside_machine() as outside:
            assert greeted(outside.connect("198.51.100.1", 8080), server) == "198.51.100.2"


async def test_a_new_engine_takes_over_without_breaking_a_connection(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        spec = published(PortBinding(container_port=80, host_port=8080))
        web, web_ns = await w.container("web", "app", spec=spec)
        with outside_machine() as outside, web_ns.listen(80) as server:
            connection = outside.connect("198.51.100.1", 8080)
            accepted, _ = server.accept()
            with connection, accepted:
                w.networks.close()
                async with open_networks(w.database, w.settings, lambda _: None) as successor:
                    await successor.restore([c for c in w.database.containers if c.running])
                    connection.sendall(b"still here")
                    assert accepted.recv(20) == b"still here"
                    greeted(outside.connect("198.51.100.1", 8080), server)
                    await successor.restore([c for c in w.database.containers if c.running])
                    greeted(outside.connect("198.51.100.1", 8080), server)
        assert web.endpoints


async def test_what_a_dead_engine_left_is_swept_away_and_nothing_else(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        kept = await w.networks.create("kept")
        command("ip", "link", "add", "ps-0123456789ab", "type", "bridge")
        command("ip", "link", "add", "psvdead00", "type", "veth", "peer", "name", "psvdead01")
        command("ip", "link", "add", "br-theirs", "type", "bridge")
        try:
            await w.networks.restore([])
            names = {name for _, name in socket.if_nameindex()}
            assert {kept.bridge, "ps-default", "br-theirs"} <= names
            assert not {"ps-0123456789ab", "psvdead00"} & names
        finally:
            command("ip", "link", "delete", "br-theirs")


async def test_a_network_can_be_removed_only_when_nobody_is_on_it(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        network = await w.networks.create("app")
        web, _ = await w.container("web", "app")
        with pytest.raises(Conflict, match="in use by web"):
            await w.networks.remove("app")
        await w.stop(web)
        w.networks.release(web)
        w.database.containers.delete(web.id)
        await w.networks.remove("app")
        assert network.bridge not in {name for _, name in socket.if_nameindex()}
        assert w.networks.find("app") is None


async def test_an_open_host_port_is_chosen_and_no_address_is_leased_twice(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("tiny", subnet="10.77.0.0/29")
        spec = published(PortBinding(container_port=80), PortBinding(container_port=81))
        containers = [(await w.container(f"c{n}", "tiny", spec=spec))[0] for n in range(5)]
        assert len({c.endpoints[0].ipv4 for c in containers}) == 5
        assert len({b.host_port for c in containers for b in c.ports} - {0}) == 10
        with pytest.raises(Conflict) as caught:
            await w.container("c5", "tiny")
        assert caught.value.code == "addresses-exhausted"


async def test_a_subnet_that_the_host_uses_is_skipped_or_refused(tmp_path: Path) -> None:
    command("ip", "link", "add", "theirs", "type", "bridge")
    try:
        command("ip", "address", "add", "10.210.0.1/24", "dev", "theirs")
        async with world(tmp_path) as w:
            assert (await w.networks.create("app")).subnet == "10.210.1.0/24"
            with pytest.raises(Conflict, match="the host's theirs") as caught:
                await w.networks.create("other", subnet="10.210.0.0/25")
            assert caught.value.code == "subnet-in-use"
    finally:
        command("ip", "link", "delete", "theirs")


async def test_a_container_has_the_interfaces_of_all_its_networks(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("inner", internal=True)
        await w.networks.create("outer", ipv6_subnet="fd00:77::/64")
        _, machine = await w.container("both", "inner", "outer")
        assert "default via 10.210.1.1 dev eth1" in machine.run("ip", "route")
        assert "default via fd00:77::1 dev eth1" in machine.run("ip", "-6", "route")
        addresses = machine.run("ip", "-br", "address")
        assert "10.210.0.2/24" in addresses
        assert "fd00:77::2/64" in addresses
        assert addresses.count("fe80::") == 1, "one of ours, on the network that has IPv6"

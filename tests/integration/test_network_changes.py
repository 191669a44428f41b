"""Networks and ports of containers, changed while they run."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest
from anyio import to_thread

from orchestrator.engine.networks import open_networks
from orchestrator.errors import Conflict, Denied, NotFound
from orchestrator.model.container import Attachment, PortBinding
from orchestrator.network import dnswire
from tests.support.netns import outside_machine
from tests.support.networks import answer, greeted, published, refused, replies, world
from tests.support.resolving import ask

WEB = PortBinding(container_port=80, host_port=8080)


async def test_a_running_container_joins_a_network_and_is_found_there(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("one")
        await w.networks.create("two", subnet="10.9.0.0/24", ipv6=True)
        web, web_ns = await w.container("web", "one")
        _, client = await w.container("client", "two")
        assert (await ask(client, "web"))[1] == []
        wish = Attachment(network="two", ipv4_address="10.9.0.77", aliases=("www",))
        await w.connections.connect(web.id, wish)
        assert await ask(client, "www") == (dnswire.NOERROR, ["10.9.0.77"])
        assert len((await ask(client, "www", dnswire.AAAA))[1]) == 1
        with web_ns.listen(80) as server:
            greeted(client.connect("10.9.0.77", 80), server)
        assert (await ask(web_ns, "client"))[0] == dnswire.NOERROR
        assert "10.9.0.77\t" in (w.files(web) / "hosts").read_text()
        assert [e.interface for e in w.now(web).endpoints] == ["eth0", "eth1"]
        assert [e.action for e in w.events][-1] == "connect"


async def test_a_container_leaves_a_network_and_is_gone_there(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("one")
        await w.networks.create("two")
        web, web_ns = await w.container("web", "one", "two")
        _, client = await w.container("client", "one")
        assert "default via 10.210.0.1 dev eth0" in web_ns.run("ip", "route")
        await w.connections.disconnect("one", web.id, force=False)
        assert (await ask(client, "web"))[1] == []
        assert "eth0" not in web_ns.run("ip", "-br", "link")
        assert "default via 10.210.1.1 dev eth1" in web_ns.run("ip", "route")
        assert [e.network_name for e in w.now(web).endpoints] == ["two"]
        with pytest.raises(Conflict, match="not connected to network one"):
            await w.connections.disconnect("one", web.id, force=False)
        await w.connections.disconnect("one", web.id, force=True)
        await w.connections.connect(web.id, Attachment(network="one"))
        assert [e.interface for e in w.now(web).endpoints] == ["eth1", "eth0"]
        async with open_networks(w.database, w.settings, lambda _: None) as successor:
            await successor.restore([c for c in w.database.containers if c.running])
            assert len([n for _, n in socket.if_nameindex() if n.startswith("psv")]) == 3


async def test_the_way_out_follows_the_gateway_priority(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("one")
        await w.networks.create("two")
        await w.networks.create("inner", internal=True)
        web, web_ns = await w.container("web", "one")
        await w.connections.connect(web.id, Attachment(network="two", gw_priority=5))
        assert "default via 10.210.1.1 dev eth1" in web_ns.run("ip", "route")
        await w.connections.connect(web.id, Attachment(network="inner", gw_priority=9))
        assert "default via 10.210.1.1 dev eth1" in web_ns.run("ip", "route")
        await w.connections.disconnect("two", web.id, force=False)
        assert "default via 10.210.0.1 dev eth0" in web_ns.run("ip", "route")
        await w.connections.disconnect("one", web.id, force=False)
        assert "default" not in web_ns.run("ip", "route")


async def test_a_change_that_an_engine_died_in_is_undone_as_the_record_says(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        for name in ("one", "two"):
            await w.networks.create(name)
        joining, joining_ns = await w.container("joining", "one")
        parting, parting_ns = await w.container("parting", "one", "two")
        wish = Attachment(network="two", gw_priority=9)
        more = w.networks.leases.lease_another(joining, wish)
        after = replace(joining, endpoints=(*joining.endpoints, more))
        await w.networks.wiring.plug_in(joining, after)
        less = replace(parting, endpoints=parting.endpoints[1:])
        await w.networks.wiring.unplug(parting, less)
        assert "default via 10.210.1.1 dev eth1" in joining_ns.run("ip", "route")
        w.networks.close()
        async with open_networks(w.database, w.settings, lambda _: None) as successor:
            await successor.restore([w.now(joining), w.now(parting)])
            for machine, interfaces in ((joining_ns, ["eth0"]), (parting_ns, ["eth0", "eth1"])):
                assert "default via 10.210.0.1 dev eth0" in machine.run("ip", "route")
                links = machine.run("ip", "-br", "link").split()
                found = [n.partition("@")[0] for n in links if n.startswith("eth")]
                assert sorted(found) == interfaces
            assert (await ask(joining_ns, "parting"))[1] == [parting.endpoints[0].ipv4]


async def test_published_ports_move_to_the_network_that_is_left(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("one")
        await w.networks.create("two")
        web, web_ns = await w.container("web", "one", "two", spec=published(WEB))
        end = replies(web_ns, 80, b"web")
        try:
            assert answer("127.0.0.1", 8080) == "web"
            await w.connections.disconnect("one", web.id, force=False)
            assert answer("127.0.0.1", 8080) == "web"
            await w.connections.disconnect("two", web.id, force=False)
            assert answer("127.0.0.1", 8080) == ""
            await w.connections.connect(web.id, Attachment(network="one"))
            assert answer("127.0.0.1", 8080) == "web"
        finally:
            end()


async def test_a_stopped_container_is_connected_when_it_starts(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("one")
        await w.networks.create("two")
        web, machine = await w.container("web", "one")
        await w.stop(web)
        wish = Attachment(network="two", ipv4_address="10.210.1.9")
        await w.connections.connect(web.id, wish)
        await w.connections.disconnect("one", web.id, force=False)
        again = w.now(web)
        assert [e.ipv4 for e in again.endpoints] == ["10.210.1.9"]
        machine.run("ip", "link", "delete", "eth0")
        await w.networks.connect(again, machine.pid)
        assert "10.210.1.9/24" in machine.run("ip", "-br", "address")


async def test_what_cannot_be_connected_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("one")
        web, _ = await w.container("web", "one")
        other, _ = await w.container("other")
        with pytest.raises(Denied, match="already on network one"):
            await w.connections.connect(web.id, Attachment(network="one"))
        with pytest.raises(Denied, match="cannot be connected to network host"):
            await w.connections.connect(web.id, Attachment(network="host"))
        with pytest.raises(NotFound):
            await w.connections.connect(web.id, Attachment(network="nowhere"))
        wish = Attachment(network="one", ipv4_address=web.endpoints[0].ipv4)
        with pytest.raises(NotFound, match="network nowhere not found"):
            await w.connections.disconnect("nowhere", web.id, force=False)
        with pytest.raises(Conflict, match="taken by container web"):
            await w.connections.connect(other.id, wish)
        assert [e.network_name for e in w.now(other).endpoints] == ["bridge"]


async def test_a_container_of_the_default_network_gets_names_with_its_first_named_network(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("one")
        await w.container("db", "one")
        web, web_ns = await w.container("web")
        await w.connections.connect(web.id, Attachment(network="one", links=("db:database",)))
        assert (await ask(web_ns, "db"))[1] == ["10.210.0.2"]
        assert (await ask(web_ns, "database"))[1] == ["10.210.0.2"]
        assert "nameserver 127.0.0.11" in (w.files(web) / "resolv.conf").read_text()


async def test_ports_are_published_and_taken_back_while_it_runs(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        web, web_ns = await w.container("web", "app")
        end = replies(web_ns, 80, b"web")
        try:
            with outside_machine() as outside, web_ns.listen(81) as kept:
                both = (WEB, PortBinding(container_port=81, host_port=8081))
                after = await w.connections.publish(web.id, both)
                assert after.ports == both
                assert answer("127.0.0.1", 8080) == "web"
                client = outside.connect("198.51.100.1", 8081)
                await w.connections.unpublish(web.id, [PortBinding(container_port=80)])
                assert answer("127.0.0.1", 8080) == ""
                greeted(client, kept)
                assert refused(outside, "198.51.100.1", 8080)
            with pytest.raises(Conflict, match="does not publish 80/tcp"):
                await w.connections.unpublish(web.id, [PortBinding(container_port=80)])
            with socket.create_server(("127.0.0.1", 8090)):
                taken = PortBinding(container_port=80, host_port=8090)
                with pytest.raises(Conflict, match="in use by process"):
                    await w.connections.publish(web.id, [taken])
            assert [b.host_port for b in w.now(web).ports] == [8081]
        finally:
            end()


async def test_a_port_of_a_range_is_chosen(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        wish = PortBinding(container_port=80, host_port=8080, host_port_last=8082)
        with socket.create_server(("0.0.0.0", 8081)):
            found = [
                (await w.container(f"c{n}", "app", spec=published(wish)))[0].ports[0].host_port
                for n in range(2)
            ]
            assert found == [8080, 8082]
            with pytest.raises(Conflict, match="no host port of 8080-8082 is free"):
                await w.container("c2", "app", spec=published(wish))


async def test_udp_is_relayed_to_ipv6_clients(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        spec = published(PortBinding(container_port=53, host_port=5300, protocol="udp"))
        _, web = await w.container("web", "app", spec=spec)
        with web.udp(53) as server, socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
            client.settimeout(10)
            client.sendto(b"ping", ("::1", 5300))
            data, asker = await to_thread.run_sync(server.recvfrom, 10)
            assert (data, asker[0]) == (b"ping", "10.210.0.1")
            server.sendto(b"pong", asker)
            assert (await to_thread.run_sync(client.recvfrom, 10))[0] == b"pong"


async def test_a_port_in_use_is_known_before_anything_starts(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        web, _ = await w.container("web", "app", spec=published(WEB))
        await w.stop(web)
        w.networks.publishing.check(web)
        with socket.create_server(("0.0.0.0", 8080)), pytest.raises(Conflict) as caught:
            w.networks.publishing.check(web)
        assert caught.value.code == "port-in-use"
        assert "in use by process" in caught.value.message
        running, _ = await w.container("running", "app", spec=published(WEB))
        with pytest.raises(Conflict, match="in use by container running"):
            w.networks.publishing.check(web)
        w.networks.publishing.check(web, gone=[running.id])


async def test_an_open_port_that_somebody_took_meanwhile_is_chosen_again(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        fixed = PortBinding(container_port=81, host_port=8081)
        spec = published(PortBinding(container_port=80), fixed)
        web, machine = await w.container("web", "app", spec=spec)
        first = web.ports[0].host_port
        await w.stop(web)
        with socket.create_server(("0.0.0.0", first)):
            await w.networks.publish(w.now(web))
            second, unchanged = w.now(web).ports
            assert second.host_port not in (0, first)
            assert unchanged == fixed
        await w.networks.withdraw(w.now(web))
        with socket.create_server(("0.0.0.0", 8081)), pytest.raises(Conflict, match="8081"):
            await w.networks.publish(w.now(web))
        assert machine

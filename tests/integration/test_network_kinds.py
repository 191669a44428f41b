"""Kinds of networks and their options: macvlan, internal ones, IPv6, isolation, MTU, names."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio import to_thread

from orchestrator.engine.networks import open_networks
from orchestrator.errors import Conflict, Denied, Failed, InvalidInput, NotFound
from orchestrator.model.container import Attachment, PortBinding
from orchestrator.model.subnet import Subnet
from orchestrator.network import dnswire
from orchestrator.network.ruleset import ICC
from tests.support.netns import Netns, command, netns, outside_machine
from tests.support.networks import answer, greeted, published, refused, replies, world
from tests.support.resolving import ask

NAME = "com.docker.network.bridge.name"
MTU = "com.docker.network.driver.mtu"


@pytest.fixture
def lan() -> Iterator[Netns]:
    """A machine at the other end of the interface `wire0`, 198.51.100.2 and fd00:99::2."""
    with netns() as machine:
        command("ip", "link", "add", "wire0", "type", "veth", "peer", "wire1", "netns",
                str(machine.pid))  # fmt: skip
        try:
            command("ip", "link", "set", "wire0", "up")
            machine.run("ip", "address", "add", "198.51.100.2/24", "dev", "wire1")
            machine.run("ip", "link", "set", "wire1", "up")
            yield machine
        finally:
            command("ip", "link", "delete", "wire0")


def has_link_kind(kind: str) -> bool:
    with netns() as machine:
        try:
            machine.run("ip", "link", "add", "link", "lo", "name", "probe0", "type", kind)
        except AssertionError as error:
            return "Unknown device type" not in str(error)
    return True


# -- on an interface of the host -----------------------------------------------------------------


async def test_a_macvlan_container_is_a_machine_of_its_own_on_the_wire(
    tmp_path: Path, lan: Netns
) -> None:
    async with world(tmp_path) as w:
        made = await w.networks.create(
            "lan",
            driver="macvlan",
            subnet="198.51.100.0/24",
            gateway="198.51.100.2",
            aux_addresses={"printer": "198.51.100.3"},
            options={"parent": "wire0"},
        )
        assert made.bridge == "wire0"
        wish = Attachment(network="lan", mac_address="02:42:00:00:00:07")
        web, web_ns = await w.container("web", "lan")
        db, db_ns = await w.container("db", wish)
        assert [c.endpoints[0].ipv4 for c in (web, db)] == ["198.51.100.1", "198.51.100.4"]
        assert "default via 198.51.100.2" in web_ns.run("ip", "route")
        with web_ns.listen(80) as server:
            assert greeted(lan.connect("198.51.100.1", 80), server) == "198.51.100.2"
            assert greeted(db_ns.connect("198.51.100.1", 80), server) == "198.51.100.4"
        assert "02:42:00:00:00:07" in web_ns.run("ip", "neighbour")
        assert await ask(web_ns, "db") == (dnswire.NOERROR, ["198.51.100.4"])
        await w.connections.disconnect("lan", web.id, force=False)
        assert "eth0" not in web_ns.run("ip", "-br", "link")
        await w.connections.connect(web.id, Attachment(network="lan"))
        assert "eth0" in web_ns.run("ip", "-br", "link")


async def test_the_hosts_interface_stays_when_the_network_goes(tmp_path: Path, lan: Netns) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("lan", driver="macvlan", options={"parent": "wire0"})
        await w.networks.remove("lan")
        await w.networks.leave()
        assert "wire0" in {name for _, name in socket.if_nameindex()}
        await w.networks.restore([])


async def test_a_macvlan_network_without_a_parent_is_internal(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        made = await w.networks.create("alone", driver="macvlan")
        assert made.internal
        web, web_ns = await w.container("web", "alone")
        _, client = await w.container("client", "alone")
        with web_ns.listen(80) as server:
            greeted(client.connect(web.endpoints[0].ipv4, 80), server)
        assert "default" not in web_ns.run("ip", "route")
        async with open_networks(w.database, w.settings, lambda _: None) as successor:
            await successor.restore([w.now(web)])
            assert made.bridge in {name for _, name in socket.if_nameindex()}


async def test_what_a_parent_cannot_be_is_said(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        with pytest.raises(NotFound, match="no interface nowhere0"):
            await w.networks.create("a", driver="macvlan", options={"parent": "nowhere0"})
        options = {"parent": "lo", "macvlan_mode": "loud"}
        with pytest.raises(InvalidInput, match="macvlan_mode cannot be 'loud'"):
            await w.networks.create("a", driver="macvlan", options=options)
        with pytest.raises(InvalidInput, match="no network driver 'overlay'"):
            await w.networks.create("a", driver="overlay")
        assert [n.name for n in w.networks.list()] == ["bridge", "host", "none"]


async def test_ipvlan_works_or_the_kernel_is_said_to_lack_it(tmp_path: Path, lan: Netns) -> None:
    async with world(tmp_path) as w:
        await w.networks.create(
            "lan", driver="ipvlan", subnet="198.51.100.0/24", options={"parent": "wire0"}
        )
        if not has_link_kind("ipvlan"):
            with pytest.raises(Failed, match="the kernel has no ipvlan interfaces"):
                await w.container("web", "lan")
            return
        web, web_ns = await w.container("web", "lan")
        with web_ns.listen(80) as server:
            greeted(lan.connect(web.endpoints[0].ipv4, 80), server)


# -- bridges -------------------------------------------------------------------------------------


async def test_the_predefined_networks_are_there_and_stay(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        drivers = {n.name: n.driver for n in w.networks.list()}
        assert drivers == {"bridge": "bridge", "host": "host", "none": "null"}
        for name in drivers:
            with pytest.raises(Denied, match=f"{name} is a pre-defined network"):
                await w.networks.remove(name)
            with pytest.raises(Denied, match="not permitted on predefined"):
                await w.networks.create(name)


async def test_a_bridge_has_the_name_and_mtu_that_were_asked_for(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app", options={NAME: "br-app", MTU: "1400"})
        _, web = await w.container("web", "app")
        assert "mtu 1400" in command("ip", "link", "show", "br-app")
        assert "mtu 1400" in web.run("ip", "link", "show", "eth0")
        with pytest.raises(Conflict, match="the interface br-app exists already, of network app"):
            await w.networks.create("other", options={NAME: "br-app"})
        with pytest.raises(InvalidInput, match="no MTU"):
            await w.networks.create("other", options={MTU: "12"})
        await w.stop(next(iter(w.database.containers)))
        for container in w.database.containers:
            w.database.containers.delete(container.id)
        await w.networks.remove("app")
        assert "br-app" not in {name for _, name in socket.if_nameindex()}


async def test_containers_of_an_isolating_network_reach_the_outside_but_not_each_other(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("apart", options={ICC: "false"})
        spec = published(PortBinding(container_port=80, host_port=8080))
        web, web_ns = await w.container("web", "apart", spec=spec)
        _, client = await w.container("client", "apart")
        with outside_machine() as outside, outside.listen(81) as far, web_ns.listen(80) as server:
            greeted(client.connect("198.51.100.2", 81), far)
            assert refused(client, web.endpoints[0].ipv4, 80)
            greeted(outside.connect("198.51.100.1", 8080), server)


async def test_a_network_of_several_subnets_is_one_network(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        more = (Subnet(subnet="10.9.0.0/24", gateway="10.9.0.254"),)
        await w.networks.create("wide", subnet="10.8.0.0/30", more_subnets=more)
        one, one_ns = await w.container("one", "wide")
        two, two_ns = await w.container("two", "wide")
        assert [c.endpoints[0].ipv4 for c in (one, two)] == ["10.8.0.2", "10.9.0.1"]
        assert "default via 10.9.0.254" in two_ns.run("ip", "route")
        with outside_machine() as outside, outside.listen(81) as far, one_ns.listen(80) as server:
            assert greeted(two_ns.connect("198.51.100.2", 81), far) == "198.51.100.1"
            greeted(two_ns.connect("10.8.0.2", 80), server)
        with pytest.raises(Conflict, match="overlaps network wide"):
            await w.networks.create("other", subnet="10.9.0.128/25")


async def test_an_endpoints_own_settings_are_set_in_the_container(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        sysctls = "net.ipv4.conf.IFNAME.log_martians=1,net.ipv4.conf.IFNAME.forwarding=0"
        options = {"com.docker.network.endpoint.sysctls": sysctls}
        wish = Attachment(
            network="app",
            interface_name="wan",
            driver_opts=options,
            link_local_ips=("169.254.7.7",),
        )
        _, web = await w.container("web", wish)
        assert "wan" in web.run("ip", "-br", "link")
        assert "169.254.7.7/16" in web.run("ip", "-br", "address")
        assert web.run("sysctl", "-n", "net.ipv4.conf.wan.log_martians") == "1\n"
        bad = {"com.docker.network.endpoint.sysctls": "kernel.hostname=x"}
        with pytest.raises(InvalidInput, match="no setting of an interface"):
            await w.container("two", Attachment(network="app", driver_opts=bad))


# -- IPv6 ----------------------------------------------------------------------------------------


@pytest.fixture
def outside6() -> Iterator[Netns]:
    """A machine next door with IPv6: fd00:99::2, this host being fd00:99::1."""
    with outside_machine() as machine:
        command("ip", "-6", "address", "add", "fd00:99::1/64", "dev", "lan0", "nodad")
        machine.run("ip", "-6", "address", "add", "fd00:99::2/64", "dev", "lan1", "nodad")
        machine.run("ip", "-6", "route", "add", "default", "via", "fd00:99::1")
        yield machine


async def test_ipv6_is_given_from_the_machines_prefix_and_leads_out_and_in(
    tmp_path: Path, outside6: Netns
) -> None:
    async with world(tmp_path) as w:
        one = await w.networks.create("one", ipv6=True)
        two = await w.networks.create("two", ipv6=True)
        assert one.ipv6_subnet.startswith("fd")
        assert one.ipv6_subnet != two.ipv6_subnet
        spec = published(PortBinding(container_port=80, host_port=8080))
        web, web_ns = await w.container("web", "one", spec=spec)
        near, near_ns = await w.container("near", "one")
        _, stranger = await w.container("stranger", "two")
        address = web.endpoints[0].ipv6
        assert await ask(near_ns, "web", dnswire.AAAA) == (dnswire.NOERROR, [address])
        server = web_ns.call(
            lambda: socket.create_server(("::", 80), family=socket.AF_INET6, dualstack_ipv6=True)
        )
        with (
            server,
            outside6.call(lambda: socket.create_server(("::", 81), family=socket.AF_INET6)) as far,
        ):
            assert greeted(near_ns.connect(address, 80), server) == near.endpoints[0].ipv6
            assert greeted(near_ns.connect("fd00:99::2", 81), far) == "fd00:99::1"
            assert greeted(outside6.connect("fd00:99::1", 8080), server) == "fd00:99::2"
            host = socket.create_connection(("fd00:99::1", 8080), 10)
            greeted(host, server)
            for local in ("::1", "127.0.0.1"):
                client = await to_thread.run_sync(socket.create_connection, (local, 8080), 10)
                await to_thread.run_sync(greeted, client, server)
            greeted(near_ns.connect("fd00:99::1", 8080), server)
            greeted(stranger.connect("fd00:99::1", 8080), server)
            greeted(web_ns.connect("fd00:99::1", 8080), server)
            assert refused(stranger, address, 80)
            assert refused(outside6, address, 80)


async def test_a_container_takes_no_router_for_its_own(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        network = await w.networks.create("app", ipv6=True)
        _, web = await w.container("web", "app")
        assert web.run("sysctl", "-n", "net.ipv6.conf.eth0.accept_ra") == "0\n"
        bridge = Path(f"/proc/sys/net/ipv6/conf/{network.bridge}/accept_ra")
        assert bridge.read_text() == "0\n"


async def test_a_static_ipv6_address_and_an_ipv6_range_are_kept(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create(
            "app",
            ipv6_subnet="fd00:5::/64",
            ipv6_gateway="fd00:5::ff",
            ipv6_range="fd00:5::1:0/112",
        )
        fixed, _ = await w.container("a", Attachment(network="app", ipv6_address="fd00:5::7"))
        ranged, machine = await w.container("b", "app")
        assert fixed.endpoints[0].ipv6 == "fd00:5::7"
        assert ranged.endpoints[0].ipv6 == "fd00:5::1:3"
        assert "default via fd00:5::ff dev eth0" in machine.run("ip", "-6", "route")
        with pytest.raises(Conflict, match="taken by container a"):
            await w.container("c", Attachment(network="app", ipv6_address="fd00:5::7"))
        with pytest.raises(Conflict, match="overlaps network app"):
            await w.networks.create("other", ipv6_subnet="fd00:5::/56")


async def test_ports_at_one_address_of_one_family_are_there_alone(
    tmp_path: Path, outside6: Netns
) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app", ipv6=True)
        at6 = PortBinding(container_port=80, host_port=8080, host_ip="fd00:99::1")
        at4 = PortBinding(container_port=80, host_port=8081, host_ip="0.0.0.0")
        _, web = await w.container("web", "app", spec=published(at6, at4))
        end = replies(web, 80, b"four")
        try:
            assert answer("198.51.100.1", 8081, outside6) == "four"
            assert answer("198.51.100.1", 8080, outside6) == ""
            assert answer("fd00:99::1", 8081, outside6) == ""
        finally:
            end()

"""What others change of our networks, and what we leave alone of theirs."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from orchestrator.model.container import PortBinding
from tests.support.netns import Netns, command, netns, outside_machine
from tests.support.networks import World, answer, greeted, published, refused, replies, world
from tests.support.waiting import wait_until

WEB = PortBinding(container_port=80, host_port=8080)


@asynccontextmanager
async def watched(place: Path) -> AsyncGenerator[World]:
    async with world(place) as w, anyio.create_task_group() as tasks:
        tasks.start_soon(w.networks.watch)
        await anyio.wait_all_tasks_blocked()
        yield w
        tasks.cancel_scope.cancel()


async def becomes(probe, what: str) -> None:  # type: ignore[no-untyped-def]
    await to_thread.run_sync(wait_until, probe, what)


def delete(bridge: str) -> None:
    """One that the clean-up does not know by its name."""
    if not bridge.startswith("ps-"):
        command("ip", "link", "delete", bridge)


@pytest.mark.parametrize(
    "damage",
    [
        ("flush", "ruleset"),
        ("delete", "table", "inet", "pystack"),
        ("flush", "chain", "inet", "pystack", "forward"),
        ("flush", "map", "inet", "pystack", "publish4"),
        ("delete", "element", "inet", "pystack", "masked4", "{ 10.210.0.0/24 }"),
    ],
    ids=" ".join,
)
async def test_whatever_is_taken_from_the_table_is_put_back(
    tmp_path: Path, damage: tuple[str, ...]
) -> None:
    async with watched(tmp_path) as w:
        await w.networks.create("app")
        await w.container("web", "app", spec=published(WEB))
        before = command("nft", "list", "table", "inet", "pystack")
        command("nft", *damage)

        def is_back() -> bool:
            tables = command("nft", "list", "tables")
            return "inet pystack" in tables and before == command(
                "nft", "list", "table", "inet", "pystack"
            )

        await becomes(is_back, "the table is as it was")


async def test_rules_of_the_owners_chain_are_no_damage(tmp_path: Path) -> None:
    async with watched(tmp_path) as w:
        await w.networks.create("app")
        rule = "meta l4proto tcp ct original proto-dst 8080 ip saddr 198.51.100.2 drop"
        _, web = await w.container("web", "app", spec=published(WEB))
        command("nft", "add", "rule", "inet", "pystack", "user", rule)
        end = replies(web, 80, b"web")
        try:
            with outside_machine() as outside:
                assert refused(outside, "198.51.100.1", 8080)
                assert answer("127.0.0.1", 8080) == "web"
                command("nft", "flush", "chain", "inet", "pystack", "user")
                assert answer("198.51.100.1", 8080, outside) == "web"
        finally:
            end()


async def test_the_owners_rules_stay_when_everything_else_of_ours_goes(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        command("nft", "add", "rule", "inet", "pystack", "user", "ip saddr 192.0.2.7 drop")
        await w.networks.leave()
        left = command("nft", "list", "table", "inet", "pystack")
        assert "192.0.2.7" in left
        assert "hook" not in left
        await w.networks.restore([])
        assert "192.0.2.7" in command("nft", "list", "chain", "inet", "pystack", "user")
        command("nft", "flush", "chain", "inet", "pystack", "user")
        await w.networks.leave()
        assert "inet pystack" not in command("nft", "list", "tables")
        await w.networks.restore([])


@pytest.mark.parametrize("name", ["", "br-own"])
async def test_a_removed_bridge_is_made_again_with_everybody_on_it(
    tmp_path: Path, name: str
) -> None:
    async with watched(tmp_path) as w:
        options = {"com.docker.network.bridge.name": name}
        network = await w.networks.create("app", ipv6=True, options=options)
        w.stack.callback(delete, network.bridge)
        web, web_ns = await w.container("web", "app", spec=published(WEB))
        _, client = await w.container("client", "app")
        command("ip", "link", "delete", network.bridge)

        def is_back() -> bool:
            return not refused(client, web.endpoints[0].ipv4, 80)

        with web_ns.listen(80) as server:
            await becomes(is_back, "the network carries packets again")
            server.accept()[0].close()
            with outside_machine() as outside:
                greeted(outside.connect("198.51.100.1", 8080), server)
        assert network.ipv6_gateway in command("ip", "address", "show", network.bridge)


@pytest.mark.parametrize("damage", ["down", "flush", "unplug", "cut"])
async def test_a_damaged_bridge_or_interface_is_mended(tmp_path: Path, damage: str) -> None:
    async with watched(tmp_path) as w:
        network = await w.networks.create("app")
        web, web_ns = await w.container("web", "app", spec=published(WEB))
        veth = next(n for _, n in socket.if_nameindex() if n.startswith("psv"))
        match damage:
            case "down":
                command("ip", "link", "set", network.bridge, "down")
            case "flush":
                command("ip", "address", "flush", "dev", network.bridge)
            case "unplug":
                command("ip", "link", "set", veth, "nomaster")
                command("ip", "link", "set", veth, "down")
            case "cut":
                command("ip", "link", "delete", veth)
        end = replies(web_ns, 80, b"web")
        try:
            await becomes(lambda: answer("127.0.0.1", 8080) == "web", "the port answers again")
        finally:
            end()
        assert web.endpoints[0].ipv4 in web_ns.run("ip", "-br", "address")


# -- forwarding ----------------------------------------------------------------------------------


@pytest.fixture
def no_router() -> Iterator[None]:
    """This host forwards nothing, before the test."""
    switch = Path("/proc/sys/net/ipv4/ip_forward")
    before = switch.read_text()
    switch.write_text("0")
    yield
    switch.write_text(before)


@pytest.fixture
def second_lan() -> Iterator[Netns]:
    """One more machine next door: 203.0.113.2, this host being 203.0.113.1."""
    with netns() as machine:
        command("ip", "link", "add", "wan0", "type", "veth", "peer", "wan1", "netns",
                str(machine.pid))  # fmt: skip
        try:
            command("ip", "address", "add", "203.0.113.1/24", "dev", "wan0")
            command("ip", "link", "set", "wan0", "up")
            machine.run("ip", "address", "add", "203.0.113.2/24", "dev", "wan1")
            machine.run("ip", "link", "set", "wan1", "up")
            machine.run("ip", "route", "add", "default", "via", "203.0.113.1")
            yield machine
        finally:
            command("ip", "link", "delete", "wan0")


@pytest.mark.usefixtures("no_router")
async def test_a_host_that_was_no_router_is_one_for_containers_only(
    tmp_path: Path, second_lan: Netns
) -> None:
    with outside_machine() as outside, second_lan.listen(90) as far:
        assert refused(outside, "203.0.113.2", 90)
        async with world(tmp_path) as w:
            await w.networks.create("app")
            _, web = await w.container("web", "app", spec=published(WEB))
            assert Path("/proc/sys/net/ipv4/ip_forward").read_text() == "1\n"
            assert refused(outside, "203.0.113.2", 90)
            greeted(web.connect("203.0.113.2", 90), far)
            with web.listen(80) as server:
                assert greeted(outside.connect("198.51.100.1", 8080), server) == "198.51.100.2"
            await w.networks.restore([w.now(c) for c in w.database.containers])
            assert refused(outside, "203.0.113.2", 90), "the next engine remembers"
            await w.networks.leave()
            assert Path("/proc/sys/net/ipv4/ip_forward").read_text() == "0\n"
            await w.networks.restore([])


async def test_a_host_that_was_a_router_before_stays_one(tmp_path: Path, second_lan: Netns) -> None:
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    with outside_machine() as outside, second_lan.listen(90) as far:
        async with world(tmp_path) as w:
            await w.networks.create("app")
            greeted(outside.connect("203.0.113.2", 90), far)

"""Other owners of firewall rules on the same host: Docker itself, and what ufw and firewalld do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio import to_thread

from orchestrator.model.container import PortBinding
from tests.support import docker as dockers
from tests.support import podman as podmans
from tests.support.docker import Docker, docker
from tests.support.netns import Netns, command, outside_machine
from tests.support.networks import World, answer, greeted, published, refused, replies, world
from tests.support.podman import Podman, podman
from tests.support.waiting import wait_until

WEB = PortBinding(container_port=80, host_port=8080)
SWITCH = Path("/proc/sys/net/ipv4/ip_forward")
needs_docker = pytest.mark.skipif(not dockers.available(), reason="docker.io is not installed")
needs_podman = pytest.mark.skipif(not podmans.available(), reason="podman is not installed")


@pytest.fixture
def no_router() -> Iterator[None]:
    """This host forwards nothing, before the test."""
    before = SWITCH.read_text()
    SWITCH.write_text("0")
    yield
    SWITCH.write_text(before)


def theirs_answers(address: str, machine: Netns | None) -> None:
    """Their container answers; between two clients it is away for a moment."""
    wait_until(lambda: answer(address, 9090, machine).strip() == "theirs", f"{address}, {machine}")


async def both_work(w: World, neighbour: Docker | Podman) -> None:
    """Both publish ports, at the host and to the outside, and both reach the outside."""
    await w.networks.create("app")
    _, web = await w.container("web", "app", spec=published(WEB))
    await to_thread.run_sync(neighbour.serve, "theirs", 9090)
    end = replies(web, 80, b"ours")
    try:
        with outside_machine() as outside, outside.listen(81) as far:
            for where, machine in (("127.0.0.1", None), ("198.51.100.1", outside)):
                assert answer(where, 8080, machine) == "ours"
                await to_thread.run_sync(theirs_answers, where, machine)
            greeted(web.connect("198.51.100.2", 81), far)
            await to_thread.run_sync(theirs_answers, "198.51.100.1", web)
    finally:
        end()


@needs_docker
@pytest.mark.usefixtures("no_router")
async def test_docker_that_starts_after_us_works_and_so_do_we(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        with docker() as neighbour:
            assert list(await w.networks.obstacles()) == []
            await both_work(w, neighbour)


@needs_docker
@pytest.mark.usefixtures("no_router")
async def test_docker_that_was_first_drops_our_packets_which_is_said_with_the_remedy(
    tmp_path: Path,
) -> None:
    with docker() as neighbour:
        theirs = command("nft", "list", "table", "ip", "filter")
        async with world(tmp_path) as w:
            [warning] = await w.networks.obstacles()
            assert "ip filter FORWARD" in warning
            assert command("nft", "list", "table", "ip", "filter") == theirs, "never touched by us"
            for rule in warning.partition("`")[2].rpartition("`")[0].split("` and `"):
                command(*rule.split())
            assert list(await w.networks.obstacles()) == []
            await both_work(w, neighbour)


@needs_podman
@pytest.mark.parametrize("first", ["we", "they"])
@pytest.mark.usefixtures("no_router")
async def test_podman_works_beside_us_whoever_was_first(tmp_path: Path, first: str) -> None:
    with podman() as neighbour:
        if first == "they":
            await to_thread.run_sync(neighbour.serve, "warm", 9091)
        async with world(tmp_path) as w:
            await both_work(w, neighbour)
            assert list(await w.networks.obstacles()) == []


FIREWALLS = {
    "ufw": """
        table ip filter {
            chain ufw-user-forward { }
            chain FORWARD {
                type filter hook forward priority filter; policy drop;
                counter jump ufw-user-forward
            }
        }""",
    "firewalld": """
        table inet firewalld {
            chain filter_FORWARD {
                type filter hook forward priority filter + 10; policy accept;
                ct state { established, related } accept
                ct status dnat accept
                iifname "lo" accept
                ct state invalid drop
                reject with icmpx admin-prohibited
            }
        }""",
}


@pytest.mark.parametrize("name", FIREWALLS)
async def test_a_firewall_in_the_way_is_named_with_the_remedy_which_works(
    tmp_path: Path, name: str
) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        _, web = await w.container("web", "app", spec=published(WEB))
        (tmp_path / "theirs").write_text(FIREWALLS[name])
        command("nft", "-f", str(tmp_path / "theirs"))
        table = ["ip", "filter"] if name == "ufw" else ["inet", "firewalld"]
        try:
            with outside_machine() as outside, outside.listen(81) as far, web.listen(80) as server:
                assert refused(web, "198.51.100.2", 81)
                [warning] = await w.networks.obstacles()
                for rule in warning.partition("`")[2].rpartition("`")[0].split("` and `"):
                    command(*rule.split())
                assert list(await w.networks.obstacles()) == []
                greeted(web.connect("198.51.100.2", 81), far)
                greeted(outside.connect("198.51.100.1", 8080), server)
        finally:
            command("nft", "delete", "table", *table)

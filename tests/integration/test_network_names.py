"""Names inside containers: the resolver, the hosts files, and both over an engine's death."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from orchestrator.engine.networks import open_networks
from orchestrator.model.container import Attachment, ContainerSpec
from orchestrator.model.observed import Container
from orchestrator.network import dnswire
from orchestrator.network.upstream import Upstream
from tests.support.netns import LIMIT_S, Netns
from tests.support.networks import World, world
from tests.support.resolving import RESOLVER, ask, over_tcp, over_udp, query
from tests.support.waiting import wait_until


async def becomes(probe: Callable[[], bool]) -> None:
    await to_thread.run_sync(wait_until, probe, "the hosts file follows")


async def test_a_name_is_answered_for_those_who_share_a_network(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("one")
        await w.networks.create("two")
        wish = Attachment(network="one", aliases=("db",))
        db, _ = await w.container("p-db-1", wish)
        _, near = await w.container("near", "one", "two")
        _, far = await w.container("far", "two")
        for name in ("p-db-1", "DB", "db.one", db.id[:12]):
            assert await ask(near, name) == (dnswire.NOERROR, ["10.210.0.2"])
        assert await ask(near, "db", how=over_tcp) == (dnswire.NOERROR, ["10.210.0.2"])
        assert await ask(near, "db", dnswire.AAAA) == (dnswire.NOERROR, [])
        assert (await ask(far, "db"))[1] == []


async def test_every_running_container_of_an_alias_takes_its_turn(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        wish = Attachment(network="app", aliases=("web",))
        webs = [(await w.container(f"web-{n}", wish))[0] for n in range(3)]
        _, client = await w.container("client", "app")
        answers = [(await ask(client, "web"))[1] for _ in range(3)]
        addresses = {c.endpoints[0].ipv4 for c in webs}
        assert {answer[0] for answer in answers} == addresses
        assert all(set(answer) == addresses for answer in answers)
        await w.stop(webs[1])
        assert set((await ask(client, "web"))[1]) == addresses - {webs[1].endpoints[0].ipv4}


async def test_a_shared_name_gives_healthy_replicas_only_while_there_is_one(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        wish = Attachment(network="app", aliases=("web",))
        one, two = [(await w.container(f"web-{n}", wish))[0] for n in range(2)]
        _, client = await w.container("client", "app")
        addresses = [c.endpoints[0].ipv4 for c in (one, two)]

        async def found(*healths: str) -> list[str]:
            for container, health in zip((one, two), healths, strict=True):
                state = replace(w.now(container).state, health=health)  # type: ignore[arg-type]
                w.networks.observe(replace(w.now(container), state=state))
            return sorted((await ask(client, "web"))[1])

        assert await found("healthy", "unhealthy") == addresses[:1]
        assert await found("starting", "healthy") == addresses[1:]
        assert await found("starting", "unhealthy") == addresses[:1]
        assert await found("unhealthy", "unhealthy") == addresses
        assert (await ask(client, "web-0"))[1] == addresses[:1], "its own name is always its own"
        await w.connections.drain(two.id)
        assert await found("healthy", "healthy") == addresses[:1]


async def test_links_are_names_for_one_container_alone(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        for name in ("app", "elsewhere"):
            await w.networks.create(name)
        await w.container("db", "app")
        # As Compose says it: on every network of the container, whether or not the other is there.
        wishes = (Attachment(network=n, links=("db:sql",)) for n in ("app", "elsewhere"))
        _, linked = await w.container("linked", *wishes)
        _, other = await w.container("other", "app")
        assert await ask(linked, "sql") == (dnswire.NOERROR, ["10.210.0.2"])
        assert (await ask(other, "sql"))[1] == []


async def test_links_on_the_default_network_are_lines_of_the_hosts_file(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        db, _ = await w.container("db")
        wish = Attachment(network="bridge", links=("db:sql",))
        web, _ = await w.container("web", wish)
        line = f"{db.endpoints[0].ipv4}\tsql db\n"
        assert line in (w.files(web) / "hosts").read_text()
        await w.stop(db)
        await becomes(lambda: line not in (w.files(web) / "hosts").read_text())


async def test_who_asks_with_edns_is_answered_with_it(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        wish = Attachment(network="app", aliases=("web",))
        for n in range(40):
            await w.container(f"web-{n}", wish)
        _, client = await w.container("client", "app")
        plain = query("web")
        cut = await to_thread.run_sync(over_udp, client, plain)
        assert dnswire.is_truncated(cut)
        assert len(cut) <= 512
        edns = plain[:10] + b"\0\1" + plain[12:] + b"\0\0\x29\x10\0\0\0\0\0\0\0"
        whole = await to_thread.run_sync(over_udp, client, edns)
        assert not dnswire.is_truncated(whole)
        assert int.from_bytes(whole[6:8], "big") == 40
        assert whole.endswith(b"\0\0\x29\x10\0\0\0\0\0\0\0")
        assert len((await ask(client, "web", how=over_tcp))[1]) == 40


async def test_a_containers_own_search_domains_and_options_are_in_its_resolv_conf(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        spec = ContainerSpec(
            image="i", dns=("192.0.2.9",), dns_search=("a.example", "b.example"),
            dns_opt=("ndots:3", "timeout:1"),
        )  # fmt: skip
        named, _ = await w.container("named", "app", spec=spec)
        plain, _ = await w.container("plain", spec=spec)
        tail = "search a.example b.example\noptions ndots:3 timeout:1\n"
        assert (w.files(named) / "resolv.conf").read_text() == f"nameserver 127.0.0.11\n{tail}"
        assert (w.files(plain) / "resolv.conf").read_text() == f"nameserver 192.0.2.9\n{tail}"


async def test_a_stopped_containers_name_has_no_address_and_nobody_else_is_asked(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        db, _ = await w.container("db", "app")
        _, client = await w.container("client", "app")
        await w.stop(db)
        with anyio.fail_after(1):
            assert await ask(client, "db") == (dnswire.NOERROR, [])


async def test_an_address_is_answered_with_its_name(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        await w.container("db", "app")
        _, client = await w.container("client", "app")
        packet = query("2.0.210.10.in-addr.arpa", dnswire.PTR)
        answer = await to_thread.run_sync(over_udp, client, packet)
        assert answer.endswith(dnswire.name_data("db.app"))


async def test_a_container_can_serve_dns_itself(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        _, machine = await w.container("coredns", "app")
        with machine.udp(53) as own, machine.listen(53):
            assert await ask(machine, "coredns") == (dnswire.NOERROR, ["10.210.0.2"])
            with machine.udp() as asking:
                asking.sendto(b"x", ("10.210.0.2", 53))
                assert own.recvfrom(10)[0] == b"x"


async def test_hosts_files_follow_who_runs_in_the_same_inode(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        client, _ = await w.container("client", "app")
        path = w.files(client) / "hosts"
        inode = path.stat().st_ino
        db, _ = await w.container("p-db-1", Attachment(network="app", aliases=("db",)))
        line = f"10.210.0.3\tp-db-1 db {db.id[:12]}\n"
        await becomes(lambda: line in path.read_text())
        assert f"10.210.0.2\t{client.id[:12]}\n" in path.read_text()
        await w.stop(db)
        await becomes(lambda: line not in path.read_text())
        assert path.stat().st_ino == inode
        assert (w.files(client) / "hostname").read_text() == client.id[:12] + "\n"


async def test_the_default_network_has_no_names(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        one, machine = await w.container("one", spec=ContainerSpec(image="i", dns=("192.0.2.1",)))
        await w.container("two")
        assert (w.files(one) / "resolv.conf").read_text().startswith("nameserver 192.0.2.1\n")
        assert "two" not in (w.files(one) / "hosts").read_text()
        with machine.udp() as asking:
            asking.connect(RESOLVER)
            with pytest.raises(ConnectionRefusedError):
                over_udp(machine, query("two"))


async def test_names_go_on_after_the_engines_death_and_are_served_by_the_next(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        await w.networks.create("app")
        await w.container("db", "app")
        client, machine = await w.container("client", "app")
        w.networks.close()
        with pytest.raises(ConnectionRefusedError):
            await ask(machine, "db", how=over_tcp)
        await becomes(lambda: "\tdb " in (w.files(client) / "hosts").read_text())
        running = [c for c in w.database.containers if c.running]
        async with open_networks(w.database, w.settings, lambda _: None) as successor:
            await successor.restore(running)
            assert await ask(machine, "db") == (dnswire.NOERROR, ["10.210.0.2"])
            await successor.restore(running)
            assert await ask(machine, "db") == (dnswire.NOERROR, ["10.210.0.2"])


# -- what is not ours ------------------------------------------------------------------------


class Server:
    """A name server that answers what it is told to, and counts."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[str] = []
        self.cut = False

    def answer(self, packet: bytes, *, udp: bool) -> bytes:
        question = dnswire.parse_question(packet)
        self.asked.append(("udp " if udp else "tcp ") + question.name)
        data = [bytes([192, 0, 2, n]) for n in range(1, 3)]
        room = question.end + 16 if udp and self.cut else 65535
        return dnswire.reply(packet, question, data, 60, room=room)


@asynccontextmanager
async def name_server() -> AsyncGenerator[Server]:
    # TCP first: its ports are the ones that others, whose connections linger, may have.
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        server = Server(port)

        async def serve_udp() -> None:
            async for packet, peer in udp:
                await udp.sendto(server.answer(packet, udp=True), *peer)

        async def serve_tcp(stream: anyio.abc.SocketStream) -> None:
            async with stream:
                packet = (await stream.receive())[2:]
                answer = server.answer(packet, udp=False)
                await stream.send(len(answer).to_bytes(2, "big") + answer)

        async with (
            await anyio.create_udp_socket(
                family=socket.AF_INET, local_host="127.0.0.1", local_port=port
            ) as udp,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(serve_udp)
            tasks.start_soon(listener.serve, serve_tcp)
            yield server
            tasks.cancel_scope.cancel()


def told_to_ask(w: World, server: Server) -> None:
    w.networks.wiring._names._upstream = Upstream(port=server.port)


async def with_dns(w: World, name: str, *servers: str) -> tuple[Container, Netns]:
    return await w.container(name, "app", spec=ContainerSpec(image="i", dns=servers))


async def test_other_names_are_asked_of_the_servers_and_kept_for_a_while(tmp_path: Path) -> None:
    async with world(tmp_path) as w, name_server() as server:
        told_to_ask(w, server)
        await w.networks.create("app")
        _, client = await with_dns(w, "client", "127.0.0.1")
        expected = (dnswire.NOERROR, ["192.0.2.1", "192.0.2.2"])
        assert await ask(client, "example.org") == expected
        assert await ask(client, "example.org") == expected
        assert await ask(client, "example.org", how=over_tcp) == expected
        assert server.asked == ["udp example.org"]


async def test_a_cut_answer_is_fetched_whole_over_tcp(tmp_path: Path) -> None:
    async with world(tmp_path) as w, name_server() as server:
        told_to_ask(w, server)
        server.cut = True
        await w.networks.create("app")
        _, client = await with_dns(w, "client", "127.0.0.1")
        assert await ask(client, "example.org") == (dnswire.NOERROR, ["192.0.2.1", "192.0.2.2"])
        assert server.asked == ["udp example.org", "tcp example.org"]


async def test_the_second_server_is_asked_when_the_first_refuses(tmp_path: Path) -> None:
    async with world(tmp_path) as w, name_server() as server:
        told_to_ask(w, server)
        await w.networks.create("app")
        _, client = await with_dns(w, "client", "127.0.0.9", "127.0.0.1")
        with anyio.fail_after(LIMIT_S / 2):
            assert (await ask(client, "example.org"))[1] == ["192.0.2.1", "192.0.2.2"]


async def test_the_second_server_is_asked_when_the_first_is_silent(tmp_path: Path) -> None:
    async with world(tmp_path) as w, name_server() as server:
        told_to_ask(w, server)
        await w.networks.create("app")
        _, client = await with_dns(w, "client", "127.0.0.9", "127.0.0.1")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent, anyio.fail_after(LIMIT_S):
            silent.bind(("127.0.0.9", server.port))
            assert (await ask(client, "example.org"))[1] == ["192.0.2.1", "192.0.2.2"]


async def test_an_internal_network_asks_nobody_outside(tmp_path: Path) -> None:
    async with world(tmp_path) as w, name_server() as server:
        told_to_ask(w, server)
        await w.networks.create("app", internal=True)
        _, client = await with_dns(w, "client", "127.0.0.1")
        assert await ask(client, "example.org") == (dnswire.SERVFAIL, [])
        assert await ask(client, "client") == (dnswire.NOERROR, ["10.210.0.2"])
        assert server.asked == []

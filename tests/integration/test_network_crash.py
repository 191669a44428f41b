"""An engine that is killed in the middle of network work, and the one that comes after it."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from orchestrator.engine.networks import open_networks
from orchestrator.model.observed import Container
from orchestrator.state.database import open_database
from tests.support.netns import Netns, netns
from tests.support.networks import clear, settings_in

ROOT = Path(__file__).resolve().parents[2]
CONTAINERS = 4

# Starts one container after the other, each on a network of its own and one shared by all.
ENGINE = """
import asyncio, sys
from dataclasses import replace
from pathlib import Path
from orchestrator.engine.networks import open_networks
from orchestrator.model.container import Attachment, ContainerSpec, PortBinding
from orchestrator.model.ids import new_id
from orchestrator.model.observed import Container, State
from orchestrator.state.database import open_database
from tests.support.networks import settings_in

async def main(place, pids):
    settings = settings_in(place)
    with open_database(place / "state.db") as database:
        async with open_networks(database, settings, lambda _: None) as networks:
            await networks.restore([])
            print("restored", flush=True)
            await networks.create("shared")
            for n, pid in enumerate(pids):
                await networks.create(f"own-{n}")
                ports = (PortBinding(container_port=80, host_port=7000 + n),)
                spec = ContainerSpec(image="i", ports=ports)
                c = Container(id=new_id(), name=f"c{n}", spec=spec, image_id="i", created_at=0.0)
                wished = (Attachment(network=f"own-{n}"), Attachment(network="shared"))
                c = replace(c, endpoints=networks.lease(c, wished), ports=spec.ports)
                database.containers.put(c)
                await networks.write_hosts(place / "containers" / c.id, c)
                await networks.connect(c, pid)
                await networks.publish(c)
                state = State(status="running", pid=pid)
                database.containers.put(replace(c, state=state))
            print("done", flush=True)
            await asyncio.sleep(60)

asyncio.run(main(Path(sys.argv[1]), [int(p) for p in sys.argv[2:]]))
"""


@pytest.mark.parametrize("seed", range(8))
async def test_whenever_the_engine_dies_the_next_one_makes_everything_right(
    tmp_path: Path, seed: int
) -> None:
    with ExitStack() as stack:
        stack.callback(clear)
        machines = [stack.enter_context(netns()) for _ in range(CONTAINERS)]
        _run_and_kill(tmp_path, machines, after_s=random.Random(seed).uniform(0.0, 0.15))
        with open_database(tmp_path / "state.db") as database:
            running = [c for c in database.containers if c.running]
            async with open_networks(database, settings_in(tmp_path), lambda _: None) as networks:
                await networks.restore(running)
                bridges = {n.bridge for n in networks.list() if n.bridge}
                assert {n for n in _interfaces() if n.startswith(("ps-", "pystack"))} == bridges
                veths = {n for n in _interfaces() if n.startswith("psv")}
                assert veths == {f"psv{c.id[:10]}{n:02x}" for c in running for n in (0, 1)}
                for container in running:
                    _check_served(container, machines)


def _run_and_kill(place: Path, machines: list[Netns], after_s: float) -> None:
    pids = [str(m.pid) for m in machines]
    with subprocess.Popen(
        [sys.executable, "-c", ENGINE, str(place), *pids], stdout=subprocess.PIPE, cwd=ROOT
    ) as engine:
        assert engine.stdout is not None
        assert engine.stdout.readline() == b"restored\n"
        time.sleep(after_s)
        engine.kill()


def _check_served(container: Container, machines: list[Netns]) -> None:
    machine = next(m for m in machines if m.pid == container.state.pid)
    with machine.listen(80) as server:
        server.settimeout(10)
        address = ("127.0.0.1", container.ports[0].host_port)
        with socket.create_connection(address, 10) as client:
            accepted, _ = server.accept()
            with accepted:
                client.sendall(b"x")
                assert accepted.recv(1) == b"x"


def _interfaces() -> set[str]:
    return {name for _, name in socket.if_nameindex()}

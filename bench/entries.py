"""What is measured: each entry does one thing with one contestant and says how long it took."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from bench import hub
from bench.archives import ARCHIVES
from bench.builds import BUILDS
from bench.contestants import Contestant
from bench.networks import NETWORKS

IMAGE = "localhost/bench/busybox:1"
SERVICES = 20

Entry = Callable[[Contestant, Path], Mapping[str, float]]


def run_true(contestant: Contestant, _directory: Path) -> Mapping[str, float]:
    """A container that does nothing, from the image to its removal."""
    return {
        "run --rm busybox true": contestant.time(
            [*contestant.command(), "run", "--rm", IMAGE, "true"]
        )
    }


def up_and_down(contestant: Contestant, directory: Path) -> Mapping[str, float]:
    """Twenty services on one network, started and removed. They end by SIGKILL at once, so no
    grace period is measured."""
    project = directory / "twenty"
    project.mkdir(parents=True, exist_ok=True)
    file = project / "compose.yaml"
    service = f"image: {IMAGE}, command: [sleep, '1000'], stop_signal: SIGKILL"
    lines = [f"  s{number}: {{{service}}}" for number in range(1, SERVICES + 1)]
    file.write_text("\n".join(['version: "3"', "services:", *lines, ""]))
    compose = contestant.compose(file)
    up_s = contestant.time([*compose, "up", "-d"])
    running = contestant.output(*contestant.command(), "ps", "-q").split()
    if len(running) != SERVICES:
        raise RuntimeError(f"{contestant.name}: {len(running)} of {SERVICES} services run")
    down_s = contestant.time([*compose, "down"])
    return {f"up -d of {SERVICES} services": up_s, f"down of {SERVICES} services": down_s}


def pull(contestant: Contestant, directory: Path) -> Mapping[str, float]:
    """An image of four layers from a registry on this machine, none of it here before."""
    count = directory / f"pulled-{contestant.name}"
    number = int(count.read_text()) + 1 if count.exists() else 0
    count.write_text(str(number))
    reference = f"{hub.address(directory)}/{hub.NAME}:{number}"
    os.sync()  # what others wrote is not our business
    seconds = contestant.time([*contestant.command(), "pull", *contestant.insecure, reference])
    return {"pull of 4 layers, cold": seconds}


def push(contestant: Contestant, directory: Path) -> Mapping[str, float]:
    """An image of one new layer, made here, to a registry on this machine."""
    base = directory / "push-base.tar"
    if not base.exists():
        hub.push_base(base)
    reference = f"{hub.address(directory)}/pushed/{contestant.name}:{secrets.token_hex(4)}"
    root = base.with_name(f"push-{contestant.name}.tar")
    hub.fresh_root(base, root)
    contestant.load(root, reference)
    root.unlink()
    os.sync()
    seconds = contestant.time([*contestant.command(), "push", *contestant.insecure, reference])
    contestant.output(*contestant.command(), "rmi", reference)
    return {"push of a new layer": seconds}


WITH_REGISTRY = frozenset({"pull", "push"})
ENTRIES: Mapping[str, Entry] = {
    "run": run_true,
    "up": up_and_down,
    "pull": pull,
    "push": push,
    **ARCHIVES,
    **BUILDS,
    **NETWORKS,
}

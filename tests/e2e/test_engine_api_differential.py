"""Docker's daemon and the engine, asked the same: what it tells, the engine tells too."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.support import dockerd
from tests.support.baseimages import busybox_root
from tests.support.engine import EngineUnderTest

pytestmark = [
    pytest.mark.usefixtures("hub", "emptied"),
    pytest.mark.skipif(bool(dockerd.missing()), reason=dockerd.missing() or "-"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

# Of Docker's own making, or gone from the API since the daemon's version.
NOT_HERE = {
    "KernelMemory", "KernelMemoryTCP", "BuildTime", "GitCommit", "GoVersion", "BuilderSize",
    "io.containerd.runc.v2", "io.containerd.runtime.v1.linux", "Error",
}  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root.tar"
    busybox_root(path)
    return path


def told(url: str, root: Path) -> dict[str, Any]:
    """What a daemon tells of one container's life and all around it."""
    client = docker.DockerClient(base_url=url, version="auto", timeout=60)
    api = client.api
    api.import_image_from_data(root.read_bytes(), repository="same", tag="latest")
    api.create_volume("data", labels={"a": "b"})
    host = api.create_host_config(
        binds=["data:/data", "/tmp:/host:ro"], network_mode="none", mem_limit="64m"
    )
    made = api.create_container(
        "same",
        ["sh", "-c", "trap 'exit 3' TERM; while true; do sleep 0.1; done"],
        name="same",
        host_config=host,
        labels={"l": "m"},
        environment={"A": "b"},
        healthcheck={"Test": ["CMD", "true"], "Interval": 200_000_000},
    )
    found = {"created": api.inspect_container(made)}
    api.start(made)
    while api.inspect_container(made)["State"]["Health"]["Status"] != "healthy":
        time.sleep(0.1)
    run = api.exec_create(made, ["sh", "-c", "exit 2"])
    api.exec_start(run)
    found |= {
        "inspect": api.inspect_container(made),
        "list": api.containers(all=True, size=True),
        "exec": api.exec_inspect(run),
        "stats": api.stats(made, stream=False),
        "top": api.top(made),
        "image": api.inspect_image("same"),
        "images": api.images(),
        "history": api.history("same"),
        "network": api.inspect_network("none"),
        "volume": api.inspect_volume("data"),
        "info": api.info(),
        "version": api.version(),
        "df": api.df(),
        "events": [
            event
            for event in client.events(
                since=1, until=time.time() + 0.1, decode=True, filters={"container": made["Id"]}
            )
            if event["Action"] == "start"
        ],
    }
    api.stop(made)
    found |= {"stopped": api.inspect_container(made), "wait": api.wait(made)}
    api.remove_container(made)
    client.close()
    return found


def missing(ours: Any, theirs: Any, path: str) -> Iterator[str]:
    """The paths of members that they have and we have not, or of another type."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key, value in theirs.items():
            if key in ours:
                yield from missing(ours[key], value, f"{path}.{key}")
            elif key not in NOT_HERE and len(key) != 64:  # a member's name may be an id
                yield f"{path}.{key}"
    elif isinstance(theirs, list) and isinstance(ours, list):
        if theirs and ours:
            yield from missing(ours[0], theirs[0], f"{path}[]")
    elif None not in (ours, theirs) and type(ours) is not type(theirs):
        yield f"{path}: {ours!r}, not {theirs!r}"


def test_what_docker_tells_is_told(engine: EngineUnderTest, root: Path) -> None:
    ours = told(f"unix://{engine.socket}", root)
    with dockerd.running(engine.directory / "docker") as daemon:
        theirs = told(daemon.env["DOCKER_HOST"], root)
    gc.collect()
    # An image's layers are mounted for containers only.
    unmounted = {f".image.GraphDriver.Data.{name}" for name in ("MergedDir", "WorkDir")}
    lacking = sorted({*missing(ours, theirs, "")} - unmounted)
    assert lacking == [], "\n".join(lacking)
    for where in ("created", "inspect", "stopped"):
        for member in ("Path", "Args", "Name", "Platform", "RestartCount"):
            assert ours[where][member] == theirs[where][member]
        for member in ("Cmd", "Env", "Labels", "Image", "Entrypoint", "User", "Tty", "WorkingDir"):
            assert ours[where]["Config"][member] == theirs[where]["Config"][member]
        for member in ("Memory", "MemorySwap", "Binds", "NetworkMode", "LogConfig", "ShmSize"):
            assert ours[where]["HostConfig"][member] == theirs[where]["HostConfig"][member]
        state = {k: v for k, v in ours[where]["State"].items() if k not in ("Pid", "Health")}
        assert {k: v for k, v in state.items() if not k.endswith("At")} == {
            k: v for k, v in theirs[where]["State"].items() if k in state and not k.endswith("At")
        }
    assert ours["list"][0]["HostConfig"] == theirs["list"][0]["HostConfig"]
    assert ours["stopped"]["State"]["Health"]["Status"] == "unhealthy"
    assert ours["wait"]["StatusCode"] == theirs["wait"]["StatusCode"] == 3

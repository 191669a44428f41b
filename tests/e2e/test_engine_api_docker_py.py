"""Docker's client for Python, against the engine."""

from __future__ import annotations

import gc
import io
import socket
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import APIError, BuildError, ContainerError, ImageNotFound, NotFound
from docker.models.containers import Container
from docker.types import EndpointConfig, Healthcheck, IPAMConfig, IPAMPool, LogConfig, Mount, Ulimit

from orchestrator.client.frames import Frames
from tests.support.engine import EngineUnderTest
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.usefixtures("hub", "emptied"),
    # The client leaves sockets of what it streams to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]


@pytest.fixture
def client(engine: EngineUnderTest) -> Iterator[docker.DockerClient]:
    client = docker.DockerClient(base_url=f"unix://{engine.socket}", version="auto", timeout=30)
    client.images.pull("busybox", tag="latest")
    yield client
    client.close()
    gc.collect()


@pytest.fixture
def sleeper(client: docker.DockerClient) -> Container:
    return client.containers.run("busybox", "sleep 1000", detach=True, name="sleeper", init=True)


def test_the_engine_itself(client: docker.DockerClient) -> None:
    assert client.ping()
    assert client.api._version == "1.45"
    assert client.version()["MinAPIVersion"] == "1.24"
    info = client.info()
    assert (info["OSType"], info["Swarm"]["LocalNodeState"]) == ("linux", "inactive")
    assert info["Images"] == 1
    assert {"Images", "Containers", "Volumes", "BuildCache"} <= set(client.df())
    assert client.plugins.list() == []


def test_an_older_client_is_served_and_a_future_one_told(engine: EngineUnderTest) -> None:
    url = f"unix://{engine.socket}"
    old = docker.DockerClient(base_url=url, version="1.24")
    assert old.containers.list() == []
    old.close()
    new = docker.DockerClient(base_url=url, version="1.99")
    with pytest.raises(APIError, match="is too new"):
        new.containers.list()
    new.close()


def test_run_and_what_it_raises(client: docker.DockerClient) -> None:
    run = client.containers.run
    assert run("busybox", ["echo", "hi"], remove=True) == b"hi\n"
    both = run("busybox", ["sh", "-c", "echo o; echo e >&2"], remove=True, stderr=True)
    assert sorted(both.splitlines()) == [b"e", b"o"]
    with pytest.raises(ContainerError) as failed:
        run("busybox", ["sh", "-c", "echo why >&2; exit 7"], remove=True)
    assert (failed.value.exit_status, failed.value.stderr) == (7, b"why\n")
    with pytest.raises(NotFound):
        client.containers.get("nobody")
    with pytest.raises(ImageNotFound):
        client.images.get("nobody")
    with pytest.raises(APIError, match="no-such-program"):
        run("busybox", "no-such-program")


def test_what_a_container_was_asked_to_be_is_told_again(
    client: docker.DockerClient, tmp_path: Path
) -> None:
    made = client.containers.run(
        "busybox",
        ["sleep", "1000"],
        detach=True,
        name="asked",
        hostname="host",
        environment={"A": "b"},
        labels={"x": "y"},
        ports={"80/tcp": None, "53/udp": ("127.0.0.1", 5353)},
        volumes={"data": {"bind": "/data", "mode": "rw"}},
        mounts=[Mount("/host", str(tmp_path), type="bind", read_only=True)],
        tmpfs={"/scratch": "size=1m"},
        mem_limit="64m",
        nano_cpus=500_000_000,
        pids_limit=50,
        ulimits=[Ulimit(name="nofile", soft=100, hard=200)],
        cap_add=["NET_ADMIN"],
        cap_drop=["MKNOD"],
        extra_hosts={"other": "10.1.2.3"},
        dns=["10.9.9.9"],
        restart_policy={"Name": "on-failure", "MaximumRetryCount": 3},
        healthcheck=Healthcheck(test=["CMD", "true"], interval=200_000_000),
        log_config=LogConfig(type="json-file", config={"max-size": "1m"}),
        user="1000:1000",
        working_dir="/tmp",
        stop_signal="SIGKILL",
        sysctls={"net.ipv4.ip_forward": "1"},
        shm_size="1m",
    )
    made.reload()
    told, host = made.attrs["Config"], made.attrs["HostConfig"]
    assert (told["Hostname"], told["User"], told["WorkingDir"]) == ("host", "1000:1000", "/tmp")
    assert "A=b" in told["Env"]
    assert told["Healthcheck"]["Interval"] == 200_000_000
    assert host["Memory"] == 64 << 20
    assert (host["NanoCpus"], host["PidsLimit"], host["ShmSize"]) == (500_000_000, 50, 1 << 20)
    assert host["Ulimits"] == [{"Name": "nofile", "Soft": 100, "Hard": 200}]
    assert (host["CapAdd"], host["CapDrop"]) == (["NET_ADMIN"], ["MKNOD"])
    assert host["ExtraHosts"] == ["other:10.1.2.3"]
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "1m"}}
    assert {m["Destination"]: m["RW"] for m in made.attrs["Mounts"]} == {
        "/data": True, "/host": False, "/scratch": True,
    }  # fmt: skip
    assert made.labels == {"x": "y"}
    assert made.ports["53/udp"] == [{"HostIp": "127.0.0.1", "HostPort": "5353"}]
    assert int(made.ports["80/tcp"][0]["HostPort"]) > 0
    wait_until(lambda: client.containers.get("asked").health == "healthy", "it is healthy")
    state = client.containers.get("asked").attrs["State"]
    assert state["Pid"] > 1
    assert Path(f"/proc/{state['Pid']}").exists()
    assert client.containers.list(filters={"label": "x=y", "health": "healthy"}) == [made]


def test_logs(client: docker.DockerClient) -> None:
    script = "echo one; echo two >&2; exec sleep 1000"
    made = client.containers.run("busybox", ["sh", "-c", script], detach=True, init=True)
    lines = made.logs(stream=True, follow=True)
    assert {next(lines), next(lines)} == {b"one\n", b"two\n"}
    lines.close()
    assert made.logs(stderr=False) == b"one\n"
    assert made.logs(stdout=False) == b"two\n"
    stamped, _, text = made.logs(stdout=False, timestamps=True).partition(b" ")
    assert stamped.endswith(b"Z")
    assert text == b"two\n"
    assert len(made.logs(tail=1).splitlines()) == 1
    # The client loses what it reads together with the head of the answer.
    for _ in range(5):
        assert made.attach(logs=True, stream=False, stderr=False) == b"one\n"


def test_exec(sleeper: Container) -> None:
    assert sleeper.exec_run("echo hi") == (0, b"hi\n")
    script = ["sh", "-c", "echo o; echo e >&2; exit 3"]
    assert sleeper.exec_run(script, demux=True) == (3, (b"o\n", b"e\n"))
    assert list(sleeper.exec_run("echo streamed", stream=True).output) == [b"streamed\n"]
    assert sleeper.exec_run("tty", tty=True).output.startswith(b"/dev/pts/")
    assert sleeper.exec_run("sleep 1000", detach=True) == (None, "")
    assert sleeper.exec_run(
        "sh -c 'echo $A $(id -u) $(pwd)'", environment={"A": "b"}, user="7", workdir="/tmp"
    ) == (0, b"b 7 /tmp\n")


def test_the_input_of_an_exec_ends_and_its_output_goes_on(sleeper: Container) -> None:
    joined = sleeper.exec_run(["sh", "-c", "cat; echo end"], stdin=True, socket=True).output._sock
    joined.settimeout(15)
    joined.sendall(b"typed\n")
    joined.shutdown(socket.SHUT_WR)
    said = b""
    while piece := joined.recv(4096):
        said += piece
    joined.close()
    assert b"".join(content for _, content in Frames().feed(said)) == b"typed\nend\n"


def test_a_life(client: docker.DockerClient, sleeper: Container) -> None:
    sleeper.pause()
    assert client.containers.get("sleeper").status == "paused"
    sleeper.unpause()
    sleeper.rename("renamed")
    sleeper.update(mem_limit="80m", memswap_limit="160m")
    assert client.containers.get("renamed").attrs["HostConfig"]["Memory"] == 80 << 20
    sleeper.restart(timeout=0)
    sleeper.kill(signal="SIGTERM")
    assert sleeper.wait() == {"StatusCode": 143}
    sleeper.start()
    sleeper.stop(timeout=0)
    assert sleeper.wait(condition="not-running")["StatusCode"] in (137, 143)
    told = client.events(since=1, until=time.time(), filters={"container": sleeper.id}, decode=True)
    actions = [event["Action"] for event in told]
    assert [a for a in actions if a in ("pause", "unpause", "rename", "update", "restart")] == [
        "pause", "unpause", "rename", "update", "restart",
    ]  # fmt: skip
    sleeper.remove()
    assert client.containers.list(all=True) == []


def test_stats_top_and_files(sleeper: Container) -> None:
    once = sleeper.stats(stream=False)
    assert once["memory_stats"]["usage"] > 0
    assert once["cpu_stats"]["cpu_usage"]["total_usage"] > 0
    assert once["networks"]["eth0"]["rx_bytes"] >= 0
    streamed = sleeper.stats(stream=True, decode=True)
    assert next(streamed)["id"] == sleeper.id
    streamed.close()
    assert any("sleep 1000" in " ".join(row) for row in sleeper.top()["Processes"])
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo("file")
        entry.size = 3
        archive.addfile(entry, io.BytesIO(b"abc"))
    assert sleeper.put_archive("/tmp", packed.getvalue())
    pieces, stat = sleeper.get_archive("/tmp/file")
    assert (stat["name"], stat["size"]) == ("file", 3)
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as archive:
        found = archive.extractfile("file")
        assert found is not None
        assert found.read() == b"abc"
    assert {"Path": "/tmp/file", "Kind": 1} in sleeper.diff()
    with tarfile.open(fileobj=io.BytesIO(b"".join(sleeper.export()))) as archive:
        assert "tmp/file" in archive.getnames()


def test_images(client: docker.DockerClient, sleeper: Container, tmp_path: Path) -> None:
    sleeper.exec_run("touch /kept")
    kept = sleeper.commit("kept", "1", changes="LABEL a=b")
    assert kept.tags == ["kept:1"]
    assert client.containers.run("kept:1", "ls /kept", remove=True) == b"/kept\n"
    assert kept.tag("localhost/other", "2")
    assert client.images.list(filters={"label": "a=b"}) == [kept]
    assert kept.history()[0]["Tags"]
    saved = b"".join(client.images.get("kept:1").save(named=True))
    client.images.remove("kept:1", force=True)
    client.images.remove("localhost/other:2", force=True)
    with pytest.raises(ImageNotFound):
        client.images.get("kept:1")
    (loaded,) = client.images.load(saved)
    assert loaded.id == kept.id
    (tmp_path / "Dockerfile").write_text("FROM busybox\nARG A\nRUN echo $A > /a\nLABEL q=r\n")
    built, lines = client.images.build(path=str(tmp_path), tag="built:1", buildargs={"A": "5"})
    assert any("Successfully built" in line.get("stream", "") for line in lines)
    assert built.labels == {"q": "r"}
    assert client.containers.run(built, "cat /a", remove=True) == b"5\n"
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN exit 3\n")
    with pytest.raises(BuildError, match="exit 3"):
        client.images.build(path=str(tmp_path))
    assert "SpaceReclaimed" in client.images.prune()
    assert "SpaceReclaimed" in client.images.prune_builds()


def test_a_pull_and_a_push_tell_what_goes_on(client: docker.DockerClient, hub: Any) -> None:
    lines = list(client.api.pull("busybox", tag="stable", stream=True, decode=True))
    assert any("busybox:stable" in line.get("status", "") for line in lines)
    client.images.get("busybox").tag(f"{hub.host}/pushed", "1")
    pushed = list(client.images.push(f"{hub.host}/pushed", tag="1", stream=True, decode=True))
    assert pushed[-1]["aux"]["Tag"] == "1"
    assert not any("error" in line for line in pushed)
    assert client.images.get_registry_data(f"{hub.host}/pushed:1").id.startswith("sha256:")
    with pytest.raises(NotFound, match="never:1"):
        client.images.push(f"{hub.host}/never", tag="1")


def test_a_terminal_has_the_size_that_was_asked_for(client: docker.DockerClient) -> None:
    host = {**client.api.create_host_config(), "ConsoleSize": [33, 77]}
    made = client.api.create_container("busybox", ["stty", "size"], tty=True, host_config=host)
    client.api.start(made)
    assert client.api.wait(made)["StatusCode"] == 0
    assert client.api.logs(made) == b"33 77\r\n"
    assert client.api.inspect_container(made)["HostConfig"]["ConsoleSize"] == [33, 77]


def test_networks_and_volumes(client: docker.DockerClient, sleeper: Container) -> None:
    pool = IPAMPool(subnet="10.77.0.0/24", gateway="10.77.0.1")
    network = client.networks.create(
        "lan", driver="bridge", ipam=IPAMConfig(pool_configs=[pool]), labels={"a": "b"}
    )
    network.connect(sleeper, aliases=["called"], ipv4_address="10.77.0.9")
    network.reload()
    assert network.containers == [sleeper]
    assert sleeper.exec_run("nslookup called 127.0.0.11").output.count(b"10.77.0.9") == 1
    settings = client.containers.get("sleeper").attrs["NetworkSettings"]["Networks"]["lan"]
    assert settings["IPAddress"] == "10.77.0.9"
    assert "called" in settings["Aliases"]
    network.disconnect(sleeper)
    assert client.networks.list(names=["lan"], filters={"label": "a=b"}) == [network]
    made = client.containers.run(
        "busybox",
        "true",
        network="lan",
        networking_config={"lan": EndpointConfig("1.45", ipv4_address="10.77.0.10")},
        detach=True,
    )
    assert made.wait()["StatusCode"] == 0
    made.remove()
    network.remove()
    assert client.networks.list(names=["lan"]) == []
    volume = client.volumes.create("data", labels={"c": "d"})
    assert client.volumes.list(filters={"label": "c=d"}) == [volume]
    assert Path(volume.attrs["Mountpoint"]).is_dir()
    volume.remove()
    with pytest.raises(NotFound):
        client.volumes.get("data")


def test_secrets_and_configs(client: docker.DockerClient) -> None:
    secret = client.secrets.create(name="word", data=b"sesame", labels={"a": "b"})
    (listed,) = client.secrets.list(filters={"name": "word"})
    assert listed.id == secret.id
    assert "Data" not in listed.attrs["Spec"]
    with pytest.raises(APIError) as twice:
        client.secrets.create(name="word", data=b"other")
    assert twice.value.status_code == 409
    assert client.secrets.get("word").remove()
    with pytest.raises(NotFound):
        client.secrets.get("word")
    config = client.configs.create(name="file", data=b"content")
    assert client.configs.get(config.id).attrs["Spec"]["Data"] == "Y29udGVudA=="
    config.remove()
    assert client.configs.list() == []


def test_swarms_are_answered_as_without_one(client: docker.DockerClient) -> None:
    for ask in (client.nodes.list, client.services.list, client.swarm.reload):
        with pytest.raises(APIError, match="This node is not a swarm manager") as refused:
            ask()
        assert refused.value.status_code == 503
    with pytest.raises(APIError) as joining:
        client.swarm.init()
    assert joining.value.status_code == 501

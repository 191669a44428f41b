"""Docker's command line, Compose of both generations and testcontainers, against the engine."""

from __future__ import annotations

import gc
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import compose
from tests.support.engine import EngineUnderTest

pytestmark = pytest.mark.usefixtures("hub", "emptied")

COMPOSE_1 = shutil.which("docker-compose") or ""
Client = Callable[..., str]

STACK = """
services:
  web:
    image: busybox
    command: sh -c 'echo hello; exec sleep 1000'
    init: true
    ports: ["8081:80"]
    depends_on: [db]
    environment: {A: b}
    volumes: ["data:/data", "./app:/app:ro"]
    networks: [back]
  db:
    build: app
    init: true
    networks: {back: {aliases: [database]}}
volumes: {data: {}}
networks: {back: {}}
"""
BUILT = 'FROM busybox\nRUN echo built > /made\nCMD ["sh", "-c", "cat /made; exec sleep 1000"]\n'


@pytest.fixture
def client(engine: EngineUnderTest, tmp_path: Path) -> Client:
    """Runs a client of Docker's against the engine; what it printed, where it must succeed."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "DOCKER_HOST": f"unix://{engine.socket}",
        "DOCKER_CONFIG": str(tmp_path / "docker"),
        "DOCKER_BUILDKIT": "0",
    }

    def run(*argv: str, cwd: Path | None = None, stdin: str = "", code: int = 0) -> str:
        done = subprocess.run(
            argv,
            cwd=cwd,
            env=environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )
        assert done.returncode == code, f"{argv}\n{done.stdout}\n{done.stderr}\n{engine.output()}"
        return done.stdout if code == 0 else done.stdout + done.stderr

    return run


def program_of(fetch: Callable[[], Path], installed: str = "") -> str:
    """The program that Debian has installed here, else the one that its mirror has."""
    if installed and shutil.which(installed):
        return installed
    try:
        return str(fetch())
    except compose.UnreachableError as error:
        pytest.skip(str(error))


@pytest.fixture
def docker(client: Client) -> Client:
    program = program_of(compose.docker_program, "/usr/bin/docker")

    def run(*words: str, cwd: Path | None = None, stdin: str = "", code: int = 0) -> str:
        return client(program, *words, cwd=cwd, stdin=stdin, code=code)

    run("pull", "-q", "busybox")
    return run


@pytest.fixture
def stack(project: Path) -> Path:
    (project / "app").mkdir()
    (project / "app/Dockerfile").write_text(BUILT)
    (project / "docker-compose.yml").write_text(f'version: "3.8"{STACK}')
    return project


def test_the_command_line_at_containers(docker: Client) -> None:
    assert docker("run", "--rm", "busybox", "echo", "hi") == "hi\n"
    docker("run", "-d", "--name", "box", "--init", "-p", "8080:80", "busybox", "sleep", "1000")
    assert docker("ps", "--format", "{{.Names}} {{.Ports}}") == (
        "box 0.0.0.0:8080->80/tcp, :::8080->80/tcp\n"
    )
    assert docker("port", "box", "80/tcp").splitlines()[0] == "0.0.0.0:8080"
    assert "sleep 1000" in docker("top", "box")
    name, memory = docker(
        "stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}", "box"
    ).split(maxsplit=1)
    assert name == "box"
    assert not memory.startswith("0B")
    assert docker("exec", "-i", "box", "cat", stdin="in\n") == "in\n"
    docker("update", "--memory", "64m", "--memory-swap", "64m", "box")
    docker("pause", "box")
    assert docker("inspect", "-f", "{{.State.Status}}", "box") == "paused\n"
    docker("unpause", "box")
    docker("rename", "box", "renamed")
    docker("restart", "-t", "0", "renamed")
    docker("kill", "renamed")
    assert docker("wait", "renamed") == "137\n"
    assert docker("inspect", "-f", "{{.HostConfig.Memory}}", "renamed") == f"{64 << 20}\n"
    told = docker(
        "events", "--since", "1", "--until", f"{time.time():f}", "--format", "{{.Action}}",
        "--filter", "container=renamed",
    ).split()  # fmt: skip
    assert [a for a in told if a in ("rename", "restart", "kill", "die")][-2:] == ["kill", "die"]
    assert docker("container", "prune", "-f").startswith("Deleted Containers:")


def test_the_command_line_at_images_networks_and_volumes(docker: Client, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(BUILT)
    said = docker("build", "-t", "built", ".", cwd=tmp_path)
    assert re.search(r"Step 2/\d : RUN echo built > /made", said)
    assert "Successfully tagged built:latest" in said
    assert docker("build", "-q", ".", cwd=tmp_path).startswith("sha256:")
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN exit 3\n")
    assert "exit 3" in docker("build", ".", cwd=tmp_path, code=3)
    docker("save", "-o", str(tmp_path / "saved"), "built")
    docker("rmi", "built")
    assert docker("load", "-i", str(tmp_path / "saved")) == "Loaded image: built:latest\n"
    assert "RUN echo built > /made" in docker("history", "--no-trunc", "built")
    docker("network", "create", "--subnet", "10.78.0.0/24", "lan")
    docker("run", "-d", "--name", "peer", "--init", "--network", "lan", "busybox", "sleep", "99")
    docker("network", "disconnect", "lan", "peer")
    docker("network", "connect", "--ip", "10.78.0.9", "lan", "peer")
    shown = "{{range .Containers}}{{.Name}} {{.IPv4Address}}{{end}}"
    assert docker("network", "inspect", "-f", shown, "lan") == "peer 10.78.0.9/24\n"
    assert "lan" in docker("network", "rm", "lan", code=1)
    docker("volume", "create", "data")
    docker("run", "--rm", "-v", "data:/d", "busybox", "touch", "/d/kept")
    assert docker("run", "--rm", "-v", "data:/d", "busybox", "ls", "/d") == "kept\n"
    assert docker("volume", "ls", "-q") == "data\n"
    assert "Images" in docker("system", "df")
    docker("rm", "-f", "peer")
    docker("network", "rm", "lan")
    docker("volume", "rm", "data")


def test_the_command_line_at_what_is_kept_and_what_is_not_there(docker: Client) -> None:
    made = docker("secret", "create", "-l", "a=b", "word", "-", stdin="sesame").strip()
    assert docker("secret", "ls", "--format", "{{.ID}} {{.Name}}") == f"{made} word\n"
    assert json.loads(docker("secret", "inspect", "word"))[0]["Spec"]["Labels"] == {"a": "b"}
    assert docker("secret", "rm", "word") == "word\n"
    docker("config", "create", "file", "-", stdin="content\n")
    assert "content" in docker("config", "inspect", "--pretty", "file")
    docker("config", "rm", "file")
    assert docker("info", "-f", "{{.Swarm.LocalNodeState}}") == "inactive\n"
    assert "This node is not a swarm manager" in docker("node", "ls", code=1)
    assert "This node is not part of a swarm" in docker("swarm", "leave", code=1)
    assert "no swarms here" in docker("swarm", "init", code=1)
    assert docker("plugin", "ls", "-q") == ""
    assert "lugin" in docker("plugin", "inspect", "some", code=1)


def lived(client: Client, compose_words: tuple[str, ...], stack: Path, mark: str) -> None:
    """A stack's life by this Compose; `mark` is between the words of its containers' names."""

    def run(*words: str) -> str:
        return client(*compose_words, *words, cwd=stack)

    web = f"demo{mark}web{mark}1"
    run("up", "-d", "--build")
    assert web in run("ps")
    assert "hello" in run("logs", "web")
    assert "built" in run("logs", "db")
    assert run("exec", "-T", "web", "sh", "-c", "echo $A; ls /app") == "b\nDockerfile\n"
    assert "inet" in run("exec", "-T", "web", "ip", "addr")
    assert run("port", "web", "80").strip() == "0.0.0.0:8081"
    assert run("run", "--rm", "-T", "--no-deps", "web", "echo", "once").endswith("once\n")
    run("up", "-d", "--scale", "db=2")
    assert run("ps", "-q", "db").count("\n") == 2
    run("restart", "-t", "1", "web")
    run("stop", "-t", "1")
    run("start")
    run("down", "-v", "-t", "1", "--rmi", "local")
    assert web not in run("ps")


@pytest.mark.skipif(not COMPOSE_1, reason="Compose 1 is not here: Debian 12's docker-compose")
def test_compose_of_the_first_generation(
    client: Client, stack: Path, engine: EngineUnderTest
) -> None:
    engine.run("pull", "-q", "busybox")
    lived(client, (COMPOSE_1, "--no-ansi"), stack, "_")
    left(engine)


def test_compose_of_the_second_generation(
    client: Client, stack: Path, engine: EngineUnderTest
) -> None:
    program = program_of(compose.compose_program)
    engine.run("pull", "-q", "busybox")
    (stack / "docker-compose.yml").write_text(STACK)
    lived(client, (program,), stack, "-")
    left(engine)


def left(engine: EngineUnderTest) -> None:
    """Nothing is left of the stack but the image that was pulled."""
    assert engine.containers() == []
    assert engine.request("GET", "/volumes")[1]["Volumes"] == []
    names = {network["Name"] for network in engine.request("GET", "/networks")[1]}
    assert names <= {"bridge", "host", "none"}
    tags = [tag for image in engine.request("GET", "/images/json")[1] for tag in image["RepoTags"]]
    assert tags == ["busybox:latest"]


@pytest.fixture
def reachable(engine: EngineUnderTest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The engine, as testcontainers finds it."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{engine.socket}")
    monkeypatch.setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
    yield
    gc.collect()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:unclosed:ResourceWarning")
@pytest.mark.usefixtures("reachable")
def test_testcontainers(tmp_path: Path) -> None:
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    testcontainers_config.ryuk_disabled = True
    (tmp_path / "mounted").write_text("shared\n")
    command = ["sh", "-c", "echo ready; while true; do echo served | nc -l -p 80; done"]
    wanted = (
        DockerContainer("busybox")
        .with_command(command)
        .with_env("A", "b")
        .with_exposed_ports(80)
        .with_volume_mapping(str(tmp_path), "/mnt", "ro")
        .waiting_for(LogMessageWaitStrategy("ready"))
    )
    with wanted as container:
        host, port = container.get_container_host_ip(), container.get_exposed_port(80)
        answer = subprocess.run(
            ["bash", "-c", f"cat < /dev/tcp/{host}/{port}"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
        assert answer.stdout == "served\n"
        assert container.exec("cat /mnt/mounted") == (0, b"shared\n")
        assert container.exec(["sh", "-c", "echo $A"]).output == b"b\n"
        assert container.get_logs()[0].startswith(b"ready\n")


SERVERS = """FROM debian:bookworm-slim
RUN apt-get update -qq && apt-get install -qqy --no-install-recommends redis-server postgresql \\
    && rm -rf /var/lib/apt/lists/*
"""
POSTGRES = """
bin=$(echo /usr/lib/postgresql/*/bin)
install -d -o postgres /db /run/postgresql
setpriv --reuid postgres --regid postgres --clear-groups $bin/initdb -A trust /db >/dev/null
echo 'host all all all trust' >> /db/pg_hba.conf
exec setpriv --reuid postgres --regid postgres --clear-groups $bin/postgres -D /db -h '*'
"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:unclosed:ResourceWarning")
@pytest.mark.usefixtures("reachable", "debian_hub")
def test_testcontainers_with_a_redis_and_a_postgresql(tmp_path: Path) -> None:
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.image import DockerImage
    from testcontainers.core.network import Network
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    testcontainers_config.ryuk_disabled = True
    (tmp_path / "Dockerfile").write_text(SERVERS)
    with DockerImage(path=str(tmp_path), tag="servers:1") as image, Network() as network:
        redis = (
            DockerContainer(str(image))
            .with_command(["redis-server", "--bind", "0.0.0.0", "--protected-mode", "no"])
            .with_exposed_ports(6379)
            .with_network(network)
            .with_network_aliases("cache")
            .waiting_for(LogMessageWaitStrategy("Ready to accept connections"))
        )
        postgres = (
            DockerContainer(str(image))
            .with_command(["sh", "-c", POSTGRES])
            .with_exposed_ports(5432)
            .with_network(network)
            .waiting_for(LogMessageWaitStrategy("ready to accept connections"))
        )
        with redis as cache, postgres as database:
            where = (cache.get_container_host_ip(), int(cache.get_exposed_port(6379)))
            with socket.create_connection(where, timeout=10) as connection:
                connection.sendall(b"SET a b\r\nGET a\r\n")
                said = b""
                while not said.endswith(b"$1\r\nb\r\n"):
                    said += connection.recv(100)
            asked = database.exec(
                ["psql", "-h", "127.0.0.1", "-U", "postgres", "-Atc", "SELECT 6*7"]
            )
            assert (asked.exit_code, asked.output) == (0, b"42\n")
            # By its alias on the network that both are on.
            peer = database.exec(
                ["bash", "-c", "exec 3<>/dev/tcp/cache/6379; echo PING >&3; head -1 <&3"]
            )
            assert peer.output == b"+PONG\r\n"

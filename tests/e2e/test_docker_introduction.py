"""One sitting with everything that an introduction to Docker teaches, as its reader would type it.

Each step shows its command and asserts what the introduction says one sees.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.engine import EngineUnderTest, Result
from tests.support.registry import Registry
from tests.support.terminal import Terminal, on_terminal
from tests.support.waiting import wait_until

Docker = Callable[..., Result]

DOCKERFILE = """\
FROM debian:bookworm-slim
ENV GREETING=hello
WORKDIR /srv
RUN cd /root
RUN pwd > /where-run-begins
COPY greet.sh /usr/local/bin/greet
RUN chmod +x /usr/local/bin/greet && mkdir -p /notes && echo first > /notes/from-image
EXPOSE 8000
VOLUME /notes
CMD ["greet", "reader"]
"""
CALLED = 'FROM greeter:1.0\nENTRYPOINT ["greet"]\nCMD ["nobody"]\n'
GREET = '#!/bin/sh\necho "$GREETING, $*"\n'


@pytest.fixture
def docker(engine: EngineUnderTest, project: Path) -> Iterator[Docker]:
    """The command line, in a directory of its own; every container is removed in the end."""

    def run(*words: str, **options: object) -> Result:
        return engine.cli(*words, cwd=project, **options)

    yield run
    if left := run("ps", "-aq").stdout.split():
        run("rm", "-f", *left)


@contextmanager
def sitting(engine: EngineUnderTest, *words: str) -> Iterator[Terminal]:
    with on_terminal(engine.argv(*words), engine.env) as terminal:
        yield terminal


def test_the_introduction(
    engine: EngineUnderTest, docker: Docker, project: Path, debian_hub: Registry
) -> None:
    _images(docker)
    _a_container_at_the_terminal(engine, docker)
    _many_containers(docker)
    _dockerfiles(docker, project)
    _sizes(docker)
    _networks(engine, docker)
    _volumes_and_variables(docker)
    _tidying_up(docker)


def _images(docker: Docker) -> None:
    assert "Downloaded newer image for debian:bookworm-slim" in docker(
        "pull", "debian:bookworm-slim"
    ).stdout  # fmt: skip
    listed = docker("images").stdout.splitlines()
    assert listed[0].split() == ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]
    assert listed[1].startswith("debian")
    assert "bookworm-slim" in listed[1]


def _a_container_at_the_terminal(engine: EngineUnderTest, docker: Docker) -> None:
    with sitting(engine, "run", "-it", "--name", "first", "debian:bookworm-slim", "bash") as typed:
        typed.expect("# ")
        typed.type("echo kept > /root/note; hostname\n")
        typed.expect("\r\n")
        typed.type("exit\n")
        assert typed.ended() == 0
    assert docker("ps", "-q").stdout == ""
    [heading, line] = docker("ps", "-a").stdout.splitlines()
    assert heading.split()[:2] == ["CONTAINER", "ID"]
    assert "Exited (0)" in line
    assert line.endswith("first")
    # What it wrote is its own, and still there when it is started again.
    with sitting(engine, "start", "-i", "first") as typed:
        typed.type("cat /root/note\n")
        typed.expect("kept\r\n")
        with sitting(engine, "exec", "-it", "first", "bash") as other:
            other.expect("# ")
            other.type("ls /root/note; exit 3\n")
            other.expect("/root/note\r\n")
            assert other.ended() == 3
        typed.type("exit\n")
        typed.ended()
    assert "CMD" not in docker("logs", "first").stderr


def _many_containers(docker: Docker) -> None:
    for name in ("one", "two"):
        docker("run", "-d", "--name", name, "--init", "debian:bookworm-slim", "sleep", "1000")
    assert len(docker("ps", "-q").stdout.split()) == 2
    assert len(docker("ps", "-a", "-q").stdout.split()) == 3
    docker("exec", "one", "sh", "-c", "head -c 1000000 /dev/zero > /big")
    sized = docker("ps", "--size", "--filter", "name=one").stdout
    assert re.search(r"1(\.0\d*)?MB \(virtual \d+MB\)", sized), sized
    docker("stop", "one", "two")
    assert docker("ps", "-q").stdout == ""
    taken = docker("rm", *docker("ps", "-a", "-q").stdout.split()).stdout.split()
    assert len(taken) == 3
    assert docker("ps", "-a", "-q").stdout == ""


def _dockerfiles(docker: Docker, project: Path) -> None:
    (project / "Dockerfile").write_text(DOCKERFILE)
    (project / "greet.sh").write_text(GREET)
    docker("build", "-t", "greeter:1.0", ".", timeout_s=120)
    # Each RUN is a shell of its own: the cd of the one before carries over to nothing.
    where = docker("run", "--rm", "greeter:1.0", "cat", "/where-run-begins")
    assert where.stdout == "/srv\n"
    assert docker("run", "--rm", "greeter:1.0").stdout == "hello, reader\n"
    assert docker("run", "--rm", "greeter:1.0", "echo", "CMD is replaced").stdout == (
        "CMD is replaced\n"
    )
    (project / "greet.sh").write_text(GREET.replace("$*", "dear $*"))
    again = docker("build", "-t", "greeter:1.1", "--progress", "plain", ".", timeout_s=120).output
    assert "CACHED" in again, "the steps before the changed file are taken from the cache"
    assert docker("run", "--rm", "greeter:1.1").stdout == "hello, dear reader\n"
    (project / "Called").write_text(CALLED)
    docker("build", "-t", "called", "-f", "Called", ".", timeout_s=120)
    assert docker("run", "--rm", "called").stdout == "hello, nobody\n"
    assert docker("run", "--rm", "called", "with", "words").stdout == "hello, with words\n"
    docker("tag", "greeter:1.1", "greeter:latest")
    tags = docker("images", "--format", "{{.Tag}} {{.ID}}", "greeter").stdout.split()
    assert set(tags[::2]) == {"1.0", "1.1", "latest"}
    assert len(set(tags[1::2])) == 2, "a tag is a name, not a copy"


def _sizes(docker: Docker) -> None:
    heading, *rows = docker("system", "df").stdout.splitlines()
    assert heading.split() == ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"]
    kinds = [row.rsplit(maxsplit=4)[0].strip() for row in rows]
    assert [k.split("  ")[0] for k in kinds][:2] == ["Images", "Containers"]
    assert rows[2].startswith("Local Volumes")
    assert rows[3].startswith("Build Cache")
    layers = docker("history", "greeter:1.1").stdout
    assert "CMD" in layers
    assert "<missing>" in layers


def _networks(engine: EngineUnderTest, docker: Docker) -> None:
    names = docker("network", "ls", "--format", "{{.Name}}").stdout.split()
    assert {"bridge", "host", "none"} <= set(names)
    docker("network", "create", "shop")
    serve = "mkdir /w; echo shown > /w/index.html; exec httpd -f -p 8000 -h /w"
    docker("run", "-d", "--name", "web", "--network", "shop", "-p", "18111:8000", "busybox",
           "sh", "-c", serve)  # fmt: skip
    ask = "wget -q -O - http://web:8000/"
    wait_until(
        lambda: (
            engine.run("run", "--rm", "--network", "shop", "busybox", "sh", "-c", ask).stdout
            == "shown\n"
        ),
        "a container of the network reaches web by its name",
    )
    stranger = engine.run("run", "--rm", "busybox", "sh", "-c", ask)
    assert stranger.exit_code != 0, "the default bridge knows no names"
    fetched = docker("run", "--rm", "--network", "host", "busybox", "wget", "-q", "-O", "-",
                     "http://127.0.0.1:18111/")  # fmt: skip
    assert fetched.stdout == "shown\n"
    assert docker("port", "web").stdout.splitlines()[0] == "8000/tcp -> 0.0.0.0:18111"
    shared = docker("run", "--rm", "--network", "container:web", "busybox", "wget", "-q", "-O",
                    "-", "http://127.0.0.1:8000/")  # fmt: skip
    assert shared.stdout == "shown\n"
    alone = docker("run", "--rm", "--network", "none", "busybox", "ip", "-o", "link").stdout
    assert [line.split(": ")[1] for line in alone.splitlines()] == ["lo"]
    docker("rm", "-f", "web")
    docker("network", "rm", "shop")


def _volumes_and_variables(docker: Docker) -> None:
    docker("volume", "create", "notes")
    docker("run", "--rm", "-v", "notes:/notes", "greeter:1.1", "sh", "-c", "echo mine > /notes/a")
    kept = docker("run", "--rm", "-v", "notes:/other", "busybox", "sh", "-c", "cat /other/*")
    assert kept.stdout == "mine\nfirst\n", "data outlives its container; a new volume is filled"
    before = set(docker("volume", "ls", "-q").stdout.split())
    docker("run", "--name", "anonymous", "greeter:1.1", "true")
    [made] = set(docker("volume", "ls", "-q").stdout.split()) - before
    assert re.fullmatch("[0-9a-f]{64}", made), "VOLUME makes one without a name"
    docker("rm", "-v", "anonymous")
    assert set(docker("volume", "ls", "-q").stdout.split()) == before
    said = docker("run", "--rm", "-e", "GREETING=salut", "greeter:1.1").stdout
    assert said == "salut, dear reader\n"


def _tidying_up(docker: Docker) -> None:
    docker("volume", "rm", "notes")
    removed = docker("rmi", "called", "greeter:1.0", "greeter:1.1", "greeter:latest").stdout
    assert removed.count("Untagged: ") == 4
    assert "Deleted: sha256:" in removed
    assert "Server" in docker("version").stdout
    assert "Containers: 0" in docker("info").stdout

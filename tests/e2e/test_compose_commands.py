"""The commands that Compose has, on a real stack."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.engine import EngineUnderTest, Result
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("hub")

Compose = Callable[..., Result]

SHOP = """
services:
  web:
    image: busybox
    init: true
    command: sh -c 'mkdir -p /w; echo "$$HOSTNAME" > /w/index.html; exec httpd -f -p 80 -h /w'
    ports: ["80"]
    environment: {COLOUR: red}
    depends_on: [store]
  store:
    image: busybox
    init: true
    command: sh -c 'echo ready; exec sleep 1000'
    volumes: [kept:/kept, /anonymous]
  job:
    image: busybox
    command: sh -c 'echo working; exit 4'
    profiles: [jobs]
volumes: {kept: {}}
"""


@pytest.fixture
def compose(engine: EngineUnderTest, project: Path) -> Iterator[Compose]:
    """`pystack compose …` in the project; the stack is taken down in the end."""
    (project / "stack.yml").write_text(SHOP)

    def run(*words: str, code: int = 0, **options: object) -> Result:
        result = engine.run("compose", *words, cwd=project, **options)
        assert result.exit_code == code, f"{words}: {result.exit_code}\n{result.output}"
        return result

    yield run
    engine.cli("compose", "--profile", "*", "down", "-t", "0", "-v", cwd=project)


def ids(engine: EngineUnderTest, **labels: str) -> dict[str, str]:
    return {c["Names"][0].lstrip("/"): c["Id"] for c in engine.containers(**labels)}


def test_up_and_what_it_may_be_told(
    engine: EngineUnderTest, compose: Compose, project: Path
) -> None:
    compose("up", "--no-start")
    assert {c["State"] for c in engine.containers()} == {"created"}
    compose("up", "-d")
    assert set(ids(engine)) == {"demo-web-1", "demo-store-1"}, "job's profile is not active"
    first = ids(engine)
    compose("up", "-d", "--no-recreate")
    assert ids(engine) == first
    compose("up", "-d", "--force-recreate", "--no-deps", "web")
    second = ids(engine)
    assert second["demo-web-1"] != first["demo-web-1"]
    assert second["demo-store-1"] == first["demo-store-1"]
    compose("up", "-d", "--force-recreate", "--always-recreate-deps", "web")
    assert not set(ids(engine).values()) & set(second.values())
    kept = anonymous(engine, "demo-store-1")
    compose("up", "-d", "--force-recreate", "store")
    assert anonymous(engine, "demo-store-1") == kept, "a new container takes them over"
    compose("up", "-d", "--force-recreate", "-V", "store")
    assert anonymous(engine, "demo-store-1") != kept
    compose("up", "-d", "--scale", "web=2")
    assert set(ids(engine)) == {"demo-web-1", "demo-web-2", "demo-store-1"}
    (project / "stack.yml").write_text(SHOP.replace("  job:", "  task:").replace("web", "site"))
    warned = compose("up", "-d").stderr
    assert "demo-web-1" in warned
    assert "--remove-orphans" in warned
    compose("up", "-d", "--remove-orphans")
    assert set(ids(engine)) == {"demo-site-1", "demo-store-1"}
    down = compose("down", "--remove-orphans", "-t", "0")
    assert "demo-site-1" in down.output
    assert "demo_kept" in engine.cli("volume", "ls", "-q").stdout, "down keeps volumes"


def anonymous(engine: EngineUnderTest, name: str) -> str:
    mounts = engine.inspect(name)["Mounts"]
    return next(str(m["Name"]) for m in mounts if m["Destination"] == "/anonymous")


def test_up_ends_with_a_container_where_it_is_told_to(compose: Compose, project: Path) -> None:
    compose("--profile", "jobs", "up", "--abort-on-container-exit", code=4, timeout_s=60)
    said = compose("--profile", "jobs", "up", "--exit-code-from", "job", code=4, timeout_s=60)
    assert "working" in said.stdout
    stopped = compose("--profile", "jobs", "ps", "-a", "--format", "json").stdout
    assert {json.loads(line)["State"] for line in stopped.splitlines()} == {"exited"}


def test_services_are_stopped_started_frozen_killed_and_removed(
    engine: EngineUnderTest, compose: Compose
) -> None:
    compose("create")
    compose("start")
    assert len(compose("ps", "-q").stdout.split()) == 2
    compose("stop", "-t", "0", "web")
    assert compose("ps", "--services").stdout == "store\n"
    compose("start", "web")
    compose("pause", "web")
    assert engine.inspect("demo-web-1")["State"]["Paused"]
    compose("unpause", "web")
    before = engine.inspect("demo-web-1")["State"]["Pid"]
    compose("restart", "-t", "0", "web")
    assert engine.inspect("demo-web-1")["State"]["Pid"] != before
    compose("kill", "-s", "TERM", "web")
    wait_until(lambda: not engine.inspect("demo-web-1")["State"]["Running"], "web has ended")
    compose("rm", "-f", "web")
    assert set(ids(engine)) == {"demo-store-1"}
    compose("rm", "-f", "-s", "-v", "store")
    assert ids(engine) == {}
    compose("up", "-d")
    assert len(ids(engine)) == 2


def test_what_reaches_into_a_service(
    engine: EngineUnderTest, compose: Compose, project: Path
) -> None:
    compose("up", "-d", "--scale", "web=2")
    assert compose("exec", "-T", "web", "sh", "-c", "echo $COLOUR").stdout == "red\n"
    second = compose("exec", "-T", "--index", "2", "-e", "COLOUR=blue", "-w", "/tmp", "web",
                     "sh", "-c", "echo $COLOUR; pwd").stdout  # fmt: skip
    assert second == "blue\n/tmp\n"
    compose("exec", "-T", "web", "sh", "-c", "exit 9", code=9)
    (project / "note").write_text("carried")
    compose("cp", "note", "web:/tmp/note")
    compose("cp", "web:/tmp/note", "back")
    assert (project / "back").read_text() == "carried"
    port = compose("port", "web", "80").stdout.splitlines()[0]
    assert port.startswith("0.0.0.0:")
    assert "httpd" in compose("top", "web").stdout
    stats = compose("stats", "--no-stream", "--format", "{{.Name}}", "web").stdout.split()
    assert sorted(stats) == ["demo-web-1", "demo-web-2"]
    listed = compose("images").stdout
    assert "demo-web-1" in listed
    assert compose("volumes", "-q").stdout.split().count("demo_kept") == 1
    compose("commit", "web", "snapshot:1")
    assert "snapshot" in engine.cli("images").stdout
    compose("export", "-o", "tree.tar", "web")
    assert (project / "tree.tar").stat().st_size > 100_000
    events = compose("events", "--json", "--since", "10m", "--until", "0s", "web").stdout
    assert {json.loads(line)["Action"] for line in events.splitlines()} >= {"create", "start"}
    assert "demo" in compose("ls").stdout
    compose("exec", "-T", "nobody", "true", code=1)


def test_run_is_a_container_beside_the_services(
    engine: EngineUnderTest, compose: Compose, project: Path
) -> None:
    out = compose("run", "--rm", "-T", "-e", "COLOUR=green", "-v", f"{project}:/here", "web", "sh",
                  "-c", "echo $COLOUR; test -e /here/stack.yml; nc -w 1 store 1 </dev/null; "
                  "exit 5", code=5).stdout  # fmt: skip
    assert out == "green\n"
    assert set(ids(engine)) == {"demo-store-1"}, "only what it depends on is started"
    compose("run", "-d", "--name", "aside", "--no-deps", "store")
    assert engine.inspect("aside")["Config"]["Labels"]["com.docker.compose.oneoff"] == "True"
    assert "aside" not in compose("ps").stdout
    piped = compose("run", "--rm", "-T", "--no-deps", "--entrypoint", "cat", "store",
                    stdin="through\n").stdout  # fmt: skip
    assert piped == "through\n"
    compose("down", "-t", "0")
    assert ids(engine) == {}, "down takes it too"


def test_scale_and_wait(engine: EngineUnderTest, compose: Compose) -> None:
    compose("up", "-d")
    compose("scale", "web=3")
    assert len(engine.containers(com_docker_compose_service="web")) == 3
    compose("scale", "web=1")
    assert set(ids(engine, com_docker_compose_service="web")) == {"demo-web-1"}
    code: list[int] = []
    waiter = threading.Thread(target=lambda: code.append(compose("wait", "store", code=137)
                                                         .exit_code))  # fmt: skip
    waiter.start()
    engine.cli("kill", "demo-store-1")
    waiter.join(timeout=30)
    assert code == [137]


WATCHED = """
services:
  web:
    image: busybox
    init: true
    command: sh -c 'mkdir -p /app; exec sleep 1000'
    develop:
      watch:
        - {path: ./src, target: /app, action: sync, ignore: ["*.tmp"], initial_sync: true}
        - {path: ./conf, target: /etc/app, action: sync+restart}
"""


def test_changes_of_the_source_are_carried_over(
    engine: EngineUnderTest, compose: Compose, project: Path
) -> None:
    (project / "stack.yml").write_text(WATCHED)
    for name in ("src", "conf"):
        (project / name).mkdir()
    (project / "src/first").write_text("1")
    compose("up", "-d")
    began = engine.inspect("demo-web-1")["State"]["StartedAt"]

    def inside(path: str) -> str:
        return engine.run("exec", "demo-web-1", "cat", path).stdout

    with subprocess.Popen(
        engine.argv("compose", "watch", "--no-up"), cwd=project, env=engine.env,
        stderr=subprocess.PIPE, text=True,
    ) as watch:  # fmt: skip
        assert watch.stderr is not None
        while "watching" not in (line := watch.stderr.readline()):
            assert line
        wait_until(lambda: inside("/app/first") == "1", "all is copied at the start")
        (project / "src/deep").mkdir()
        wait_until(lambda: "deep" in engine.run("exec", "demo-web-1", "ls", "/app").stdout,
                   "a new directory is carried over")  # fmt: skip
        (project / "src/deep/second").write_text("2")
        (project / "src/skipped.tmp").write_text("no")
        wait_until(lambda: inside("/app/deep/second") == "2", "a file in it too")
        (project / "src/first").unlink()
        wait_until(lambda: inside("/app/first") == "", "what is removed goes there as well")
        assert inside("/app/skipped.tmp") == ""
        (project / "conf/app.conf").write_text("a=1")
        wait_until(lambda: engine.inspect("demo-web-1")["State"]["StartedAt"] != began,
                   "the service is restarted")  # fmt: skip
        assert inside("/etc/app/app.conf") == "a=1"
        watch.terminate()
        watch.wait(timeout=20)


BUILT = """
services:
  web:
    build:
      context: .
      dockerfile_inline: |
        FROM busybox
        COPY src /src
    init: true
    command: sh -c 'mkdir -p /app; exec sleep 1000'
    stop_grace_period: 0s
    develop:
      watch:
        - {path: ./src, action: rebuild}
        - path: ./live
          target: /live
          action: sync+exec
          exec: {command: sh -c 'cat /live/* > /seen'}
"""


def test_up_watches_builds_again_and_runs_what_follows_a_sync_and_down_removes_the_image(
    engine: EngineUnderTest, compose: Compose, project: Path
) -> None:
    (project / "stack.yml").write_text(BUILT)
    for name in ("src", "live"):
        (project / name).mkdir()
    (project / "src/version").write_text("1")

    def inside(path: str) -> str:
        return engine.run("exec", "demo-web-1", "cat", path).stdout

    with subprocess.Popen(
        engine.argv("compose", "up", "--watch"),
        cwd=project,
        env=engine.env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as up:
        assert up.stderr is not None
        wait_until(lambda: inside("/src/version") == "1", "the stack is up")
        threading.Thread(target=up.stderr.read, daemon=True).start()
        (project / "live/note").write_text("hello")
        wait_until(lambda: inside("/seen") == "hello", "the command has seen the file")
        (project / "src/version").write_text("2")
        wait_until(lambda: inside("/src/version") == "2", "the image is built again", within_s=60)
        up.terminate()
        assert up.wait(timeout=30) == 130
    assert "demo-web" in engine.cli("images").stdout
    compose("down", "--rmi", "local")
    assert "demo-web" not in engine.cli("images").stdout

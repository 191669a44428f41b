"""Commands about containers, images and the engine, against an engine that answers as told."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator import __version__
from orchestrator.cli.main import main
from tests.unit.cli.conftest import Say
from tests.unit.client.fake_engine import FakeEngine, as_json, json_lines

ROOT = Path(__file__).resolve().parents[3]
ID = "a" * 64
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
UPGRADED = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"


def missing(what: str, code: str) -> bytes:
    return as_json({"message": f"no such {what}", "code": code, "hint": "look again"}, status=404)


def frame(stream: int, content: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(content).to_bytes(4, "big") + content


def test_ps_has_dockers_columns(fake: FakeEngine, say: Say) -> None:
    listed = {
        "Id": ID,
        "Names": ["/web"],
        "Image": "sha256:" + "c" * 64,
        "Command": "sleep 1000",
        "Created": int(time.time()) - 130,
        "State": "running",
        "Status": "Up 2 minutes",
        "Ports": [{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}],
        "Labels": {},
    }
    fake.on("GET /containers/json", as_json([listed]))
    said = say("ps", "-a", "-f", "status=running", "-f", "status=exited")
    heading, row = said.out.splitlines()
    assert heading.split("   ") == [
        word
        for word in heading.split("   ")
        if word.strip()
        in ("CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES", "")
    ]
    assert row.split("   ") == [
        "a" * 12, "c" * 12, '"sleep 1000"', "2 minutes ago", "Up 2 minutes",
        "0.0.0.0:8080->80/tcp", "web",
    ]  # fmt: skip
    [asked] = fake.asked()
    assert asked.startswith("GET /containers/json?all=1&filters=")
    assert say("ps", "-q").out == "a" * 12 + "\n"
    shown = json.loads(say("ps", "--no-trunc", "--format", "json").out)
    assert (shown["ID"], shown["Names"], shown["State"]) == (ID, "web", "running")
    assert say("ps", "--format", "{{.Names}}: {{.Ports}}").out == "web: 0.0.0.0:8080->80/tcp\n"


def test_a_list_has_the_form_that_the_users_docker_configuration_prefers(
    fake: FakeEngine, say: Say, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "config.json").write_text(json.dumps({"psFormat": "{{.Names}}!"}))
    monkeypatch.setenv("DOCKER_CONFIG", str(place))
    listed = {"Id": ID, "Names": ["/web"], "Image": "x", "Labels": {}}
    fake.on("GET /containers/json", as_json([listed]))
    assert say("ps").out == "web!\n"
    assert say("ps", "--format", "{{.Image}}").out == "x\n"
    assert say("ps", "-q").out == "a" * 12 + "\n"
    assert say("ps", "-q").err == ""


def test_run_in_the_background_prints_the_id(fake: FakeEngine, say: Say) -> None:
    fake.on("POST /containers/create", as_json({"Id": ID, "Warnings": ["careful"]}, status=201))
    fake.on(f"POST /containers/{ID}/start", NO_CONTENT)
    said = say("run", "-d", "--name", "web", "busybox", "sleep", "1")
    assert (said.code, said.out, said.err) == (0, f"{ID}\n", "WARNING: careful\n")
    assert fake.asked()[0] == "POST /containers/create?name=web"


def test_run_pulls_an_image_that_is_missing(fake: FakeEngine, say: Say) -> None:
    fake.on(
        "POST /containers/create",
        missing("image", "no-such-image"),
        as_json({"Id": ID, "Warnings": []}, status=201),
    )
    pulled = {"progress": {"subject": "image x", "step": "pulled", "done": True}}
    fake.on("POST /images/create", json_lines(pulled))
    fake.on(f"POST /containers/{ID}/start", NO_CONTENT)
    said = say("run", "-d", "x")
    assert (said.code, said.err) == (0, "image x: pulled\n")
    assert say("run", "-d", "--pull", "never", "x").code == 0, "it is there now"


def attached(output: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.sendall(UPGRADED + output)

    return answer


def test_run_in_front_has_the_containers_output_and_exit_code(fake: FakeEngine, say: Say) -> None:
    fake.on("POST /containers/create", as_json({"Id": ID, "Warnings": None}, status=201))
    fake.on(f"POST /containers/{ID}/attach", attached(frame(1, b"out\n") + frame(2, b"err\n")))
    fake.on(f"POST /containers/{ID}/start", NO_CONTENT)
    fake.on(f"POST /containers/{ID}/wait", as_json({"StatusCode": 7}))
    said = say("run", "--rm", "busybox", "true")
    assert (said.code, said.out, said.err) == (7, "out\n", "err\n")
    order = [asked.split("?")[0].rpartition("/")[2] for asked in fake.asked()]
    assert order.index("attach") < order.index("start")
    assert f"POST /containers/{ID}/wait?condition=removed" in fake.asked()


@pytest.mark.parametrize(
    ("code", "expected"),
    [("command-not-found", 127), ("command-not-executable", 126), ("no-runtime", 125)],
)
def test_a_run_that_fails_has_dockers_exit_code(
    fake: FakeEngine, say: Say, code: str, expected: int
) -> None:
    fake.on("POST /containers/create", as_json({"Id": ID}, status=201))
    refused = {"message": "it cannot be started", "code": code, "hint": "h"}
    fake.on(f"POST /containers/{ID}/start", as_json(refused, status=400))
    said = say("run", "-d", "busybox", "nope")
    assert (said.code, said.err) == (expected, "error: it cannot be started\n  h\n")


def test_stdin_is_sent_and_closed(fake: FakeEngine, say: Say, tmp_path: Path) -> None:
    def upper(connection: socket.socket) -> None:
        connection.sendall(UPGRADED)
        received = b""
        while data := connection.recv(100):
            received += data
        connection.sendall(frame(1, received.upper()))

    fake.on("POST /containers/create", as_json({"Id": ID}, status=201))
    fake.on(f"POST /containers/{ID}/attach", upper)
    fake.on(f"POST /containers/{ID}/start", NO_CONTENT)
    fake.on(f"POST /containers/{ID}/wait", as_json({"StatusCode": 0}))
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator.cli", "run", "-i", "busybox", "cat"],
        input=b"hello\n",
        capture_output=True,
        timeout=20,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"HELLO\n", b"")


def test_what_fails_for_one_container_is_told_and_the_others_are_done(
    fake: FakeEngine, say: Say
) -> None:
    fake.on("POST /containers/a/stop", NO_CONTENT)
    fake.on("POST /containers/b/stop", missing("container b", "no-such-container"))
    fake.on("POST /containers/c/stop", NO_CONTENT)
    said = say("stop", "-t", "0", "a", "b", "c")
    assert (said.code, said.out) == (1, "a\nc\n")
    assert said.err == "error: no such container b\n  look again\n"


def test_a_name_that_no_container_has_may_be_a_service(
    fake: FakeEngine, say: Say, place: Path
) -> None:
    (place / "stack.yml").write_text("services:\n  web:\n    image: busybox\n")
    fake.on("POST /containers/web/stop", missing("container web", "no-such-container"))
    stopped = {"progress": {"subject": "container demo-web-1", "step": "stopped", "done": True}}
    fake.on("POST /pystack/v1/stacks/demo/stop", json_lines(stopped, {"result": {"changed": 1}}))
    said = say("stop", "web")
    assert (said.code, said.err.splitlines()[-1]) == (0, "container demo-web-1: stopped")


def test_logs_of_a_name_that_no_container_has_are_the_services(
    fake: FakeEngine, say: Say, place: Path
) -> None:
    (place / "stack.yml").write_text("services:\n  web:\n    image: busybox\n")
    fake.on("GET /containers/web/json", missing("container web", "no-such-container"))
    record = {"service": "web", "number": 1, "line": "hello"}
    fake.on("GET /pystack/v1/stacks/demo/logs", json_lines(record))
    assert say("logs", "web").out == "web-1  | hello\n"
    said = say("logs", "nobody")
    assert said.code == 1


def test_logs_of_a_container_keep_its_two_streams_apart(fake: FakeEngine, say: Say) -> None:
    fake.on("GET /containers/web/json", as_json({"Id": ID, "Config": {"Tty": False}}))
    body = frame(1, b"out\xff\n") + frame(2, b"err\n")
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    fake.on(f"GET /containers/{ID}/logs", head + body)
    said = say("logs", "--tail", "5", "-t", "web")
    assert (said.code, said.err) == (0, "err\n")
    assert said.out.startswith("out")
    assert fake.asked()[-1] == f"GET /containers/{ID}/logs?stdout=1&stderr=1&timestamps=1&tail=5"


def test_images_have_a_row_per_name(fake: FakeEngine, say: Say) -> None:
    image = {
        "Id": "sha256:" + "d" * 64,
        "RepoTags": ["busybox:1", "host:5000/busybox:latest"],
        "Created": int(time.time()) - 7200,
        "Size": 4_261_550,
    }
    fake.on("GET /images/json", as_json([image]))
    rows = [line.split() for line in say("images").out.splitlines()[1:]]
    assert rows == [
        ["busybox", "1", "d" * 12, "2", "hours", "ago", "4.26MB"],
        ["host:5000/busybox", "latest", "d" * 12, "2", "hours", "ago", "4.26MB"],
    ]


def test_build_finds_its_dockerfile_as_docker_does(fake: FakeEngine, say: Say, place: Path) -> None:
    (place / "app").mkdir()
    (place / "app" / "Dockerfile").touch()
    (place / "other.Dockerfile").touch()
    fake.on("POST /pystack/v1/build", json_lines({"result": {"id": "sha256:1", "tags": ["x"]}}))
    assert say("build", "-t", "x", "--build-arg", "A=1", "app").out == "sha256:1\n"
    say("build", "-f", "app/Dockerfile", "app")
    say("build", "-f", "other.Dockerfile", "app")
    sent = [request.json() for request in fake.requests]
    assert [each["build"]["dockerfile"] for each in sent] == [
        "Dockerfile",
        "Dockerfile",
        str(place / "other.Dockerfile"),
    ]
    assert (sent[0]["tags"], sent[0]["build"]["args"]) == (["x"], {"A": "1"})
    assert say("build", "nowhere").code == 1


def test_an_archive_is_loaded_as_it_is_read(fake: FakeEngine, say: Say, place: Path) -> None:
    archive = place / "images.tar"
    archive.write_bytes(b"tar" * 700_000)
    fake.on("POST /images/load", json_lines({"stream": "Loaded image: busybox:latest\n"}))
    said = say("load", "-i", str(archive))
    assert (said.code, said.out) == (0, "Loaded image: busybox:latest\n")
    assert fake.request("POST /images/load").headers["transfer-encoding"] == "chunked"
    absent = say("load", "-i", "absent.tar")
    assert (absent.code, absent.err) == (1, "error: absent.tar: No such file or directory\n")


def test_volumes_and_networks_are_listed(fake: FakeEngine, say: Say) -> None:
    fake.on("GET /volumes", as_json({"Volumes": [{"Name": "data", "Driver": "local"}]}))
    network = {"Id": ID, "Name": "bridge", "Driver": "bridge", "Scope": "local"}
    fake.on("GET /networks", as_json([network]))
    assert say("volume", "ls").out.splitlines()[1].split() == ["local", "data"]
    assert say("network", "ls").out.splitlines()[1].split() == [
        "a" * 12,
        "bridge",
        "bridge",
        "local",
    ]
    fake.on("DELETE /volumes/data", NO_CONTENT)
    assert say("volume", "rm", "data").out == "data\n"


def test_version_tells_both_halves(fake: FakeEngine, say: Say) -> None:
    fake.on("GET /version", as_json({"Version": "9.9", "ApiVersion": "1.45"}))
    said = say("version")
    assert said.code == 0
    assert __version__ in said.out
    assert "9.9" in said.out


def test_info_has_dockers_layout_and_templates(fake: FakeEngine, say: Say) -> None:
    info = {
        "Containers": 3, "ContainersRunning": 1, "Images": 2, "ServerVersion": "9",
        "Driver": "overlay2", "DriverStatus": [["Supports d_type", "true"]],
        "Runtimes": {"crun": {"path": "/x"}}, "DefaultRuntime": "crun",
        "SecurityOptions": ["name=seccomp,profile=builtin"], "MemTotal": 8 << 30,
        "Warnings": ["WARNING: No swap limit support"],
    }  # fmt: skip
    fake.on("GET /info", as_json(info))
    said = say("info")
    lines = said.out.splitlines()
    assert lines[0] == "Client:"
    server = lines[lines.index("Server:") :]
    assert server[1:4] == [" Containers: 3", "  Running: 1", "  Paused: 0"]
    for line in ("  Supports d_type: true", "  seccomp", "   Profile: builtin",
                 " Total Memory: 8GiB", " Runtimes: crun"):  # fmt: skip
        assert line in server
    assert said.err == "WARNING: No swap limit support\n"
    assert say("info", "-f", "{{.ServerVersion}} {{len .Runtimes}}").out == "9 1\n"
    assert say("system", "info", "--format", "json").out.startswith('{"Containers":3,')


def test_a_reader_that_went_away_ends_the_command_quietly(fake: FakeEngine, say: Say) -> None:
    fake.on(
        "GET /containers/json", as_json([{"Id": f"{n:064}", "Labels": {}} for n in range(5000)])
    )
    command = [sys.executable, "-m", "orchestrator.cli", "ps", "-q"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as listing:
        assert listing.stdout is not None
        assert listing.stderr is not None
        listing.stdout.close()
        assert listing.stderr.read() == b""
        assert listing.wait(timeout=10) == 141


def test_the_engine_is_not_started_to_be_asked_whether_it_runs(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["engine", "status"]) == 1
    assert capsys.readouterr().out == "not running\n"
    assert main(["engine", "stop"]) == 0
    assert not (place.parent / "run").exists()


def test_units_start_the_engine_with_this_interpreter(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["engine", "units", "--install", str(place)]) == 0
    service = (place / "pystack.service").read_text()
    assert f"ExecStart={sys.executable} -m orchestrator.daemon" in service
    assert "KillMode=process" in service
    assert "Delegate=yes" in service
    assert "ListenStream=/run/pystack/pystack.sock" in (place / "pystack.socket").read_text()


def test_the_engines_log_is_shown_as_words(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = place.parent / "data" / "engine.log"
    log.parent.mkdir()
    record = {"timestamp": "2024-01-01T00:00:00Z", "level": "info", "event": "ready", "pid": 5}
    log.write_text(json.dumps(record) + "\nnot json\n")
    assert main(["engine", "logs"]) == 0
    assert capsys.readouterr().out == "2024-01-01T00:00:00Z info    ready pid=5\nnot json\n"


def test_a_bug_is_told_without_a_traceback_unless_asked_for(
    fake: FakeEngine, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.on("GET /containers/json", as_json([{"Id": ID, "Created": "never"}]))
    said = say("ps")
    assert said.code == 1
    assert "bug" in said.err
    assert "Traceback" not in said.err
    monkeypatch.setenv("PYSTACK_DEBUG", "1")
    assert "Traceback" in say("ps").err


def test_a_light_command_imports_nothing_heavy() -> None:
    code = (
        "import sys; from orchestrator.cli import main, commands;"
        "[commands.load(commands.DOCKER[n]) for n in ('ps', 'version', 'run')];"
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    loaded = set(done.stdout.split())
    heavy = {"asyncio", "http.client", "yaml", "msgspec", "subprocess", "email"}
    assert loaded & heavy == set()
    assert not {name for name in loaded if name.startswith("orchestrator.compose")}

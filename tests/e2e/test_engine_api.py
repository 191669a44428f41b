"""The engine's API as bytes on its socket: versions, headers, errors, secrets, who may connect."""

from __future__ import annotations

import contextlib
import grp
import json
import os
import socket
import ssl
import stat
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.client.frames import Frames
from tests.support.engine import EngineUnderTest, Result
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("hub")
Pystack = Callable[..., Result]


def ask(engine: EngineUnderTest, head: str, body: bytes = b"") -> bytes:
    """Everything that the engine answers to these bytes until it closes the connection."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(15)
        connection.connect(str(engine.socket))
        connection.sendall(head.encode() + b"\r\nHost: engine\r\nConnection: close\r\n\r\n" + body)
        answer = b""
        while data := connection.recv(1 << 16):
            answer += data
        return answer


def test_ping_tells_clients_how_to_go_on(engine: EngineUnderTest) -> None:
    for head in ("GET /_ping HTTP/1.1", "GET /v1.24/_ping HTTP/1.1", "GET /v1.45/_ping HTTP/1.1"):
        lines, _, body = ask(engine, head).partition(b"\r\n\r\n")
        assert body == b"OK"
        for line in (
            b"HTTP/1.1 200 OK", b"Api-Version: 1.45", b"Docker-Experimental: false",
            b"Ostype: linux", b"Builder-Version: 1", b"Swarm: inactive", b"Content-Length: 2",
        ):  # fmt: skip
            assert line in lines.split(b"\r\n")
        assert b"Server: pystack/" in lines
    lines, _, body = ask(engine, "HEAD /_ping HTTP/1.1").partition(b"\r\n\r\n")
    assert body == b""
    assert {b"Api-Version: 1.45", b"Content-Length: 0"} <= set(lines.split(b"\r\n"))


def test_versions_outside_of_those_served_are_refused_in_dockers_words(
    engine: EngineUnderTest,
) -> None:
    def refused(version: str) -> str:
        status, body = engine.request("GET", f"/{version}/info")
        assert status == 400
        return str(body["message"])

    assert refused("v1.46") == (
        "client version 1.46 is too new. Maximum supported API version is 1.45"
    )
    assert refused("v1.23") == (
        "client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade"
        " your client to a newer version"
    )
    assert "invalid API version" in refused("v1.2.3")
    for method, path in (("GET", "/nothing"), ("PUT", "/info"), ("GET", "/v1.45/nothing")):
        assert engine.request(method, path)[0] == 404
        assert engine.request(method, path)[1]["message"] == "page not found"


def test_what_is_not_done_here_says_so(engine: EngineUnderTest) -> None:
    for path in ("/session", "/grpc", "/plugins/pull", "/swarm/init"):
        status, body = engine.request("POST", path)
        assert status == 501, path
        assert body["message"]
        assert body["hint"]
    assert engine.request("GET", "/plugins") == (200, [])
    status, body = engine.request("GET", "/services")
    assert status == 503
    assert body["message"].startswith("This node is not a swarm manager. Use ")


def test_a_body_that_is_too_large_is_refused(engine: EngineUnderTest) -> None:
    answer = ask(
        engine, f"POST /containers/create HTTP/1.1\r\nContent-Length: {17 << 20}", b" " * (17 << 20)
    )
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["message"]


def test_secrets_and_configs_are_kept_and_given_to_stacks(
    engine: EngineUnderTest, pystack: Pystack, project: Path
) -> None:
    made = pystack("secret", "create", "-l", "a=b", "word", stdin="sesame").stdout.strip()
    (project / "content").write_text("port = 80\n")
    pystack("config", "create", "file", str(project / "content"))
    assert pystack("secret", "ls", "-q", "--filter", "label=a=b").stdout.strip() == made
    listed = pystack("config", "ls").stdout.splitlines()
    assert listed[0].split() == ["ID", "NAME", "CREATED", "UPDATED"]
    assert listed[1].split()[1] == "file"
    shown = json.loads(pystack("secret", "inspect", "word").stdout)[0]
    assert shown["ID"] == made
    assert "sesame" not in json.dumps(shown)
    assert shown["Spec"] == {"Name": "word", "Labels": {"a": "b"}}
    again = engine.run("secret", "create", "word", stdin="other")
    assert again.exit_code == 1
    assert "there is a secret word already" in again.stderr
    (project / "stack.yml").write_text(
        "services:\n  web:\n    image: busybox\n    secrets: [word]\n    configs: [file]\n"
        "    command: sh -c 'cat /run/secrets/word /file; exec sleep 1000'\n    init: true\n"
        "secrets: {word: {external: true}}\nconfigs: {file: {external: true}}\n"
    )
    pystack("up", "-d", cwd=project)
    wait_until(
        lambda: "sesameport = 80" in pystack("logs", "--no-log-prefix", "web", cwd=project).stdout,
        "the contents are in the container",
    )
    assert engine.request("DELETE", "/secrets/word")[0] == 409
    assert engine.run("config", "rm", "file").exit_code == 1
    pystack("down", "-t", "0", cwd=project)
    assert pystack("secret", "rm", "word").stdout == "word\n"
    pystack("config", "rm", "file")
    assert pystack("secret", "ls", "-q").stdout == pystack("config", "ls", "-q").stdout == ""
    assert "busybox" in pystack("config", cwd=project).stdout  # the stack's own command


def test_labels_of_a_secret_change_from_the_version_that_was_seen(engine: EngineUnderTest) -> None:
    made = engine.request("POST", "/secrets/create", {"Name": "word", "Data": "c2VzYW1l"})[1]["ID"]
    path = f"/secrets/{made}/update"
    wish = {"Name": "word", "Labels": {"a": "b"}}
    assert engine.request("POST", f"{path}?version=7", wish)[0] == 409
    assert engine.request("POST", f"{path}?version=x", wish)[0] == 400
    assert engine.request("POST", f"{path}?version=1", wish | {"Data": "b3RoZXI="})[0] == 400
    assert engine.request("POST", f"{path}?version=1", wish)[0] == 200
    shown = engine.request("GET", f"/secrets/{made[:12]}")[1]
    assert (shown["Version"], shown["Spec"]["Labels"]) == ({"Index": 2}, {"a": "b"})
    assert shown["UpdatedAt"] > shown["CreatedAt"]


# -- who may connect


def settle(place: EngineUnderTest, *lines: str) -> None:
    path = place.directory / "settings.toml"
    path.write_text("\n".join([*lines, path.read_text()]))


def test_the_socket_is_its_owners_alone_or_a_groups_too(place: EngineUnderTest) -> None:
    place.start()
    assert stat.S_IMODE(place.socket.stat().st_mode) == 0o600
    place.stop()
    group = grp.getgrgid(os.getgid() + 1)
    settle(place, f'socket_group = "{group.gr_name}"')
    place.start()
    found = place.socket.stat()
    assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o660, group.gr_gid)
    place.stop()
    text = (place.directory / "settings.toml").read_text()
    (place.directory / "settings.toml").write_text(text.replace(group.gr_name, "no-such-group"))
    with pytest.raises(RuntimeError, match="there is no group no-such-group"):
        place.start()


def certificates(directory: Path) -> None:
    """An authority, and what it signs: the engine's certificate for localhost, and a client's."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=directory, check=True, capture_output=True)

    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl(*new, "-days", "2", "-subj", "/CN=authority", "-keyout", "ca-key.pem", "-out", "ca.pem")
    for name in ("server", "client"):
        openssl(
            *new, "-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost",
            "-addext", "basicConstraints=CA:FALSE", "-CA", "ca.pem", "-CAkey", "ca-key.pem",
            "-keyout", f"{name}-key.pem", "-out", f"{name}.pem",
        )  # fmt: skip


def test_tcp_is_for_those_whose_certificate_was_signed(
    place: EngineUnderTest, tmp_path: Path
) -> None:
    certificates(tmp_path)
    settle(
        place,
        'tls_listen = "127.0.0.1:2376"',
        *(f'tls_{key} = "{tmp_path}/{name}.pem"' for key, name in
          (("ca", "ca"), ("cert", "server"), ("key", "server-key"))),
    )  # fmt: skip
    place.start()

    def connected(context: ssl.SSLContext) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", 2376), timeout=15)
        return context.wrap_socket(plain, server_hostname="localhost")

    def asked(context: ssl.SSLContext, head: str) -> bytes:
        with connected(context) as connection:
            connection.sendall(head.encode() + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = b""
            while data := connection.recv(1 << 16):
                answer += data
            return answer

    nobody = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        assert asked(nobody, "GET /_ping") == b""
    known = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    known.load_cert_chain(tmp_path / "client.pem", tmp_path / "client-key.pem")
    assert asked(known, "GET /_ping").endswith(b"OK")
    # The end of a client's half arrives, and what the container says then still comes back.
    place.cli("create", "-i", "--name", "cat", "busybox", "sh", "-c", "cat; echo end")
    with connected(known) as connection:
        connection.sendall(
            b"POST /containers/cat/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: x\r\n"
            b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
        )
        said = b""
        while b"\r\n\r\n" not in said:
            said += connection.recv(1 << 16)
        assert said.startswith(b"HTTP/1.1 101 ")
        place.cli("start", "cat")
        connection.sendall(b"typed\n")
        socket.socket.shutdown(connection, socket.SHUT_WR)
        while data := connection.recv(1 << 16):
            said += data
    output = Frames().feed(said.partition(b"\r\n\r\n")[2])
    assert b"".join(content for _, content in output) == b"typed\nend\n"
    place.cli("rm", "-f", "cat")
    with socket.create_connection(("127.0.0.1", 2376)) as plain:
        plain.sendall(b"GET /info HTTP/1.1\r\nHost: x\r\n\r\n")
        plain.settimeout(15)
        assert b"200" not in plain.recv(100)


def resident_bytes(pid: int) -> int:
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def test_two_hundred_clients_at_once_are_served_and_leave_nothing(engine: EngineUnderTest) -> None:
    engine.cli("run", "-d", "--name", "busy", "--init", "busybox", "sh", "-c",
               "while true; do echo line; sleep 0.2; done")  # fmt: skip
    paths = (
        "/containers/json",
        "/containers/busy/logs?stdout=1&follow=1",
        "/containers/busy/stats",
        "/containers/busy/json",
    )

    def open_all() -> list[str]:
        errors: list[str] = []

        def one(number: int) -> None:
            path = paths[number % len(paths)]
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(30)
                try:
                    connection.connect(str(engine.socket))
                    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                    said = b""
                    # A stream's first piece is enough; then its client vanishes.
                    while said.count(b"\r\n\r\n") < 1 or said.endswith(b"\r\n\r\n"):
                        said += connection.recv(1 << 16)
                    if not said.startswith(b"HTTP/1.1 200 "):
                        errors.append(f"{path}: {said[:200]!r}")
                except OSError as error:
                    errors.append(f"{path}: {error!r}")

        threads = [threading.Thread(target=one, args=(n,)) for n in range(200)]
        for thread in threads:
            thread.start()
        for _ in range(5):
            made = engine.request("POST", "/containers/busy/exec", {"Cmd": ["true"]})[1]
            start = f"/exec/{made['Id']}/start"
            if engine.request("POST", start, {"Detach": True})[0] != 200:
                errors.append(start)
        for thread in threads:
            thread.join()
        return errors

    def tasks() -> tuple[int, int]:
        info = engine.request("GET", "/info")[1]
        return info["NGoroutines"], info["NFd"]

    before = tasks()
    assert open_all() == []
    after_first = resident_bytes(engine.pid)
    assert open_all() == []
    wait_until(
        lambda: tasks()[0] <= before[0] + 2 and tasks()[1] <= before[1] + 2,
        f"the clients' tasks and files are gone: {before}, then {tasks()}",
        within_s=20,
    )
    assert resident_bytes(engine.pid) < after_first + (16 << 20)
    began = time.monotonic()
    assert engine.request("GET", "/_ping")[0] == 200
    assert time.monotonic() - began < 1
    engine.cli("rm", "-f", "busy")

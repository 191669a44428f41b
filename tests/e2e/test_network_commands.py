"""`pystack network …` and the ports of running containers, as a user types them."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine import EngineUnderTest
from tests.support.netns import command
from tests.support.networks import answer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("hub")


@pytest.fixture(autouse=True)
def cleared(engine: EngineUnderTest) -> Iterator[None]:
    """No container is left after the test."""
    yield
    if names := engine.run("ps", "-aq").stdout.split():
        engine.cli("rm", "-f", *names)


def inspect(engine: EngineUnderTest, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(engine.cli("network", "inspect", name).stdout)[0]
    return found


def test_a_networks_life_at_the_command_line(engine: EngineUnderTest) -> None:
    made = engine.cli(
        "network", "create", "--subnet", "10.9.0.0/16", "--ip-range", "10.9.5.0/24",
        "--gateway", "10.9.0.254", "--aux-address", "printer=10.9.5.0", "--ipv6",
        "--label", "tier=back", "-o", "com.docker.network.driver.mtu=1400", "back",
    ).stdout.strip()  # fmt: skip
    assert len(made) == 64
    lines = engine.cli("network", "ls").stdout.splitlines()
    assert lines[0].split() == ["NETWORK", "ID", "NAME", "DRIVER", "SCOPE"]
    rows = [line.split()[1:] for line in lines[1:]]
    assert rows == [
        ["back", "bridge", "local"],
        ["bridge", "bridge", "local"],
        ["host", "host", "local"],
        ["none", "null", "local"],
    ]
    assert engine.cli("network", "ls", "-q", "--no-trunc", "-f", "label=tier").stdout == f"{made}\n"
    listed = engine.cli("network", "ls", "--filter", "type=builtin", "--format", "{{.Name}}").stdout
    assert listed.split() == ["bridge", "host", "none"]

    engine.cli("run", "-d", "--name", "web", "--network", "back", "busybox", "sleep", "1000")
    shown = inspect(engine, made[:6])
    assert shown["Name"] == "back"
    assert shown["IPAM"]["Config"][0] == {
        "Subnet": "10.9.0.0/16",
        "IPRange": "10.9.5.0/24",
        "Gateway": "10.9.0.254",
        "AuxiliaryAddresses": {"printer": "10.9.5.0"},
    }
    assert shown["EnableIPv6"]
    [there] = shown["Containers"].values()
    assert (there["Name"], there["IPv4Address"]) == ("web", "10.9.5.1/16")
    assert there["IPv6Address"].endswith("/64")
    form = "{{range .Containers}}{{.Name}}{{end}}"
    assert engine.cli("network", "inspect", "-f", form, "back").stdout == "web\n"

    used = engine.run("network", "rm", "back")
    assert used.exit_code == 1
    assert "network back is in use by web" in used.stderr
    engine.cli("rm", "-f", "web")
    assert engine.cli("network", "rm", "back").stdout == "back\n"


def test_errors_of_network_commands_are_dockers(engine: EngineUnderTest) -> None:
    engine.cli("network", "create", "one")
    again = engine.run("network", "create", "one")
    assert (again.exit_code, again.stdout) == (1, "")
    assert "network with name one already exists" in again.stderr
    for argv, words in (
        (["inspect", "nowhere"], "network nowhere not found"),
        (["rm", "nowhere"], "network nowhere not found"),
        (["rm", "bridge"], "bridge is a pre-defined network and cannot be removed"),
        (["create", "host"], "operation is not permitted on predefined host network"),
        (["create", "-d", "overlay", "x"], "overlay"),
        (["create", "--subnet", "10.1.0.0/16", "--gateway", "10.2.0.1", "x"], "no matching subnet"),
        (["create", "--subnet", "10.1.0.0/33", "x"], "10.1.0.0/33"),
        (["connect", "nowhere", "x"], "network nowhere not found"),
        (["connect", "one", "x"], "No such container: x"),
    ):
        said = engine.run("network", *argv)
        assert said.exit_code == 1, said.output
        assert words in said.stderr.lower() or words in said.stderr, said.output
    assert engine.run("network", "inspect", "nowhere").stdout == "[]\n"
    assert engine.run("network", "rm", "-f", "nowhere").exit_code == 0


def test_unused_networks_are_pruned_after_a_question(engine: EngineUnderTest) -> None:
    for name in ("used", "idle", "kept"):
        engine.cli("network", "create", "--label", f"name={name}", name)
    engine.cli("create", "--name", "web", "--network", "used", "busybox", "true")
    asked = engine.run("network", "prune")
    assert "WARNING! This will remove all custom networks not used" in asked.stdout
    assert "idle" in engine.cli("network", "ls").stdout
    pruned = engine.cli("network", "prune", "-f", "--filter", "label!=name=kept").stdout
    assert pruned == "Deleted Networks:\nidle\n\n"
    assert engine.cli("network", "ls", "-f", "type=custom", "--format", "{{.Name}}").stdout == (
        "kept\nused\n"
    )


def test_a_running_container_is_connected_and_taken_off(engine: EngineUnderTest) -> None:
    engine.cli("network", "create", "--subnet", "10.9.0.0/24", "one")
    engine.cli("run", "-d", "--name", "db", "--network", "one", "busybox", "sleep", "1000")
    engine.cli("run", "-d", "--name", "web", "busybox", "sleep", "1000")
    engine.cli("network", "connect", "--ip", "10.9.0.50", "--alias", "www",
               "--link", "db:database", "--gw-priority", "1", "one", "web")  # fmt: skip
    inside = engine.cli("exec", "web", "ip", "route").stdout
    assert "default via 10.9.0.1" in inside
    assert "10.9.0.50" in engine.cli("exec", "db", "nslookup", "www").stdout
    assert "10.9.0.2" in engine.cli("exec", "web", "nslookup", "database").stdout
    assert set(engine.inspect("web")["NetworkSettings"]["Networks"]) == {"bridge", "one"}
    twice = engine.run("network", "connect", "one", "web")
    assert twice.exit_code == 1
    engine.cli("network", "disconnect", "one", "web")
    assert set(engine.inspect("web")["NetworkSettings"]["Networks"]) == {"bridge"}
    assert engine.run("network", "disconnect", "one", "web").exit_code == 1
    assert engine.run("network", "disconnect", "-f", "one", "web").exit_code == 0
    engine.cli("stop", "-t", "0", "web")
    engine.cli("network", "connect", "one", "web")
    engine.cli("start", "web")
    assert "eth1" in engine.cli("exec", "web", "ip", "-o", "link").stdout


def serve(engine: EngineUnderTest, name: str, *options: str) -> None:
    script = f"while true; do echo {name} | nc -l -p 80; done"
    engine.cli("run", "-d", "--name", name, *options, "busybox", "sh", "-c", script)


def becomes(port: int, expected: str) -> None:
    wait_until(lambda: answer("127.0.0.1", port).strip() == expected, f"{port} says {expected!r}")


def test_ports_of_a_running_container_come_and_go(engine: EngineUnderTest) -> None:
    serve(engine, "web")
    assert engine.cli("container", "publish", "web", "8080:80").stdout == (
        "80/tcp -> 0.0.0.0:8080\n"
    )
    becomes(8080, "web")
    shown = engine.inspect("web")["NetworkSettings"]["Ports"]
    assert shown["80/tcp"][0]["HostPort"] == "8080"
    with socket.create_server(("127.0.0.1", 8081)):
        taken = engine.run("container", "publish", "web", "8081:80")
        assert taken.exit_code == 1
        assert "the host port *:8081/tcp is in use by process" in taken.stderr
    engine.cli("container", "unpublish", "web", "80")
    assert answer("127.0.0.1", 8080) == ""
    engine.cli("container", "publish", "web", "8082:80")
    engine.cli("restart", "-t", "0", "web")
    becomes(8082, "web")


def test_containers_of_one_group_share_a_port_and_one_is_drained(engine: EngineUnderTest) -> None:
    group = ("-p", "8080:80", "--label", "pystack.port-group=web")
    serve(engine, "ann", *group)
    serve(engine, "bob", *group)
    alone = engine.run("run", "-d", "--name", "eve", "-p", "8080:80", "busybox", "true")
    assert alone.exit_code == 125
    assert "in use by container" in alone.stderr
    engine.cli("container", "drain", "ann")
    for _ in range(3):
        becomes(8080, "bob")
    engine.kill9()
    becomes(8080, "bob")
    engine.start()
    becomes(8080, "bob")
    engine.cli("container", "drain", "--undo", "ann")
    wait_until(lambda: answer("127.0.0.1", 8080).strip() == "ann", "ann is back")
    assert engine.cli("container", "weight", "bob", "0").stdout == "bob\n"
    for _ in range(3):
        becomes(8080, "ann")


def test_replicas_of_a_service_publish_one_port(engine: EngineUnderTest, project: Any) -> None:
    script = "while true; do hostname | nc -l -p 80; done"
    (project / "stack.yml").write_text(
        "services:\n  web:\n    image: busybox\n    scale: 3\n    stop_signal: KILL\n"
        f"    command: [sh, -c, '{script}']\n    ports: ['8080:80']\n"
    )
    engine.cli("up", "-d", cwd=project)
    found = set()

    def all_answered() -> bool:
        found.add(answer("127.0.0.1", 8080))
        return len(found - {""}) == 3

    wait_until(all_answered, "three replicas answer")
    engine.cli("down", cwd=project)


def test_a_firewall_in_the_way_is_told_by_info(engine: EngineUnderTest) -> None:
    command("nft", "add table ip filter; add chain ip filter FORWARD "
            "{ type filter hook forward priority 0; policy drop; }")  # fmt: skip
    try:
        said = engine.run("info")
        assert "the firewall chain ip filter FORWARD drops what it does not know" in said.output
    finally:
        command("nft", "delete", "table", "ip", "filter")


@pytest.mark.skipif(not shutil.which("docker"), reason="Docker's client is not installed")
def test_dockers_own_client_manages_networks(engine: EngineUnderTest) -> None:
    docker = partial(command, "docker", "--host", f"unix://{engine.socket}")
    made = docker(
        "network", "create", "--subnet", "10.9.0.0/16", "--ip-range", "10.9.5.0/24", "--ipv6",
        "--label", "a=b", "net",
    ).strip()  # fmt: skip
    assert made == engine.cli("network", "ls", "-q", "--no-trunc", "-f", "name=net").stdout.strip()
    ours = ["network", "ls", "--format", "{{.ID}} {{.Name}} {{.Driver}} {{.IPv6}} {{.Labels}}"]
    assert docker(*ours) == engine.cli(*ours).stdout
    assert docker("network", "ls") == engine.cli("network", "ls").stdout
    docker("run", "-d", "--name", "web", "--network", "net", "--ip", "10.9.7.7", "-p", "8080:80",
           "busybox", "sleep", "1000")  # fmt: skip
    assert json.loads(docker("network", "inspect", "net")) == [inspect(engine, "net")]
    docker("network", "create", "other")
    docker("network", "connect", "--alias", "www", "other", "web")
    networks = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}"
    assert docker("inspect", "-f", networks, "web").split() == ["net", "other"]
    docker("network", "disconnect", "other", "web")
    assert docker("network", "prune", "-f") == "Deleted Networks:\nother\n\n"
    assert docker("port", "web") == "80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080\n"


STACK = """
services:
  web:
    image: busybox
    stop_signal: KILL
    command: [sleep, "1000"]
    scale: 2
    ports: ["8080-8081:80", "127.0.0.1:9000:80"]
    networks:
      front: {gw_priority: 1}
      back: {}
  db:
    image: busybox
    stop_signal: KILL
    command: [sleep, "1000"]
    networks:
      back:
        ipv4_address: 10.7.0.50
        ipv6_address: "fd00:7::50"
        mac_address: "02:42:00:00:00:09"
        interface_name: lan0
networks:
  front: {}
  back:
    enable_ipv6: true
    driver_opts: {com.docker.network.driver.mtu: "1400"}
    ipam:
      config:
        - {subnet: 10.7.0.0/24, gateway: 10.7.0.254, aux_addresses: {printer: 10.7.0.1}}
        - {subnet: "fd00:7::/64"}
"""


def test_the_networks_of_a_stack_are_as_its_file_says(
    engine: EngineUnderTest, project: Path
) -> None:
    (project / "stack.yml").write_text(STACK)
    engine.cli("up", "-d", cwd=project)
    inside = engine.cli("exec", "demo-db-1", "ip", "address", "show", "lan0").stdout
    for part in ("mtu 1400", "02:42:00:00:00:09", "10.7.0.50/24", "fd00:7::50/64"):
        assert part in inside
    routes = engine.cli("exec", "demo-db-1", "ip", "-6", "route").stdout
    assert "default via fd00:7::1 dev lan0" in routes
    assert "default via 10.210.0.1" in engine.cli("exec", "demo-web-1", "ip", "route").stdout
    found = engine.cli("exec", "demo-db-1", "nslookup", "web").stdout
    assert {"10.7.0.2", "10.7.0.3", "fd00:7::2", "fd00:7::3"} <= set(found.split())
    assert inspect(engine, "demo_back")["IPAM"]["Config"][0]["Gateway"] == "10.7.0.254"
    ports = {
        (p["HostIp"], p["HostPort"]): sorted(c["Name"] for c in p["Containers"])
        for p in engine.request("GET", "/pystack/v1/ports")[1]
    }
    assert ports["127.0.0.1", 9000] == ["demo-web-1", "demo-web-2"]
    assert sorted(names for (_, port), names in ports.items() if port in (8080, 8081)) == [
        ["demo-web-1"], ["demo-web-1"], ["demo-web-2"], ["demo-web-2"],
    ]  # fmt: skip
    assert "up to date" in engine.cli("up", "-d", cwd=project).output
    engine.cli("down", cwd=project)
    assert engine.cli("network", "list", "-f", "type=custom", "-q").stdout == ""


def test_a_port_in_use_is_found_before_anything_of_a_stack_is_made(
    engine: EngineUnderTest, project: Path
) -> None:
    service = "{image: busybox, command: [sleep, '1000'], stop_signal: KILL, ports: ['8080:80']}"
    file = project / "stack.yml"
    file.write_text(f"services:\n  db: {{image: busybox}}\n  web: {service}\n")
    with socket.create_server(("0.0.0.0", 8080)):
        said = engine.run("up", "-d", cwd=project)
        assert said.exit_code == 1
        assert "the host port *:8080/tcp is in use by process" in said.stderr
        assert engine.containers() == []
        assert engine.cli("network", "ls", "-q", "-f", "type=custom").stdout == ""
    file.write_text(f"services:\n  web: {service}\n  www: {service}\n")
    twice = engine.run("up", "-d", cwd=project)
    assert twice.exit_code == 1
    assert "demo-web-1 and demo-www-1 both publish the host port *:8080/tcp" in twice.stderr
    file.write_text(f"services:\n  web: {service}\n")
    engine.cli("up", "-d", cwd=project)
    assert "up to date" in engine.cli("up", "-d", cwd=project).output
    engine.cli("down", cwd=project)

"""The API about containers and volumes, as Docker's clients call it: statuses and bodies."""

from __future__ import annotations

import json
import socket
from urllib.parse import quote

import pytest

from tests.support.engine import EngineUnderTest

pytestmark = pytest.mark.usefixtures("hub")


def filtered(path: str, **filters: object) -> str:
    return f"{path}?filters={quote(json.dumps(filters))}"


def test_requests_about_containers_have_dockers_statuses(engine: EngineUnderTest) -> None:
    engine.cli("run", "-d", "--name", "up", "busybox", "sleep", "1000")
    engine.cli("create", "--name", "made", "busybox", "true")
    statuses = {
        ("GET", "/containers/json?limit=x"): 400,
        ("GET", filtered("/containers/json", nonsense=["1"])): 400,
        ("GET", "/containers/json?filters=nonsense"): 400,
        ("GET", filtered("/containers/json", before=["nobody"])): 404,
        ("GET", "/containers/nobody/stats?stream=0"): 404,
        ("GET", "/containers/made/top"): 409,
        ("GET", "/containers/up/top?ps_args=-o%20nonsense"): 400,
        ("POST", "/containers/made/pause"): 409,
        ("POST", "/containers/up/unpause"): 409,
        ("POST", "/containers/nobody/pause"): 404,
        ("POST", "/containers/up/rename?name=made"): 409,
        ("POST", "/containers/up/rename?name=a%20b"): 400,
        ("POST", "/containers/up/rename"): 400,
        ("POST", "/containers/made/kill"): 409,
        ("POST", "/containers/up/kill?signal=NOPE"): 400,
        ("POST", "/containers/up/stop?t=x"): 400,
        ("POST", "/containers/up/wait?condition=never"): 400,
        ("POST", "/containers/made/stop"): 304,
        ("POST", "/containers/up/start"): 304,
        ("DELETE", "/containers/up"): 409,
        ("POST", filtered("/containers/prune", nonsense=["1"])): 400,
        ("POST", "/v1.30/containers/up/pause"): 204,
        ("POST", "/v1.30/containers/up/unpause"): 204,
    }
    found = {asked: engine.request(*asked)[0] for asked in statuses}
    assert found == statuses
    for body, status in (
        ({"Memory": 1}, 400),
        ({"Memory": "x"}, 400),
        ({"RestartPolicy": {"Name": "sometimes"}}, 400),
        ({"RestartPolicy": {"Name": "always", "MaximumRetryCount": 3}}, 400),
        ({"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}}, 200),
    ):
        answer = engine.request("POST", "/containers/made/update", body)
        assert answer[0] == status, (body, answer)
    assert answer[1] == {"Warnings": []}
    status, pruned = engine.request("POST", "/containers/prune")
    assert status == 200
    assert (len(pruned["ContainersDeleted"]), pruned["SpaceReclaimed"]) == (1, 0)
    assert engine.request("POST", "/containers/prune")[1]["ContainersDeleted"] is None
    engine.cli("rm", "-f", "up")


def test_requests_about_volumes_have_dockers_statuses(engine: EngineUnderTest) -> None:
    def made(name: str) -> None:
        assert engine.request("POST", "/volumes/create", {"Name": name})[0] == 201

    made("data")
    assert engine.request("POST", "/volumes/create", {"Name": "a/b"})[0] == 400
    assert engine.request("POST", "/volumes/create", {"Name": "xy", "Driver": "nfs"})[0] == 400
    assert engine.request("GET", "/volumes/nobody")[0] == 404
    assert engine.request("PUT", "/volumes/data?version=1", {"Spec": {}})[0] == 404
    assert engine.request("DELETE", "/volumes/nobody")[0] == 404
    assert engine.request("DELETE", "/volumes/nobody?force=1")[0] == 204
    assert engine.request("GET", filtered("/volumes", dangling=["perhaps"]))[0] == 400
    # Which volumes go by default is a matter of the API's version.
    _, spared = engine.request("POST", "/v1.42/volumes/prune")
    assert spared == {"VolumesDeleted": [], "SpaceReclaimed": 0}
    _, pruned = engine.request("POST", "/v1.41/volumes/prune")
    assert pruned == {"VolumesDeleted": ["data"], "SpaceReclaimed": 0}
    made("more")
    _, pruned = engine.request("POST", filtered("/volumes/prune", all=["1"]))
    assert pruned["VolumesDeleted"] == ["more"]


def test_ping_tells_what_clients_negotiate_by(engine: EngineUnderTest) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(engine.socket))
        connection.sendall(b"HEAD /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        said = b"".join(iter(lambda: connection.recv(4096), b"")).decode()
    assert said.startswith("HTTP/1.1 200")
    for header in (
        "Api-Version: 1.45", "Ostype: linux", "Docker-Experimental: false", "Builder-Version: 1",
    ):  # fmt: skip
        assert header in said

"""The example that the README shows, from `up` to `down -v`, on real parts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.support import remains
from tests.support.engine import EngineUnderTest
from tests.support.isolation import Isolation
from tests.support.registry import Registry
from tests.support.web import get

STACK = Path(__file__).resolve().parents[2] / "examples/compose/quickstart/stack.yml"


def test_the_quickstart_runs_counts_visits_and_goes(
    place: EngineUnderTest, debian_hub: Registry, isolation: Isolation
) -> None:
    def stack(*args: str, timeout_s: float = 60) -> str:
        return place.cli("-f", str(STACK), *args, timeout_s=timeout_s).output

    assert place.pid == 0, "up starts the engine itself"
    stack("up", "-d", "--wait", timeout_s=280)
    first = place.containers()
    assert {c["State"] for c in first} == {"running"}
    url = f"http://127.0.0.1:{published_port(first)}/"
    count = visits(url)
    assert [visits(url), visits(url)] == [count + 1, count + 2]

    again = stack("up", "-d", "--wait")
    assert re.search("nothing to do|up to date|unchanged|nothing changed", again, re.IGNORECASE)
    assert identities(place.containers()) == identities(first)

    listed = stack("ps")
    for container in first:
        assert container["Names"][0].lstrip("/") in listed
    assert "healthy" in listed
    assert "Ready to accept connections" in stack("logs")

    stack("down")
    assert remains.of(place, isolation) == []
    assert volumes(place), "down keeps the volumes"

    stack("up", "-d", "--wait")
    url = f"http://127.0.0.1:{published_port(place.containers())}/"
    assert visits(url) == count + 3, "the count outlived the containers"

    stack("down", "-v")
    assert remains.of(place, isolation) == []
    assert volumes(place) == []


def published_port(containers: list[dict[str, Any]]) -> int:
    ports = {p["PublicPort"] for c in containers for p in c["Ports"] if p.get("PublicPort")}
    assert len(ports) == 1, containers
    return int(ports.pop())


def visits(url: str) -> int:
    numbers = re.findall(r"\d+", get(url))
    assert numbers, "the page says how often it was visited"
    return int(numbers[-1])


def identities(containers: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(c["Id"], c["Names"][0]) for c in containers}


def volumes(engine: EngineUnderTest) -> list[str]:
    answer = engine.request("GET", "/volumes")[1]
    return [v["Name"] for v in answer["Volumes"] or []]

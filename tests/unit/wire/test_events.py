"""Which events a watcher asked for."""

from __future__ import annotations

import json

import pytest

from orchestrator.model.events import Event, EventType
from orchestrator.wire.events import FILTERS, event_message, wanted
from orchestrator.wire.filters import Filters


def event(kind: EventType, action: str, identifier: str, **attributes: str) -> Event:
    return Event(type=kind, action=action, id=identifier, time=1.5, attributes=attributes)


DIE = event("container", "die", "abcdef", name="web", image="docker.io/library/busybox:1", tier="x")
HEALTH = event("container", "health_status: healthy", "abcdef", name="web", image="busybox")
CONNECT = event("network", "connect", "0123", name="lan", container="abcdef")
PULL = event("image", "pull", "sha256:9", name="busybox:1")
MOUNT = event("volume", "mount", "data", driver="local", container="abcdef")


@pytest.mark.parametrize(
    ("filters", "passing"),
    [
        ({}, [DIE, HEALTH, CONNECT, PULL, MOUNT]),
        ({"type": ["container"]}, [DIE, HEALTH]),
        ({"type": ["network", "volume"]}, [CONNECT, MOUNT]),
        ({"event": ["die"]}, [DIE]),
        ({"event": ["health_status"]}, [HEALTH]),
        ({"event": ["health_status: healthy"]}, [HEALTH]),
        ({"event": ["health_status: unhealthy"]}, []),
        ({"container": ["web"]}, [DIE, HEALTH]),
        ({"container": ["abc"]}, [DIE, HEALTH, CONNECT, MOUNT]),
        ({"container": ["other"]}, []),
        ({"network": ["lan"]}, [CONNECT]),
        ({"network": ["01"]}, [CONNECT]),
        ({"volume": ["data"]}, [MOUNT]),
        ({"image": ["busybox:1"]}, [DIE, PULL]),
        ({"image": ["busybox"]}, [DIE, HEALTH, PULL]),
        ({"image": ["sha256:9"]}, [PULL]),
        ({"label": ["tier=x"]}, [DIE]),
        ({"label": ["tier"], "event": ["start"]}, []),
        ({"scope": ["local"]}, [DIE, HEALTH, CONNECT, PULL, MOUNT]),
        ({"scope": ["swarm"]}, []),
        ({"daemon": ["d"]}, []),
    ],
)
def test_an_event_passes_when_every_filter_lets_it(
    filters: dict[str, list[str]], passing: list[Event]
) -> None:
    asked = Filters.parse(json.dumps(filters), FILTERS)
    every = [DIE, HEALTH, CONNECT, PULL, MOUNT]
    assert [each for each in every if wanted(each, asked)] == passing


def test_a_container_s_event_has_the_old_members_too() -> None:
    assert event_message(DIE) == {
        "status": "die",
        "id": "abcdef",
        "from": "docker.io/library/busybox:1",
        "Type": "container",
        "Action": "die",
        "Actor": {"ID": "abcdef", "Attributes": dict(DIE.attributes)},
        "scope": "local",
        "time": 1,
        "timeNano": 1_500_000_000,
    }
    assert "status" not in event_message(CONNECT)

"""Which networks a list shows, and which a prune removes."""

from __future__ import annotations

import json

import pytest

from orchestrator.api.docker import network_filters
from orchestrator.errors import InvalidInput
from orchestrator.model.observed import Network
from orchestrator.wire.filters import Filters


def network(name: str, driver: str = "bridge", **labels: str) -> Network:
    return Network(id=f"{name}-id", name=name, driver=driver, created_at=100.0, labels=labels)


NETWORKS = [
    network("bridge"),
    network("host", "host"),
    network("none", "null"),
    network("front", tier="web"),
    network("back", tier="db"),
    network("lan", "macvlan"),
]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, ["bridge", "host", "none", "front", "back", "lan"]),
        ({"driver": ["macvlan", "host"]}, ["host", "lan"]),
        ({"type": ["custom"]}, ["front", "back", "lan"]),
        ({"type": ["builtin"]}, ["bridge", "host", "none"]),
        ({"label": ["tier"]}, ["front", "back"]),
        ({"label": ["tier=db"]}, ["back"]),
        ({"name": ["ba"]}, ["back"]),
        ({"id": ["la"]}, ["lan"]),
        ({"scope": ["swarm"]}, []),
        ({"dangling": ["true"]}, ["back", "lan"]),
        ({"dangling": ["false"]}, ["bridge", "host", "none", "front"]),
    ],
    ids=str,
)
def test_a_list_shows_what_the_filters_ask_for(
    filters: dict[str, list[str]], names: list[str]
) -> None:
    parsed = Filters.parse(json.dumps(filters), network_filters.LISTING)
    wanted = network_filters.listed(parsed, lambda n: n.name == "front")
    assert [n.name for n in NETWORKS if wanted(n)] == names


@pytest.mark.parametrize("filters", [{"type": ["odd"]}, {"dangling": ["perhaps"]}, {"x": ["y"]}])
def test_filters_that_mean_nothing_are_refused(filters: dict[str, list[str]]) -> None:
    with pytest.raises(InvalidInput):
        network_filters.listed(
            Filters.parse(json.dumps(filters), network_filters.LISTING), lambda _: False
        )


@pytest.mark.parametrize(
    ("filters", "removed"),
    [({}, True), ({"until": ["1m"]}, True), ({"until": ["10m"]}, False), ({"label": ["a"]}, False)],
    ids=str,
)
def test_a_prune_removes_what_is_old_enough_and_labelled_so(
    filters: dict[str, list[str]], removed: bool
) -> None:
    parsed = Filters.parse(json.dumps(filters), network_filters.PRUNING)
    assert network_filters.pruned(parsed, now=200.0)(network("front")) is removed

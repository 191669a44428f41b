"""Who gets the connections to a host port."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.model.container import PortBinding
from orchestrator.network import sharing
from orchestrator.network.sharing import Backend, Claim, Front, Standing

WEB = PortBinding(container_port=80, host_port=8080)
FRONT4, FRONT6 = Front(4, "", "tcp", 8080), Front(6, "", "tcp", 8080)


def claim(number: int, **fields: object) -> Claim:
    made = Claim(container_id=f"c{number}", bindings=(WEB,), ipv4=f"10.0.0.{number}", group="g")
    return replace(made, **fields)  # type: ignore[arg-type]


def behind(*claims: Claim, front: Front = FRONT4) -> list[str]:
    return [b.address for b in sharing.backends(front, claims)]


def test_all_replicas_are_behind_their_port() -> None:
    assert behind(claim(2), claim(3)) == ["10.0.0.2", "10.0.0.3"]


def test_a_drained_container_gets_nothing_even_when_it_is_the_only_one() -> None:
    drained = claim(2, standing=Standing.DRAINED)
    assert behind(drained, claim(3)) == ["10.0.0.3"]
    assert behind(drained) == []
    assert behind(claim(2, weight=0), claim(3)) == ["10.0.0.3"]


def test_who_is_not_well_gets_nothing_while_another_is() -> None:
    starting, sick = claim(2, standing=Standing.STARTING), claim(3, standing=Standing.UNHEALTHY)
    assert behind(starting, sick, claim(4)) == ["10.0.0.4"]
    assert behind(starting, sick) == ["10.0.0.2"]
    assert behind(sick) == ["10.0.0.3"]


def test_ipv6_clients_are_relayed_where_no_container_has_ipv6() -> None:
    assert behind(claim(2), front=FRONT6) == []
    assert [b.address for b in sharing.relayed(FRONT6, [claim(2)])] == ["10.0.0.2"]
    dual = claim(3, ipv6="fd00::3")
    assert behind(claim(2), dual, front=FRONT6) == ["fd00::3"]
    assert [b.address for b in sharing.relayed(FRONT6, [claim(2), dual])] == ["fd00::3"]
    assert sharing.relayed(FRONT4, [dual]) == ()


@settings(deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_turns_are_taken_in_proportion_and_not_in_a_row(weights: list[int]) -> None:
    chosen = [Backend(f"10.0.0.{n}", 80, w) for n, w in enumerate(weights, 2)]
    order = sharing.slots(chosen)
    assert len(order) <= sharing.MOST_SLOTS + len(chosen)
    counts = Counter(order)
    for one in chosen:
        for other in chosen:
            assert counts[one] * other.weight == counts[other] * one.weight
    if len(chosen) > 1 and len(set(weights)) == 1:
        assert all(a != b for a, b in itertools.pairwise(order))


def test_huge_weights_are_scaled_down_and_nobody_is_left_out() -> None:
    order = sharing.slots([Backend("10.0.0.2", 80, 999), Backend("10.0.0.3", 80, 1)])
    assert len(order) <= sharing.MOST_SLOTS + 1
    assert len(set(order)) == 2


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        ("", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("0.0.0.0", "", True),
        ("0.0.0.0", "::", False),
        ("::", "", True),
        ("::1", "0.0.0.0", False),
    ],
)
def test_bindings_clash_where_their_addresses_do(one: str, other: str, clash: bool) -> None:
    bindings = [PortBinding(container_port=80, host_port=80, host_ip=ip) for ip in (one, other)]
    assert sharing.overlaps(*bindings) is clash
    assert not sharing.overlaps(bindings[0], replace(bindings[0], protocol="udp"))


def test_only_one_group_at_the_very_same_place_may_share() -> None:
    local = replace(WEB, host_ip="127.0.0.1")
    assert sharing.may_share(claim(2), WEB, claim(3), WEB)
    assert not sharing.may_share(claim(2), WEB, claim(3, group="other"), WEB)
    assert not sharing.may_share(claim(2, group=""), WEB, claim(3, group=""), WEB)
    assert not sharing.may_share(claim(2), WEB, claim(3), local)

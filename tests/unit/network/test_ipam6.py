"""IPv6 subnets and addresses."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import Conflict, InvalidInput
from orchestrator.network import ipam6
from orchestrator.network.ipam6 import Net6
from orchestrator.settings import AddressPool


@settings(deadline=None)
@given(st.text())
def test_a_machines_pool_is_its_own_and_always_the_same(machine: str) -> None:
    pool = ipam6.unique_local_pool(machine)
    assert pool == ipam6.unique_local_pool(machine)
    assert Net6(pool.base).subnet_of(Net6("fd00::/8"))
    assert (Net6(pool.base).prefixlen, pool.size) == (48, 64)


@settings(deadline=None)
@given(st.sets(st.integers(0, 40), max_size=40))
def test_a_chosen_subnet_overlaps_nothing(taken: set[int]) -> None:
    pool = AddressPool(base="fd00:1::/48", size=64)
    used = [Net6(f"fd00:1:0:{n:x}::/64") for n in taken]
    chosen = ipam6.choose_subnet6([pool], used)
    assert chosen.subnet_of(Net6(pool.base))
    assert not any(chosen.overlaps(u) for u in used)


def test_an_exhausted_pool_is_said() -> None:
    pool = AddressPool(base="fd00:1::/63", size=64)
    with pytest.raises(Conflict) as caught:
        ipam6.choose_subnet6([pool], [Net6("fd00:1::/64"), Net6("fd00:1:0:1::/64")])
    assert caught.value.code == "subnets-exhausted"


@pytest.mark.parametrize("text", ["", "10.0.0.0/24", "fd00::1/64", "fd00::/120"])
def test_what_is_no_subnet_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        ipam6.parse_subnet6(text)


@pytest.mark.parametrize("address", ["fd00:2::2", "fd00:1::", "fd00:1::1", "10.0.0.1", "x"])
def test_what_a_container_cannot_have_is_refused(address: str) -> None:
    with pytest.raises(InvalidInput):
        ipam6.check_fixed6(Net6("fd00:1::/64"), "fd00:1::1", address)


@settings(deadline=None)
@given(st.integers(2, 5000), st.sets(st.integers(1, 30), max_size=30))
def test_an_address_is_free_and_in_its_room(place: int, taken: set[int]) -> None:
    base = ipaddress.IPv6Address("fd00:1::")
    used = {str(base + n) for n in taken}
    found = ipam6.choose_address6("fd00:1::/64", place, "fd00:1::1", used)
    assert found not in used | {"fd00:1::1", "fd00:1::"}
    assert ipaddress.IPv6Address(found) in Net6("fd00:1::/64")

"""Subnets and addresses."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import Conflict, InvalidInput
from orchestrator.network import ipam
from orchestrator.network.ipam import Net4
from orchestrator.settings import AddressPool

POOL = AddressPool(base="10.210.0.0/16", size=24)


def subnets(low: int = 16, high: int = 30) -> st.SearchStrategy[Net4]:
    return st.builds(
        lambda value, length: Net4((value, length), strict=False),
        st.integers(0x0A000000, 0x0AFFFFFF),
        st.integers(low, high),
    )


@settings(deadline=None)
@given(subnet=subnets(24), wishes=st.integers(1, 300))
def test_no_address_is_given_twice_until_all_are_gone(subnet: Net4, wishes: int) -> None:
    gateway = ipam.choose_gateway(subnet)
    room = subnet.num_addresses - 3
    given_out: list[str] = []
    for _ in range(min(wishes, room)):
        last = given_out[-1] if given_out else ""
        given_out.append(ipam.choose_address(subnet, gateway, given_out, after=last))
    assert len(set(given_out)) == len(given_out)
    for address in given_out:
        ipam.check_fixed(subnet, gateway, address)
    if wishes > room:
        with pytest.raises(Conflict) as caught:
            ipam.choose_address(subnet, gateway, given_out)
        assert caught.value.code == "addresses-exhausted"
        assert caught.value.hint


@settings(deadline=None)
@given(
    subnet=subnets(26),
    taken=st.sets(st.integers(0, 63)),
    start=st.integers(0, 63),
)
def test_the_one_free_address_is_found_wherever_the_search_begins(
    subnet: Net4, taken: set[int], start: int
) -> None:
    gateway = ipam.choose_gateway(subnet)
    hosts = [str(h) for h in subnet.hosts() if str(h) != gateway]
    used = {hosts[n % len(hosts)] for n in taken}
    free = set(hosts) - used
    after = hosts[start % len(hosts)]
    if free:
        assert ipam.choose_address(subnet, gateway, used, after=after) in free
    else:
        with pytest.raises(Conflict):
            ipam.choose_address(subnet, gateway, used, after=after)


def test_an_address_just_freed_is_not_the_next_one_given() -> None:
    subnet = Net4("10.0.0.0/24")
    assert ipam.choose_address(subnet, "10.0.0.1", [], after="10.0.0.2") == "10.0.0.3"
    assert ipam.choose_address(subnet, "10.0.0.1", [], after="10.0.0.254") == "10.0.0.2"


def test_addresses_come_from_the_range_where_one_is_given() -> None:
    subnet = Net4("10.0.0.0/24")
    taken = ["10.0.0.128", "10.0.0.129"]
    assert ipam.choose_address(subnet, "10.0.0.1", taken, "10.0.0.128/30") == "10.0.0.130"
    with pytest.raises(Conflict, match=r"10\.0\.0\.128/30"):
        ipam.choose_address(
            subnet, "10.0.0.1", [*taken, "10.0.0.130", "10.0.0.131"], "10.0.0.128/30"
        )


@settings(deadline=None)
@given(taken=st.lists(subnets(20, 28), max_size=20), host=st.lists(subnets(8, 32), max_size=20))
def test_a_chosen_subnet_overlaps_nothing(taken: list[Net4], host: list[Net4]) -> None:
    pool = AddressPool(base="10.128.0.0/12", size=20)
    try:
        subnet = ipam.choose_subnet([pool], taken, host)
    except Conflict:
        return
    assert subnet.subnet_of(Net4(pool.base))
    assert subnet.prefixlen == 20
    assert not any(subnet.overlaps(other) for other in [*taken, *host])


def test_subnets_run_out_with_a_word_about_what_to_do() -> None:
    taken = list(Net4("10.210.0.0/16").subnets(new_prefix=24))
    with pytest.raises(Conflict) as caught:
        ipam.choose_subnet([POOL], taken, [])
    assert caught.value.code == "subnets-exhausted"
    assert "10.210.0.0/16 in /24" in caught.value.message
    assert "pystack network prune" in caught.value.hint


def test_the_second_pool_serves_when_the_first_is_in_use_by_the_host() -> None:
    second = AddressPool(base="192.168.0.0/20", size=24)
    chosen = ipam.choose_subnet([POOL, second], [], [Net4("10.0.0.0/8")])
    assert chosen == Net4("192.168.0.0/24")


@pytest.mark.parametrize("text", ["", "10.0.0.1/24", "10.0.0.0/31", "fd00::/64", "10.0.0.0/33"])
def test_what_is_no_subnet_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        ipam.parse_subnet(text)


@pytest.mark.parametrize("address", ["10.0.1.2", "10.0.0.0", "10.0.0.255", "10.0.0.1", "x"])
def test_what_a_container_cannot_have_is_refused(address: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        ipam.check_fixed(Net4("10.0.0.0/24"), "10.0.0.1", address)
    assert caught.value.about == address


@settings(deadline=None)
@given(st.ip_addresses(v=4), st.ip_addresses(v=4))
def test_macs_differ_as_addresses_do(
    one: ipaddress.IPv4Address, other: ipaddress.IPv4Address
) -> None:
    macs = ipam.mac_for(str(one)), ipam.mac_for(str(other))
    assert (macs[0] == macs[1]) == (one == other)
    first = bytes.fromhex(macs[0].replace(":", ""))[0]
    assert first & 3 == 2, "locally administered and of one interface"

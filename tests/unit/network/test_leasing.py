"""Endpoints for containers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.errors import Conflict, InvalidInput
from orchestrator.model.container import Attachment, ContainerSpec
from orchestrator.model.observed import Endpoint, Network
from orchestrator.model.subnet import Subnet
from orchestrator.network import leasing
from orchestrator.network.leasing import Taken

APP = Network(
    id="n1", name="app", driver="bridge", created_at=0.0, bridge="ps-1",
    subnet="10.0.0.0/24", gateway="10.0.0.1",
)  # fmt: skip


def lease(attachment: Attachment, taken: Taken | None = None, network: Network = APP) -> Endpoint:
    return leasing.endpoint(
        network,
        attachment,
        taken or Taken(),
        container_id="0123456789abcdef",
        container_name="p-web-1",
        interface="eth0",
    )


def test_an_endpoint_has_an_address_its_mac_and_all_names_once() -> None:
    wish = Attachment(network="app", aliases=("web", "p-web-1"))
    assert lease(wish) == Endpoint(
        network_id="n1", network_name="app", interface="eth0", ipv4="10.0.0.2", prefix=24,
        gateway="10.0.0.1", aliases=("web", "p-web-1"),
        mac="02:70:0a:00:00:02", names=("p-web-1", "web", "0123456789ab"),
    )  # fmt: skip


def test_a_wished_address_is_given_or_refused_with_its_owner() -> None:
    wish = Attachment(network="app", ipv4_address="10.0.0.9", mac_address="02-42-AC-11-00-02")
    endpoint = lease(wish)
    assert (endpoint.ipv4, endpoint.mac) == ("10.0.0.9", "02:42:ac:11:00:02")
    with pytest.raises(Conflict, match=r"10\.0\.0\.9 on network app is taken by container db"):
        lease(wish, Taken({"10.0.0.9": "db"}))


@pytest.mark.parametrize("mac", ["02:42", "03:42:ac:11:00:02", "0x:42:ac:11:00:02"])
def test_what_is_no_mac_is_refused(mac: str) -> None:
    with pytest.raises(InvalidInput, match="MAC"):
        lease(Attachment(network="app", mac_address=mac))


def test_an_ipv6_address_has_the_place_of_the_ipv4_one() -> None:
    dual = replace(APP, ipv6_subnet="fd00:5::/64", ipv6_gateway="fd00:5::1")
    assert lease(Attachment(network="app"), network=dual).ipv6 == "fd00:5::2"


@pytest.mark.parametrize(
    ("mode", "attachments", "networks"),
    [
        ("", (), ["bridge"]),
        ("bridge", (), ["bridge"]),
        ("host", ("app",), []),
        ("none", ("app",), []),
        ("container:x", (), []),
        ("app", (), ["app"]),
        ("", ("b", "a"), ["b", "a"]),
    ],
)
def test_mode_and_attachments_say_which_networks(
    mode: str, attachments: tuple[str, ...], networks: list[str]
) -> None:
    spec = ContainerSpec(image="i", network_mode=mode)
    wished = [Attachment(network=name) for name in attachments]
    assert [a.network for a in leasing.wanted(spec, wished)] == networks


def test_the_highest_priority_comes_first() -> None:
    wished = [Attachment(network="a"), Attachment(network="b", priority=5)]
    found = leasing.wanted(ContainerSpec(image="i"), wished)
    assert [a.network for a in found] == ["b", "a"]


def test_a_network_of_several_subnets_fills_them_in_turn() -> None:
    more = (Subnet(subnet="10.1.0.0/29", gateway="10.1.0.1"),)
    two = replace(APP, subnet="10.0.0.0/30", more_subnets=more)
    assert lease(Attachment(network="app"), network=two).ipv4 == "10.0.0.2"
    second = lease(Attachment(network="app"), Taken({"10.0.0.2": "a"}), two)
    assert (second.ipv4, second.prefix, second.gateway) == ("10.1.0.2", 29, "10.1.0.1")
    fixed = lease(Attachment(network="app", ipv4_address="10.1.0.6"), network=two)
    assert fixed.gateway == "10.1.0.1"


def test_auxiliary_addresses_are_given_to_nobody() -> None:
    kept = replace(APP, aux_addresses={"router": "10.0.0.2"})
    assert lease(Attachment(network="app"), network=kept).ipv4 == "10.0.0.3"
    with pytest.raises(Conflict, match="auxiliary address router"):
        lease(Attachment(network="app", ipv4_address="10.0.0.2"), network=kept)


def test_an_ipv6_address_is_not_given_twice_when_its_place_is_taken() -> None:
    dual = replace(APP, ipv6_subnet="fd00:5::/64", ipv6_gateway="fd00:5::1")
    assert lease(Attachment(network="app"), Taken({"fd00:5::2": "a"}), dual).ipv6 == "fd00:5::3"
    wish = Attachment(network="app", ipv6_address="fd00:5:0::9")
    assert lease(wish, network=dual).ipv6 == "fd00:5::9"
    with pytest.raises(Conflict, match="taken by container a"):
        lease(wish, Taken({"fd00:5::9": "a"}), dual)
    with pytest.raises(InvalidInput, match="no IPv6"):
        lease(wish)


def test_interfaces_are_numbered_and_may_be_named() -> None:
    first = lease(Attachment(network="app"))
    wish = Attachment(network="app", interface_name="lan")
    assert leasing.interface_for(APP, Attachment(network="app"), [first]) == "eth1"
    assert leasing.interface_for(APP, wish, [first]) == "lan"
    option = Attachment(network="app", driver_opts={leasing.INTERFACE: "wan0"})
    assert leasing.interface_for(APP, option, []) == "wan0"
    with pytest.raises(Conflict):
        leasing.interface_for(APP, replace(wish, interface_name="eth0"), [first])
    with pytest.raises(InvalidInput):
        leasing.interface_for(APP, replace(wish, interface_name="much-too-long-a-name"), [])

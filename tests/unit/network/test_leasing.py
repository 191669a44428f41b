"""Endpoints for containers."""

from __future__ import annotations

import pytest

from orchestrator.errors import Conflict, InvalidInput
from orchestrator.model.container import Attachment, ContainerSpec, PortBinding
from orchestrator.model.observed import Endpoint, Network
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
        network_id="n1", network_name="app", interface="eth0", ipv4="10.0.0.2",
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
    from dataclasses import replace

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


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [("", "127.0.0.1", True), ("127.0.0.1", "127.0.0.2", False), ("0.0.0.0", "", True)],
)
def test_bindings_clash_where_their_addresses_do(one: str, other: str, clash: bool) -> None:
    bindings = [PortBinding(container_port=80, host_port=80, host_ip=ip) for ip in (one, other)]
    assert leasing.overlaps(*bindings) is clash
    udp = PortBinding(container_port=80, host_port=80, protocol="udp")
    assert not leasing.overlaps(bindings[0], udp)

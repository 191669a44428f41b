"""Networks as Docker's JSON, both ways."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.errors import InvalidInput
from orchestrator.model.container import ContainerSpec
from orchestrator.model.observed import Container, Endpoint, Network, State
from orchestrator.model.subnet import Subnet
from orchestrator.wire.networks import network_from, network_summary

APP = Network(
    id="n1", name="app", driver="bridge", created_at=0.0, bridge="ps-1", subnet="10.0.0.0/24",
    gateway="10.0.0.1", ip_range="10.0.0.128/25", ipv6_subnet="fd00::/64", ipv6_gateway="fd00::1",
    aux_addresses={"printer": "10.0.0.9", "router": "fd00::9"},
    more_subnets=(Subnet(subnet="10.1.0.0/24", gateway="10.1.0.1"),),
    internal=True, attachable=True, options={"a": "b"}, labels={"c": "d"},
)  # fmt: skip


def container(name: str, mode: str = "", status: str = "running", **fields: Any) -> Container:
    return Container(
        id=name * 2, name=name, spec=ContainerSpec(image="i", network_mode=mode), image_id="i",
        created_at=0.0, state=State(status=status), **fields,  # type: ignore[arg-type]
    )  # fmt: skip


def test_a_network_shows_all_that_it_is() -> None:
    shown = network_summary(APP)
    assert shown["IPAM"]["Config"] == [
        {
            "Subnet": "10.0.0.0/24",
            "IPRange": "10.0.0.128/25",
            "Gateway": "10.0.0.1",
            "AuxiliaryAddresses": {"printer": "10.0.0.9"},
        },
        {"Subnet": "10.1.0.0/24", "Gateway": "10.1.0.1"},
        {
            "Subnet": "fd00::/64",
            "Gateway": "fd00::1",
            "AuxiliaryAddresses": {"router": "fd00::9"},
        },
    ]
    assert (shown["EnableIPv6"], shown["Internal"], shown["Attachable"]) == (True, True, True)
    assert (shown["Options"], shown["Labels"], shown["Containers"]) == ({"a": "b"}, {"c": "d"}, {})


def test_running_containers_are_shown_with_their_prefixes() -> None:
    endpoint = Endpoint(
        network_id="n1", network_name="app", interface="eth0", ipv4="10.0.0.2", prefix=24,
        ipv6="fd00::2", ipv6_prefix=64, mac="02:00:00:00:00:01",
    )  # fmt: skip
    running = container("web", endpoints=(endpoint,))
    stopped = container("old", status="exited", endpoints=(endpoint,))
    [shown] = network_summary(APP, [running, stopped, container("other")])["Containers"].values()
    assert (shown["Name"], shown["IPv4Address"]) == ("web", "10.0.0.2/24")
    assert (shown["IPv6Address"], shown["MacAddress"]) == ("fd00::2/64", "02:00:00:00:00:01")
    assert len(shown["EndpointID"]) == 64


@pytest.mark.parametrize(("driver", "mode"), [("host", "host"), ("null", "none")])
def test_containers_without_a_network_of_ours_are_shown_with_theirs(driver: str, mode: str) -> None:
    network = Network(id="h", name=mode, driver=driver, created_at=0.0)
    found = network_summary(network, [container("web", mode), container("other")])["Containers"]
    assert [each["Name"] for each in found.values()] == ["web"]


def test_what_a_client_asks_for_is_read() -> None:
    wish = network_from({
        "Name": "app",
        "EnableIPv6": True,
        "Internal": True,
        "IPAM": {
            "Config": [
                {"Subnet": "10.0.0.0/24", "Gateway": "10.0.0.1", "IPRange": "10.0.0.128/25"},
                {"Subnet": "fd00::/64", "AuxiliaryAddresses": {"router": "fd00::9"}},
                {"Subnet": "10.1.0.0/24"},
            ]
        },
        "Labels": {"a": "b"},
    })  # fmt: skip
    assert (wish.name, wish.driver, wish.ipv6, wish.internal) == ("app", "bridge", True, True)
    assert [s.subnet for s in wish.subnets] == ["10.0.0.0/24", "10.1.0.0/24"]
    assert wish.ipv6_subnet == Subnet(subnet="fd00::/64")
    assert wish.aux_addresses == {"router": "fd00::9"}


@pytest.mark.parametrize(
    "body",
    [
        {"IPAM": {"Driver": "dhcp"}},
        {"Ingress": True},
        {"ConfigOnly": True},
        {"ConfigFrom": {"Network": "x"}},
        {"Scope": "swarm"},
        {"IPAM": {"Config": [{"Gateway": "10.0.0.1"}]}},
        {"IPAM": {"Config": [{"Subnet": "fd00::/64"}, {"Subnet": "fd01::/64"}]}},
        {"IPAM": ["x"]},
        {"Options": "x"},
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        network_from({"Name": "app", **body})

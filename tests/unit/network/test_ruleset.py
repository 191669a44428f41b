"""The text of the firewall's table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.model.container import PortBinding
from orchestrator.model.observed import Network
from orchestrator.network import ruleset
from orchestrator.network.ruleset import Content
from orchestrator.network.sharing import Backend, Front, fronts

APP = Network(
    id="1", name="app", driver="bridge", created_at=0.0, bridge="ps-1", subnet="10.0.0.0/24"
)
WEB = Front(4, "", "tcp", 8080)
ONE, TWO = Backend("10.0.0.2", 80), Backend("10.0.0.3", 80)


def front(host_ip: str, family: int) -> Front:
    binding = PortBinding(container_port=80, host_port=8080, host_ip=host_ip)
    return next(f for f in fronts(binding) if f.family == family)


@pytest.mark.parametrize(
    ("host_ip", "target", "element"),
    [
        ("", "10.0.0.2", "publish4 { tcp . 8080 : 10.0.0.2 . 80 }"),
        ("0.0.0.0", "10.0.0.2", "publish4 { tcp . 8080 : 10.0.0.2 . 80 }"),
        ("127.0.0.1", "10.0.0.2", "publish4_at { 127.0.0.1 . tcp . 8080 : 10.0.0.2 . 80 }"),
        ("::", "fd00::2", "publish6 { tcp . 8080 : fd00::2 . 80 }"),
        ("2001:db8::1", "fd00::2", "publish6_at { 2001:db8::1 . tcp . 8080 : fd00::2 . 80 }"),
    ],
)
def test_a_port_is_one_element_of_the_map_for_its_address(
    host_ip: str, target: str, element: str
) -> None:
    place = front(host_ip, 6 if ":" in target else 4)
    behind = (Backend(target, 80),)
    assert ruleset.publish_text([(place, (), behind)]) == f"add element inet pystack {element}\n"
    name, _, rest = element.partition(" { ")
    key = rest.split(" : ")[0]
    gone = f"delete element inet pystack {name} {{ {key} }}\n"
    assert ruleset.publish_text([(place, behind, ())]) == gone


def test_a_second_container_behind_a_port_makes_it_a_chain_that_takes_turns() -> None:
    assert ruleset.publish_text([(WEB, (ONE,), (ONE, TWO))]).splitlines() == [
        "delete element inet pystack publish4 { tcp . 8080 }",
        "add chain inet pystack to_tcp4_8080",
        "flush chain inet pystack to_tcp4_8080",
        "add rule inet pystack to_tcp4_8080 meta l4proto tcp dnat ip to numgen inc mod 2 map "
        "{ 0 : 10.0.0.2 . 80, 1 : 10.0.0.3 . 80 }",
        "add element inet pystack share4 { tcp . 8080 : jump to_tcp4_8080 }",
    ]


def test_the_chain_goes_when_one_container_is_left() -> None:
    assert ruleset.publish_text([(WEB, (ONE, TWO), (TWO,))]).splitlines() == [
        "delete element inet pystack share4 { tcp . 8080 }",
        "flush chain inet pystack to_tcp4_8080",
        "delete chain inet pystack to_tcp4_8080",
        "add element inet pystack publish4 { tcp . 8080 : 10.0.0.3 . 80 }",
    ]


def test_a_network_is_masked_unless_it_is_internal_or_says_no() -> None:
    masked = "add element inet pystack masked4 { 10.0.0.0/24 }\n"
    assert masked in ruleset.network_text("add", APP)
    internal = ruleset.network_text("add", replace(APP, internal=True))
    assert masked not in internal
    assert 'add element inet pystack internal { "ps-1" }\n' in internal
    plain = {ruleset.MASQUERADE: "false"}
    assert masked not in ruleset.network_text("add", replace(APP, options=plain))


def test_containers_are_kept_apart_where_the_network_says_so() -> None:
    within = 'add element inet pystack within { "ps-1" . "ps-1" }\n'
    assert within in ruleset.network_text("add", APP)
    assert within not in ruleset.network_text("add", replace(APP, options={ruleset.ICC: "false"}))


def test_networks_that_are_no_bridges_are_no_business_of_the_firewall() -> None:
    assert ruleset.network_text("add", replace(APP, driver="macvlan")) == ""


def test_the_owners_chain_is_made_and_never_flushed() -> None:
    text = ruleset.table_text(Content([APP], {WEB: (ONE, TWO)}))
    assert "add chain inet pystack user\n" in text
    assert "flush chain inet pystack user" not in text
    assert "delete" not in text
    assert "flush ruleset" not in text
    assert all(" inet pystack" in line for line in text.splitlines())


def test_chains_of_ports_that_are_no_more_are_found_and_deleted() -> None:
    listed = "table inet pystack {\n\tchain user {\n\t}\n\tchain to_tcp4_80 {\n\t}\n}\n"
    assert ruleset.chains_of_ports(listed) == ["to_tcp4_80"]
    assert "delete chain inet pystack to_tcp4_80\n" in ruleset.table_text(Content(), ["to_tcp4_80"])

"""The text of the firewall's table."""

from __future__ import annotations

import pytest

from orchestrator.model.container import PortBinding
from orchestrator.model.observed import Network
from orchestrator.network import ruleset
from orchestrator.network.ruleset import Published

APP = Network(
    id="1", name="app", driver="bridge", created_at=0.0, bridge="ps-1", subnet="10.0.0.0/24"
)


def binding(host_ip: str = "", protocol: str = "tcp") -> PortBinding:
    return PortBinding(container_port=80, host_port=8080, host_ip=host_ip, protocol=protocol)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host_ip", "target", "element"),
    [
        ("", "10.0.0.2", "publish4 { tcp . 8080 : 10.0.0.2 . 80 }"),
        ("0.0.0.0", "10.0.0.2", "publish4 { tcp . 8080 : 10.0.0.2 . 80 }"),
        ("127.0.0.1", "10.0.0.2", "publish4_at { 127.0.0.1 . tcp . 8080 : 10.0.0.2 . 80 }"),
        ("::", "fd00::2", "publish6 { tcp . 8080 : fd00::2 . 80 }"),
        ("::1", "fd00::2", "publish6_at { ::1 . tcp . 8080 : fd00::2 . 80 }"),
    ],
)
def test_a_port_is_one_element_of_the_map_for_its_address(
    host_ip: str, target: str, element: str
) -> None:
    text = ruleset.publish_text([Published(binding(host_ip), target)])
    assert text == f"add element inet pystack {element}\n"
    name, _, rest = element.partition(" { ")
    key = rest.split(" : ")[0]
    assert ruleset.unpublish_text([Published(binding(host_ip), target)]) == (
        f"delete element inet pystack {name} {{ {key} }}\n"
    )


def test_a_network_is_masked_unless_it_is_internal_or_says_no() -> None:
    from dataclasses import replace

    masked = "add element inet pystack masked4 { 10.0.0.0/24 }\n"
    assert masked in ruleset.network_text("add", APP)
    internal = ruleset.network_text("add", replace(APP, internal=True))
    assert masked not in internal
    assert 'add element inet pystack internal { "ps-1" }\n' in internal
    plain = {"com.docker.network.bridge.enable_ip_masquerade": "false"}
    assert masked not in ruleset.network_text("add", replace(APP, options=plain))


def test_the_owners_chain_is_made_and_never_flushed() -> None:
    text = ruleset.table_text([APP], [Published(binding(), "10.0.0.2")])
    assert "add chain inet pystack user\n" in text
    assert "flush chain inet pystack user" not in text
    assert "delete" not in text
    assert "flush ruleset" not in text
    assert all(" inet pystack" in line for line in text.splitlines())


def test_only_one_address_family_is_left_to_the_kernel() -> None:
    assert ruleset.serves(binding(), "10.0.0.2")
    assert ruleset.serves(binding("127.0.0.1"), "10.0.0.2")
    assert not ruleset.serves(binding("::1"), "10.0.0.2")
    assert ruleset.serves(binding("::1"), "fd00::2")

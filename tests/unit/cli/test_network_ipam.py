"""The subnets of `network create`."""

from __future__ import annotations

import pytest

from orchestrator.cli.network.ipam import ipam_config
from orchestrator.errors import InvalidInput


def test_everything_goes_to_the_subnet_that_it_lies_in() -> None:
    found = ipam_config(
        ["10.0.0.0/16", "fd00::/64", "192.168.0.0/24"],
        ["192.168.0.128/25", "10.0.5.0/24"],
        ["fd00::1", "10.0.0.1"],
        {"printer": "10.0.0.9", "router": "fd00::9"},
    )
    assert found == [
        {
            "Subnet": "10.0.0.0/16",
            "IPRange": "10.0.5.0/24",
            "Gateway": "10.0.0.1",
            "AuxiliaryAddresses": {"printer": "10.0.0.9"},
        },
        {
            "Subnet": "fd00::/64",
            "Gateway": "fd00::1",
            "AuxiliaryAddresses": {"router": "fd00::9"},
        },
        {"Subnet": "192.168.0.0/24", "IPRange": "192.168.0.128/25"},
    ]


@pytest.mark.parametrize(
    ("subnets", "ranges", "gateways", "auxiliary", "problem"),
    [
        ([], [], ["10.0.0.1"], {}, "no matching subnet"),
        (["10.0.0.0/24"], ["10.1.0.0/25"], [], {}, "no matching subnet"),
        (["10.0.0.0/24"], [], [], {"a": "10.1.0.1"}, "no matching subnet"),
        (["10.0.0.0/24", "10.0.0.0/16"], [], [], {}, "overlaps"),
        (["10.0.0.0/24"], [], ["10.0.0.1", "10.0.0.2"], {}, "already"),
        (["10.0.0.0/44"], [], [], {}, "10.0.0.0/44"),
        (["10.0.0.0/24"], [], ["x"], {}, "'x'"),
    ],
)
def test_what_does_not_go_together_is_said(
    subnets: list[str],
    ranges: list[str],
    gateways: list[str],
    auxiliary: dict[str, str],
    problem: str,
) -> None:
    with pytest.raises(InvalidInput, match=problem):
        ipam_config(subnets, ranges, gateways, auxiliary)

"""Other people's firewalls."""

from __future__ import annotations

import pytest

from orchestrator.network.obstacles import LEGACY, dropping_chains, drops_by_policy, remedy

DOCKER = """table ip filter {
	chain DOCKER-USER {
		counter packets 0 bytes 0 return
	}
	chain FORWARD {
		type filter hook forward priority filter; policy %s;
		counter packets 9 bytes 756 jump DOCKER-USER
		oifname "docker0" ct state related,established counter packets 0 bytes 0 accept
	}
}
"""
FIREWALLD = """table inet firewalld {
	chain filter_INPUT {
		type filter hook input priority filter + 10; policy accept;
		reject with icmpx admin-prohibited
	}
	chain filter_FORWARD {
		type filter hook forward priority filter + 10; policy accept;
		ct state { established, related } accept
		ct status dnat accept
		%sct state invalid drop
		counter packets 0 bytes 0 reject with icmpx admin-prohibited
	}
}
"""
OURS = """table inet pystack {
	chain forward {
		type filter hook forward priority filter; policy drop;
	}
}
"""


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        (DOCKER % "drop", ["ip filter FORWARD"]),
        (DOCKER % "accept", []),
        (FIREWALLD % "", ["inet firewalld filter_FORWARD"]),
        (FIREWALLD % 'iifname "ps-*" accept\n', []),
        (OURS, []),
        ("", []),
    ],
)
def test_chains_that_drop_what_they_do_not_know_are_named(listed: str, expected: list[str]) -> None:
    assert dropping_chains(listed, "inet pystack") == expected


@pytest.mark.parametrize(
    ("listed", "drops"),
    [
        ("-P FORWARD DROP\n-A FORWARD -j DOCKER-USER\n", True),
        ("-P FORWARD ACCEPT\n", False),
        ("-P FORWARD DROP\n-A FORWARD -i ps-+ -j ACCEPT\n", False),
        ("", False),
    ],
)
def test_the_older_firewall_is_asked_too(listed: str, drops: bool) -> None:
    assert drops_by_policy(listed) is drops


@pytest.mark.parametrize("chain", ["ip filter FORWARD", LEGACY])
def test_a_remedy_names_the_chain_and_our_bridges(chain: str) -> None:
    assert chain in remedy(chain)
    assert "ps-" in remedy(chain)

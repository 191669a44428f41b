"""Making a router of the host keeps apart the interfaces that were there, and no others."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from orchestrator.network.forwarding import Forwarding


@pytest.fixture
def sysctls(tmp_path: Path) -> Path:
    switch = tmp_path / "net/ipv4/ip_forward"
    switch.parent.mkdir(parents=True)
    switch.write_text("0\n")
    return tmp_path / "net"


def test_the_hosts_interfaces_are_kept_apart_and_our_own_are_not(
    tmp_path: Path, sysctls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["lo", "eth0", "wlan0", "ps-default", "ps-0123456789ab"]
    monkeypatch.setattr(socket, "if_nameindex", lambda: list(enumerate(names)))
    forwarding = Forwarding(tmp_path / "memory", sysctls)
    forwarding.switch_on(4)
    assert (sysctls / "ipv4/ip_forward").read_text() == "1\n"
    assert forwarding.apart() == ["eth0", "wlan0"]


def test_a_host_that_is_a_router_already_stays_as_it_is(tmp_path: Path, sysctls: Path) -> None:
    (sysctls / "ipv4/ip_forward").write_text("1\n")
    forwarding = Forwarding(tmp_path / "memory", sysctls)
    forwarding.switch_on(4)
    assert forwarding.apart() == []

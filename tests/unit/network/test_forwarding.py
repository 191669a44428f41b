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


def test_what_is_remembered_outlives_the_engine(tmp_path: Path, sysctls: Path) -> None:
    Forwarding(tmp_path / "run" / "memory", sysctls).switch_on(4)
    own = Forwarding(tmp_path / "run" / "memory", sysctls).apart()
    assert own == [n for n in own if not n.startswith("ps-")]
    assert set(own) <= {name for _, name in socket.if_nameindex()}


@pytest.mark.parametrize(("before", "after"), [("1", "2"), ("0", "0"), ("2", "2")])
def test_a_host_that_listens_to_routers_goes_on_listening(
    tmp_path: Path, sysctls: Path, before: str, after: str
) -> None:
    for name, value in {"all/forwarding": "0", "eth0/accept_ra": before}.items():
        setting = sysctls / "ipv6/conf" / name
        setting.parent.mkdir(parents=True)
        setting.write_text(f"{value}\n")
    Forwarding(tmp_path / "memory", sysctls).switch_on(6)
    assert (sysctls / "ipv6/conf/all/forwarding").read_text() == "1\n"
    assert (sysctls / "ipv6/conf/eth0/accept_ra").read_text().strip() == after


@pytest.mark.parametrize(
    ("later", "off"), [([], True), (["ps-1", "psv0"], True), (["docker0"], False)]
)
def test_what_was_switched_on_is_switched_off_unless_somebody_came_to_use_it(
    tmp_path: Path,
    sysctls: Path,
    monkeypatch: pytest.MonkeyPatch,
    later: list[str],
    off: bool,
) -> None:
    names = ["lo", "eth0"]
    monkeypatch.setattr(socket, "if_nameindex", lambda: list(enumerate(names)))
    forwarding = Forwarding(tmp_path / "memory", sysctls)
    forwarding.switch_on(4)
    names += later
    assert forwarding.switch_back() is off
    assert (sysctls / "ipv4/ip_forward").read_text() == ("0\n" if off else "1\n")
    assert forwarding.apart() == ([] if off else ["eth0"])


def test_what_was_on_before_us_stays_on(tmp_path: Path, sysctls: Path) -> None:
    (sysctls / "ipv4/ip_forward").write_text("1\n")
    assert Forwarding(tmp_path / "memory", sysctls).switch_back()
    assert (sysctls / "ipv4/ip_forward").read_text() == "1\n"

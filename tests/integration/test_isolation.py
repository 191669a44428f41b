"""The ground the other tests stand on."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

from tests.support.isolation import Isolation


def test_the_tests_see_only_their_own_interfaces(isolation: Isolation) -> None:
    expected = {"lo", "tap0"} if isolation.online else {"lo"}
    assert {name for _, name in socket.if_nameindex()} == expected
    assert {path.name for path in Path("/sys/class/net").iterdir()} - {
        "bonding_masters"
    } == expected


def test_the_tests_share_no_namespace_with_their_reaper(isolation: Isolation) -> None:
    for kind in ("net", "mnt"):
        ours = Path(f"/proc/self/ns/{kind}").readlink()
        assert Path(f"/proc/{isolation.reaper}/ns/{kind}").readlink() != ours


def test_loopback_works() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()


def test_an_orphan_goes_to_the_reaper(isolation: Isolation) -> None:
    shell = subprocess.run(
        [
            "sh",
            "-c",
            "sh -c 'read x < /proc/self/stat; sleep 0.2; echo $PPID; ps -o ppid= -p $$' &",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
    )
    assert shell.stdout.split()[-1] == str(isolation.reaper)

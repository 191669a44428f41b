"""The files about names in a container."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.network import hosts
from orchestrator.network.hosts import Resolv


def test_a_resolv_conf_is_read_with_its_comments_and_its_last_search_line() -> None:
    text = """# by hand
nameserver 192.0.2.1 # the first
nameserver 127.0.0.53
domain old.example
search a.example b.example
options edns0 trust-ad
options timeout:1
"""
    assert hosts.parse_resolv(text) == Resolv(
        ("192.0.2.1", "127.0.0.53"),
        ("a.example", "b.example"),
        ("edns0", "trust-ad", "timeout:1"),
    )


def test_a_container_on_a_named_network_asks_our_resolver() -> None:
    host = Resolv(("127.0.0.53",), ("a.example",), ("edns0",))
    assert hosts.resolv_text(hosts.resolv_inside(host, named=True)) == (
        "nameserver 127.0.0.11\nsearch a.example\noptions edns0 ndots:0\n"
    )
    own = hosts.resolv_inside(host, named=True, options=("ndots:2",), search=("b.example",))
    assert hosts.resolv_text(own) == ("nameserver 127.0.0.11\nsearch b.example\noptions ndots:2\n")


def test_a_container_without_names_asks_the_servers_it_can_reach() -> None:
    host = Resolv(("127.0.0.53", "192.0.2.1", "::1"))
    assert hosts.resolv_inside(host, named=False).servers == ("192.0.2.1",)
    own = hosts.resolv_inside(host, named=False, servers=("192.0.2.9",), search=(".",))
    assert hosts.resolv_text(own) == "nameserver 192.0.2.9\n"


def test_a_hosts_file_has_the_container_the_users_additions_and_the_peers() -> None:
    text = hosts.hosts_text(
        hostname="web1",
        domainname="example.org",
        addresses=["10.0.0.2", "", "fd00::2"],
        extra_hosts=["db.local:192.0.2.7", "me:host-gateway", "six=[2001:db8::1]", "v6:::1"],
        gateway="10.0.0.1",
        peers=["10.0.0.3\tp-db-1 db\n", ""],
    )
    assert text.splitlines()[:2] == [
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
    ]
    assert text.splitlines()[6:] == [
        "10.0.0.2\tweb1.example.org web1",
        "fd00::2\tweb1.example.org web1",
        "192.0.2.7\tdb.local",
        "10.0.0.1\tme",
        "2001:db8::1\tsix",
        "::1\tv6",
        "10.0.0.3\tp-db-1 db",
    ]


def test_rewriting_keeps_the_inode_and_tells_whether_anything_changed(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "hosts"
    assert hosts.rewrite(path, "one\ntwo\n")
    inode = path.stat().st_ino
    assert not hosts.rewrite(path, "one\ntwo\n")
    assert hosts.rewrite(path, "one\n")
    assert (path.read_text(), path.stat().st_ino) == ("one\n", inode)


def test_a_file_that_is_gone_is_not_made_again_where_it_is_not_wanted(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    with pytest.raises(FileNotFoundError):
        hosts.rewrite(path, "one\n", create=False)
    assert not path.exists()
    path.write_text("one\n")
    assert hosts.rewrite(path, "two\n", create=False)
    assert path.read_text() == "two\n"

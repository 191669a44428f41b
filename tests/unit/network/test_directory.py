"""Who answers to which name."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.model.observed import Endpoint
from orchestrator.network.directory import Directory


def on(network: str, ipv4: str, *names: str) -> Endpoint:
    return Endpoint(
        network_id=network, network_name=f"{network}-name", interface="eth0", ipv4=ipv4,
        names=names,
    )  # fmt: skip


def addresses(directory: Directory, networks: list[str], name: str) -> list[str]:
    return [e.endpoint.ipv4 for e in directory.lookup(networks, name)]


def test_a_container_is_found_by_each_name_on_shared_networks_only() -> None:
    directory = Directory()
    directory.add("i1", "p-web-1", [on("a", "10.0.0.2", "p-web-1", "Web", "abc")])
    for name in ("p-web-1", "web", "WEB", "abc", "web.a-name"):
        assert addresses(directory, ["b", "a"], name) == ["10.0.0.2"]
    assert addresses(directory, ["b"], "web") == []
    assert addresses(directory, ["a"], "db") == []
    assert directory.name_of(["a"], "10.0.0.2") == "p-web-1.a-name"
    assert directory.name_of(["b"], "10.0.0.2") == ""


def test_those_that_share_an_alias_come_in_rotating_order() -> None:
    directory = Directory()
    for n in (1, 2, 3):
        directory.add(f"i{n}", f"w{n}", [on("a", f"10.0.0.{n}", f"w{n}", "web")])
    answers = [addresses(directory, ["a"], "web") for _ in range(3)]
    assert {answer[0] for answer in answers} == {"10.0.0.1", "10.0.0.2", "10.0.0.3"}
    assert all(len(set(answer)) == 3 for answer in answers)


def test_peers_have_the_names_that_are_theirs_alone() -> None:
    directory = Directory()
    directory.add("i1", "w1", [on("a", "10.0.0.1", "w1", "web")])
    directory.add("i2", "w2", [on("a", "10.0.0.2", "w2", "web")])
    directory.add("i3", "db1", [on("a", "10.0.0.3", "db1", "db")])
    db = "10.0.0.3\tdb1 db\n"
    assert directory.peers("a") == "10.0.0.1\tw1\n10.0.0.2\tw2\n" + db
    directory.remove("i2")
    assert directory.peers("a") == "10.0.0.1\tw1 web\n" + db
    assert directory.peers("b") == ""


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.sampled_from("ab")), max_size=40))
def test_what_was_removed_leaves_nothing(steps: list[tuple[int, bool, str]]) -> None:
    directory = Directory()
    present: dict[int, str] = {}
    for number, add, network in steps:
        if add:
            directory.add(f"i{number}", f"c{number}", [on(network, f"10.0.0.{number}", "x")])
            present[number] = network
        else:
            directory.remove(f"i{number}")
            present.pop(number, None)
        for where in "ab":
            expected = {f"10.0.0.{n}" for n, network in present.items() if network == where}
            assert set(addresses(directory, [where], "x")) == expected
            lines = directory.peers(where).splitlines()
            assert {line.split("\t")[0] for line in lines} == (
                expected if len(expected) == 1 else set()
            )

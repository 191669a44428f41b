from __future__ import annotations

from orchestrator.images.endpoints import Endpoint, endpoints, is_loopback, proxy_for
from orchestrator.images.reference import parse_reference
from orchestrator.settings import Registry


def test_docker_hub_has_another_host_for_its_api() -> None:
    assert endpoints(parse_reference("redis"), {}) == [
        Endpoint(host="registry-1.docker.io", repository="library/redis", account="docker.io")
    ]


def test_mirrors_come_first_each_with_its_own_account_and_trust() -> None:
    registries = {
        "docker.io": Registry(mirrors=("mirror.example", "http://old.example:81/hub/")),
        "mirror.example": Registry(ca_file="/ca.pem"),
    }
    assert endpoints(parse_reference("redis"), registries) == [
        Endpoint(
            host="mirror.example",
            repository="library/redis",
            account="mirror.example",
            ca_file="/ca.pem",
            mirror=True,
        ),
        Endpoint(
            host="old.example:81",
            prefix="hub/",
            repository="library/redis",
            account="old.example:81",
            schemes=("http",),
            mirror=True,
        ),
        Endpoint(host="registry-1.docker.io", repository="library/redis", account="docker.io"),
    ]


def test_an_insecure_registry_is_tried_with_tls_first() -> None:
    (found,) = endpoints(parse_reference("r.example/a"), {"r.example": Registry(insecure=True)})
    assert (found.schemes, found.verify) == (("https", "http"), False)


def test_this_machines_registry_may_speak_plain_http() -> None:
    (found,) = endpoints(parse_reference("localhost:5000/a"), {})
    assert (found.schemes, found.verify) == (("http", "https"), False)


def test_a_ca_file_means_tls_even_on_this_machine() -> None:
    settings = {"localhost:5000": Registry(ca_file="/ca.pem")}
    (found,) = endpoints(parse_reference("localhost:5000/a"), settings)
    assert (found.schemes, found.verify) == (("https",), True)


def test_only_loopback_names_are_loopback() -> None:
    yes = ("localhost", "localhost:5000", "127.0.0.1:5000", "127.9.9.9", "[::1]:5000")
    no = ("localhost.example", "10.0.0.1", "example", "128.0.0.1:80")
    assert [is_loopback(host) for host in yes] == [True] * len(yes)
    assert [is_loopback(host) for host in no] == [False] * len(no)


def test_proxies_serve_their_scheme_but_never_this_machine_or_what_is_excepted() -> None:
    proxies = {"https": "http://proxy:3128", "no": "intern.example"}
    assert proxy_for("https", "r.example", proxies) == "http://proxy:3128"
    assert proxy_for("http", "r.example", proxies) == ""
    assert proxy_for("https", "a.intern.example", proxies) == ""
    assert proxy_for("https", "127.0.0.1:5000", proxies) == ""

"""Small decisions about containers: names, signals, health checks, ports, shared namespaces."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.errors import InvalidInput
from orchestrator.model.container import ContainerSpec, Healthcheck, PortBinding
from orchestrator.model.exposed import published_ports
from orchestrator.model.healthcheck import effective_healthcheck
from orchestrator.model.image import ImageConfig
from orchestrator.model.names import check_name, new_name
from orchestrator.model.observed import Container
from orchestrator.model.sharing import with_identified_owners
from orchestrator.model.signals import parse_signal


def test_a_new_name_is_one_that_can_be_used_and_is_free() -> None:
    names = {new_name(lambda _: False) for _ in range(50)}
    assert len(names) > 40
    for name in names:
        check_name(name)
        assert name.count("_") == 1
    crowded = new_name(lambda _: True)
    check_name(crowded)
    assert crowded.count("_") == 2


@pytest.mark.parametrize("name", ["", "a", "-ab", "a b", "a/b", "ä1", ".hidden"])
def test_a_name_must_be_plain(name: str) -> None:
    with pytest.raises(InvalidInput):
        check_name(name)


def test_signals_by_name_and_number() -> None:
    given = ("TERM", "SIGTERM", "term", "15", "RTMIN+3", "SIGRTMAX-1", "RTMIN")
    assert [parse_signal(name) for name in given] == [15, 15, 15, 15, 37, 63, 34]
    for wrong in ("", "NOPE", "0", "65", "-9", "RTMIN+99"):
        with pytest.raises(InvalidInput):
            parse_signal(wrong)


def effective(own: Healthcheck | None, image: Healthcheck | None) -> Healthcheck | None:
    return effective_healthcheck(
        ContainerSpec(image="x", healthcheck=own), ImageConfig(healthcheck=image)
    )


def open_check(**values: Any) -> Healthcheck:
    nothing = {f"{n}_s": 0.0 for n in ("interval", "timeout", "start_period", "start_interval")}
    return Healthcheck(**{**nothing, "retries": 0, **values})


def test_a_health_check_is_filled_from_the_image_and_then_as_usual() -> None:
    image = Healthcheck(test=("CMD", "a"), interval_s=7.0)
    assert effective(None, image) == image
    assert effective(None, None) is None
    assert effective(open_check(test=("NONE",)), image) == Healthcheck(test=("NONE",))
    assert effective(open_check(retries=9), None) is None
    assert effective(open_check(retries=9), image) == Healthcheck(
        test=("CMD", "a"), interval_s=7.0, retries=9
    )
    assert effective(open_check(test=("CMD", "b"), timeout_s=1.0), None) == Healthcheck(
        test=("CMD", "b"), timeout_s=1.0
    )


def test_every_exposed_port_is_published_once_where_that_is_wanted() -> None:
    image = ImageConfig(exposed_ports=("80/tcp", "53/udp", "80"))
    own = (PortBinding(container_port=80, host_port=8080),)
    spec = ContainerSpec(image="x", ports=own, expose=("90-91/tcp",))
    assert published_ports(spec, image) == own
    every = published_ports(ContainerSpec(image="x", ports=own, expose=("90-91",),
                                          publish_all=True), image)  # fmt: skip
    assert [(p.container_port, p.protocol, p.host_port) for p in every] == [
        (80, "tcp", 8080), (53, "udp", 0), (90, "tcp", 0), (91, "tcp", 0)
    ]  # fmt: skip


def test_owners_of_namespaces_are_known_by_id() -> None:
    other = Container(
        id="f" * 64, name="other", spec=ContainerSpec(image="x"), image_id="i", created_at=0.0
    )
    spec = ContainerSpec(image="x", network_mode="container:other", pid_mode="host")
    found = with_identified_owners(spec, lambda _: other)
    assert (found.network_mode, found.pid_mode, found.ipc_mode) == (
        f"container:{other.id}", "host", ""
    )  # fmt: skip

"""Who has which host port, however many there are."""

from __future__ import annotations

from typing import Any
from unittest.mock import AsyncMock, MagicMock

import pytest

from orchestrator.errors import Conflict
from orchestrator.model.container import PortBinding
from orchestrator.network import ports, sharing
from orchestrator.network.publish import Publisher
from orchestrator.network.sharing import Claim

pytestmark = pytest.mark.anyio
FIRST = 21000


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> Publisher:
    """One whose places need no sockets, and whose kernel agrees to everything."""
    monkeypatch.setattr(ports, "hold", lambda binding: [])
    driver, firewall = MagicMock(), MagicMock()
    driver.forget_udp, firewall.publish = AsyncMock(), AsyncMock()
    return Publisher(driver, firewall, MagicMock(), lambda identifier: identifier)


def claim(identifier: str, *numbers: int) -> Claim:
    bindings = tuple(PortBinding(container_port=80, host_port=number) for number in numbers)
    return Claim(container_id=identifier, bindings=bindings, ipv4="10.0.0.2")


async def test_a_port_costs_no_look_at_the_others(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(500):
        await publisher.publish(claim(f"c{number}", FIRST + number))
    looks: list[Any] = []
    overlaps = sharing.overlaps

    def counted(one: PortBinding, other: PortBinding) -> bool:
        looks.append((one, other))
        return overlaps(one, other)

    monkeypatch.setattr(sharing, "overlaps", counted)
    await publisher.publish(claim("one more", FIRST + 500))
    assert not looks
    with pytest.raises(Conflict, match="in use by container c7"):
        publisher.check(claim("late", FIRST + 501, FIRST + 7))
    assert len(looks) == 1


async def test_a_port_that_is_let_go_can_be_had_by_another(publisher: Publisher) -> None:
    await publisher.publish(claim("first", FIRST, FIRST + 1))
    await publisher.publish(claim("first", FIRST + 1, FIRST + 2))
    await publisher.publish(claim("second", FIRST))
    with pytest.raises(Conflict, match="in use by container first"):
        publisher.check(claim("third", FIRST + 1))
    await publisher.unpublish("first")
    publisher.check(claim("third", FIRST + 1, FIRST + 2))
    with pytest.raises(Conflict, match="in use by container second"):
        publisher.check(claim("third", FIRST))
    publisher.check(claim("third", FIRST), gone=["second"])
    assert [front.port for front in publisher.fronts()] == [FIRST, FIRST]

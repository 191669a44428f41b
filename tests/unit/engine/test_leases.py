"""Leases over the lives of containers and the deaths of engines, as a state machine."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orchestrator.engine import leases as module
from orchestrator.engine.leases import Leases
from orchestrator.errors import Conflict
from orchestrator.model.container import Attachment, ContainerSpec
from orchestrator.model.observed import Container, Endpoint, Network

NETWORKS = {
    "small": Network(
        id="n1", name="small", driver="bridge", created_at=0.0, bridge="b1",
        subnet="10.0.0.0/29", gateway="10.0.0.1", aux_addresses={"printer": "10.0.0.4"},
    ),
    "dual": Network(
        id="n2", name="dual", driver="bridge", created_at=0.0, bridge="b2",
        subnet="10.1.0.0/28", gateway="10.1.0.1",
        ipv6_subnet="fd00:1::/64", ipv6_gateway="fd00:1::1",
    ),
}  # fmt: skip
FIXED = (
    Attachment(network="small", ipv4_address="10.0.0.3"),
    Attachment(network="dual", ipv6_address="fd00:1::5"),
    Attachment(network="dual", ipv4_address="10.1.0.6", ipv6_address="fd00:1::7"),
)


@dataclass
class Engine:
    """What one engine process knows; the records outlive it."""

    records: dict[str, Container]
    live: dict[str, Container]

    def __post_init__(self) -> None:
        self.leases = Leases(NETWORKS.__getitem__, _Values(self.records), self.live)


class _Values:
    def __init__(self, records: dict[str, Container]) -> None:
        self._records = records

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(list(self._records.values()))


class LeasesOverTime(RuleBasedStateMachine):
    """Containers are leased addresses, recorded, started, stopped, connected, removed; engines die
    at any moment between."""

    @initialize()
    def begin(self) -> None:
        self.records: dict[str, Container] = {}
        self.engine = Engine(self.records, {})
        self.drafts: dict[str, Container] = {}
        self.made = 0

    @rule(
        attachments=st.lists(
            st.sampled_from([Attachment(network="small"), Attachment(network="dual"), *FIXED]),
            min_size=1,
            max_size=2,
            unique_by=lambda a: a.network,
        )
    )
    def lease(self, attachments: list[Attachment]) -> None:
        self.made += 1
        draft = Container(
            id=f"{self.made:064x}", name=f"c{self.made}", spec=ContainerSpec(image="i"),
            image_id="i", created_at=0.0,
        )  # fmt: skip
        try:
            endpoints = self.engine.leases.lease(draft, attachments)
        except Conflict:
            return
        self.drafts[draft.id] = replace(draft, endpoints=endpoints)

    @precondition(lambda self: self.drafts)
    @rule(data=st.data())
    def record(self, data: st.DataObject) -> None:
        draft = self.drafts.pop(data.draw(st.sampled_from(sorted(self.drafts))))
        self.records[draft.id] = draft

    @precondition(lambda self: self.records)
    @rule(data=st.data())
    def start(self, data: st.DataObject) -> None:
        identifier = data.draw(st.sampled_from(sorted(self.records)))
        self.engine.live[identifier] = self.records[identifier]

    @precondition(lambda self: self.engine.live)
    @rule(data=st.data())
    def stop(self, data: st.DataObject) -> None:
        self.engine.live.pop(data.draw(st.sampled_from(sorted(self.engine.live))))

    @precondition(lambda self: self.records)
    @rule(data=st.data(), name=st.sampled_from(sorted(NETWORKS)))
    def connect(self, data: st.DataObject, name: str) -> None:
        container = self.records[data.draw(st.sampled_from(sorted(self.records)))]
        if any(e.network_name == name for e in container.endpoints):
            return
        try:
            more = self.engine.leases.lease_another(container, Attachment(network=name))
        except Conflict:
            return
        self._changed(replace(container, endpoints=(*container.endpoints, more)))

    @precondition(lambda self: self.records)
    @rule(data=st.data())
    def disconnect(self, data: st.DataObject) -> None:
        container = self.records[data.draw(st.sampled_from(sorted(self.records)))]
        self._changed(replace(container, endpoints=container.endpoints[1:]))

    @precondition(lambda self: self.records)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        container = self.records.pop(data.draw(st.sampled_from(sorted(self.records))))
        self.engine.live.pop(container.id, None)
        self.engine.leases.release(container)

    @rule()
    def the_engine_dies(self) -> None:
        # What ran goes on, and is adopted; what was only leased never came to be.
        running = {i: c for i, c in self.engine.live.items() if i in self.records}
        self.engine = Engine(self.records, running)
        self.drafts = {}

    def _changed(self, container: Container) -> None:
        self.records[container.id] = container
        if container.id in self.engine.live:
            self.engine.live[container.id] = container

    @invariant()
    def nobody_has_what_another_has(self) -> None:
        if not hasattr(self, "records"):
            return
        owners: dict[tuple[str, str], str] = {}
        for container in (*self.records.values(), *self.drafts.values()):
            for endpoint in container.endpoints:
                for address in filter(None, (endpoint.ipv4, endpoint.ipv6)):
                    key = (endpoint.network_id, address)
                    assert owners.setdefault(key, container.id) == container.id
                _check_room(endpoint)
            assert len({e.interface for e in container.endpoints}) == len(container.endpoints)
            assert len({e.slot for e in container.endpoints}) == len(container.endpoints)


def _check_room(endpoint: Endpoint) -> None:
    network = NETWORKS[endpoint.network_name]
    forbidden = {network.gateway, network.ipv6_gateway, *network.aux_addresses.values()}
    assert endpoint.ipv4 not in forbidden
    assert not endpoint.ipv6 or endpoint.ipv6 not in forbidden


TestLeasesOverTime = LeasesOverTime.TestCase
TestLeasesOverTime.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_what_was_leased_and_never_recorded_is_free_again_after_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Engine({}, {})
    now = time.monotonic()
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    for number in range(4):
        draft = Container(
            id=str(number), name=f"c{number}", spec=ContainerSpec(image="i"), image_id="i",
            created_at=0.0,
        )  # fmt: skip
        engine.leases.lease(draft, [Attachment(network="small")])
    with pytest.raises(Conflict, match="all addresses"):
        engine.leases.lease(draft, [Attachment(network="small")])
    monkeypatch.setattr(module.time, "monotonic", lambda: now + 61)
    assert engine.leases.lease(draft, [Attachment(network="small")])

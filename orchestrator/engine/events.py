"""Events as the engine makes them: stored first, then told to whoever listens."""

from __future__ import annotations

import time
from collections.abc import Mapping

from orchestrator.aio.broadcast import Broadcast
from orchestrator.model.events import Event, EventType
from orchestrator.state.events import EventLog


class Events:
    """The one place through which every event goes."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self.live: Broadcast[Event] = Broadcast()

    def emit(self, event: Event) -> None:
        """Nothing, once the event is in the history and with every listener."""
        self.log.append(event)
        self.live.publish(event)

    def tell(
        self, kind: EventType, action: str, identifier: str, attributes: Mapping[str, str]
    ) -> None:
        """Nothing; an event that happened now is emitted."""
        self.emit(
            Event(
                type=kind,
                action=action,
                id=identifier,
                time=time.time(),
                attributes=dict(attributes),
            )
        )

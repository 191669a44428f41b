"""The records of containers: finding them, changing their state, and telling of it.

Only the engine's operations on containers write through here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import anyio

from orchestrator.aio.changes import Changes
from orchestrator.engine.events import Events
from orchestrator.errors import Conflict, InvalidInput, NotFound
from orchestrator.model.ids import short_id
from orchestrator.model.observed import Container, State
from orchestrator.state import labels
from orchestrator.state.database import Database


class ContainerRecords:
    """Every container's record; `changes` rings after each change of a state, and each of
    `watchers` is told whose it was."""

    def __init__(self, database: Database, events: Events) -> None:
        self._records = database.containers
        self._events = events
        self._locks: dict[str, anyio.Lock] = {}
        self.changes = Changes()
        self.watchers: list[Callable[[Container], None]] = []

    def all(self) -> list[Container]:
        """Every container, the newest first."""
        return sorted(self._records, key=lambda c: c.created_at, reverse=True)

    def labelled(self, label: str, value: str) -> list[Container]:
        """The containers whose label has that value, by name."""
        # Those of a stack are kept together.
        near = self._records.in_group(value) if label == labels.PROJECT and value else self._records
        return sorted((c for c in near if c.spec.labels.get(label) == value), key=lambda c: c.name)

    def get(self, reference: str) -> Container:
        """The container with this name, id, or unique beginning of an id.

        Raises: NotFound; InvalidInput: several ids begin so.
        """
        exact = self._records.named(reference.removeprefix("/")) or self._records.get(reference)
        if exact is not None:
            return exact
        found = self._records.starting(reference) if reference else []
        if len(found) > 1:
            raise InvalidInput(
                f"several containers have an id that begins with {reference}",
                code="ambiguous-id",
                about=reference,
                hint="give more digits, or the name",
            )
        if not found:
            raise NotFound(
                f"No such container: {reference}",
                code="no-such-container",
                about=reference,
                hint="`pystack ps -a` lists the containers",
            )
        return found[0]

    def find(self, identifier: str) -> Container | None:
        """The container with this very id, None where it is gone."""
        return self._records.get(identifier)

    def named(self, name: str) -> Container | None:
        """The container with this very name."""
        return self._records.named(name)

    def put(self, container: Container) -> Container:
        """The container as it is recorded now."""
        return self._records.put(container)

    def delete(self, identifier: str) -> None:
        """Nothing; the record is gone, and its lock."""
        self._records.delete(identifier)
        self._locks.pop(identifier, None)
        self.changes.ring()

    def lock(self, identifier: str) -> anyio.Lock:
        """The lock that whoever starts, ends or removes the container holds."""
        return self._locks.setdefault(identifier, anyio.Lock())

    def change(self, identifier: str, **fields: object) -> Container:
        """The container with these fields of its state changed, recorded.  Raises: NotFound."""
        container = self.note(identifier, **fields)
        self.changes.ring()
        return container

    def note(self, identifier: str, **fields: object) -> Container:
        """As `change`, waking nobody: what changes is nothing that anybody waits for."""
        container = self.get(identifier)
        state: State = replace(container.state, **fields)  # type: ignore[arg-type]
        container = self._records.put(replace(container, state=state))
        for watcher in self.watchers:
            watcher(container)
        return container

    def tell(
        self, action: str, container: Container, more: Mapping[str, str] | None = None
    ) -> None:
        """Nothing; the event is out, with the labels, the name and the image of the container."""
        tell_of(self._events, action, container, more)


def tell_of(
    events: Events, action: str, container: Container, more: Mapping[str, str] | None = None
) -> None:
    """Nothing; the event is out, with the labels, the name and the image of the container."""
    attributes = {
        **container.spec.labels,
        "name": container.name,
        "image": container.spec.image,
        **(more or {}),
    }
    events.tell("container", action, container.id, attributes)


def not_running(container: Container) -> Conflict:
    """The error of what can be asked of a running container only."""
    return Conflict(
        f"container {container.name} is not running",
        code="container-not-running",
        about=container.name,
        hint=f"start it with `pystack start {container.name}`",
    )


def name_taken(name: str, owner: Container) -> Conflict:
    """The error of a name that another container has."""
    return Conflict(
        f'Conflict. The container name "/{name}" is already in use by container'
        f' "{short_id(owner.id)}"',
        code="name-in-use",
        about=name,
        hint=f"remove that one (`pystack rm -f {name}`), rename it, or choose another name",
    )

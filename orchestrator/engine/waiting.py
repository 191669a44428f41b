"""Waiting for what becomes of a container."""

from __future__ import annotations

from orchestrator.engine.container_records import ContainerRecords


async def ended(records: ContainerRecords, identifier: str) -> int:
    """The exit code, once the container does not run (at once where it does not, or is gone)."""
    last = 0

    def look() -> int | None:
        nonlocal last
        container = records.find(identifier)
        if container is None:
            return last
        last = container.state.exit_code
        return None if container.running else last

    return await records.changes.until(look)


async def met(records: ContainerRecords, identifier: str, condition: str) -> int:
    """The exit code at Docker's wait conditions: `not-running`, `next-exit`, `removed`.

    Raises: NotFound.
    """
    began = records.get(identifier).state
    last = 0

    def look() -> int | None:
        nonlocal last
        container = records.find(identifier)
        if container is None:
            return last
        state = container.state
        last = state.exit_code
        over = not container.running and state.status != "created"
        again = state.finished_at != began.finished_at or state.error != began.error
        match condition:
            case "removed":
                return None
            case "next-exit":
                return last if again and not container.running else None
            case _:
                return last if over or (not container.running and not began.pid) else None

    return await records.changes.until(look)

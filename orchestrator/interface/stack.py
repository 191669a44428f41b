"""A stack for programs with an event loop: `async with engine.stack("stack.yml") as stack`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any, Self, TypeVar

import anyio
from anyio import to_thread

from orchestrator.interface import blocking
from orchestrator.interface.values import Address, Container, Executed

_DOWN_S = 120.0
_TICK_S = 0.5
_END = object()
_T = TypeVar("_T")


class Stack:
    """A stack: up while the block lasts, then down with its volumes."""

    def __init__(self, stack: blocking.Stack) -> None:
        self.blocking = stack

    @property
    def name(self) -> str:
        """What it is called; "" before it is up where nobody has said."""
        return self.blocking.name

    async def __aenter__(self) -> Self:
        with anyio.CancelScope(shield=True):  # what is half up must come down
            await to_thread.run_sync(self.blocking.__enter__)
        return self

    async def __aexit__(self, *_: object) -> None:
        with anyio.move_on_after(_DOWN_S, shield=True):
            await to_thread.run_sync(self.blocking.__exit__, None, None, None)

    async def up(self) -> None:
        """As `blocking.Stack.up`: again, after its files have changed."""
        await _called(self.blocking.up)

    async def down(self, *, volumes: bool = True) -> None:
        """Nothing, once nothing is left of the stack; with `volumes` nor of these."""
        await _called(partial(self.blocking.down, volumes=volumes))

    async def containers(self, service: str = "") -> list[Container]:
        """The stack's containers, or a service's, in their order."""
        return await _called(partial(self.blocking.containers, service))

    async def container(self, service: str, number: int = 1) -> Container:
        """One container of a service.  Raises: NotFound."""
        return await _called(partial(self.blocking.container, service, number))

    async def address(
        self, service: str, port: int, protocol: str = "tcp", *, number: int = 1
    ) -> Address:
        """Where a container's port is published.  Raises: NotFound: it is not."""
        return await _called(partial(self.blocking.address, service, port, protocol, number=number))

    async def execute(
        self, service: str, command: Sequence[str], *, stdin: bytes = b"", number: int = 1
    ) -> Executed:
        """How the command went in a container of the service."""
        return await _called(
            partial(self.blocking.execute, service, command, stdin=stdin, number=number)
        )

    async def logs(
        self, *services: str, follow: bool = False, tail: int | None = None
    ) -> AsyncIterator[str]:
        """The lines that its containers, or those of some services, have said."""
        lines = self.blocking.said(*services, follow=follow, tail=tail, tick_s=_TICK_S)
        try:
            # Not abandoned when cancelled: the thread comes back with the next tick.
            while (line := await to_thread.run_sync(next, lines, _END)) is not _END:
                if isinstance(line, str):
                    yield line
        finally:
            lines.close()


async def _called(function: Callable[..., _T], *arguments: Any) -> _T:
    return await to_thread.run_sync(function, *arguments, abandon_on_cancel=True)

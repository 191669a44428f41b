"""The engine for programs with an event loop: `async with Engine() as engine`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

import anyio
from anyio import to_thread

from orchestrator.interface import blocking
from orchestrator.interface.stack import Stack

_STOP_S = 60.0


class Engine:
    """An engine: the one of this user and machine, which is started where none runs; or, with
    `directory`, one of this object's own, which has everything below that directory and ends with
    the block.

    It is a process in either case: an engine has a mount namespace, and that is a process' own.
    Raises everywhere: PystackError, as the engine says it.
    """

    def __init__(
        self, *, directory: Path | None = None, environ: Mapping[str, str] = os.environ
    ) -> None:
        self.blocking = blocking.Engine(directory=directory, environ=environ)

    async def __aenter__(self) -> Self:
        await to_thread.run_sync(self.blocking.__enter__)
        return self

    async def __aexit__(self, *_: object) -> None:
        with anyio.move_on_after(_STOP_S, shield=True):
            await to_thread.run_sync(self.blocking.__exit__)

    async def info(self) -> dict[str, Any]:
        """What the engine is, as Docker's GET /info."""
        return await to_thread.run_sync(self.blocking.info, abandon_on_cancel=True)

    def stack(
        self,
        *files: str | Path,
        name: str = "",
        environ: Mapping[str, str] | None = None,
        profiles: Sequence[str] = (),
        wait: str = "healthy",
        timeout_s: float = 120.0,
        keep: bool = False,
    ) -> Stack:
        """The stack of these files, later ones laid over earlier ones; up while its block lasts.

        `wait` is for what to wait: `healthy` or `running`. With `keep` it stays up, and its
        volumes with it.
        """
        make = partial(self.blocking.stack, *files, name=name, environ=environ, profiles=profiles)
        return Stack(make(wait=wait, timeout_s=timeout_s, keep=keep))

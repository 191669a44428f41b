"""Blocks that are left to themselves, but not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio


@contextmanager
def after(seconds: float, act: Callable[[], object]) -> Iterator[None]:
    """A block; where it lasts longer than that, `act` is called once, amid it."""
    timer = asyncio.get_running_loop().call_later(seconds, act)
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def shielded_for(seconds: float) -> Iterator[None]:
    """A block that a cancellation does not reach before it has lasted that long."""
    with anyio.CancelScope(shield=True) as scope, after(seconds, lambda: _open(scope)):
        yield


def _open(scope: anyio.CancelScope) -> None:
    scope.shield = False

"""Several requests at once: one thread each, as each waits for the engine and does nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")
_WIDTH = 16


def together(do: Callable[[T], R], things: Iterable[T]) -> list[R | Exception]:
    """What `do` returned or raised for each thing, in their order."""
    every = list(things)

    def one(thing: T) -> R | Exception:
        try:
            return do(thing)
        except Exception as error:
            return error

    if len(every) < 2:
        return [one(thing) for thing in every]
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  (15 ms, here only)

    with ThreadPoolExecutor(min(_WIDTH, len(every))) as pool:
        return list(pool.map(one, every))


def interleaved(streams: Iterable[Callable[[], Iterator[Any]]], tick_s: float) -> Iterator[Any]:
    """The values of several streams as they come; None for every `tick_s` seconds without one.

    The first error of a stream is raised when all have ended.
    """
    import queue  # noqa: PLC0415
    import threading  # noqa: PLC0415

    values: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

    def drain(open_stream: Callable[[], Iterator[Any]]) -> None:
        try:
            for value in open_stream():
                values.put((False, value))
        except Exception as error:
            values.put((True, error))
        else:
            values.put((True, None))

    left = 0
    for stream in streams:
        threading.Thread(target=drain, args=(stream,), daemon=True).start()
        left += 1
    failure: Exception | None = None
    while left:
        try:
            ended, value = values.get(timeout=tick_s)
        except queue.Empty:
            yield None
            continue
        if not ended:
            yield value
            continue
        left -= 1
        failure = failure or value
    if failure is not None:
        raise failure

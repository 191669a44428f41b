"""libnftables in this process: text in, one kernel transaction each.

Source: libnftables(3), and nft(8) for the language.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Generator
from contextlib import contextmanager

from orchestrator.aio.points import reach
from orchestrator.errors import Failed, Unavailable

_LIBRARY = "libnftables.so.1"


class NftablesError(Exception):
    """A transaction was refused; nothing of it took effect. The text is libnftables' own."""


class Nftables:
    """The library, opened on first use. Blocking: for worker threads.

    One call at a time in the whole process, because the library keeps state of its own outside of
    its contexts.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._library: ctypes.CDLL | None = None
        self._context: int | None = None

    def run(self, text: str) -> str:
        """What the commands print, run in the namespace that the first call was made in.

        Raises: NftablesError; Unavailable: the library is not installed.
        """
        with self._lock:
            library = self._loaded()
            if self._context is None:
                self._context = _new_context(library)
            return _run(library, self._context, text)

    def run_here(self, text: str) -> str:
        """As `run`, in the network namespace that the calling thread is in."""
        with self._lock:
            library = self._loaded()
            with _context(library) as context:
                return _run(library, context, text)

    def close(self) -> None:
        """Nothing; the library's socket is closed, and opened again by the next `run`."""
        with self._lock:
            if self._library is not None and self._context is not None:
                self._library.nft_ctx_free(self._context)
            self._context = None

    def _loaded(self) -> ctypes.CDLL:
        if self._library is None:
            self._library = _load()
        return self._library


def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise Unavailable(
            f"{_LIBRARY} cannot be loaded: {error}",
            code="nftables-missing",
            about=_LIBRARY,
            hint="install it (`apt install libnftables1`)",
        ) from error
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_new.argtypes = (ctypes.c_uint32,)
    library.nft_run_cmd_from_buffer.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
    for name in ("nft_ctx_free", "nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        getattr(library, name).argtypes = (ctypes.c_void_p,)
    library.nft_ctx_free.restype = None
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(library, name).argtypes = (ctypes.c_void_p,)
        getattr(library, name).restype = ctypes.c_char_p
    return library


def _new_context(library: ctypes.CDLL) -> int:
    context = library.nft_ctx_new(0)
    if not context:
        raise Failed("libnftables has no context to give", code="nftables-failed")
    library.nft_ctx_buffer_output(context)
    library.nft_ctx_buffer_error(context)
    return int(context)


@contextmanager
def _context(library: ctypes.CDLL) -> Generator[int]:
    context = _new_context(library)
    try:
        yield context
    finally:
        library.nft_ctx_free(context)


def _run(library: ctypes.CDLL, context: int, text: str) -> str:
    reach("nftables")
    failed = library.nft_run_cmd_from_buffer(context, text.encode())
    # Reading a buffer also empties it, so both are read whatever happened.
    output = (library.nft_ctx_get_output_buffer(context) or b"").decode(errors="replace")
    problem = (library.nft_ctx_get_error_buffer(context) or b"").decode(errors="replace")
    if failed:
        raise NftablesError(problem.strip() or "no reason given")
    return output

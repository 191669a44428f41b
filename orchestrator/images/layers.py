"""One layer, from whatever gives its bytes to its place in the content store, digests checked."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from orchestrator.errors import Failed, PystackError
from orchestrator.images.content import ContentStore, LayerRecord
from orchestrator.images.digest import algorithm_of
from orchestrator.images.layertar import diff_of
from orchestrator.images.settle import Settling, settle_tree
from orchestrator.images.unpack import Unpacked, Unpacker
from orchestrator.model.image import Descriptor, Layer

_PIECE = 512 << 10
_PIECES_WAITING = 4


async def known_layer(store: ContentStore, blob: Descriptor, chain: str) -> Layer | None:
    """The layer where it is here already. Its blob is the one asked for if that is stored, else
    the one it was made from: a layer compressed anew is the same layer."""
    record = await anyio.to_thread.run_sync(store.layer, chain)
    if record is None:
        return None
    return Layer(
        blob=blob if store.has_blob(blob.digest) else record.blob,
        diff_id=record.diff_id,
        chain_id=chain,
        size_bytes=record.size_bytes,
    )


async def add_layer(
    store: ContentStore,
    pieces: AsyncIterator[bytes],
    blob: Descriptor,
    diff_id: str,
    chain: str,
    *,
    max_bytes: int,
    keep_blob: bool,
    grown: Path | None = None,
    again: Callable[[Path], None] | None = None,
) -> Layer:
    """The layer that the pieces of its blob make, visible in the store. With `grown` the blob
    grows there, after what the file holds already, which pieces begin with. `again` writes a blob
    that was not kept to a file, should it turn out to be needed.

    Raises: Failed: a digest differs, the layer is damaged or too large, the disk is full; then
    nothing of it stays. What pieces raises passes through, and `grown` stays for another try.
    """
    begin = partial(
        Unpacker,
        store,
        max_bytes,
        keep_blob=keep_blob,
        partial=grown,
        algorithm=algorithm_of(blob.digest),
    )
    try:
        unpacked = await _unpack(begin, pieces)
    except Failed:
        if grown is not None:
            grown.unlink(missing_ok=True)
        raise
    # Shielded from here on: a finished layer that nobody takes would stay in the store's tmp.
    with anyio.CancelScope(shield=True):
        layer = await anyio.to_thread.run_sync(
            _commit, store, unpacked, blob, diff_id, chain, again
        )
    return layer  # noqa: RET504 (a return inside the scope might be swallowed by it)


async def unpack_tree(
    store: ContentStore, pieces: AsyncIterator[bytes], *, max_bytes: int
) -> Unpacked:
    """What the tar in pieces was unpacked into: the caller's, to adopt or discard.

    Raises: Failed: it is damaged or too large, or the disk is full.
    """
    unpacked = await unpack_apart(store, pieces, max_bytes=max_bytes)
    try:
        settling = Settling(links=unpacked.links)
        await anyio.to_thread.run_sync(settle_tree, unpacked.directory, (), settling)
    except BaseException:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(store.discard, unpacked.directory)
        raise
    return unpacked


async def unpack_apart(
    store: ContentStore, pieces: AsyncIterator[bytes], *, max_bytes: int
) -> Unpacked:
    """What the tar in pieces was unpacked into, not settled: the caller's, to adopt or discard.

    Raises: Failed: it is damaged or too large, or the disk is full.
    """
    begin = partial(Unpacker, store, max_bytes, keep_blob=False)
    return await _unpack(begin, pieces)


async def _unpack(begin: Callable[[], Unpacker], pieces: AsyncIterator[bytes]) -> Unpacked:
    async with _unpacking(begin) as unpacker:
        with single_errors():
            await _feed(unpacker, pieces)
        return await anyio.to_thread.run_sync(unpacker.finish)


async def _feed(unpacker: Unpacker, pieces: AsyncIterator[bytes]) -> None:
    send, receive = anyio.create_memory_object_stream[bytes](_PIECES_WAITING)

    async def collect() -> None:
        async with send:
            async for piece in larger(pieces):
                await send.send(piece)

    async with receive, anyio.create_task_group() as tasks:
        tasks.start_soon(collect)
        async for piece in receive:
            await anyio.to_thread.run_sync(unpacker.feed, piece)


def _commit(
    store: ContentStore,
    unpacked: Unpacked,
    blob: Descriptor,
    diff_id: str,
    chain: str,
    again: Callable[[Path], None] | None,
) -> Layer:
    kept = unpacked.blob
    try:
        _check(unpacked, blob, diff_id)
        if (kept is not None or again is not None) and not _packs_again(unpacked, blob):
            if kept is None and again is not None:
                kept = store.scratch()
                again(kept)
            assert kept is not None
            store.adopt_blob(kept, blob.digest)
        record = LayerRecord(
            chain_id=chain,
            diff_id=diff_id,
            size_bytes=unpacked.content_bytes,
            blob=blob,
            implicit=unpacked.implicit,
            links=unpacked.links,
        )
        store.commit_layer(unpacked.directory, record)
    except OSError as error:
        raise Failed(
            f"a layer cannot be stored: {error.strerror}",
            code="layer-store",
            hint="see that the disk that holds data_dir is not full",
        ) from error
    finally:
        # Whatever was adopted is not there any more.
        store.discard(unpacked.directory)
        if kept is not None:
            store.discard(kept)
    return Layer(blob=blob, diff_id=diff_id, chain_id=chain, size_bytes=unpacked.content_bytes)


def _packs_again(unpacked: Unpacked, blob: Descriptor) -> bool:
    """Whether the blob is the very tar that the directory packs to, and so need not be kept, as
    with a layer made here."""
    if blob.digest != unpacked.diff_id or unpacked.implicit or unpacked.links:
        return False
    try:
        return diff_of(unpacked.directory).diff_id == unpacked.diff_id
    except (Failed, OSError):
        return False


def _check(unpacked: Unpacked, blob: Descriptor, diff_id: str) -> None:
    for what, wanted, got in (
        ("a layer", blob.digest, unpacked.blob_digest),
        ("a layer's size", str(blob.size_bytes), str(unpacked.blob_bytes)),
        ("an uncompressed layer", diff_id, unpacked.diff_id),
    ):
        if wanted != got:
            raise Failed(
                f"{what} is {got}, not {wanted}",
                code="digest-mismatch",
                about=blob.digest,
                hint="a proxy, a mirror or the registry is damaging it, or is not to be trusted",
            )


async def larger(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """The same bytes in fewer pieces: each costs a hop to a thread."""
    waiting: list[bytes] = []
    size = 0
    async for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _PIECE:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


@asynccontextmanager
async def _unpacking(begin: Callable[[], Unpacker]) -> AsyncGenerator[Unpacker]:
    unpacker = await anyio.to_thread.run_sync(lambda: begin().__enter__())
    try:
        yield unpacker
    finally:
        # Removing a half-unpacked tree takes what it takes; leaving it would cost its disk space.
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(unpacker.__exit__, None, None, None)


async def read_pieces(path: Path) -> AsyncGenerator[bytes]:
    """A file's bytes, read in threads."""
    async with await anyio.open_file(path, "rb") as file:
        while piece := await file.read(_PIECE):
            yield piece


@contextmanager
def single_errors() -> Generator[None]:
    """Turns a task group's error group into the first error a user can act on."""
    try:
        yield
    except BaseExceptionGroup as group:
        known, others = group.split(PystackError)
        if others is not None or known is None:
            raise
        raise _first(known) from None


def _first(group: BaseExceptionGroup[PystackError]) -> PystackError:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner

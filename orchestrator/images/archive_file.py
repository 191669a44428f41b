"""An image archive as a file: spooled where it has to be, its members read in place.

Nothing is extracted, and every size is bounded. What the members mean is `archive`'s.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path

import anyio
import anyio.to_thread

from orchestrator.errors import Failed, InvalidInput
from orchestrator.images.compression import Decompressor
from orchestrator.images.content import ContentStore
from orchestrator.images.digest import has_digest, split_digest
from orchestrator.images.layers import larger
from orchestrator.images.tarindex import Member, index

# Each piece costs a few turns between threads.
PIECE = 2 << 20
_DOCUMENT_MAX = 16 << 20
_DOCUMENTS_MAX = 128 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may come to, in bytes: uncompressed as a whole, and each of its layers."""

    archive_bytes: int = 256 << 30
    layer_bytes: int = 64 << 30


class ArchiveFile:
    """The files of an uncompressed tar, read in place. Blocking.

    Raises: ValueError: it is no tar, or a broken one.
    """

    def __init__(self, path: Path) -> None:
        self._documents = 0
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._members = index(lambda offset, size: os.pread(self._fd, size, offset))
        except BaseException:
            os.close(self._fd)
            raise

    def close(self) -> None:
        os.close(self._fd)

    def __contains__(self, name: str) -> bool:
        return os.path.normpath(name) in self._members

    def member(self, name: str) -> Member:
        found = self._members.get(os.path.normpath(name))
        if found is None:
            raise invalid(f"{name[:200]} is missing from the archive")
        return found

    def document(self, name: str) -> bytes:
        member = self.member(name)
        self._documents += member.size
        if member.size > _DOCUMENT_MAX or self._documents > _DOCUMENTS_MAX:
            raise invalid(f"{name[:200]} has {member.size} bytes, which is too much")
        return self.read(member, 0, member.size)

    def blob(self, digest: str) -> bytes:
        """The document of an OCI layout that has this digest.

        Raises: InvalidInput: it is missing. Failed: it is damaged, or that is no digest.
        """
        data = self.document(blob_name(digest))
        if not has_digest(data, digest):
            raise Failed(
                f"the archive's {digest} is damaged",
                code="digest-mismatch",
                about=digest,
                hint="save the image again",
            )
        return data

    def read(self, member: Member, position: int, size: int) -> bytes:
        return os.pread(self._fd, min(size, member.size - position), member.offset + position)

    def copy(self, member: Member, target: Path) -> None:
        """Nothing, once the member's bytes are a file of their own."""
        with target.open("wb", buffering=0) as file:
            position = 0
            while piece := self.read(member, position, PIECE):
                file.write(piece)
                position += len(piece)

    def digest(self, member: Member) -> str:
        sha = hashlib.sha256()
        position = 0
        while piece := self.read(member, position, PIECE):
            sha.update(piece)
            position += len(piece)
        return "sha256:" + sha.hexdigest()


@asynccontextmanager
async def opened(
    source: Path | AsyncIterator[bytes], store: ContentStore, limits: Limits
) -> AsyncGenerator[ArchiveFile]:
    """The archive, in a temporary file where it has to be: it is read from its end first."""
    spooled: Path | None = None
    try:
        try:
            if not isinstance(source, Path) or await anyio.to_thread.run_sync(_is_packed, source):
                spooled = store.scratch()
                await _spool(source, spooled, limits.archive_bytes)
            path = spooled or source
            assert isinstance(path, Path)
            archive = await anyio.to_thread.run_sync(ArchiveFile, path)
        except ValueError as error:
            raise invalid(f"this is not a whole tar archive: {error}") from error
        except OSError as error:
            raise Failed(
                f"an image archive cannot be read: {error.strerror}",
                code="image-archive-unreadable",
                about=str(error.filename or ""),
                hint="see that the file is there, and that the disk of data_dir is not full",
            ) from error
        try:
            yield archive
        finally:
            archive.close()
    finally:
        if spooled is not None:
            spooled.unlink(missing_ok=True)


def _is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) in (b"\x1f\x8b", b"\x28\xb5")


async def _spool(source: Path | AsyncIterator[bytes], target: Path, max_bytes: int) -> None:
    file = await anyio.to_thread.run_sync(_create, target)
    size = 0

    def keep(data: bytes) -> None:
        nonlocal size
        size += len(data)
        if size > max_bytes:
            raise Failed(
                f"an image archive is larger than {max_bytes} bytes",
                code="image-archive-too-large",
                hint="raise max_archive_bytes in the settings if it is to be trusted",
            )
        file.write(data)

    try:
        decompressor = Decompressor(keep)
        if isinstance(source, Path):
            async with await anyio.open_file(source, "rb") as packed:
                while piece := await packed.read(PIECE):
                    await anyio.to_thread.run_sync(decompressor.feed, piece)
        else:
            async for piece in larger(source):
                await anyio.to_thread.run_sync(decompressor.feed, piece)
        await anyio.to_thread.run_sync(decompressor.finish)
    finally:
        await anyio.to_thread.run_sync(file.close)


def _create(path: Path) -> BufferedWriter:
    return path.open("wb")


def blob_name(digest: str) -> str:
    """Where an OCI layout has the blob.  Raises: Failed: that is no digest."""
    return "blobs/" + "/".join(split_digest(digest))


def invalid(problem: str) -> InvalidInput:
    """The error for a file that is no image archive."""
    return InvalidInput(
        f"not an image archive: {problem}",
        code="image-archive-invalid",
        hint="give a file written by `docker save`, `podman save` or `skopeo copy`",
    )

"""A layer's bytes, as they arrive, into a directory that overlayfs can stack.

    feed ─▶ lane: sha256 of the blob, blob file
       └──▶ decompress ─▶ lane: sha256 of the tar, GNU tar in a jail

Nothing of it is visible to anybody until the caller commits it to the content store. Blocking.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from orchestrator.errors import Failed
from orchestrator.images.compression import Decompressor
from orchestrator.images.content import ContentStore
from orchestrator.images.jail import spawn
from orchestrator.images.lane import Lane
from orchestrator.images.overlay import TAR_UMASK, to_overlay
from orchestrator.images.told import Told

_TAR = (
    "tar",
    "--extract",
    "--file=-",
    "--numeric-owner",
    "--same-owner",
    "--preserve-permissions",
    "--delay-directory-restore",
    "--xattrs",
    "--xattrs-include=user.*",
    "--xattrs-include=security.capability",
    "--xattrs-exclude=user.overlay.*",
    "--quoting-style=c",
    # A line for each member, which are counted.
    "--verbose",
    "--warning=no-timestamp",
    "--warning=no-unknown-keyword",
)
_PIPE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A finished layer, not yet visible: its directory, its blob's file (None where the blob was
    not kept), what both digests came out as, the bytes its regular files hold, and what it leaves
    to the layers below it (see `settle`)."""

    directory: Path
    blob: Path | None
    blob_digest: str
    blob_bytes: int
    diff_id: str
    content_bytes: int
    implicit: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()


class Unpacker:
    """One layer being unpacked; a context manager that leaves nothing behind unless `finish`
    handed it over. `max_bytes` bounds the uncompressed tar, and the bytes that its files say they
    hold (sparse ones hold fewer). `partial` is where the blob is kept
    while it grows: what it holds already must be fed first, and it stays when the work fails."""

    def __init__(
        self,
        store: ContentStore,
        max_bytes: int,
        *,
        keep_blob: bool,
        partial: Path | None = None,
        algorithm: str = "sha256",
    ) -> None:
        self._store = store
        self._max_bytes = max_bytes
        self._directory = store.begin_layer()
        self._blob_path = partial or (store.scratch() if keep_blob else None)
        self._is_partial = partial is not None
        self._kept_bytes = 0
        self._algorithm = algorithm
        self._blob_file: IO[bytes] | None = None
        self._blob_sha = hashlib.new(algorithm)
        self._tar_sha = hashlib.sha256()
        self._blob_bytes = 0
        self._tar_bytes = 0
        self._handed_over = False

    def __enter__(self) -> Self:
        try:
            if self._blob_path is not None:
                self._blob_file = self._blob_path.open("ab", buffering=0)
                self._kept_bytes = self._blob_file.tell()
            # File times come from a clock that is some milliseconds behind this one.
            self._began_at = time.time() - 1
            self._child = spawn(_TAR, self._directory, umask=TAR_UMASK, apart=True)
        except BaseException:
            self._discard()
            raise
        assert self._child.stdin is not None
        with suppress(OSError):
            fcntl.fcntl(self._child.stdin, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._told = Told(self._child, self._store.max_layer_entries)
        self._blob_lane = Lane("layer-blob", self._take_blob)
        self._tar_lane = Lane("layer-tar", self._take_tar)
        self._decompressor = Decompressor(self._decompressed)
        return self

    def feed(self, data: bytes) -> None:
        """Nothing, once data is on its way.

        Raises: Failed: the layer is damaged or too large, or tar refuses it.
        """
        self._blob_bytes += len(data)
        with _explained():
            self._blob_lane.put(data)
            self._decompressor.feed(data)

    def finish(self) -> Unpacked:
        """The layer, now the caller's to commit or discard.

        Raises: Failed: as feed.
        """
        with _explained():
            self._decompressor.finish()
            self._blob_lane.close()
            self._tar_lane.close()
            links = self._end_tar()
            converted = to_overlay(self._directory, self._began_at)
        if converted.content_bytes > self._max_bytes:
            raise self._too_large()
        if self._blob_file is not None:
            self._blob_file.close()
        self._handed_over = True
        return Unpacked(
            directory=self._directory,
            blob=self._blob_path,
            blob_digest=f"{self._algorithm}:{self._blob_sha.hexdigest()}",
            blob_bytes=self._blob_bytes,
            diff_id="sha256:" + self._tar_sha.hexdigest(),
            content_bytes=converted.content_bytes,
            implicit=tuple(os.fsdecode(path) for path in converted.implicit),
            links=links,
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._child.poll() is None:
            self._child.kill()
        self._blob_lane.abandon()
        self._tar_lane.abandon()
        self._close_stdin()
        self._child.wait()
        self._told.close()
        if not self._handed_over:
            self._discard()

    def _discard(self) -> None:
        if self._blob_file is not None:
            self._blob_file.close()
        self._store.discard(self._directory)
        if self._blob_path is not None and not self._is_partial:
            self._store.discard(self._blob_path)

    def _take_blob(self, data: bytes) -> None:
        self._blob_sha.update(data)
        new = data[self._kept_bytes :] if self._kept_bytes else data
        self._kept_bytes -= len(data) - len(new)
        if self._blob_file is not None:
            _write_all(self._blob_file.fileno(), new)

    def _decompressed(self, data: bytes) -> None:
        self._tar_bytes += len(data)
        if self._tar_bytes > self._max_bytes:
            raise self._too_large()
        if self._told.too_many:
            raise self._too_many()
        self._tar_lane.put(data)

    def _too_large(self) -> Failed:
        return Failed(
            f"a layer is larger than {self._max_bytes} bytes",
            code="layer-too-large",
            hint="raise max_layer_bytes in the settings if the image is to be trusted",
        )

    def _too_many(self) -> Failed:
        return Failed(
            f"a layer has more than {self._store.max_layer_entries} files",
            code="layer-too-many-files",
            hint="raise max_layer_entries in the settings if the image is to be trusted",
        )

    def _take_tar(self, data: bytes) -> None:
        self._tar_sha.update(data)
        assert self._child.stdin is not None
        # tar stops reading at the archive's end or at an error; its exit code tells which.
        with suppress(BrokenPipeError):
            _write_all(self._child.stdin.fileno(), data)

    def _end_tar(self) -> tuple[tuple[str, str], ...]:
        """The hard links whose targets are in no file of this tar."""
        self._close_stdin()
        code = self._child.wait()
        self._told.close()
        if self._told.too_many:
            raise self._too_many()
        # Some layers are no bytes at all, which tar does not take for an archive.
        if code == 0 or not self._tar_bytes:
            return ()
        links = self._told.links_elsewhere()
        if links is None and self._told.disk_is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if links is None:
            raise Failed(
                f"a layer cannot be unpacked: {self._told.complaint or f'tar ended with {code}'}",
                code="unpack-failed",
                hint="the image is damaged, the disk is full, or a privilege is missing",
            )
        return links

    def _close_stdin(self) -> None:
        assert self._child.stdin is not None
        with suppress(BrokenPipeError):
            self._child.stdin.close()


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


@contextmanager
def _explained() -> Generator[None]:
    """Turns what reading and writing a layer raises into what a user can act on."""
    try:
        yield
    except ValueError as error:
        raise Failed(
            f"a layer is damaged: {error}",
            code="layer-damaged",
            hint="pull again; if it stays so, the image must be pushed again",
        ) from error
    except OSError as error:
        raise Failed(
            f"a layer cannot be stored: {error.strerror}",
            code="layer-store",
            hint="see that the disk that holds data_dir is not full",
        ) from error

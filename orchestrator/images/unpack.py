"""A layer's bytes, as they arrive, into a directory that overlayfs can stack.

    feed ─▶ lane: sha256 of the blob, blob file
       └──▶ decompress ─▶ lane: sha256 of the tar, GNU tar in a jail

Nothing of it is visible to anybody until the caller commits it to the content store. Blocking.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import subprocess
import threading
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
from orchestrator.images.layertar import OPAQUE, WHITEOUT

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
    "--warning=no-timestamp",
    "--warning=no-unknown-keyword",
)
_PIPE_BYTES = 1 << 20
_SAID_MAX = 2000


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A finished layer, not yet visible: its directory, its blob's file (None where the blob was
    not kept), what both digests came out as, and the bytes its regular files hold."""

    directory: Path
    blob: Path | None
    blob_digest: str
    blob_bytes: int
    diff_id: str
    content_bytes: int


class Unpacker:
    """One layer being unpacked; a context manager that leaves nothing behind unless `finish`
    handed it over. `max_bytes` bounds the uncompressed tar. `partial` is where the blob is kept
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
            self._child = spawn(_TAR, self._directory)
        except BaseException:
            self._discard()
            raise
        assert self._child.stdin is not None
        with suppress(OSError):
            fcntl.fcntl(self._child.stdin, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._said = _Said(self._child)
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
            self._end_tar()
            content_bytes = to_overlay(self._directory)
        if self._blob_file is not None:
            self._blob_file.close()
        self._handed_over = True
        return Unpacked(
            directory=self._directory,
            blob=self._blob_path,
            blob_digest=f"{self._algorithm}:{self._blob_sha.hexdigest()}",
            blob_bytes=self._blob_bytes,
            diff_id="sha256:" + self._tar_sha.hexdigest(),
            content_bytes=content_bytes,
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
        self._said.text()
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
            raise Failed(
                f"a layer is larger than {self._max_bytes} bytes",
                code="layer-too-large",
                hint="raise max_layer_bytes in the settings if the image is to be trusted",
            )
        self._tar_lane.put(data)

    def _take_tar(self, data: bytes) -> None:
        self._tar_sha.update(data)
        assert self._child.stdin is not None
        # tar stops reading at the archive's end or at an error; its exit code tells which.
        with suppress(BrokenPipeError):
            _write_all(self._child.stdin.fileno(), data)

    def _end_tar(self) -> None:
        self._close_stdin()
        code = self._child.wait()
        said = self._said.text()
        # Some layers are no bytes at all, which tar does not take for an archive.
        if code != 0 and self._tar_bytes:
            raise Failed(
                f"a layer cannot be unpacked: {said or f'tar ended with {code}'}",
                code="unpack-failed",
                hint="the image is damaged, the disk is full, or a privilege is missing",
            )

    def _close_stdin(self) -> None:
        assert self._child.stdin is not None
        with suppress(BrokenPipeError):
            self._child.stdin.close()


class _Said:
    """What the child prints, its first part kept, so that its pipe never fills."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        assert child.stdout is not None
        self._stream = child.stdout
        self._kept = b""
        self._thread = threading.Thread(target=self._run, name="layer-messages", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while data := self._stream.read(4096):
            self._kept = (self._kept + data)[:_SAID_MAX]

    def text(self) -> str:
        self._thread.join()
        self._stream.close()
        return self._kept.decode(errors="replace").strip()


def to_overlay(directory: Path) -> int:
    """The bytes that the regular files below directory hold, hard links counted once; on the way
    every whiteout file becomes what overlayfs understands.

    Source: OCI image specification, "Whiteouts"; kernel document filesystems/overlayfs.rst.
    """
    return _convert(os.fsencode(directory), set())


def _convert(directory: bytes, seen: set[int]) -> int:
    total = 0
    marks: list[bytes] = []
    with os.scandir(directory) as scan:
        for entry in scan:
            if entry.name.startswith(WHITEOUT):
                marks.append(entry.name)
            elif entry.is_dir(follow_symlinks=False):
                total += _convert(entry.path, seen)
            elif entry.is_file(follow_symlinks=False):
                info = entry.stat(follow_symlinks=False)
                if info.st_nlink == 1 or info.st_ino not in seen:
                    total += info.st_size
                    if info.st_nlink > 1:
                        seen.add(info.st_ino)
    if marks:
        times = os.lstat(directory)
        for mark in marks:
            _apply(directory, mark)
        os.utime(directory, ns=(times.st_atime_ns, times.st_mtime_ns))
    return total


def _apply(directory: bytes, mark: bytes) -> None:
    path = directory + b"/" + mark
    if os.path.isdir(path) and not os.path.islink(path):  # noqa: PTH112, PTH114 (bytes)
        return
    os.unlink(path)  # noqa: PTH108
    if mark == OPAQUE:
        _make_opaque(directory)
    elif not mark.startswith(WHITEOUT * 2):  # aufs' own bookkeeping
        hidden = directory + b"/" + mark.removeprefix(WHITEOUT)
        try:
            kind = os.lstat(hidden).st_mode
        except FileNotFoundError:
            os.mknod(hidden, stat.S_IFCHR, 0)
            return
        # The layer hides the name and gives it anew; only a directory would still be merged.
        if stat.S_ISDIR(kind):
            _make_opaque(hidden)


def _make_opaque(directory: bytes) -> None:
    os.setxattr(directory, "trusted.overlay.opaque", b"y", follow_symlinks=False)


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

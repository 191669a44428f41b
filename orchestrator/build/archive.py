"""Local archives that ADD unpacks.

They are unpacked by GNU tar into an empty directory, where no link of the archive can have led
anywhere yet, and copied into place from there. Blocking.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import threading
import zlib
from contextlib import suppress
from pathlib import Path
from typing import IO, BinaryIO, cast

import zstandard

from orchestrator.errors import Failed
from orchestrator.images.jail import spawn

_CHUNK = 1 << 20
_BROKEN = (OSError, EOFError, lzma.LZMAError, zlib.error, zstandard.ZstdError)


def is_archive(file: BinaryIO) -> bool:
    """Whether the file is a tar, plain or compressed; the file is read from its start.

    A compressed file that holds no tar is none, and is copied as it is.
    """
    file.seek(0)
    try:
        with tarfile.open(fileobj=_plain(file), mode="r|") as archive:
            return archive.next() is not None
    except (tarfile.TarError, *_BROKEN):
        return False


def unpack(file: BinaryIO, directory: Path) -> None:
    """Nothing, once the archive's files are below directory, which must be empty.

    Raises: Failed: the archive is damaged.
    """
    file.seek(0)
    command = ["tar", "--extract", "--file=-", "--numeric-owner", "--preserve-permissions"]
    with spawn([*command, "--same-owner"], directory) as tar:
        assert tar.stdin is not None
        assert tar.stdout is not None
        said: list[bytes] = []
        listener = threading.Thread(target=_listen, args=(tar.stdout, said), daemon=True)
        listener.start()
        problem = ""
        try:
            _pour(_plain(file), tar.stdin)
        except _BROKEN as error:
            problem = str(error)
        listener.join()
    if problem or tar.returncode != 0:
        told = b"".join(said).decode(errors="replace").strip()
        raise Failed(
            f"the archive cannot be unpacked: {told or problem}",
            code="archive-damaged",
            hint="check it with tar -t, or COPY it as it is",
        )


def _pour(source: IO[bytes], sink: IO[bytes]) -> None:
    # A pipe broken by tar itself says nothing: its own message does.
    with suppress(BrokenPipeError), sink:
        while piece := source.read(_CHUNK):
            sink.write(piece)


def _listen(source: IO[bytes], said: list[bytes]) -> None:
    said.append(source.read())


def _plain(file: BinaryIO) -> IO[bytes]:
    head = file.read(6)
    file.seek(0)
    if head.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.GzipFile(fileobj=file))
    if head.startswith(b"BZh"):
        return bz2.BZ2File(file)
    if head.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMAFile(file)
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return zstandard.ZstdDecompressor().stream_reader(file, closefd=False)
    return file

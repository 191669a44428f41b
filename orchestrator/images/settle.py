"""What a layer leaves to the layers below it, given to it once they are all there.

Layers are unpacked side by side, each by itself, so that a pull is quick. Two things cannot be
known that way: how a directory looks that the tar did not list (as it does below), and what a hard
link leads to whose file is in a lower layer (that file, which comes up into this layer as it would
in an overlay). Both are noted in the layer's record and done here; doing them again is harmless.

No link is followed and no path leads out of a layer: each step down is an openat with O_NOFOLLOW.
Blocking, but for `settle_layers`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from anyio import to_thread

from orchestrator.errors import Failed
from orchestrator.images.content import ContentStore
from orchestrator.images.layertar import is_opaque
from orchestrator.model.image import Layer

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ANYTHING = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_COPIED_XATTRS = ("user.", "security.capability")


@dataclass(frozen=True, slots=True)
class Settling:
    """What is to be done in a layer: directories that are to look as below, and hard links with
    what they lead to; paths below the layer."""

    implicit: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()


async def settle_layers(store: ContentStore, layers: Sequence[Layer]) -> None:
    """Nothing, once each of an image's layers, lowest first, has what it left to those below.

    Raises: Failed: a hard link leads to nothing.
    """
    for position, layer in enumerate(layers):
        record = await to_thread.run_sync(store.layer, layer.chain_id)
        if record is None or not (record.implicit or record.links):
            continue
        async with store.exclusive(f"settle {layer.chain_id}"):
            below = store.lowers(layers[:position]) if position else []
            directory = store.layer_dir(layer.chain_id)
            settling = Settling(record.implicit, record.links)
            await to_thread.run_sync(settle_tree, directory, below, settling)
            await to_thread.run_sync(store.rewrite, replace(record, implicit=(), links=()))


def settle_tree(directory: Path, below: Sequence[Path], settling: Settling) -> None:
    """Nothing, once the layer's tree has what it left to those `below` it, topmost first.

    Raises: Failed: a hard link leads to nothing, or a path through something else than
    directories.
    """
    try:
        for name, target in settling.links:
            _link(directory, below, name, target)
        for name in settling.implicit:
            _look_as_below(directory, below, name)
    except OSError as error:
        raise Failed(
            f"a layer cannot be joined with those below it: {error.strerror}",
            code="unpack-failed",
            about=str(error.filename or ""),
            hint="the image is damaged, or the disk is full",
        ) from error


def _look_as_below(directory: Path, below: Sequence[Path], name: str) -> None:
    with suppress(FileNotFoundError, NotADirectoryError), ExitStack() as stack:
        target = stack.enter_context(_opened(directory, name))
        source = stack.enter_context(_seen(below, name))
        if stat.S_ISDIR(os.fstat(source).st_mode):
            _copy_look(source, target)


def _link(directory: Path, below: Sequence[Path], name: str, target: str) -> None:
    """The hard link `name` to what `target` is below, which comes up into the layer."""
    head, base = os.path.split(_plain(target))
    with ExitStack() as stack:
        there = stack.enter_context(_made(directory, below, head))
        try:
            os.stat(base, dir_fd=there, follow_symlinks=False)
        except FileNotFoundError:
            try:
                source = stack.enter_context(_seen(below, target))
            except (FileNotFoundError, NotADirectoryError):
                raise Failed(
                    f"a layer cannot be unpacked: {name} is a hard link to {target},"
                    " which neither it nor a layer below has",
                    code="unpack-failed",
                    hint="the image is damaged",
                ) from None
            _copy_up(source, there, base)
        link_head, link_base = os.path.split(_plain(name))
        here = stack.enter_context(_made(directory, below, link_head))
        with suppress(FileExistsError):
            os.link(base, link_base, src_dir_fd=there, dst_dir_fd=here, follow_symlinks=False)


def _copy_up(source: int, there: int, base: str) -> None:
    """The file that source (O_PATH) is, as a new file in the directory there."""
    info = os.stat(source)
    if stat.S_ISLNK(info.st_mode):
        os.symlink(os.readlink(b"", dir_fd=source), os.fsencode(base), dir_fd=there)
        os.chown(base, info.st_uid, info.st_gid, dir_fd=there, follow_symlinks=False)
    elif stat.S_ISREG(info.st_mode):
        _copy_file(source, there, base)
    elif stat.S_ISDIR(info.st_mode):
        raise Failed(
            f"a layer cannot be unpacked: a hard link leads to the directory {base}",
            code="unpack-failed",
            hint="the image is damaged",
        )
    else:
        os.mknod(base, info.st_mode, info.st_rdev, dir_fd=there)
        os.chown(base, info.st_uid, info.st_gid, dir_fd=there, follow_symlinks=False)
    times = (info.st_atime_ns, info.st_mtime_ns)
    os.utime(base, ns=times, dir_fd=there, follow_symlinks=False)


def _copy_file(source: int, there: int, base: str) -> None:
    reading = os.open(f"/proc/self/fd/{source}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        writing = os.open(base, flags, 0o600, dir_fd=there)
        try:
            while os.copy_file_range(reading, writing, 1 << 30):
                pass
            _copy_look(source, writing)
        finally:
            os.close(writing)
    finally:
        os.close(reading)


def _copy_look(source: int, target: int) -> None:
    """Gives target the owner, mode, attributes and times of source (which may be O_PATH)."""
    info = os.stat(source)
    path = f"/proc/self/fd/{source}"
    os.fchown(target, info.st_uid, info.st_gid)
    os.fchmod(target, stat.S_IMODE(info.st_mode))
    for key in os.listxattr(path):
        if key.startswith(_COPIED_XATTRS) and not key.startswith("user.overlay."):
            os.setxattr(target, key, os.getxattr(path, key))
    os.utime(target, ns=(info.st_atime_ns, info.st_mtime_ns))


class _Place:
    """A descriptor on its way down a tree, one step at a time; `at` is where it is."""

    def __init__(self, root: Path) -> None:
        self.at = os.open(root, _DIRECTORY)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self.at)

    def step(self, name: str, flags: int = _DIRECTORY) -> int:
        """Where it is after the step.  Raises: OSError: nothing is there, or a link."""
        above = self.at
        self.at = os.open(name, flags, dir_fd=above)
        os.close(above)
        return self.at


@contextmanager
def _seen(below: Sequence[Path], name: str) -> Generator[int]:
    """A descriptor (O_PATH) of what an overlay of the layers `below` shows under the name.

    Raises: FileNotFoundError, NotADirectoryError: nothing is there.
    """
    parts = _plain(name).split("/")
    for layer in below:
        with _Place(layer) as place:
            hides = False
            for depth, part in enumerate(parts, 1):
                last = depth == len(parts)
                try:
                    at = place.step(part, _ANYTHING if last else _DIRECTORY)
                except FileNotFoundError:
                    break
                except OSError:
                    # A file, a link or a whiteout where a directory would have to be.
                    hides = True
                    break
                if last:
                    info = os.fstat(at)
                    if stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:
                        raise FileNotFoundError(2, "hidden by a layer", name)
                    yield at
                    return
                hides = hides or is_opaque(os.fsencode(f"/proc/self/fd/{at}/."))
            if hides:
                break
    raise FileNotFoundError(2, "in no layer", name)


@contextmanager
def _opened(root: Path, name: str) -> Generator[int]:
    with _Place(root) as place:
        for part in [part for part in name.split("/") if part]:
            place.step(part)
        yield place.at


@contextmanager
def _made(root: Path, below: Sequence[Path], name: str) -> Generator[int]:
    """The directory in the layer, made with its parents where missing, each as it is below."""
    with _Place(root) as place:
        parts = [part for part in name.split("/") if part]
        for depth, part in enumerate(parts, 1):
            new = False
            with suppress(FileExistsError):
                os.mkdir(part, 0o755, dir_fd=place.at)
                new = True
            at = place.step(part)
            if new:
                os.utime(at, ns=(0, 0))
                _look_as_below(root, below, "/".join(parts[:depth]))
        yield place.at


def _plain(name: str) -> str:
    """The path without empty parts and dots.

    Raises: Failed: it leads upwards, or nowhere.
    """
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if not parts or ".." in parts:
        raise Failed(
            f"a layer cannot be unpacked: a hard link leads to {name!r}",
            code="unpack-failed",
            hint="the image is damaged, or was made to do harm",
        )
    return "/".join(parts)

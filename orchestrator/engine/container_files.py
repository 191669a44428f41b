"""Operations on a container's files: looked at, taken out and put in as tar, compared, exported."""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import anyio
from anyio import to_thread

from orchestrator.aio.libc import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2
from orchestrator.engine.container_changes import Change, changes
from orchestrator.engine.container_records import ContainerRecords
from orchestrator.engine.container_roots import ContainerRoots
from orchestrator.engine.images import Images
from orchestrator.errors import InvalidInput, NotFound
from orchestrator.images.treeput import Putting, put
from orchestrator.images.treetar import Rules, stream_directory, stream_entry
from orchestrator.model.observed import Container
from orchestrator.runtime.user import resolve_user

_INSIDE = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
_PIECE = 1 << 18
# What the runtime makes in a root to have something to mount on.
_MADE = frozenset(
    ("/dev", "/proc", "/sys", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/.dockerenv")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PathStat:
    """What is at a path: `mode` is st_mode, `mtime_ns` Unix nanoseconds, `link_target` where a
    link leads in the end, as a path of the container."""

    name: str
    size_bytes: int
    mode: int
    mtime_ns: int
    link_target: str = ""


class ContainerFiles:
    """The files of this engine's containers."""

    def __init__(self, records: ContainerRecords, images: Images, roots: ContainerRoots) -> None:
        self._records = records
        self._images = images
        self._roots = roots

    async def stat(self, reference: str, path: str) -> PathStat:
        """What is at the path; a last link is followed only with a slash behind it.

        Raises: NotFound: no such container or path. Failed: its root cannot be reached.
        """
        async with self._roots.opened(self._records.get(reference)) as root:
            return await to_thread.run_sync(_stat, root, path)

    @asynccontextmanager
    async def taken(
        self, reference: str, path: str
    ) -> AsyncGenerator[tuple[PathStat, AsyncIterator[bytes]]]:
        """What is at the path, and the tar of it; its entries begin with the path's last part.

        Raises: as `stat`.
        """
        async with self._roots.opened(self._records.get(reference)) as root:
            found = await to_thread.run_sync(_stat, root, path)
            async with pieces_of(lambda: _tar_of(root, path)) as pieces:
                yield found, pieces

    async def put(
        self,
        reference: str,
        path: str,
        source: IO[bytes],
        *,
        keep_kinds: bool = False,
        as_user: bool = False,
    ) -> None:
        """Nothing, once everything in the tar `source` is in the directory `path`.

        `as_user` gives it all to whom the container's process runs as. `source` is read in a
        worker thread. Raises: as `stat`, and what `treeput.put` raises.
        """
        container = self._records.get(reference)
        async with self._roots.opened(container) as root:
            owner = await to_thread.run_sync(self._owner, container, root) if as_user else None
            putting = Putting(
                root=root, directory=_absolute(path), owner=owner, keep_kinds=keep_kinds
            )
            await to_thread.run_sync(put, source, putting)
        self._records.tell("extract-to-dir", container, {"path": path})

    @asynccontextmanager
    async def exported(self, reference: str) -> AsyncGenerator[AsyncIterator[bytes]]:
        """The tar of the container's root, without what is mounted in it.

        Raises: NotFound. Failed: its root cannot be reached.
        """
        container = self._records.get(reference)
        async with (
            self._roots.own(container) as root,
            pieces_of(lambda: stream_directory(root, b"", Rules())) as pieces,
        ):
            yield pieces
        self._records.tell("export", container)

    async def changes(self, reference: str) -> list[Change]:
        """What the container changed in its image's files.  Raises: NotFound."""
        container = self._records.get(reference)
        lowers = self._images.lowers(self._images.get(container.image_id))
        upper = self._roots.upper(container)
        skip = mount_points(container)
        return await to_thread.run_sync(lambda: changes(upper, lowers, skip=skip))

    def _owner(self, container: Container, root: int) -> tuple[int, int] | None:
        image = self._images.get(container.image_id)
        user = container.spec.user if container.spec.user is not None else image.config.user
        if not user:
            return None
        found = resolve_user(_path_of(root), user)
        return found.uid, found.gid


def mount_points(container: Container) -> Callable[[str], bool]:
    """Whether a path of the container's root is but there to be mounted on."""
    made = _MADE | {posixpath.normpath(m.target) for m in container.mounts}
    return made.__contains__


def _path_of(fd: int) -> Path:
    return Path(f"/proc/self/fd/{fd}")


def _absolute(path: str) -> str:
    return "/" + path.strip("/")


def _split(path: str) -> tuple[str, str]:
    """The directory that is looked up whole, and the name in it that is not followed, "" for the
    directory itself (`/a/`, `/a/.`, `/`)."""
    above, _, base = ("/" + path.lstrip("/")).rpartition("/")
    if base in ("", ".", ".."):
        return f"{above}/{base}", ""
    return above, base


@contextmanager
def _above(root: int, path: str) -> Generator[tuple[int, str]]:
    directory, base = _split(path)
    try:
        fd = openat2(
            root, directory.strip("/") or ".", os.O_RDONLY | os.O_DIRECTORY, resolve=_INSIDE
        )
    except (FileNotFoundError, NotADirectoryError):
        raise _absent(path) from None
    except OSError as error:
        raise InvalidInput(
            f"{path}: {error.strerror}", code="path-invalid", about=path, hint="correct the path"
        ) from error
    try:
        yield fd, base
    finally:
        os.close(fd)


def _stat(root: int, path: str) -> PathStat:
    with _above(root, path) as (directory, base):
        try:
            info = os.stat(base or ".", dir_fd=directory, follow_symlinks=False)
        except OSError:
            raise _absent(path) from None
    shown = posixpath.basename(posixpath.normpath("/" + path)) or "/"
    return PathStat(
        name=shown,
        size_bytes=info.st_size,
        mode=info.st_mode,
        mtime_ns=info.st_mtime_ns,
        link_target=_led_to(root, path) if stat.S_ISLNK(info.st_mode) else "",
    )


def _led_to(root: int, path: str) -> str:
    """Where a link leads as the container's programs see it; where nothing is there, its text."""
    try:
        fd = openat2(root, path.strip("/"), os.O_PATH, resolve=_INSIDE)
    except OSError:
        with _above(root, path) as (directory, base):
            text = os.readlink(base, dir_fd=directory)
        return posixpath.normpath(posixpath.join("/", posixpath.dirname(path), text))
    try:
        return _inside(root, fd)
    finally:
        os.close(fd)


def _inside(root: int, fd: int) -> str:
    """The path of `fd` below `root`, both told by the kernel."""
    top, found = (str(_path_of(d).readlink()) for d in (root, fd))
    if found == top:
        return "/"
    return found if top == "/" else found.removeprefix(top)


def _tar_of(root: int, path: str) -> Iterator[bytes]:
    with _above(root, path) as (directory, base):
        if base:
            yield from stream_entry(directory, os.fsencode(base), os.fsencode(base), Rules())
            return
        name = posixpath.basename(path.rstrip("/")) if path.endswith("/") else "."
        yield from stream_directory(directory, os.fsencode(name or "."), Rules())


def _absent(path: str) -> NotFound:
    return NotFound(
        f"could not find the file {path} in the container",
        code="no-such-path",
        about=path,
        hint="paths begin at the container's root",
    )


@asynccontextmanager
async def pieces_of(make: Callable[[], Iterator[bytes]]) -> AsyncGenerator[AsyncIterator[bytes]]:
    """What a blocking generator yields, made in worker threads and joined to larger pieces."""
    generator = make()

    def more() -> bytes:
        data = bytearray()
        for piece in generator:
            data += piece
            if len(data) >= _PIECE:
                break
        return bytes(data)

    async def pieces() -> AsyncIterator[bytes]:
        while data := await to_thread.run_sync(more):
            yield data

    try:
        yield pieces()
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(generator.close)  # type: ignore[attr-defined]

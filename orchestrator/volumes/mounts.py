"""Mounts made by the engine in its own mount namespace: a container's root, and what binds need."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from orchestrator.aio.libc import (
    CLONE_FS,
    CLONE_NEWNS,
    MNT_DETACH,
    MS_BIND,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    MS_REMOUNT,
    UMOUNT_NOFOLLOW,
    attach_tree,
    clone_tree,
    mount,
    setns,
    umount,
    unshare,
)
from orchestrator.aio.rooted import opened
from orchestrator.errors import Failed, NotFound
from orchestrator.model.container import Mount

# mount(2) takes one page of options.
_MOST_OPTIONS = 4095
# Some kernels default to marks in the upper directory that mean something only to overlayfs: a
# layer made from it would lack what they stand for.
_PLAIN = "index=off,redirect_dir=off,metacopy=off"


def mount_overlay(
    lowers: Sequence[Path],
    upper: Path | None,
    work: Path | None,
    target: Path,
    *,
    label: str = "",
) -> None:
    """Show `lowers` (topmost first) under `upper` at `target`; without `upper`, read-only.

    With `label`, everything in it has that SELinux label.

    A target that has its mount already is left alone. Directories must exist.

    Raises: Failed: the kernel refused.  Source: the kernel's filesystems/overlayfs; mount(2).
    """
    if target.is_mount():
        return
    try:
        if not lowers or (upper is None and len(lowers) == 1):
            _bind(lowers[0] if lowers else upper, target, read_only=upper is None)
        else:
            _overlay(lowers, upper, work, target, label)
    except OSError as error:
        raise Failed(
            f"mounting an overlay of {len(lowers)} layers at {target}: {error.strerror}",
            code="mount-failed",
            about=str(target),
            hint="the data directory must be on a file system that overlayfs can use (ext4, xfs)",
        ) from error


def unmount(target: Path) -> None:
    """Unmount whatever is at `target`, now; nothing there is fine.

    Processes that still use it keep their view of it, and so does whoever it is shared with.
    Raises: OSError.
    """
    while True:
        try:
            # What is mounted below a shared mount would else be unmounted for all who share it.
            mount("", str(target), flags=MS_REC | MS_PRIVATE)
            umount(str(target), MNT_DETACH | UMOUNT_NOFOLLOW)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT, errno.ENOTDIR):
                return
            raise


def check_source(wanted: Mount) -> None:
    """Nothing, where the host path of a bind is there, or may be made when it is needed.

    Raises: NotFound: no such path (code no-such-path).
    """
    path = Path(wanted.source)
    if wanted.kind == "bind" and not wanted.create_host_path and not path.exists():
        raise _absent(wanted, path)


def bind_source(wanted: Mount, source: Path, place: Path) -> Path:
    """The host path to bind for `wanted`, whose volume, image or host directory is `source`.

    A missing host directory is made where the mount says so. A sub-path stays inside its volume
    whatever links the volume holds: it is bound at `place`, and that is the answer, so that nobody
    can put a link there between now and the mount of the container. Unmount `place` in the end.

    Raises: NotFound: no such path (code no-such-path).
    """
    try:
        if wanted.subpath:
            _bind_inside(source, wanted.subpath, place)
            return place
        if wanted.kind == "bind" and wanted.create_host_path:
            if not source.exists():
                source.mkdir(parents=True)
        elif not source.exists():
            raise FileNotFoundError(source)
    except OSError as error:
        raise _absent(wanted, source / wanted.subpath if wanted.subpath else source) from error
    return source


def _absent(wanted: Mount, path: Path) -> NotFound:
    return NotFound(
        f"mount at {wanted.target}: no {path} on this machine",
        code="no-such-path",
        about=str(path),
        hint="make it, or correct the mount's source",
    )


def _bind_inside(root: Path, subpath: str, place: Path) -> None:
    with opened(root, subpath) as fd:
        _make_like(fd, place)
        mount(f"/proc/self/fd/{fd}", str(place), flags=MS_BIND | MS_REC)


def _make_like(fd: int, place: Path) -> None:
    """A directory or file to mount at, whichever the descriptor is of."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if stat.S_ISDIR(os.fstat(fd).st_mode):
        place.mkdir(exist_ok=True)
    else:
        place.touch()


def mount_from(pid: int, path: str, place: Path) -> None:
    """Mount at `place` what the process `pid` has at `path`, in its mount namespace.

    Raises: OSError: that process is gone, or has nothing there.
    """
    namespace = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        mount_of(namespace, path, place)
    finally:
        os.close(namespace)


def mount_into(pid: int, source: Path, target: str, place: Path) -> None:
    """Mount the file `source`, read-only, over `target` as the process `pid` sees it: whoever
    looks finds the old file or the new one. `place` is where it is prepared.

    Raises: OSError: that process is gone, or there is no such target.
    Source: open_tree(2), move_mount(2).
    """
    place.touch()
    _bind(source, place, read_only=True)
    tree = clone_tree(str(place))
    try:
        unmount(place)
        place.unlink()
        namespace = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _in_namespace(namespace, lambda: attach_tree(tree, target))
        finally:
            os.close(namespace)
    finally:
        os.close(tree)


def _in_namespace(namespace: int, work: Callable[[], None]) -> None:
    """Nothing, once the work is done in that mount namespace.  Raises: what the work raises."""
    failed: list[OSError] = []

    def there() -> None:
        try:
            unshare(CLONE_FS)
            setns(namespace, CLONE_NEWNS)
            work()
        except OSError as error:
            failed.append(error)

    # A thread of its own that ends: it is in another mount namespace for ever.
    thread = threading.Thread(target=there)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


def mount_of(namespace: int, path: str, place: Path) -> None:
    """Mount at `place` what is at `path` in the mount namespace of that descriptor.

    A mount that is shared there is shared with it.

    Raises: OSError: there is no such path.  Source: open_tree(2).
    """
    found: list[int | OSError] = []

    def look() -> None:
        try:
            unshare(CLONE_FS)
            setns(namespace, CLONE_NEWNS)
            found.append(clone_tree(path))
        except OSError as error:
            found.append(error)

    # A thread of its own that ends: it is in another mount namespace for ever.
    looking = threading.Thread(target=look)
    looking.start()
    looking.join()
    if isinstance(found[0], OSError):
        raise found[0]
    try:
        _make_like(found[0], place)
        attach_tree(found[0], str(place))
    finally:
        os.close(found[0])


def is_shared(place: Path) -> bool:
    """Whether what is mounted at `place` passes on what is mounted in it.

    Source: proc_pid_mountinfo(5).
    """
    wanted = os.path.realpath(place)
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.partition(" - ")[0].split()
        if fields[4] == wanted:
            return any(field.startswith("shared:") for field in fields[6:])
    return False


def _overlay(
    lowers: Sequence[Path], upper: Path | None, work: Path | None, target: Path, label: str
) -> None:
    context = f',context="{label}"' if label else ""
    options = _options([str(p) for p in lowers], upper, work) + context
    if len(options) <= _MOST_OPTIONS:
        mount("overlay", str(target), "overlay", data=options)
        return
    with ExitStack() as held:
        short = []
        for lower in lowers:
            fd = os.open(lower, os.O_PATH | os.O_DIRECTORY)
            held.callback(os.close, fd)
            short.append(f"/proc/self/fd/{fd}")
        mount("overlay", str(target), "overlay", data=_options(short, upper, work) + context)


def _options(lowers: Sequence[str], upper: Path | None, work: Path | None) -> str:
    options = "lowerdir=" + ":".join(_escaped(path) for path in lowers)
    if upper is not None:
        options += f",upperdir={_escaped(str(upper))},workdir={_escaped(str(work))},{_PLAIN}"
    return options


def _escaped(path: str) -> str:
    for special in ("\\", ":", ","):
        path = path.replace(special, "\\" + special)
    return path


def _bind(source: Path | None, target: Path, *, read_only: bool) -> None:
    if source is None:
        raise OSError(errno.EINVAL, "no layers and nothing to write to")
    mount(str(source), str(target), flags=MS_BIND)
    if read_only:
        mount("", str(target), flags=MS_BIND | MS_REMOUNT | MS_RDONLY)

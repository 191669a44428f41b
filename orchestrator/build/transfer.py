"""Files into a root: what COPY and ADD selected, put where they say.

Destinations are resolved inside the root: a link in the image leads to nothing outside. Blocking.
"""

from __future__ import annotations

import os
import posixpath
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.aio.rooted import real_path
from orchestrator.build.modes import Mode
from orchestrator.build.operations import Document
from orchestrator.build.selection import Item, Selection, select_all
from orchestrator.build.tree import Entry, Tree
from orchestrator.errors import Failed

_COPIED_XATTRS = ("user.", "security.capability")
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


@dataclass(slots=True, kw_only=True)
class Placement:
    """How files arrive: `owner` None keeps the source's (another stage) where `keep_owner`, and is
    root's otherwise; `mode` None keeps the source's. The destination, where it is new, has mode 755
    whatever directory is copied to it, as with BuildKit."""

    root: Path
    owner: tuple[int, int] | None = None
    mode: Mode | None = None
    keep_owner: bool = False
    # Directories that were there before: what is put into them must not change their times.
    times: dict[str, tuple[int, int]] = field(default_factory=dict)
    # Whose new files are by themselves.
    self_owner: tuple[int, int] = field(default_factory=lambda: (os.geteuid(), os.getegid()))
    # Directories made here: nothing in them can be in the way.
    made: set[str] = field(default_factory=set)
    # Where directories below the destination really are, by their path there.
    real: dict[str, str] = field(default_factory=dict)


def place(selection: Selection, destination: str, placement: Placement) -> None:
    """Nothing, once the selection is at destination (absolute; a directory if it ends in "/").

    Raises: Failed: a file is in the way of a directory, or the other way round.
    """
    single = len(selection.items) + len(selection.documents) == 1 and not selection.archives
    first = selection.items[0].entry.kind if selection.items else "file"
    as_file = single and first != "directory" and not destination.endswith("/")
    if as_file and _is_directory(placement.root, destination):
        as_file = False
    base = _make_directories(placement, posixpath.dirname(destination) if as_file else destination)
    placement.real = {"": base}
    directories: list[tuple[Item, str]] = []
    for item in selection.items:
        name = posixpath.basename(destination) if as_file else item.name
        target = _target(placement, base, name)
        if _put(item, target, placement):
            directories.append((item, target))
    for document in selection.documents:
        name = posixpath.basename(destination) if as_file else document.name
        _write(document, _target(placement, base, name), placement)
    _restore_times(placement)
    for item, target in reversed(directories):
        os.utime(target, ns=(item.entry.info.st_mtime_ns, item.entry.info.st_mtime_ns))


def place_tree(directory: Path, destination: str, placement: Placement) -> None:
    """Nothing, once the content of a directory is below destination, with its owners."""
    selection = select_all(Tree(directory), "")
    assert selection is not None
    place(selection, destination.rstrip("/") + "/", placement)


def make_directory(root: Path, path: str, owner: tuple[int, int] = (0, 0)) -> None:
    """Nothing, once path is a directory in root; what is new of it is the owner's.

    Raises: Failed: something else is there.
    """
    placement = Placement(root=root, owner=owner)
    _make_directories(placement, path)
    _restore_times(placement)


def _restore_times(placement: Placement) -> None:
    for path, times in placement.times.items():
        os.utime(path, ns=times)


def _is_directory(root: Path, path: str) -> bool:
    with suppress(OSError):
        return real_path(root, path).is_dir()
    return False


def _make_directories(placement: Placement, path: str) -> str:
    """The real path of a directory in the root, made with its parents where missing."""
    at = placement.root
    for part in [part for part in path.split("/") if part]:
        below = at / part
        if below.is_symlink():
            try:
                below = real_path(placement.root, f"/{below.relative_to(placement.root)}")
            except OSError as error:
                raise _in_the_way(placement, str(below), "a link that leads nowhere") from error
        if not below.exists():
            _remember(placement, str(at))
            below.mkdir()
            below.chmod(0o755)
            os.chown(below, *(placement.owner or (0, 0)))
            placement.made.add(str(below))
        elif not below.is_dir():
            raise _in_the_way(placement, str(below), "no directory")
        at = below
    return str(at)


def _target(placement: Placement, base: str, name: str) -> str:
    """Where name below base really is; links in its parents are followed inside the root."""
    above, _, last = name.rpartition("/")
    real = placement.real.get(above)
    if real is None:
        root = str(placement.root)
        inside = f"/{base[len(root) :].strip('/')}/{above}"
        real = placement.real[above] = str(real_path(placement.root, inside))
    return f"{real}/{last}" if last else real


def _put(item: Item, target: str, placement: Placement) -> bool:
    """True where a directory's attributes were copied, so that its times are to follow."""
    entry = item.entry
    if entry.kind == "directory":
        return _put_directory(item, target, placement)
    parent = posixpath.dirname(target)
    if parent not in placement.made:
        _remember(placement, parent)
        _clear(placement, target)
    try:
        if entry.kind == "file":
            _put_file(item, target, placement)
            return False
    except FileExistsError:
        # Two sources of one name in a new directory: the later one stays.
        _clear(placement, target)
        _put_file(item, target, placement)
        return False
    if parent in placement.made:
        _clear(placement, target)
    if entry.kind == "link":
        os.symlink(entry.link, target)  # noqa: PTH211 (a Path would tidy the link's text)
    else:
        os.mknod(target, entry.info.st_mode, entry.info.st_rdev)
    _own(entry, target, placement)
    times = (entry.info.st_mtime_ns, entry.info.st_mtime_ns)
    os.utime(target, ns=times, follow_symlinks=False)
    return False


def _put_file(item: Item, target: str, placement: Placement) -> None:
    info = item.entry.info
    source = item.tree.descriptor(item.entry)
    try:
        file = os.open(target, _NEW_FILE, 0o600)
        try:
            if info.st_size:
                _copy_data(source, file, info.st_size)
            if placement.keep_owner:
                _copy_xattrs(source, target)
            uid, gid = placement.owner or (
                (info.st_uid, info.st_gid) if placement.keep_owner else (0, 0)
            )
            if (uid, gid) != placement.self_owner:
                os.fchown(file, uid, gid)
            # After the owner: a change of owner takes setuid bits away.
            os.fchmod(file, _mode(item.entry, placement))
            os.utime(file, ns=(info.st_mtime_ns, info.st_mtime_ns))
        finally:
            os.close(file)
    finally:
        os.close(source)


def _put_directory(item: Item, target: str, placement: Placement) -> bool:
    parent = posixpath.dirname(target)
    path = Path(target)
    if path.is_symlink():
        # As /lib -> usr/lib in the image and a lib/ among the sources: into the link's target.
        with suppress(OSError):
            inside = real_path(placement.root, f"/{path.relative_to(placement.root)}")
            if inside.is_dir():
                return False
        raise _in_the_way(placement, target, "a link that leads to no directory")
    created = not path.exists()
    if created:
        if parent not in placement.made:
            _remember(placement, parent)
        path.mkdir()
        placement.made.add(target)
    elif not path.is_dir():
        raise _in_the_way(placement, target, "no directory")
    if item.top and not created:
        return False
    _own(item.entry, target, placement)
    return True


def _own(entry: Entry, target: str, placement: Placement) -> None:
    info = entry.info
    kept = (info.st_uid, info.st_gid) if placement.keep_owner else (0, 0)
    os.chown(target, *(placement.owner or kept), follow_symlinks=False)
    if entry.kind != "link":
        Path(target).chmod(_mode(entry, placement))


def _mode(entry: Entry, placement: Placement) -> int:
    if placement.mode is None:
        return stat.S_IMODE(entry.info.st_mode)
    return placement.mode.of(entry.info.st_mode, directory=entry.kind == "directory")


def _write(document: Document, target: str, placement: Placement) -> None:
    parent = posixpath.dirname(target)
    if parent not in placement.made:
        _remember(placement, parent)
    _clear(placement, target)
    path = Path(target)
    path.write_bytes(document.content.encode(errors="surrogateescape"))
    os.chown(path, *(placement.owner or (0, 0)))
    path.chmod(0o644 if placement.mode is None else placement.mode.of(0o644, directory=False))


def _clear(placement: Placement, target: str) -> None:
    try:
        Path(target).unlink(missing_ok=True)
    except IsADirectoryError:
        raise _in_the_way(placement, target, "a directory") from None


def _remember(placement: Placement, directory: str) -> None:
    if directory not in placement.times:
        info = os.stat(directory)  # noqa: PTH116 (called for every file)
        placement.times[directory] = (info.st_atime_ns, info.st_mtime_ns)


def _copy_data(source: int, target: int, size: int) -> None:
    left = size
    while left > 0:
        # Not copy_file_range: it refuses to cross from one filesystem to an overlay.
        copied = os.sendfile(target, source, size - left, left)
        if copied == 0:
            break
        left -= copied


def _copy_xattrs(source: int, target: str) -> None:
    for name in os.listxattr(source):
        if name.startswith(_COPIED_XATTRS):
            os.setxattr(target, name, os.getxattr(source, name))


def _in_the_way(placement: Placement, path: str, what: str) -> Failed:
    inside = f"/{Path(path).relative_to(placement.root)}"
    return Failed(
        f"{inside} is {what} in the image",
        code="copy-target-in-the-way",
        about=inside,
        hint="choose another destination, or remove it in an earlier RUN",
    )

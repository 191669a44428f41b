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
from orchestrator.build.operations import Document
from orchestrator.build.selection import Item, Selection, select_all
from orchestrator.build.tree import Tree
from orchestrator.errors import Failed

_COPIED_XATTRS = ("user.", "security.capability")


@dataclass(slots=True, kw_only=True)
class Placement:
    """How files arrive: `owner` None keeps the source's (another stage) where `keep_owner`, and is
    root's otherwise; `mode` None keeps the source's."""

    root: Path
    owner: tuple[int, int] | None = None
    mode: int | None = None
    keep_owner: bool = False
    # Directories that were there before: what is put into them must not change their times.
    times: dict[Path, tuple[int, int]] = field(default_factory=dict)
    # The destination while it is new: a directory copied to it gives it its attributes.
    new: Path | None = None


def place(selection: Selection, destination: str, placement: Placement) -> None:
    """Nothing, once the selection is at destination (absolute; a directory if it ends in "/").

    Raises: Failed: a file is in the way of a directory, or the other way round.
    """
    only_file = destination
    single = len(selection.items) + len(selection.documents) == 1 and not selection.archives
    first = selection.items[0].entry.kind if selection.items else "file"
    as_file = single and first != "directory" and not destination.endswith("/")
    if as_file and _is_directory(placement.root, destination):
        as_file = False
    directory = posixpath.dirname(only_file) if as_file else destination
    base = _make_directories(placement, directory)
    directories: list[tuple[Item, Path]] = []
    for item in selection.items:
        name = posixpath.basename(destination) if as_file else item.name
        target = _target(placement, base, name)
        if _put(selection.tree, item, target, placement):
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


def make_directory(root: Path, path: str) -> None:
    """Nothing, once path is a directory in root, owned by root where it is new.

    Raises: Failed: something else is there.
    """
    placement = Placement(root=root)
    _make_directories(placement, path)
    _restore_times(placement)


def _restore_times(placement: Placement) -> None:
    for path, times in placement.times.items():
        os.utime(path, ns=times)


def _is_directory(root: Path, path: str) -> bool:
    with suppress(OSError):
        return real_path(root, path).is_dir()
    return False


def _make_directories(placement: Placement, path: str) -> Path:
    """The real path of a directory in the root, made with its parents where missing."""
    at = placement.root
    for part in [part for part in path.split("/") if part]:
        below = at / part
        if below.is_symlink():
            try:
                below = real_path(placement.root, f"/{below.relative_to(placement.root)}")
            except OSError as error:
                raise _in_the_way(placement, below, "a link that leads nowhere") from error
        if not below.exists():
            _remember(placement, at)
            below.mkdir()
            below.chmod(0o755)
            os.chown(below, *(placement.owner or (0, 0)))
            placement.new = below
        elif not below.is_dir():
            raise _in_the_way(placement, below, "no directory")
        at = below
    placement.new = placement.new if placement.new == at else None
    return at


def _target(placement: Placement, base: Path, name: str) -> Path:
    """Where name below base really is; links in its parents are followed inside the root."""
    if "/" not in name:
        return base / name if name else base
    inside = f"/{base.relative_to(placement.root)}/{posixpath.dirname(name)}"
    return real_path(placement.root, inside) / posixpath.basename(name)


def _put(tree: Tree, item: Item, target: Path, placement: Placement) -> bool:
    """True where a directory's attributes were copied, so that its times are to follow."""
    entry = item.entry
    if entry.kind == "directory":
        return _put_directory(item, target, placement)
    _remember(placement, target.parent)
    _clear(placement, target)
    if entry.kind == "link":
        target.symlink_to(entry.link)
    elif entry.kind == "device":
        os.mknod(target, entry.info.st_mode, entry.info.st_rdev)
    else:
        with tree.open(entry) as source, target.open("xb") as file:
            _copy_data(source.fileno(), file.fileno(), entry.info.st_size)
            if placement.keep_owner:
                _copy_xattrs(source.fileno(), target)
    _own(item, target, placement)
    times = (entry.info.st_mtime_ns, entry.info.st_mtime_ns)
    os.utime(target, ns=times, follow_symlinks=False)
    return False


def _put_directory(item: Item, target: Path, placement: Placement) -> bool:
    if target.is_symlink():
        # As /lib -> usr/lib in the image and a lib/ among the sources: into the link's target.
        with suppress(OSError):
            inside = real_path(placement.root, f"/{target.relative_to(placement.root)}")
            if inside.is_dir():
                return False
        raise _in_the_way(placement, target, "a link that leads to no directory")
    created = not target.exists()
    if target == placement.new:
        placement.new, created = None, True
    elif created:
        _remember(placement, target.parent)
        target.mkdir()
    elif not target.is_dir():
        raise _in_the_way(placement, target, "no directory")
    if item.top and not created:
        return False
    _own(item, target, placement)
    return True


def _own(item: Item, target: Path, placement: Placement) -> None:
    info = item.entry.info
    kept = (info.st_uid, info.st_gid) if placement.keep_owner else (0, 0)
    os.chown(target, *(placement.owner or kept), follow_symlinks=False)
    if item.entry.kind != "link":  # After the owner: a change of owner takes setuid bits away.
        mode = stat.S_IMODE(info.st_mode) if placement.mode is None else placement.mode
        target.chmod(mode)


def _write(document: Document, target: Path, placement: Placement) -> None:
    _remember(placement, target.parent)
    _clear(placement, target)
    target.write_bytes(document.content.encode(errors="surrogateescape"))
    os.chown(target, *(placement.owner or (0, 0)))
    target.chmod(0o644 if placement.mode is None else placement.mode)


def _clear(placement: Placement, target: Path) -> None:
    if target.is_dir() and not target.is_symlink():
        raise _in_the_way(placement, target, "a directory")
    target.unlink(missing_ok=True)


def _remember(placement: Placement, directory: Path) -> None:
    if directory not in placement.times:
        info = directory.stat()
        placement.times[directory] = (info.st_atime_ns, info.st_mtime_ns)


def _copy_data(source: int, target: int, size: int) -> None:
    left = size
    while left > 0:
        # Not copy_file_range: it refuses to cross from one filesystem to an overlay.
        copied = os.sendfile(target, source, size - left, left)
        if copied == 0:
            break
        left -= copied


def _copy_xattrs(source: int, target: Path) -> None:
    for name in os.listxattr(source):
        if name.startswith(_COPIED_XATTRS):
            os.setxattr(target, name, os.getxattr(source, name))


def _in_the_way(placement: Placement, path: Path, what: str) -> Failed:
    inside = f"/{path.relative_to(placement.root)}"
    return Failed(
        f"{inside} is {what} in the image",
        code="copy-target-in-the-way",
        about=inside,
        hint="choose another destination, or remove it in an earlier RUN",
    )

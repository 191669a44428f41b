"""Volumes of the driver `local`: a directory each. Everything here blocks: call it in a thread."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from orchestrator.aio.libc import MS_BIND, MS_REMOUNT, mount
from orchestrator.aio.rooted import opened
from orchestrator.errors import Failed
from orchestrator.volumes.mounts import unmount
from orchestrator.volumes.options import volume_mount, with_address


def create(volume_dir: Path) -> None:
    """Make the volume's directory; one that exists is left as it is."""
    volume_dir.mkdir(parents=True, exist_ok=True)


def mount_at(volume_dir: Path, options: Mapping[str, str]) -> None:
    """Mount at the volume's directory what its options say, if they do; once is enough.

    Raises: Failed: the kernel refused, or the server is not found.
    """
    wanted = volume_mount(options)
    if wanted is None or mounted(volume_dir):
        return
    try:
        found = with_address(wanted)
        mount(found.source, str(volume_dir), found.kind, found.flags, found.data)
        if found.flags & MS_BIND and found.read_only:
            # A bind takes no other flag at first.
            mount("", str(volume_dir), flags=found.flags | MS_REMOUNT)
    except OSError as error:
        problem = error.strerror
        if error.errno == errno.ENODEV:
            problem = f"this kernel has no file system {wanted.kind}"
        raise Failed(
            f"mounting {wanted.source} as a volume: {problem}",
            code="volume-not-mounted",
            about=wanted.source,
            hint="check the volume's options; a device or directory must exist",
        ) from error


def unmount_at(volume_dir: Path) -> None:
    """Nothing, once nothing is mounted at the volume's directory."""
    if mounted(volume_dir):
        unmount(volume_dir)


def mounted(directory: Path) -> bool:
    """Whether something is mounted at the directory, in this process's mount namespace."""
    # A bind of the same file system has its parent's device number: only the table tells.
    wanted = os.path.realpath(directory)
    table = Path("/proc/self/mountinfo").read_text().splitlines()
    return any(line.split()[4] == wanted for line in table)


def remove(volume_dir: Path) -> None:
    """Remove the volume's files, and the directory that is its alone; gone is fine.

    What its options have mounted there is not its own and stays as it is.
    """
    unmount_at(volume_dir)
    place = volume_dir.parent if volume_dir.name == "_data" else volume_dir
    shutil.rmtree(place, ignore_errors=True)
    if place.exists():
        raise Failed(
            f"the volume's directory {place} cannot be removed",
            code="volume-not-removed",
            about=str(place),
            hint="look whether something is mounted in it",
        )


def fill_from_image(volume_dir: Path, root: Path, path: str = "") -> bool:
    """Copy the directory `path` of the tree `root` into the volume if that is empty; True if so.

    Content, owners, modes, times, links and extended attributes come along, and so do the owner
    and mode of the directory itself. A link in `root` never leads out of it. Where `root` has no
    such directory the volume stays as it is. A copy that was cut short is done again.

    Raises: Failed: the copy did not succeed.  Source: Docker, "Populate a volume using a
    container".
    """
    # A sign beside the directory, made before the first file, tells a cut short copy from a
    # volume that holds somebody's data.
    unfinished = volume_dir.with_name(volume_dir.name + ".filling")
    if not _is_empty(volume_dir) and not unfinished.exists():
        return False
    try:
        with opened(root, path or ".", os.O_RDONLY | os.O_DIRECTORY) as source:
            unfinished.touch()
            _copy(source, volume_dir)
    except (FileNotFoundError, NotADirectoryError):
        return False
    unfinished.unlink()
    return True


def _is_empty(directory: Path) -> bool:
    with os.scandir(directory) as entries:
        return next(entries, None) is None


def _copy(source: int, target: Path) -> None:
    # cp keeps hard links, sparse files and attributes, and clones extents where it can. Given the
    # directory's descriptor, it cannot be led elsewhere by a link in the path.
    done = subprocess.run(
        ["cp", "-a", "-T", f"/proc/self/fd/{source}/.", str(target)],
        pass_fds=(source,),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise Failed(
            f"filling the volume at {target}: {done.stderr.decode(errors='replace').strip()}",
            code="volume-not-filled",
            about=str(target),
            hint="look whether the disk is full",
        )

"""The engine's own mount namespace: where its overlay mounts live, unseen from outside."""

from __future__ import annotations

import errno
import os

from orchestrator.aio.libc import (
    CLONE_NEWNS,
    MNT_DETACH,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_REC,
    MS_SLAVE,
    mount,
    umount,
    unshare,
)
from orchestrator.errors import Denied, Unavailable

_UNIFIED = "/sys/fs/cgroup/unified"


def hide_unified_hierarchy() -> None:
    """Put an empty directory in the place of /sys/fs/cgroup/unified, in this mount namespace.

    Not just an unmount: crun would make its directories in the one below, which is the machine's.
    A container takes a page in it, so it has room for as many as a machine can hold.
    """
    umount(_UNIFIED, MNT_DETACH)
    mount("pystack", _UNIFIED, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755,size=256m")


def enter_private_mounts(hide_unified: bool) -> int:
    """A descriptor of the mount namespace that this process was in: it is now in one of its own.

    To be called once, before there is a second thread.

    Mounts made outside still arrive; mounts made here stay here, and vanish with the last process
    in the namespace (the engine or a conmon). With `hide_unified` the unified hierarchy of a hybrid
    cgroup layout is hidden here, because crun refuses to work while it is in sight.

    Raises: Denied: not root; Unavailable: the root directory is no mount point, as in a plain
    chroot.  Source: mount_namespaces(7).
    """
    outside = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        unshare(CLONE_NEWNS)
        mount("", "/", flags=MS_REC | MS_SLAVE)
        if hide_unified:
            hide_unified_hierarchy()
    except PermissionError as error:
        raise Denied(
            "making a private mount namespace is not permitted",
            code="mount-namespace-denied",
            about="mount namespace",
            hint="run the engine as root, or with CAP_SYS_ADMIN",
        ) from error
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise Unavailable(
            "the root directory is not a mount point, so nothing can be mounted privately",
            code="root-not-mounted",
            about="/",
            hint="before the chroot, mount the new root onto itself: mount --bind ROOT ROOT",
        ) from error
    return outside

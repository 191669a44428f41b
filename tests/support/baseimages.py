"""The base images that tests run: busybox from busybox-static, Debian from its mirror."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path

from tests.support.oci import OciImage, add_file, write_image

BUSYBOX = Path("/bin/busybox")
SLIM = (
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/locale/*",
    "/usr/share/info/*",
)
DEBIAN_MAX_AGE_S = 30 * 86400
_PASSWD = "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\n" + (
    "www-data:x:33:33:www-data:/var/www:/bin/false\nnobody:x:65534:65534:nobody:/:/bin/false\n"
)
_GROUP = "root:x:0:\ndaemon:x:1:\nwww-data:x:33:\nusers:x:100:www-data\nnogroup:x:65534:\n"


def busybox(directory: Path) -> OciImage:
    """A busybox image of one layer, every applet a link in /bin, in `directory`."""
    layer = directory.with_suffix(".tar")
    busybox_root(layer)
    image = write_image(directory, [layer])
    layer.unlink()
    return image


def busybox_root(path: Path) -> None:
    """Writes the file tree of the busybox image to the tar `path`."""
    applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True)
    with tarfile.open(path, "w") as tar:
        for name in ("bin", "dev", "etc", "home", "proc", "root", "sys", "usr", "var", "var/www"):
            add_file(tar, name, type=tarfile.DIRTYPE, mode=0o755)
        add_file(tar, "tmp", type=tarfile.DIRTYPE, mode=0o1777)
        with BUSYBOX.open("rb") as program:
            add_file(tar, "bin/busybox", program, mode=0o755, size=BUSYBOX.stat().st_size)
        for applet in sorted(set(applets.stdout.split()) - {"busybox"}):
            add_file(tar, f"bin/{applet}", type=tarfile.SYMTYPE, linkname="busybox", mode=0o777)
        add_file(tar, "etc/passwd", _PASSWD.encode())
        add_file(tar, "etc/group", _GROUP.encode())


def machine_root() -> Path:
    """The tar of a Debian with systemd and what pystack needs beside Python; made and kept as
    `debian` is."""
    packages = "systemd-sysv,dbus,python3,crun,conmon,nftables,iproute2,catatonit"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "pystack-tests"
    kept = cache / "machine-bookworm-v1.tar"
    if not kept.exists() or time.time() - kept.stat().st_mtime > DEBIAN_MAX_AGE_S:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            root = Path(scratch, "root.tar")
            _bootstrap("bookworm", root, f"--include={packages}")
            root.rename(kept)
    return kept


def debian(suite: str = "bookworm") -> OciImage:
    """A minimal Debian image, made from the distribution's mirror at most once a month and
    shared by all checkouts of this user. Takes about half a minute when it is made."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "pystack-tests"
    directory = cache / f"debian-{suite}-v1"
    index = directory / "index.json"
    if index.exists() and time.time() - index.stat().st_mtime < DEBIAN_MAX_AGE_S:
        return OciImage(directory)
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        root = Path(scratch, "root.tar")
        _bootstrap(suite, root)
        image = write_image(Path(scratch, "image"), [root], config={"Cmd": ["bash"]})
        shutil.rmtree(directory, ignore_errors=True)
        image.directory.rename(directory)
    return OciImage(directory)


def _bootstrap(suite: str, root: Path, *options: str) -> None:
    command = ["mmdebstrap", "--variant=minbase", "--quiet", *options]
    command += [f"--dpkgopt=path-exclude={pattern}" for pattern in SLIM]
    command += ["--dpkgopt=path-include=/usr/share/locale/locale.alias", suite, str(root)]
    made = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if made.returncode:
        raise RuntimeError(f"mmdebstrap failed: {made.stderr[-2000:]}")

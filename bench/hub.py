"""The registry that images are pulled from and pushed to, and what is in it."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import shutil
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support import baseimages, registry
from tests.support.oci import OciImage, write_image

PORT = 5055
NAME = "bench/python"
_PYTHON = ("/usr/lib/python3.11", "/usr/lib/python3")
_SITE = "lib/python3.11/site-packages"
_ADDRESS = "registry.txt"


@contextlib.contextmanager
def serving(directory: Path, files: Path, variants: int) -> Iterator[None]:
    """A registry with so many variants of the image in it while the block lasts; entries find its
    address below `files`.

    Each measurement pulls a variant of its own: nobody has any of its layers, and nothing need be
    removed first, which would slow down what follows (ext4 does not soon use an inode again).
    """
    with registry.serve(directory / "hub", PORT) as running:
        image = python_image(directory / "python")
        for number in range(variants):
            variant = varied(image, directory / "variant", number)
            running.push(variant, NAME, str(number))
            shutil.rmtree(variant.directory)
        files.mkdir(parents=True, exist_ok=True)
        (files / _ADDRESS).write_text(running.host)
        sizes = [layer["size"] for layer in image.manifest["layers"]]
        print(
            f"image: {len(sizes)} layers, {sum(sizes) / 1e6:.0f} MB compressed"
            f" ({', '.join(f'{size / 1e6:.0f}' for size in sizes)})"
        )
        yield


def address(files: Path) -> str:
    """The registry's host and port."""
    return (files / _ADDRESS).read_text()


def python_image(directory: Path) -> OciImage:
    """A Debian image with Python and an application, in four layers as such images have them: the
    distribution, libraries, Python, the application's packages. All but the first are this
    machine's own files."""
    directory.mkdir(parents=True)
    debian = baseimages.debian()
    layers = [directory / "debian.tar"]
    (base,) = debian.manifest["layers"]
    unpacked(debian.blob(base["digest"]), layers[0])
    trees = {
        "libraries": [Path("/usr/lib/gcc"), Path("/usr/include")],
        "python": [Path(path) for path in _PYTHON],
        "packages": [Path(sys.prefix, _SITE)],
    }
    for name, paths in trees.items():
        layers.append(directory / f"{name}.tar")
        with tarfile.open(layers[-1], "w") as tar:
            for path in paths:
                if path.is_dir():
                    tar.add(path, str(path).lstrip("/"))
    return write_image(directory, layers)


def unpacked(source: Path, target: Path) -> None:
    """Writes what the gzip file at source holds to target."""
    with gzip.open(source, "rb") as packed, target.open("wb") as plain:
        shutil.copyfileobj(packed, plain, 1 << 20)


def varied(image: OciImage, directory: Path, number: int) -> OciImage:
    """The image with one more file at the beginning of every layer."""
    blobs = directory / "blobs/sha256"
    blobs.mkdir(parents=True)
    manifest = image.manifest
    config = json.loads(image.blob(image.config_digest).read_text())
    head = _head(f"variant {number}\n".encode())
    for position, layer in enumerate(manifest["layers"]):
        # Two gzip members in a row are one stream, and a tar goes on where another has no end.
        packed = gzip.compress(head, mtime=0) + image.blob(layer["digest"]).read_bytes()
        config["rootfs"]["diff_ids"][position] = _diff_id(packed)
        manifest["layers"][position] = layer | _stored(blobs, packed)
    manifest["config"] |= _stored(blobs, json.dumps(config).encode())
    described = {"mediaType": manifest["mediaType"]} | _stored(blobs, json.dumps(manifest).encode())
    (directory / "index.json").write_text(json.dumps({"manifests": [described]}))
    return OciImage(directory)


def _head(content: bytes) -> bytes:
    """A tar of one file, without the blocks that end it."""
    entry = tarfile.TarInfo("srv-variant")
    entry.size = len(content)
    return entry.tobuf() + content + bytes(-len(content) % tarfile.BLOCKSIZE)


def _diff_id(packed: bytes) -> str:
    sha = hashlib.sha256()
    with gzip.GzipFile(fileobj=io.BytesIO(packed)) as plain:
        while piece := plain.read(1 << 20):
            sha.update(piece)
    return f"sha256:{sha.hexdigest()}"


def _stored(blobs: Path, data: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    (blobs / digest).write_bytes(data)
    return {"digest": f"sha256:{digest}", "size": len(data)}


def push_base(target: Path) -> None:
    """Writes a file tree of some size to the tar at target: Python's own."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(target, "w") as tar:
        for path in map(Path, _PYTHON):
            if path.is_dir():
                tar.add(path, str(path).lstrip("/"))


def fresh_root(base: Path, target: Path) -> None:
    """A file tree like the one in the tar at base, but that nobody has seen before."""
    shutil.copyfile(base, target)
    with tarfile.open(target, "a") as tar:
        mark = target.with_suffix(".mark")
        mark.write_bytes(os.urandom(1 << 20))
        tar.add(mark, "srv/mark")
        mark.unlink()

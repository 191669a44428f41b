"""The registries that images are pulled from and pushed to, and the image that travels.

Each contestant has two in its own network: one to pull from, over storage that all share, and an
empty one to push to.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.contestants import Contestant
from bench.places import MARK
from tests.support import baseimages, registry
from tests.support.oci import OciImage, write_image

PULL_PORT, PUSH_PORT = 5055, 5056
PULLED = f"127.0.0.1:{PULL_PORT}/bench/python"
PUSHED = f"127.0.0.1:{PUSH_PORT}/bench/python"
_NAME = "bench/python"
_DIRECTORY = "hub"
_SITE = "lib/python3.11/site-packages"
_PACKAGES_BYTES = 40_000_000
_START_S = 20.0


@dataclass(frozen=True, slots=True)
class Hub:
    """Variants of one image: each measurement takes one of its own, of which nobody has any layer.

    Nothing need be removed first, which would slow down what follows (ext4 does not soon use an
    inode again).
    """

    directory: Path
    image: OciImage

    def describe(self) -> str:
        sizes = [layer["size"] for layer in self.image.manifest["layers"]]
        plain = sum(file.stat().st_size for file in self._plain())
        return (
            f"{len(sizes)} layers, {sum(sizes) / 1e6:.0f} MB compressed"
            f" ({', '.join(f'{size / 1e6:.0f}' for size in sizes)}), {plain / 1e6:.0f} MB plain"
        )

    def archive(self, number: int) -> Path:
        """A file for `load` with variant `number` as PUSHED:NUMBER; the one before it goes."""
        file = self.directory / f"archive-{number}.tar"
        if not file.exists():
            for old in self.directory.glob("archive-*.tar"):
                old.unlink()
            self._write_archive(file, number)
            os.sync()
        return file

    def _write_archive(self, file: Path, number: int) -> None:
        config = json.loads(self.image.blob(self.image.config_digest).read_text())
        head = _head(f"archive {number}\n".encode())
        names = []
        half = file.with_suffix(".half")
        with tarfile.open(half, "w") as tar:
            for position, layer in enumerate(self._plain()):
                content = head + layer.read_bytes()
                digest = hashlib.sha256(content).hexdigest()
                config["rootfs"]["diff_ids"][position] = f"sha256:{digest}"
                names.append(f"{digest}/layer.tar")
                _add(tar, names[-1], content)
            packed = json.dumps(config).encode()
            name = f"{hashlib.sha256(packed).hexdigest()}.json"
            _add(tar, name, packed)
            manifest = [{"Config": name, "RepoTags": [f"{PUSHED}:{number}"], "Layers": names}]
            _add(tar, "manifest.json", json.dumps(manifest).encode())
        half.rename(file)

    def _plain(self) -> list[Path]:
        """The layers as tars, unpacked once."""
        files = []
        for position, layer in enumerate(self.image.manifest["layers"]):
            files.append(self.directory / f"plain-{position}.tar")
            if not files[-1].exists():
                with gzip.open(self.image.blob(layer["digest"]), "rb") as packed:
                    files[-1].write_bytes(packed.read())
        return files


def archive_in(files: Path, number: int) -> Path:
    """The archive of a variant, by the directory that entries are given."""
    directory = files / _DIRECTORY
    return Hub(directory, OciImage(directory / "python")).archive(number)


@contextlib.contextmanager
def serving(files: Path, variants: int, contestants: Sequence[Contestant]) -> Iterator[Hub]:
    """The registries while the block lasts, with so many variants of the image to be pulled."""
    directory = files / _DIRECTORY
    directory.mkdir()
    image = python_image(directory / "python")
    with registry.serve(directory / "shared", PULL_PORT) as running:
        for number in range(variants):
            variant = varied(image, directory / "variant", number)
            running.push(variant, _NAME, str(number))
            shutil.rmtree(variant.directory)
    with contextlib.ExitStack() as registries:
        for contestant in contestants:
            own = directory / f"hub-{contestant.name}"
            for port, storage in (
                (PULL_PORT, directory / "shared/storage"),
                (PUSH_PORT, own / "storage"),
            ):
                registries.enter_context(_listening(contestant, own, port, storage))
        yield Hub(directory, image)


@contextlib.contextmanager
def _listening(contestant: Contestant, directory: Path, port: int, storage: Path) -> Iterator[None]:
    """A registry in the contestant's network."""
    directory.mkdir(exist_ok=True)
    config = directory / f"{port}.yml"
    config.write_text(
        json.dumps(
            {
                "version": "0.1",
                "log": {"level": "warn"},
                "storage": {"filesystem": {"rootdirectory": str(storage)}},
                "http": {"addr": f"127.0.0.1:{port}"},
            }
        )
    )

    def start() -> subprocess.Popen[bytes]:
        with (directory / f"{port}.log").open("wb") as log:
            return subprocess.Popen(
                ["docker-registry", "serve", str(config)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env=os.environ | {MARK: f"hub@{contestant.directory.parent}"},
            )  # fmt: skip

    process = contestant.place.beside(start)
    try:
        deadline = time.monotonic() + _START_S
        while not contestant.place.beside(_answers, port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((directory / f"{port}.log").read_text()[-500:])
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    return False


def python_image(directory: Path) -> OciImage:
    """A Debian image with Python and an application, in four layers as such images have them: the
    distribution, libraries, Python, the application's packages. All but the first are this
    machine's own files."""
    directory.mkdir(parents=True)
    debian = baseimages.debian()
    layers = [directory / "debian.tar"]
    (base,) = debian.manifest["layers"]
    with gzip.open(debian.blob(base["digest"]), "rb") as packed, layers[0].open("wb") as plain:
        shutil.copyfileobj(packed, plain, 1 << 20)
    trees = {
        "libraries": [Path("/usr/lib/python3")],
        "python": [Path("/usr/lib/python3.11")],
        "packages": _some(Path(sys.prefix, _SITE), _PACKAGES_BYTES),
    }
    for name, paths in trees.items():
        layers.append(directory / f"{name}.tar")
        with tarfile.open(layers[-1], "w") as tar:
            for path in paths:
                if path.exists():
                    tar.add(path, str(path).lstrip("/"))
    return write_image(directory, layers)


def _some(directory: Path, most: int) -> list[Path]:
    """What is in the directory, in the order of names, up to so many bytes."""
    found, total = [], 0
    for path in sorted(directory.iterdir()):
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        if total + size <= most:
            found.append(path)
            total += size
    return found


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


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


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

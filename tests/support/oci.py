"""OCI image layouts made here, from a root file system, for pushing to a registry.

Source: the OCI image specification, image-layout.md, manifest.md, config.md.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import shutil
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "ppc64le": "ppc64le"}


@dataclass(frozen=True, slots=True)
class OciImage:
    """An OCI image layout with one image in it."""

    directory: Path

    @property
    def manifest_digest(self) -> str:
        index = json.loads((self.directory / "index.json").read_text())
        return str(index["manifests"][0]["digest"])

    @property
    def manifest(self) -> dict[str, Any]:
        return dict(json.loads(self.blob(self.manifest_digest).read_text()))

    @property
    def config_digest(self) -> str:
        return str(self.manifest["config"]["digest"])

    def blob(self, digest: str) -> Path:
        return self.directory / "blobs" / digest.replace(":", "/")

    def archive(self, path: Path) -> Path:
        """The layout as one tar file, written to `path`."""
        with tarfile.open(path, "w") as tar:
            for name in ("oci-layout", "index.json", "blobs"):
                tar.add(self.directory / name, name)
        return path


def write_image(
    directory: Path, layers: list[Path], *, config: Mapping[str, Any] | None = None
) -> OciImage:
    """An image of uncompressed layer tars, bottom first; `config` is the part of its execution
    parameters (`Cmd`, `Env`, …) that differs from a shell with the usual PATH."""
    blobs = directory / "blobs/sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    diff_ids = []
    descriptors = []
    for layer in layers:
        diff_ids.append("sha256:" + _sha256(layer))
        packed = blobs / "layer.tmp"
        with layer.open("rb") as source, gzip.GzipFile(packed, "wb", 1, mtime=0) as target:
            shutil.copyfileobj(source, target, 1 << 20)
        descriptors.append(_adopt(packed, LAYER_GZIP))
    machine = platform.machine()
    document = {
        "architecture": ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "created": "2024-01-01T00:00:00Z",
        "config": {"Cmd": ["sh"], "Env": [PATH], **(config or {})},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "rootfs"} for _ in layers],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _store(blobs, CONFIG, document),
        "layers": descriptors,
    }
    index = {"schemaVersion": 2, "manifests": [_store(blobs, MANIFEST, manifest)]}
    (directory / "index.json").write_text(json.dumps(index))
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return OciImage(directory)


def add_file(
    tar: tarfile.TarFile, name: str, content: bytes | IO[bytes] = b"", **attributes: Any
) -> None:
    """Adds one entry, owned by root and dated 2024 unless `attributes` (TarInfo's) say else."""
    entry = tarfile.TarInfo(name)
    entry.mtime = 1704067200
    entry.mode = 0o644
    for key, value in attributes.items():
        setattr(entry, key, value)
    if isinstance(content, bytes):
        entry.size = len(content)
        content = io.BytesIO(content)
    tar.addfile(entry, content)


def _store(blobs: Path, media_type: str, document: Mapping[str, Any]) -> dict[str, Any]:
    path = blobs / "document.tmp"
    path.write_text(json.dumps(document))
    return _adopt(path, media_type)


def _adopt(path: Path, media_type: str) -> dict[str, Any]:
    digest = _sha256(path)
    path.rename(path.with_name(digest))
    size = path.with_name(digest).stat().st_size
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": size}


def _sha256(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()

"""What images are made of, on disk: blobs by digest, and layers unpacked once per chain id.

    content/blobs/<algorithm>/<hex>  manifests, configurations, compressed layers
    content/partial/             blobs on their way: what the next pull need not fetch again
    content/l/<key>              an unpacked layer, in the form overlayfs stacks
    content/layers/<hex>         what is known of that layer
    content/tmp/                 whatever is not finished; emptied when the engine starts

A thing is here when its final name is: names appear by rename, after the content was checked and
is on disk. Knows no registry and no image record; who may still need what is `engine.images`'.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import anyio

from orchestrator.aio.trees import remove_tree
from orchestrator.errors import Failed
from orchestrator.images.digest import ALGORITHMS, has_digest, split_digest
from orchestrator.images.durable import fsync, sync_filesystem
from orchestrator.model.image import Descriptor, Layer

_PARTIAL_KEPT_S = 7 * 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRecord:
    """What is known of an unpacked layer; `size_bytes` is the size of its regular files, `blob` is
    what it was made from and can be had again: a stored blob, or the tar of a layer made here."""

    chain_id: str
    diff_id: str
    size_bytes: int
    blob: Descriptor
    # What the layer leaves to those below it until `settle` has done it: paths of directories, and
    # of hard links with their targets.
    implicit: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()


class ContentStore:
    """The blobs and layers below one directory; `max_layer_entries` bounds what a layer that is
    unpacked may hold in files and directories."""

    def __init__(self, root: Path, max_layer_entries: int = 4_000_000) -> None:
        self.root = root
        self.max_layer_entries = max_layer_entries
        self._blobs = root / "blobs"
        self._partial = root / "partial"
        self._layers = root / "l"
        self._records = root / "layers"
        self._tmp = root / "tmp"
        self.empty = root / "empty"
        self._locks: dict[str, anyio.Lock] = {}
        self._waiting: Counter[str] = Counter()
        # By chain id; "" of a layer that went, until all are known.
        self._sources: dict[str, str] = {}
        self._sources_known = False
        self._noting = threading.Lock()
        places = [self._blobs / algorithm for algorithm in ALGORITHMS]
        places += [self._partial, self._layers, self._records, self._tmp, self.empty]
        for directory in places:
            directory.mkdir(parents=True, exist_ok=True)
        root.chmod(0o711)
        # An image may hold device nodes and setuid programs that this machine's users must not
        # reach but through a container. Overlay mounts look below here as root.
        for directory in (self._layers, self._tmp):
            directory.chmod(0o700)

    # -- blobs

    def blob_path(self, digest: str) -> Path:
        """Where the blob is, or would be."""
        algorithm, digits = split_digest(digest)
        return self._blobs / algorithm / digits

    def has_blob(self, digest: str) -> bool:
        return self.blob_path(digest).exists()

    def read_blob(self, digest: str) -> bytes:
        """A small blob's bytes (a manifest, a configuration). Blocking.

        Raises: Failed: there is none, or it is damaged.
        """
        try:
            data = self.blob_path(digest).read_bytes()
        except FileNotFoundError:
            data = b""
        if not has_digest(data, digest):
            raise Failed(
                f"content {digest} is missing or damaged",
                code="content-damaged",
                about=digest,
                hint="remove the image and pull it again",
            )
        return data

    def write_blob(self, data: bytes) -> str:
        """The digest under which data is now stored. Blocking."""
        digest = digest_of(data)
        if not self.has_blob(digest):
            path = self.scratch()
            path.write_bytes(data)
            self.adopt_blob(path, digest)
        return digest

    def adopt_blob(self, path: Path, digest: str) -> None:
        """Nothing, once the file at path, whose digest the caller has checked, is the blob.
        Blocking."""
        target = self.blob_path(digest)
        fsync(path)
        path.rename(target)
        fsync(target.parent)

    def retire_blob(self, digest: str) -> Path:
        """What is left to `discard` of a blob that is gone from now on; as retire_layer."""
        trash = self.scratch()
        with suppress(FileNotFoundError):
            self.blob_path(digest).rename(trash)
        return trash

    def blobs(self) -> list[str]:
        """The digest of every blob."""
        return [
            f"{algorithm}:{path.name}"
            for algorithm in ALGORITHMS
            for path in (self._blobs / algorithm).iterdir()
        ]

    def partial_path(self, digest: str) -> Path:
        """Where the first bytes of a blob wait for the rest; only who holds `exclusive` of the
        digest may touch it."""
        return self._partial / "-".join(split_digest(digest))

    def retire_partial(self, older_than_s: float = 0.0) -> list[Path]:
        """What is left to `discard` of the beginnings of blobs that nobody has added to for that
        long: they are gone from now on. Quick, as `retire_layer`."""
        trash = []
        for path in self._partial.iterdir():
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime >= older_than_s:
                    trash.append(path.rename(self.scratch()))
        return trash

    # -- layers

    def layer_dir(self, chain_id: str) -> Path:
        """Where the unpacked layer is, or would be.

        The path is short because overlayfs takes one page of mount options: 160 bits of the chain
        id name a layer without doubt.
        """
        key = base64.b32encode(bytes.fromhex(hex_of(chain_id))[:20]).decode().lower()
        return self._layers / key

    def layer(self, chain_id: str) -> LayerRecord | None:
        """What is known of the layer, None where it is not here."""
        if not self.layer_dir(chain_id).is_dir():
            return None
        try:
            record = json.loads((self._records / hex_of(chain_id)).read_bytes())
        except (FileNotFoundError, ValueError):
            # It goes at this moment, or its note is damaged: then the layer cannot be trusted.
            return None
        return LayerRecord(
            chain_id=record["chain_id"],
            diff_id=record["diff_id"],
            size_bytes=record["size_bytes"],
            blob=Descriptor(**record["blob"]),
            implicit=tuple(record.get("implicit", ())),
            links=tuple((name, target) for name, target in record.get("links", ())),
        )

    def record_blob(self, chain_id: str, blob: Descriptor) -> None:
        """Nothing, once the layer's record names another blob that it can be made from. Blocking.
        A layer that is not here is passed over."""
        record = self.layer(chain_id)
        if record is not None and record.blob != blob:
            self.rewrite(replace(record, blob=blob))

    def rewrite(self, record: LayerRecord) -> None:
        """Nothing, once the layer's record is this one. Blocking."""
        note = self.scratch()
        note.write_text(json.dumps(asdict(record)))
        fsync(note)
        note.rename(self._records / hex_of(record.chain_id))
        fsync(self._records)
        self._note_source(record.chain_id, record.blob.digest)

    def lowers(self, layers: Sequence[Layer]) -> list[Path]:
        """The layers' directories, topmost first as overlayfs wants them; an image without layers
        has one empty directory."""
        return [self.layer_dir(layer.chain_id) for layer in reversed(layers)] or [self.empty]

    def begin_layer(self) -> Path:
        """A new empty directory, to be filled and given to `commit_layer` or `discard`."""
        path = self.scratch()
        path.mkdir(mode=0o755)
        return path

    def commit_layer(self, directory: Path, record: LayerRecord) -> None:
        """Nothing, once directory has become the layer; where the layer was there already,
        directory is removed instead. Blocking.

        Raises: Failed: directory is on another filesystem than the store.
        """
        target = self.layer_dir(record.chain_id)
        if target.is_dir():
            if self.layer(record.chain_id) is None:
                self.rewrite(record)
            self.discard(directory)
            return
        sync_filesystem(directory)
        self.rewrite(record)
        try:
            directory.rename(target)
        except OSError as error:
            if not target.is_dir():
                raise Failed(
                    f"a layer cannot be moved into {self._layers}: {error.strerror}",
                    code="layer-store",
                    about=str(directory),
                    hint="keep data_dir on one filesystem",
                ) from error
            self.discard(directory)
            return
        fsync(self._layers)

    def retire_layer(self, chain_id: str) -> Path:
        """What is left to `discard` of a layer that is gone from now on. Quick, so that the engine
        may do it between two looks at who needs what."""
        trash = self.scratch()
        with suppress(FileNotFoundError):
            self.layer_dir(chain_id).rename(trash)
        (self._records / hex_of(chain_id)).unlink(missing_ok=True)
        self._note_source(chain_id, "")
        return trash

    def layers(self) -> list[LayerRecord]:
        """Every layer that is here. Blocking."""
        found = (self.layer("sha256:" + path.name) for path in self._records.iterdir())
        return [record for record in found if record is not None]

    def sources(self) -> dict[str, str]:
        """The digest of what each layer that is here was made from, by chain id. Blocking.

        Read from all their records once, and kept: only this process changes them.
        """
        read: dict[str, str] = {}
        if not self._sources_known:
            read = {layer.chain_id: layer.blob.digest for layer in self.layers()}
        with self._noting:
            known = {**read, **self._sources}
            self._sources = {chain_id: digest for chain_id, digest in known.items() if digest}
            self._sources_known = True
            return dict(self._sources)

    def _note_source(self, chain_id: str, digest: str) -> None:
        with self._noting:
            if digest or not self._sources_known:
                self._sources[chain_id] = digest
            else:
                self._sources.pop(chain_id, None)

    # -- what is not finished

    def scratch(self) -> Path:
        """A new path in the store's filesystem, nothing there yet."""
        return self._tmp / secrets.token_hex(8)

    def discard(self, path: Path) -> None:
        """Nothing, once nothing is at path. Blocking."""
        if path.is_dir() and not path.is_symlink():
            remove_tree(path)
        else:
            path.unlink(missing_ok=True)

    def recover(self) -> None:
        """Nothing, once what a killed engine left half done is gone. Blocking."""
        for path in [*self._tmp.iterdir(), *self.retire_partial(_PARTIAL_KEPT_S)]:
            self.discard(path)
        for record in self._records.iterdir():
            if not self.layer_dir("sha256:" + record.name).is_dir():
                record.unlink(missing_ok=True)

    @asynccontextmanager
    async def exclusive(self, key: str) -> AsyncGenerator[None]:
        """A block that only one task at a time enters for this key: what is downloaded by one is
        found by the next."""
        lock = self._locks.setdefault(key, anyio.Lock())
        self._waiting[key] += 1
        try:
            async with lock:
                yield
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key], self._locks[key]


def digest_of(data: bytes) -> str:
    """The digest of data, `sha256:…`."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def hex_of(digest: str) -> str:
    """The hexadecimal digits of a chain id, safe as a file name.

    Raises: Failed: it is no sha256 digest.
    """
    algorithm, digits = split_digest(digest)
    if algorithm != "sha256":
        raise Failed(
            f"an uncompressed layer is named by {algorithm}: {digest}",
            code="digest-algorithm-unsupported",
            about=digest,
            hint="build the image again with a tool that writes sha256 diff ids, as all known do",
        )
    return digits

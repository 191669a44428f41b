"""Which files a COPY takes, by what names they arrive, and the digest of exactly that.

Blocking where it reads the tree; the digest counts names, kinds, content, modes and, from another
stage, owners. Times never count, so a fresh checkout finds the cache.
"""

from __future__ import annotations

import hashlib
import posixpath
import stat
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.build.archive import is_archive
from orchestrator.build.operations import CopyOperation, Document
from orchestrator.build.tree import Entry, Tree
from orchestrator.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing to put in place: below the destination at `name` ("" is the destination itself).

    `top` marks a source itself rather than what is below one: a directory that is there already
    keeps its own mode and owner then.
    """

    name: str
    entry: Entry
    top: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Everything that one COPY puts in place, in order."""

    tree: Tree
    items: tuple[Item, ...]
    archives: tuple[Entry, ...] = ()
    documents: tuple[Document, ...] = ()

    def digest(self, owners: bool) -> str:
        """The digest of names, kinds, modes and content, and of the owners where they are kept."""
        sha = hashlib.sha256()
        for item in self.items:
            for field in _described(self.tree, item.entry, item.name, owners):
                sha.update(f"{len(field)}:{field}".encode())
        for archive in self.archives:
            sha.update(f"archive:{self.tree.digest(archive)}".encode())
        for document in self.documents:
            sha.update(f"{len(document.name)}:{document.name}:{document.content}\0".encode())
        return sha.hexdigest()


def select(tree: Tree, operation: CopyOperation) -> Selection:
    """What the operation takes from tree.

    Raises: InvalidInput: a source is not there; several sources and a destination without slash.
    Source: Dockerfile reference, "COPY".
    """
    items: list[Item] = []
    archives: list[Entry] = []
    for source in operation.sources:
        entries = tree.match(source)
        # A wildcard may match nothing (`yarn.lock*`), as long as something is copied.
        if not entries and not set(source) & set("*?["):
            raise _not_found(operation, source)
        if len(entries) > 1 and not operation.destination.endswith("/"):
            raise operation.where.invalid(
                f"{source} matches {len(entries)} files", "end the destination with /"
            )
        for entry in entries:
            if operation.unpack and _is_archive(tree, entry):
                archives.append(entry)
            else:
                items.extend(_items(tree, entry, posixpath.basename(entry.path)))
    if not items and not archives and not operation.documents:
        raise _not_found(operation, " ".join(operation.sources))
    return Selection(
        tree=tree,
        items=tuple(items),
        archives=tuple(archives),
        documents=operation.documents,
    )


def _not_found(operation: CopyOperation, source: str) -> InvalidInput:
    return operation.where.invalid(
        f"{source}: not found in {operation.origin or 'the context'}",
        "check the path"
        if operation.origin
        else "check the path, and that .dockerignore does not exclude it",
    )


def select_all(tree: Tree, source: str) -> Selection | None:
    """A path of the tree with everything below it, as a bind mount shows it."""
    entry = tree.find(source)
    if entry is None:
        return None
    name = posixpath.basename(entry.path)
    return Selection(tree=tree, items=tuple(_items(tree, entry, name)))


def _items(tree: Tree, entry: Entry, name: str) -> Iterable[Item]:
    if entry.kind != "directory":
        yield Item(name=name, entry=entry, top=True)
        return
    # The content of a directory is copied, not the directory: its name does not arrive.
    yield Item(name="", entry=entry, top=True)
    for relative, child in tree.walk(entry):
        yield Item(name=relative, entry=child)


def _described(tree: Tree, entry: Entry, name: str, owners: bool) -> Iterable[str]:
    yield name
    yield entry.kind
    if entry.kind == "link":
        yield entry.link
    elif entry.kind == "file":
        yield tree.digest(entry)
    elif entry.kind == "device":
        yield f"{stat.S_IFMT(entry.info.st_mode)}:{entry.info.st_rdev}"
    if entry.kind != "link":
        yield oct(stat.S_IMODE(entry.info.st_mode))
    if owners:
        yield f"{entry.info.st_uid}:{entry.info.st_gid}"


def _is_archive(tree: Tree, entry: Entry) -> bool:
    if entry.kind != "file":
        return False
    with tree.open(entry) as file:
        return is_archive(file)

"""Which files a COPY takes, by what names they arrive, and the digest of exactly that.

Blocking where it reads the tree; the digest counts names, kinds, content, modes and, from another
stage, owners. Times never count, so a fresh checkout finds the cache.
"""

from __future__ import annotations

import hashlib
import posixpath
import stat
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from orchestrator.build.archive import is_archive
from orchestrator.build.operations import CopyOperation, Document
from orchestrator.build.tree import Entry, Tree
from orchestrator.errors import InvalidInput
from orchestrator.model.ignore import IgnoreRules


class Item(NamedTuple):
    """One thing to put in place: below the destination at `name` ("" is the destination itself).

    `top` marks a source itself rather than what is below one: a directory that is there already
    keeps its own mode and owner then.
    """

    name: str
    entry: Entry
    tree: Tree
    top: bool = False


class Source(NamedTuple):
    """Where one or more sources of an operation are: a tree, and the paths in it. `literal` paths
    have no wildcards; `unpack` is for archives among them."""

    tree: Tree
    paths: tuple[str, ...]
    unpack: bool = False
    literal: bool = False


class Selection(NamedTuple):
    """Everything that one COPY puts in place, in order."""

    items: tuple[Item, ...]
    archives: tuple[tuple[Tree, Entry], ...] = ()
    documents: tuple[Document, ...] = ()

    def digest(self, owners: bool) -> str:
        """The digest of names, kinds, modes and content, and of the owners where they are kept."""
        sha = hashlib.sha256()
        parts: list[str] = []
        for item in self.items:
            parts += [f"{len(part)}:{part}" for part in _described(item, owners)]
        sha.update("".join(parts).encode("utf-8", "surrogateescape"))
        for tree, archive in self.archives:
            sha.update(f"archive:{tree.digest(archive)}".encode())
        for document in self.documents:
            text = f"{len(document.name)}:{document.name}:{document.content}\0"
            sha.update(text.encode("utf-8", "surrogateescape"))
        return sha.hexdigest()


def select(operation: CopyOperation, sources: Sequence[Source]) -> Selection:
    """What the operation takes.

    Raises: InvalidInput: a source is not there; several sources and a destination without slash.
    Source: Dockerfile reference, "COPY".
    """
    items: list[Item] = []
    archives: list[tuple[Tree, Entry]] = []
    excluded = IgnoreRules(list(operation.exclude))
    for source, path in ((one, path) for one in sources for path in one.paths):
        named = _matches(source, path)
        # A wildcard may match nothing (`yarn.lock*`), as long as something is copied.
        if not named and (source.literal or not set(path) & set("*?[")):
            raise _not_found(operation, source.tree, path)
        if len(named) > 1 and not operation.destination.endswith("/"):
            raise operation.where.invalid(
                f"{path} matches {len(named)} files", "end the destination with /"
            )
        for name, entry in named:
            if source.unpack and _is_archive(source.tree, entry):
                archives.append((source.tree, entry))
            elif operation.parents:
                items.extend(_with_parents(source.tree, path, name, entry, excluded))
            else:
                items.extend(_items(source.tree, entry, posixpath.basename(name), excluded))
    if not items and not archives and not operation.documents and not excluded:
        raise _not_found(operation, sources[0].tree, " ".join(operation.sources))
    return Selection(tuple(items), tuple(archives), operation.documents)


def select_all(tree: Tree, source: str) -> Selection | None:
    """A path of the tree with everything below it, as a bind mount shows it."""
    entry = tree.find(source)
    if entry is None:
        return None
    name = posixpath.basename(entry.path)
    return Selection(tuple(_items(tree, entry, name, IgnoreRules([]))))


def _matches(source: Source, path: str) -> list[tuple[str, Entry]]:
    if not source.literal:
        return source.tree.match_named(path)
    entry = source.tree.find(path)
    return [] if entry is None else [(path.strip("/"), entry)]


def _not_found(operation: CopyOperation, tree: Tree, source: str) -> InvalidInput:
    where = operation.origin or "the context"
    if operation.origin or not tree.hides(source):
        hint = "check the path"
        if not operation.origin:
            hint += ", and that .dockerignore does not exclude it"
        return operation.where.invalid(f"{source}: not found in {where}", hint)
    return operation.where.invalid(
        f"{source}: not found in {where}: .dockerignore excludes it",
        "take it out of .dockerignore, or except it there with !",
    )


def _items(tree: Tree, entry: Entry, name: str, excluded: IgnoreRules) -> Iterable[Item]:
    if entry.kind != "directory":
        if not (excluded and (excluded.excludes(name) or excluded.excludes(entry.path))):
            yield Item(name, entry, tree, True)
        return
    # The content of a directory is copied, not the directory: its name does not arrive.
    yield Item("", entry, tree, True)
    for relative, child in _walk(tree, entry, excluded):
        yield Item(relative, child, tree)


def _walk(tree: Tree, entry: Entry, excluded: IgnoreRules) -> Iterator[tuple[str, Entry]]:
    """As `tree.walk`, without what is excluded by its path from there or from the root."""
    if not excluded:
        yield from tree.walk(entry)
        return
    for relative, child in tree.walk(entry):
        hidden = excluded.excludes(relative) or excluded.excludes(child.path)
        # An excluded directory is there for what an exception brings back in it.
        if not hidden or (
            child.kind == "directory"
            and not all(map(excluded.excludes, _below(tree, child, relative)))
        ):
            yield relative, child


def _below(tree: Tree, entry: Entry, relative: str) -> Iterator[str]:
    return (f"{relative}/{name}" for name, _ in tree.walk(entry))


def _with_parents(
    tree: Tree, written: str, name: str, entry: Entry, excluded: IgnoreRules
) -> Iterable[Item]:
    """The entry at its whole path: that after `/./`, where the source has one."""
    kept = name
    before, pivot, _ = written.lstrip("/").partition("/./")
    if pivot:
        depth = len([part for part in before.split("/") if part not in ("", ".")])
        kept = "/".join(name.split("/")[depth:])
    above = kept.split("/")[:-1]
    top = name[: len(name) - len(kept)].rstrip("/")
    for depth in range(1, len(above) + 1):
        relative = "/".join(above[:depth])
        directory = tree.find(f"{top}/{relative}")
        if directory is not None:
            yield Item(relative, directory, tree, True)
    if excluded and (excluded.excludes(kept) or excluded.excludes(entry.path)):
        return
    yield Item(kept, entry, tree, True)
    if entry.kind == "directory":
        for relative, child in _walk(tree, entry, excluded):
            yield Item(f"{kept}/{relative}" if kept else relative, child, tree)


def _described(item: Item, owners: bool) -> list[str]:
    entry = item.entry
    found = [item.name, entry.kind]
    if entry.kind == "link":
        found.append(entry.link)
    elif entry.kind == "file":
        found.append(item.tree.digest(entry))
    elif entry.kind == "device":
        found.append(f"{stat.S_IFMT(entry.info.st_mode)}:{entry.info.st_rdev}")
    if entry.kind != "link":
        found.append(oct(stat.S_IMODE(entry.info.st_mode)))
    if owners:
        found.append(f"{entry.info.st_uid}:{entry.info.st_gid}")
    return found


def _is_archive(tree: Tree, entry: Entry) -> bool:
    if entry.kind != "file":
        return False
    with tree.open(entry) as file:
        return is_archive(file)

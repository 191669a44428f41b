"""A tree of files to copy from: the build context, or the root of another stage or image.

Each directory is read once and each file hashed once. Symbolic links lead nowhere outside the tree,
and what the ignore rules exclude does not exist. Blocking: callers use worker threads.
"""

from __future__ import annotations

import fnmatch
import hashlib
import io
import os
import stat
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from orchestrator.aio.libc import RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, openat2
from orchestrator.model.ignore import IgnoreRules, Matched

Kind = Literal["file", "directory", "link", "device"]
_LINKS_FOLLOWED = 40
_BENEATH = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PIECE = 1 << 20
_NAME = attrgetter("name")
_KINDS: dict[int, Kind] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "link",
}


class Entry(NamedTuple):
    """One thing in the tree: `path` is relative to the root, "" for the root itself."""

    path: str
    kind: Kind
    info: os.stat_result
    link: str = ""


class KnownDigests(Protocol):
    """Digests of files from earlier builds."""

    def find(self, entry: Entry) -> str | None:
        """The sha256 of the file, if it cannot have changed since it was remembered."""

    def remember(self, entry: Entry, digest: str) -> None:
        """Nothing; the digest was just made."""


class Tree:
    """What can be copied from below one directory. `known` are digests from earlier builds."""

    def __init__(
        self, root: Path, rules: IgnoreRules | None = None, known: KnownDigests | None = None
    ) -> None:
        self.root = root
        self._rules = rules or None
        self._known = known
        self._children: dict[str, dict[str, Entry]] = {}
        self._matched: dict[str, Matched] = {"": rules.nothing if rules else ()}
        self._digests: dict[str, str] = {}
        self._lock = threading.RLock()
        self._root_fd = -1

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Nothing; the tree is not read any more."""
        if self._root_fd >= 0:
            os.close(self._root_fd)
            self._root_fd = -1

    def children(self, path: str) -> dict[str, Entry]:
        """What the directory at path (no links in it) holds, by name, sorted."""
        with self._lock:
            if path not in self._children:
                self._children[path] = self._read(path)
            return self._children[path]

    def find(self, path: str, *, follow: bool = True) -> Entry | None:
        """The entry at path, links followed inside the tree; None where there is none."""
        waiting = list(reversed(_parts(path)))
        followed = 0
        at = self._root()
        while waiting:
            name = waiting.pop()
            if name == "..":
                at = self._exact(at.path.rpartition("/")[0])
                continue
            below = self.children(at.path).get(name) if at.kind == "directory" else None
            if below is None:
                return None
            if below.kind == "link" and (waiting or follow):
                followed += 1
                if followed > _LINKS_FOLLOWED:
                    return None
                waiting.extend(reversed(_parts(below.link)))
                at = self._root() if below.link.startswith("/") else at
                continue
            at = below
        return at

    def match(self, pattern: str) -> list[Entry]:
        """The entries that a COPY source means: one path, or all that its wildcards match.

        Source: Dockerfile reference, "COPY"; Go's filepath.Match.
        """
        return [entry for _, entry in self.match_named(pattern)]

    def match_named(self, pattern: str) -> list[tuple[str, Entry]]:
        """As `match`, each with the path that it was found by, before links were followed."""
        parts = _parts(pattern)
        if not any(character in part for part in parts for character in "*?["):
            entry = self.find(pattern)
            return [] if entry is None else [("/".join(parts), entry)]
        found: list[tuple[str, Entry]] = []
        self._match(self._root(), "", [p for p in parts if p != ".."], found)
        return found

    def hides(self, path: str) -> bool:
        """Whether path is there, but for the ignore rules."""
        return (
            self._rules is not None
            and self._rules.excludes("/".join(_parts(path)))
            and os.path.lexists(self.root / path.lstrip("/"))
        )

    def walk(self, entry: Entry) -> Iterator[tuple[str, Entry]]:
        """Everything below a directory with its path relative to it, parents first, sorted."""
        waiting = [("", entry)]
        while waiting:
            above, directory = waiting.pop()
            directories: list[tuple[str, Entry]] = []
            for name, child in self.children(directory.path).items():
                relative = f"{above}/{name}" if above else name
                yield relative, child
                if child.kind == "directory":
                    directories.append((relative, child))
            waiting.extend(reversed(directories))

    def digest(self, entry: Entry) -> str:
        """The sha256 of a file's content."""
        known = self._digests.get(entry.path)
        if known is not None:
            return known
        known = self._known.find(entry) if self._known else None
        if known is None:
            known = self._hashed(entry)
            if self._known:
                self._known.remember(entry, known)
        self._digests[entry.path] = known
        return known

    @contextmanager
    def open(self, entry: Entry) -> Generator[io.BufferedReader]:
        """The file, open for reading while the block lasts; no link leads out of the tree."""
        with os.fdopen(self.descriptor(entry), "rb") as file:
            yield file

    def descriptor(self, entry: Entry) -> int:
        """As `open`: a descriptor, which the caller closes."""
        with self._lock:
            if self._root_fd < 0:
                flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
                self._root_fd = os.open(self.root, flags)
        return openat2(self._root_fd, entry.path, _READ, resolve=_BENEATH)

    def _hashed(self, entry: Entry) -> str:
        fd = self.descriptor(entry)
        try:
            sha = hashlib.sha256()
            while piece := os.read(fd, _PIECE):
                sha.update(piece)
            return sha.hexdigest()
        finally:
            os.close(fd)

    def _root(self) -> Entry:
        return Entry("", "directory", self.root.stat())

    def _exact(self, path: str) -> Entry:
        entry = self.find(path, follow=False) if path else self._root()
        return entry or self._root()

    def _match(
        self, at: Entry, named: str, parts: list[str], found: list[tuple[str, Entry]]
    ) -> None:
        pattern = parts[0].replace("[^", "[!")
        for name, child in self.children(at.path).items():
            if not fnmatch.fnmatchcase(name, pattern):
                continue
            entry = self.find(child.path)
            if entry is None:
                continue
            here = f"{named}/{name}" if named else name
            if len(parts) == 1:
                found.append((here, entry))
            elif entry.kind == "directory":
                self._match(entry, here, parts[1:], found)

    def _read(self, path: str) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        matched = self._matched_of(path)
        prefix = f"{path}/" if path else ""
        with os.scandir(self.root / path) as listing:
            items = sorted(listing, key=_NAME)
        for item in items:
            relative = prefix + item.name
            hidden = self._rules is not None and self._rules.hides(relative, matched)
            if hidden and not (
                item.is_dir(follow_symlinks=False)
                and self._rules is not None
                and self._rules.may_show_below(relative)
            ):
                continue
            entry = _entry(item, relative)
            # A hidden directory shows again where an exception brings back something in it.
            if entry is not None and (not hidden or self.children(relative)):
                found[item.name] = entry
        return found

    def _matched_of(self, path: str) -> Matched:
        if self._rules is None:
            return ()
        if (known := self._matched.get(path)) is None:
            known = self._rules.matched(path, self._matched_of(path.rpartition("/")[0]))
            self._matched[path] = known
        return known


def _entry(item: os.DirEntry[str], relative: str) -> Entry | None:
    try:
        info = item.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    mode = info.st_mode & 0o170000
    if mode == stat.S_IFREG:  # most are
        return Entry(relative, "file", info)
    if mode == stat.S_IFSOCK:
        return None
    kind = _KINDS.get(mode, "device")
    # Not Path.readlink: it would tidy the target ("./x" becomes "x").
    link = os.readlink(item.path) if kind == "link" else ""  # noqa: PTH115
    return Entry(relative, kind, info, link)


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]

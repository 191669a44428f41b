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
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from orchestrator.aio.rooted import opened
from orchestrator.build.ignore import IgnoreRules

Kind = Literal["file", "directory", "link", "device"]
_LINKS_FOLLOWED = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing in the tree: `path` is relative to the root, "" for the root itself."""

    path: str
    kind: Kind
    info: os.stat_result
    link: str = ""


class Tree:
    """What can be copied from below one directory."""

    def __init__(self, root: Path, rules: IgnoreRules | None = None) -> None:
        self.root = root
        self._rules = rules
        self._children: dict[str, dict[str, Entry]] = {}
        self._digests: dict[str, str] = {}
        self._lock = threading.RLock()

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
        parts = _parts(pattern)
        if not any(character in part for part in parts for character in "*?["):
            entry = self.find(pattern)
            return [] if entry is None else [entry]
        found: list[Entry] = []
        self._match(self._root(), [p for p in parts if p != ".."], found)
        return found

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
        with self._lock:
            known = self._digests.get(entry.path)
        if known is None:
            with self.open(entry) as file:
                known = hashlib.file_digest(file, "sha256").hexdigest()
            with self._lock:
                self._digests[entry.path] = known
        return known

    @contextmanager
    def open(self, entry: Entry) -> Generator[io.BufferedReader]:
        """The file, open for reading while the block lasts; no link leads out of the tree."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        with opened(self.root, entry.path, flags) as fd, os.fdopen(os.dup(fd), "rb") as file:
            yield file

    def _root(self) -> Entry:
        return Entry(path="", kind="directory", info=self.root.stat())

    def _exact(self, path: str) -> Entry:
        entry = self.find(path, follow=False) if path else self._root()
        return entry or self._root()

    def _match(self, at: Entry, parts: list[str], found: list[Entry]) -> None:
        pattern = parts[0].replace("[^", "[!")
        for name, child in self.children(at.path).items():
            if not fnmatch.fnmatchcase(name, pattern):
                continue
            entry = self.find(child.path)
            if entry is None:
                continue
            if len(parts) == 1:
                found.append(entry)
            elif entry.kind == "directory":
                self._match(entry, parts[1:], found)

    def _read(self, path: str) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        with os.scandir(self.root / path) as listing:
            names = sorted(item.name for item in listing)
        for name in names:
            relative = f"{path}/{name}" if path else name
            entry = _entry(self.root, relative)
            if entry is not None and self._visible(entry):
                found[name] = entry
        return found

    def _visible(self, entry: Entry) -> bool:
        if self._rules is None or not self._rules.excludes(entry.path):
            return True
        # A hidden directory shows again where an exception brings back something in it.
        if entry.kind != "directory" or not self._rules.may_show_below(entry.path):
            return False
        return bool(self.children(entry.path))


def _entry(root: Path, relative: str) -> Entry | None:
    path = root / relative
    info = path.lstat()
    mode = stat.S_IFMT(info.st_mode)
    if mode == stat.S_IFSOCK:
        return None
    kinds: dict[int, Kind] = {
        stat.S_IFREG: "file",
        stat.S_IFDIR: "directory",
        stat.S_IFLNK: "link",
    }
    kind = kinds.get(mode, "device")
    # Not Path.readlink: it would tidy the target ("./x" becomes "x").
    link = os.readlink(path) if kind == "link" else ""  # noqa: PTH115
    return Entry(path=relative, kind=kind, info=info, link=link)


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]

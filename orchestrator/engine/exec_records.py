"""The records of execs: in memory, and as files in the run-time directory for the next engine.

Files, not the database: an exec does not outlive the machine's run, and every one has a directory
there anyway.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from orchestrator.aio.changes import Changes
from orchestrator.errors import NotFound
from orchestrator.model.exec import Exec

# How long an ended exec may still be asked for, and how many of them.
_KEPT_S = 300.0
_MOST_KEPT = 500


class ExecRecords:
    """Every exec's record below `place`; `changes` rings after each change."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._execs: dict[str, Exec] = {}
        self.changes = Changes()

    def __iter__(self) -> Iterator[Exec]:
        return iter(list(self._execs.values()))

    def get(self, identifier: str) -> Exec:
        """The exec with this id.  Raises: NotFound."""
        if (found := self._execs.get(identifier)) is not None:
            return found
        raise NotFound(
            f"No such exec instance: {identifier}",
            code="no-such-exec",
            about=identifier,
            hint="its container may have ended; make a new one",
        )

    def put(self, changed: Exec) -> Exec:
        """The exec itself, as it is known from now on; `write` keeps it for the next engine."""
        self._execs[changed.id] = changed
        self.changes.ring()
        return changed

    def directory(self, identifier: str) -> Path:
        """Where the exec's files are."""
        return self._place / identifier

    def old(self, exists: Callable[[str], bool]) -> list[str]:
        """The ids of those that nobody needs any more: ended long ago, too many, or in a container
        that does not exist."""
        now = time.time()
        ended = [e for e in self._execs.values() if e.exit_code is not None]
        # They are in the order of their beginning, which is nearly that of their end.
        surplus = ended[: max(0, len(ended) - _MOST_KEPT)]
        late = [e for e in ended[len(surplus) :] if now - e.ended_at > _KEPT_S]
        open_ones = [e for e in self._execs.values() if e.exit_code is None]
        lost = [e for e in open_ones if not exists(e.container_id)]
        return [e.id for e in (*surplus, *late, *lost)]

    def forget(self, identifier: str) -> None:
        """Nothing; it is unknown from now on. Its files are `discard`'s."""
        self._execs.pop(identifier, None)

    # -- files: all of these are blocking

    def names(self) -> list[str]:
        """The ids of those that an earlier engine left files of."""
        return sorted(p.name for p in self._place.iterdir()) if self._place.is_dir() else []

    def write(self, record: Exec) -> None:
        """Nothing; the next engine will find it so, whole."""
        directory = self.directory(record.id)
        directory.mkdir(parents=True, exist_ok=True)
        half = directory / "exec.json.half"
        half.write_bytes(msgspec.json.encode(record))
        half.rename(directory / "exec.json")

    def read(self, name: str) -> Exec | None:
        """What an earlier engine wrote of it; None where that is nothing of use."""
        try:
            data = (self.directory(name) / "exec.json").read_bytes()
            found = msgspec.json.decode(data, type=Exec)
        except (OSError, msgspec.MsgspecError):
            return None
        late = found.exit_code is not None and time.time() - found.ended_at > _KEPT_S
        return None if late else found

    def tidy(self, name: str) -> None:
        """Nothing; of an ended exec's files only the record is left."""
        for path in self.directory(name).glob("*"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != "exec.json":
                path.unlink(missing_ok=True)

    def discard(self, name: str) -> None:
        """Nothing is left of its files."""
        shutil.rmtree(self.directory(name), ignore_errors=True)

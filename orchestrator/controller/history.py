"""The revisions of stacks: noted at each change of what is wanted, and found again."""

from __future__ import annotations

import time
from dataclasses import replace

from orchestrator.controller.compare import spec_changes
from orchestrator.errors import NotFound
from orchestrator.model.stack import Service, Stack
from orchestrator.state.records import Records
from orchestrator.state.revisions import Revision


class History:
    """The last `kept` revisions of every stack."""

    def __init__(self, records: Records[Revision], kept: int) -> None:
        self._records = records
        self._kept = kept

    def note(self, stack: Stack, cause: str) -> Revision:
        """The revision that this definition is: the last one where nothing differs from it."""
        known = self.of(stack.name)
        last = known[-1] if known else None
        if last is not None and last.stack == stack:
            return last
        changes = changes_between(last.stack if last else None, stack)
        number = last.number + 1 if last else 1
        revision = Revision(
            stack=stack, number=number, at=time.time(), cause=cause, changes=changes
        )
        self._records.put(revision)
        for old in known[: max(0, len(known) + 1 - self._kept)]:
            self._records.delete(old.id)
        return revision

    def of(self, stack: str) -> list[Revision]:
        """The stack's revisions, the oldest first."""
        return sorted((r for r in self._records if r.stack.name == stack), key=lambda r: r.number)

    def get(self, stack: str, number: int) -> Revision:
        """The revision with that number; 0 is the one before the last.  Raises: NotFound."""
        known = self.of(stack)
        if number == 0 and len(known) > 1:
            return known[-2]
        for revision in known:
            if revision.number == number:
                return revision
        numbers = f"{known[0].number} to {known[-1].number}" if known else "none"
        raise NotFound(
            f"stack {stack} has no revision {number or 'before the last one'}",
            code="no-such-revision",
            about=stack,
            hint=f"`pystack history` lists them; there are {numbers}",
        )

    def forget(self, stack: str) -> None:
        """Nothing; the stack has no revisions any more."""
        for revision in self.of(stack):
            self._records.delete(revision.id)


def changes_between(before: Stack | None, after: Stack) -> tuple[str, ...]:
    """What differs between two definitions of a stack, in words, a line a thing."""
    if before is None:
        return tuple(f"+ service {s.name}" for s in after.services)
    lines = [f"- service {s.name}" for s in before.services if after.service(s.name) is None]
    for service in after.services:
        old = before.service(service.name)
        if old is None:
            lines.append(f"+ service {service.name}")
        elif found := _of_service(old, service):
            lines.append(f"~ service {service.name}: {'; '.join(found)}")
    was = {f.source: f.version for f in before.granted}
    lines += [f"~ {f.source}" for f in after.granted if was.get(f.source, f.version) != f.version]
    for kind in ("networks", "volumes"):
        was, now = getattr(before, kind), getattr(after, kind)
        if was != now:
            lines.append(f"~ {kind}")
    return tuple(lines)


def _of_service(old: Service, new: Service) -> list[str]:
    found = [str(change) for change in spec_changes(old.container, new.container)]
    if old.scale != new.scale:
        found.append(f"scale {old.scale} -> {new.scale}")
    rest = replace(old, container=new.container, scale=new.scale)
    if rest != new:
        found.append("how it is built, started or updated")
    return found

"""Images that builds are making now, by their tags: who starts from one of them waits for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import anyio

from orchestrator.errors import InvalidInput
from orchestrator.images.reference import parse_reference


class UnderWay:
    """The builds under way; one object for all builds of an engine."""

    def __init__(self) -> None:
        self._ended: dict[str, anyio.Event] = {}
        self._waiting: dict[str, str] = {}
        self._begun = anyio.Event()

    @contextmanager
    def making(self, tags: Sequence[str]) -> Iterator[None]:
        """A block in which a build makes the image with these (full) tags."""
        mine = {tag: anyio.Event() for tag in tags if tag not in self._ended}
        self._ended |= mine
        self._begun.set()
        self._begun = anyio.Event()
        try:
            yield
        finally:
            for tag, ended in mine.items():
                del self._ended[tag]
                ended.set()

    async def awaited(self, name: str, tags: Sequence[str], patience_s: float) -> bool:
        """Whether a build was making the image, or began to within the patience; it has ended now.
        `tags` are those of the build that asks.

        Raises: InvalidInput: it waits for the one that asks.
        """
        tag = str(parse_reference(name))
        with anyio.move_on_after(patience_s):
            while tag not in self._ended:
                await self._begun.wait()
        if tag not in self._ended or tag in tags:
            return False
        at = tag
        while at in self._waiting:
            at = self._waiting[at]
            if at in tags:
                raise InvalidInput(
                    f"the images {tags[0]} and {tag} are built from each other",
                    code="build-circular",
                    about=tag,
                    hint="take one out of the other's build contexts",
                )
        for mine in tags:
            self._waiting[mine] = tag
        try:
            await self._ended[tag].wait()
        finally:
            for mine in tags:
                self._waiting.pop(mine, None)
        return True
